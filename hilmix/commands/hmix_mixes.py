"""``hilmix hmix mixes FOLDER --data DATA --policy NAME|FILE -o OUT``: a data folder with the elicited mixes in it."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hilmix.checks import refusal
from hilmix.commands.hmix_policies import (
    LEARNED,
    NAMES,
    add_study,
    policy_by_name,
    read_images,
    read_inferences,
    statistics_of_mixed,
)
from hilmix.commands.outputs import require_free, write_data
from hilmix.data.items import SPLITS, AnnotatedData
from hilmix.errors import ConfigError
from hilmix.human.functional.perception import smooth_by_confidence
from hilmix.human.perception import ConfidenceSmoothing, LearnedPerception, Perception, UniformSmoothing
from hilmix.human.study import MixStudy, append_mixes, label_judgments, label_mixes, mean_by_mix, split_around_mixes
from hilmix.terminal import Console, literal, say
from hilmix.trusted import add_trust

ANSWERS = "answers"
_DRAWN = ("test_fraction", "val_fraction", "seed")
_ABOUT = f"""Labels of the mixes, one per mix unless stated otherwise, by --policy:
  identity     the labels of mixup
  image_table  the mean of the answers about that mix
  {ANSWERS}      the answers: one annotation per judgment, by its participant
  FILE         any policy that hilmix hmix fit has written
  or a policy fitted here and now: {", ".join(name for name in NAMES if name not in ("identity", "image_table"))}

--smooth makes the label of a mix the more uniform the less sure participants were of it, on average; of an
answer, the less sure its participant was.

  hilmix data prepare cifar10h-counts
  hilmix hmix mixes data/h_mix --data data/cifar10h-counts --policy image_table --smooth -o data/relabelled
  hilmix fit -c configs/method/soft.yaml --data.root data/relabelled --run_dir runs/relabelled

Mixes are training items. No validation or test item may be an image of a mix, so where DATA has no split, one is drawn
in which none is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Write a data folder: the images of DATA, and the judged mixes as further training items with soft labels."
    )
    parser.epilog = _ABOUT
    add_study(parser)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DATA",
        help="data folder whose items are the images of the study, in its order",
    )
    parser.add_argument("--policy", required=True, metavar="NAME|FILE", help="how mixes are labelled, see below")
    parser.add_argument("--smooth", action="store_true", help="smooth the labels by stated confidence")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="data folder to write")
    parser.add_argument("--test-fraction", type=float, help="share to test on, where DATA has no split (default: 0.3)")
    parser.add_argument("--val-fraction", type=float, help="share to validate on, as above (default: 0.1)")
    parser.add_argument("--seed", type=int, help="of that split (default: 0)")
    add_trust(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Labels the mixes and writes the folder.

    Raises:
        ConfigError: for an unknown policy, or options that do not belong together.
        DataError: if the study or the images cannot be used, or the output is there already.
    """
    require_free(args.out, flag="-o")
    if args.policy not in (*NAMES, ANSWERS) and not Path(args.policy).is_file():
        must = f"{ANSWERS}, {', '.join(NAMES)}, or an existing file that hilmix hmix fit has written"
        raise ConfigError(refusal("--policy", must, args.policy))
    study = read_inferences(args, console)
    # Split first: mixes are made of training items alone, or images of the test would leak into training.
    data = _with_split(read_images(args, study), study, args)
    found = _with_labels(data, study, args)
    write_data(found, args.out)
    assert found.split is not None, "append_mixes needs one"
    counts = ", ".join(f"{np.count_nonzero(found.split == name):,} {name}" for name in SPLITS)
    added = found.annotations.num_pairs - data.annotations.num_pairs
    say(
        console,
        f"{len(found) - len(data):,} mixes with {added:,} labels ({args.policy}{', smoothed' * args.smooth}) added to "
        f"the {len(data):,} items of {data.name}: {counts}",
        literal(("Written", "bold"), f" to {args.out}"),
        f"Train on it: hilmix fit -c configs/method/soft.yaml --data.root {args.out}",
    )


def _with_labels(data: AnnotatedData, study: MixStudy, args: argparse.Namespace) -> AnnotatedData:
    """The data and the mixes."""
    confidence = mean_by_mix(study, study.judgments.confidence)
    keep = ~np.isnan(confidence)  # a mix may have been seen as a repeat only
    if args.policy == ANSWERS:
        return append_mixes(data, study, label_judgments(study, smoothed=args.smooth), per="judgment", keep=keep)
    policy, features = _policy(data, study, args)
    labels = label_mixes(study, policy, features=features)
    if args.smooth:
        labels = smooth_by_confidence(torch.from_numpy(labels), torch.from_numpy(confidence)).numpy()
    return append_mixes(data, study, labels, keep=keep)


def _with_split(data: AnnotatedData, study: MixStudy, args: argparse.Namespace) -> AnnotatedData:
    """The data's own split, or one around the mixes."""
    given: dict[str, Any] = {name: getattr(args, name) for name in _DRAWN if getattr(args, name) is not None}
    if data.split is None:
        return split_around_mixes(data, study, **given)
    if given:
        option = "--" + next(iter(given)).replace("_", "-")
        raise ConfigError(
            f"{option} is for data without a split, and {args.data} has one; leave it out, or remove the column "
            "'split' from its items table."
        )
    return data


def _policy(data: AnnotatedData, study: MixStudy, args: argparse.Namespace) -> tuple[Perception, Tensor | None]:
    """The policy, fitted now or read, and the features that it needs."""
    if args.policy in NAMES:
        features = statistics_of_mixed(data, study) if args.policy == LEARNED else None
        return policy_by_name(args.policy, features)(study.to_judgments()), features
    policy = Perception.load(args.policy)
    # Looked for at any depth: a policy may smooth inside another one.
    if args.smooth and any(isinstance(part, ConfidenceSmoothing | UniformSmoothing) for part in policy.modules()):
        raise ConfigError(f"--smooth would smooth twice: the policy in {args.policy} smooths already. Leave it out.")
    looks = any(isinstance(part, LearnedPerception) for part in policy.modules())
    return policy, statistics_of_mixed(data, study) if looks else None
