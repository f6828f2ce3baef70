"""``hilmix hmix fit FOLDER --policy NAME -o FILE``: fits a perception policy to a study, scores it, writes it."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from hilmix.checks import check_choice
from hilmix.commands.hmix_policies import (
    LEARNED,
    NAMES,
    add_study,
    policy_by_name,
    read_images,
    read_inferences,
    statistics_of_mixed,
)
from hilmix.commands.outputs import require_free
from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import ConfidenceSmoothing, LearnedPerception, MixJudgments, Perception, cross_validate
from hilmix.human.perception.evaluation import Fit, Split
from hilmix.terminal import Console, Grid, literal, pairs, say, warn

_ABOUT = f"""Policies:
  {", ".join(NAMES[:6])},
  {", ".join(NAMES[6:])}

{LEARNED} looks at light, contrast, edges and colour of the images, which --data must then bring: a data folder
whose items are the images of the study, in its order. For H-Mix: hilmix data prepare cifar10h-counts.

  hilmix hmix fit data/h_mix --policy class_strengths -o strengths.json
  hilmix hmix fit data/h_mix --policy {LEARNED} --data data/cifar10h-counts --smooth -o learned.json

Repeats are left out. The scores are those of the policy without smoothing, on answers that it was not fitted to: to
mixes, to mixes of images that it never saw, of participants whom it was not fitted to.
docs/human_mixup.md says how to read them.
"""
_HELD_OUT: dict[Split, str] = {"mix": "mixes", "pair": "pairs of images", "participant": "participants"}
_FOLDS = 10
_FEW = 12
"""Up to so many numbers of a parameter are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Fit a perception policy, which predicts the labels of mixes, to the infer study of a "
        "folder; score it on held-out answers; write it as JSON."
    )
    parser.epilog = _ABOUT
    add_study(parser)
    parser.add_argument("--policy", required=True, metavar="NAME", help="one of those below")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="JSON file to write")
    parser.add_argument(
        "--smooth", action="store_true", help="make labels the more uniform the less sure participants are of it"
    )
    parser.add_argument("--data", type=Path, metavar="DATA", help=f"data folder of the images, for {LEARNED}")


def run(args: argparse.Namespace, console: Console) -> None:
    """Fits, prints and writes.

    Raises:
        ConfigError: for an unknown policy, or options that do not belong together.
        DataError: if the study or the images cannot be used, or the output is there already.
    """
    # Before the study is read: a fit takes minutes, a misspelt option should not.
    _check(args)
    study = read_inferences(args, console)
    judged = study.to_judgments()
    features = None if args.data is None else statistics_of_mixed(read_images(args, study), study)
    fit = policy_by_name(args.policy, features)
    policy = fit(judged)
    smoothing = _smoothing(policy, judged) if args.smooth else None
    what = (
        f", fitted to {len(judged.weight):,} answers of {len(study.participants):,} participants "
        f"to {len(study.stimuli):,} mixes"
    )
    say(console, literal((args.policy, "bold"), what))
    console.print(_parameters(policy, smoothing))
    _score(judged, {args.policy: fit}, features, console)
    (smoothing or policy).save(args.out)
    config = f"{{class_path: hilmix.human.perception.SavedPerception, init_args: {{file: {args.out}}}}}"
    say(console, "", literal(("Written", "bold"), f" to {args.out}; in a config: {config}"))


def _check(args: argparse.Namespace) -> None:
    check_choice("--policy", args.policy, NAMES)
    if args.policy == LEARNED and args.data is None:
        raise ConfigError(f"--policy {LEARNED} looks at the images; give their data folder with --data.")
    if args.policy != LEARNED and args.data is not None:
        raise ConfigError(f"--data is for --policy {LEARNED}; {args.policy} does not look at the images. Leave it out.")
    require_free(args.out, flag="-o", what="file")
    # Written last: without its folder all that was computed would be lost.
    if not args.out.absolute().parent.is_dir():
        raise DataError(f"There is no folder '{args.out.parent}' to write {args.out.name} into; make it first.")


def _smoothing(policy: Perception, judged: MixJudgments) -> ConfidenceSmoothing:
    """By what the policy knows of the mix, else by a line in how one-sided the mix is."""
    # A policy that has learned confidence itself knows more of a mix than how one-sided it is.
    if isinstance(policy, LearnedPerception) and policy.line is not None:
        return ConfidenceSmoothing(policy, line=None)
    return ConfidenceSmoothing.fit(judged, policy=policy)


def _score(judged: MixJudgments, policies: dict[str, Fit], features: Any, console: Console) -> None:
    table = Grid("held-out", "groups", "removed", "of ceiling", "deviance")
    notes = []
    # One split at a time: a study too small for one of them still has scores of the others.
    for split in get_args(Split):
        try:
            row = cross_validate(judged, policies, splits=[split], folds=_FOLDS, features=features).iloc[0]
        except DataError as error:
            notes.append(f"held-out {_HELD_OUT[split]}: {error}")
            continue
        table.add_row(
            _HELD_OUT[split],
            f"{row['groups']:,}",
            _percents(row),
            _percent(row["of_ceiling"]),
            f"{row['deviance']:.3f} [{row['deviance_low']:.3f}, {row['deviance_high']:.3f}]",
        )
        ceiling = row["ceiling"]
    if table.row_count:
        say(
            console,
            "",
            f"Squared deviation of answers from the weight: the share that is removed, on held-out answers ({_FOLDS} "
            "folds,",
            f"95 % intervals), and of the ceiling, which is what all who see a mix share, {_percent(ceiling)}.",
        )
        console.print(table)
    for note in notes:
        warn(console, note, title="not scored:")


def _percents(row: "pd.Series[float]") -> str:
    return f"{_percent(row['share'])} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{100 * share:.1f} %"


def _parameters(policy: Perception, smoothing: ConfidenceSmoothing | None) -> Grid:
    table = pairs(list(_lines(policy.spec(), "")))
    if smoothing is not None:
        table.add_row("smoothing", smoothing.extra_repr())
    return table


def _lines(spec: dict[str, Any], before: str) -> Iterator[tuple[str, str]]:
    yield f"{before}class", str(spec["class_path"]).rpartition(".")[2]
    for name, value in spec["init_args"].items():
        if isinstance(value, dict) and "class_path" in value:
            yield from _lines(value, f"{before}{name} ")
        elif value is not None:
            yield before + name, _shown(value)


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    if len(value) > _FEW:
        return f"{len(value):,} values"
    if value and isinstance(value[0], list):
        return f"{len(value)} x {len(value[0])} values"
    return ", ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in value)
