"""``hilmix elicit build DATA -o STUDY``: from a data folder to a study that can be served."""

import argparse
import re
from pathlib import Path

from hilmix.checks import PositiveInt, check_value, refusal
from hilmix.data.folder import read_folder
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.design.build import OwnTexts, build_study
from hilmix.human.elicit.design.chosen import ChosenMixes, read_chosen
from hilmix.human.elicit.design.items import check_showable, find_usable_labels, read_probs
from hilmix.human.elicit.design.manifest import MANIFEST, Manifest, find_statements
from hilmix.human.elicit.design.schema import TASKS, Task
from hilmix.human.elicit.design.settings import PER_BATCH, WEIGHTS, Design
from hilmix.human.elicit.design.words import LANGUAGE, LANGUAGES, read_words
from hilmix.terminal import Console, literal, say

_ABOUT = """Tasks:
  construct    step through the mixes of a pair to the one that is half and half
  select       choose that one among eleven mixes
  infer        say how much of each class is in a mix, and how sure one is
  categorical  say which classes a mix may show, how probable they are, and which are impossible
  vote         say the class, and how sure one is; with --weights 1, of single images

  hilmix elicit build data/mine -o studies/mine --task infer --pairs 120
  hilmix elicit build data/mine -o studies/both --task infer --task categorical --pairs 60 --per-batch 20 --beta 0.4
  hilmix elicit build data/mine -o studies/hard --task infer --pairs 90 --least-sure runs/mine/predictions.parquet
  hilmix elicit build data/mine -o studies/second --task infer --pairs-from next.csv

Every participant is given one batch of one task. Pairs of classes come evenly, images are used evenly, and images of
one class are not mixed; the class is the target, or the majority vote where that is unknown. Where DATA has a split,
the training items are used. The same options give the same study. docs/elicit.md describes it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    parser.add_argument("data", type=Path, metavar="DATA", help="data folder of images")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="STUDY", help="folder to write")
    parser.add_argument(
        "--task",
        action="append",
        required=True,
        choices=TASKS,
        metavar="TASK",
        help="one of those below; may be given several times",
    )
    pairs = parser.add_mutually_exclusive_group(required=True)
    pairs.add_argument("--pairs", type=int, metavar="N", help="pairs of images, for every task")
    pairs.add_argument(
        "--pairs-from",
        type=Path,
        metavar="NEXT.csv",
        help="exactly these mixes: item1, item2, weight; hilmix elicit next writes it",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="grid of weights of image 1 (default: .1 .25 .5 .75 .9)"
    )
    weights.add_argument("--beta", type=float, metavar="A", help="draw weights from Beta(A, A) instead")
    parser.add_argument(
        "--per-batch",
        type=int,
        metavar="N",
        help=f"mixes in a batch (default: {PER_BATCH}, or all; a divisor of --pairs-from)",
    )
    counts = (
        ("repeats", 2, "mixes of the batch shown once more at its end"),
        ("catch", 2, "pictures with a known answer, per batch"),
        ("practice", 2, "pictures at the start, whose answers do not count"),
        ("judgments", 3, "wanted for each mix"),
        ("seed", 0, "of all draws"),
    )
    for name, default, about in counts:
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{about} (default: {default})")
    parser.add_argument(
        "--wording",
        choices=("third", "first"),
        default="third",
        help="ask what 100 participants would say, or what one sees oneself (default: third)",
    )
    parser.add_argument(
        "--least-sure",
        type=Path,
        metavar="FILE",
        help="predictions.parquet of a run: take the pairs that model is least sure about",
    )
    parser.add_argument(
        "--consent",
        type=Path,
        metavar="FILE.md",
        help="your own consent; its lines '- [ ] ...' are what participants must tick",
    )
    parser.add_argument(
        "--instructions",
        action="append",
        default=[],
        metavar="TASK=FILE.md",
        help="your own instructions of a task; may be given several times",
    )
    add_texts(parser)


def add_texts(parser: argparse.ArgumentParser) -> None:
    """Adds the options for what participants read."""
    parser.add_argument(
        "--language",
        default="en",
        metavar="TAG",
        help=f"of everything that participants read: {', '.join(LANGUAGES)}, or others with --messages (default: en)",
    )
    parser.add_argument(
        "--messages", type=Path, metavar="FILE.yaml", help="the words in another language, with the keys of en.yaml"
    )
    parser.add_argument("--contact", metavar="TEXT", help="whom participants may write to, shown on every page")
    parser.add_argument("--minutes", type=int, metavar="N", help="duration of a session (default: an estimate)")
    parser.add_argument("--pay", metavar="TEXT", help="what participants are paid, shown with the consent")
    parser.add_argument("--completion-code", metavar="CODE", help="shown at the end, for a crowd platform")
    parser.add_argument("--completion-url", metavar="URL", help="address of the platform to go back to at the end")


def run(args: argparse.Namespace, console: Console) -> None:
    """Builds, and says what to do next.

    Raises:
        ConfigError: for options that cannot be, alone or together.
        DataError: if data, predictions or texts cannot be used, or the output is there already.
    """
    for option in ("weights", "beta", "least_sure"):
        if args.pairs_from is not None and getattr(args, option) is not None:
            raise ConfigError(f"--{option.replace('_', '-')} draws mixes, and --pairs-from gives them; leave one out.")
    # The texts first: they are checked in no time, and the data may be large.
    own = _own_texts(args)
    data = read_folder(args.data)
    chosen = None if args.pairs_from is None else _chosen(args.pairs_from, data)
    pairs = args.pairs if chosen is None else len(chosen.weight)
    design = Design(
        tasks=tuple(args.task),
        pairs=pairs,
        weights=tuple(args.weights or WEIGHTS),
        beta=args.beta,
        per_batch=_per_batch(pairs, divide=chosen is not None) if args.per_batch is None else args.per_batch,
        repeats=args.repeats,
        catch=args.catch,
        practice=args.practice,
        judgments=args.judgments,
        wording=args.wording,
        seed=args.seed,
    )
    probs = None if args.least_sure is None else read_probs(args.least_sure, data)
    _tell(build_study(data, args.out, design, probs=probs, own=own, chosen=chosen), design, args.out, console)


def _chosen(file: Path, data: AnnotatedData) -> ChosenMixes:
    check_showable(data)
    return read_chosen(file, data, find_usable_labels(data))


def _per_batch(pairs: int, *, divide: bool) -> int:
    most = min(PER_BATCH, max(pairs, 1))
    # Batches are of one size, and all chosen mixes must be shown.
    return max(n for n in range(1, most + 1) if pairs % n == 0) if divide else most


def _own_texts(args: argparse.Namespace) -> OwnTexts:
    instructions: dict[Task, str] = {}
    for given in args.instructions:
        task, equals, file = given.partition("=")
        if not equals or task not in args.task or task in instructions:
            raise ConfigError(refusal("--instructions", f"TASK=FILE.md, once for each of {args.task}", given))
        instructions[task] = _text(Path(file))
    consent = None if args.consent is None else _text(args.consent)
    if consent is not None and not find_statements(consent):
        raise DataError(f"{args.consent} has no statement to agree to; write at least one as a line '- [ ] I agree'.")
    return read_texts(args)._replace(consent=consent, instructions=instructions)


def read_texts(args: argparse.Namespace) -> OwnTexts:
    """Returns what the options of :func:`add_texts` give.

    Raises:
        ConfigError: for a language without messages, or values that cannot be.
        DataError: if the file of messages cannot be used.
    """
    if not re.fullmatch(LANGUAGE, args.language):
        raise ConfigError(f"`--language` must be a tag such as de or pt-BR, got '{args.language}'.")
    if args.messages is None and args.language not in LANGUAGES:
        raise ConfigError(
            f"`--language` must be one of {', '.join(LANGUAGES)} without --messages, got '{args.language}'. Translate "
            "hilmix/human/elicit/words/en.yaml and give it as --messages."
        )
    if args.minutes is not None:
        check_value("--minutes", args.minutes, PositiveInt)
    if args.completion_url is not None and not re.fullmatch(r"https?://\S{1,1990}", args.completion_url):
        raise ConfigError(f"`--completion-url` must start with https:// or http://, got '{args.completion_url}'.")
    return OwnTexts(
        completion_code=args.completion_code or None,
        completion_url=args.completion_url,
        language=args.language,
        words=None if args.messages is None else read_words(args.messages),
        contact=args.contact or None,
        minutes=args.minutes,
        pay=args.pay or None,
    )


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {file}: {error}. Give a Markdown file in UTF-8.") from error
    if not text.strip():
        raise DataError(f"{file} is empty; write the text, or leave the option out.")
    return text


def _tell(study: Manifest, design: Design, folder: Path, console: Console) -> None:
    batches, judgments = _count(len(study.batches), "batch", "es"), _count(design.judgments, "judgment")
    participants = _count(len(study.batches) * design.judgments, "participant")
    what = (
        f" to {folder}: {batches} of {design.trials} pictures "
        f"({design.practice} for practice, {design.per_batch} mixes, {design.catch} with a known answer, "
        f"{design.repeats} repeats), for {participants} to give {judgments} of each mix."
    )
    then = f"Texts and settings may be changed in {folder / MANIFEST}; then: hilmix elicit serve {folder}"
    say(console, literal(("Written", "bold"), what), then)


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number:,} {noun}{plural * (number != 1)}"
