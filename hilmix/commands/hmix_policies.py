"""Study, images and named policies, shared by ``hilmix hmix fit`` and ``hilmix hmix mixes``."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from hilmix.checks import PositiveInt, check_value
from hilmix.commands.extras import import_extra
from hilmix.data.folder import read_folder
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError, DataError
from hilmix.human.image_features import compute_statistics
from hilmix.human.perception import POLICIES, LearnedPerception
from hilmix.human.perception.evaluation import Fit
from hilmix.human.study import MixStudy, Task, check_images, read_study
from hilmix.human.study.layout import CLASSES, LAYOUTS, NUM_ITEMS
from hilmix.terminal import Console, say

LEARNED = "learned_statistics"
NAMES = (*POLICIES, LEARNED)
ELICITED = "study.json"
"""File that marks a folder of ``hilmix elicit``, whose package may not be installed."""
_SMALLEST = 5


def add_study(parser: argparse.ArgumentParser) -> None:
    """Adds where the study is and what its ids and classes mean."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the study's files, or a study folder of hilmix elicit"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        default=CLASSES,
        help="class names as the files spell them (default: those of CIFAR-10)",
    )
    parser.add_argument(
        "--num-items",
        type=int,
        default=NUM_ITEMS,
        metavar="N",
        help=f"size of the set that image ids point into (default: {NUM_ITEMS})",
    )


def read_elicited(args: argparse.Namespace, console: Console) -> dict[Task, MixStudy] | None:
    """Returns the studies of a study folder of ``hilmix elicit``, and says who is left out; None for other folders.

    Raises:
        ConfigError: if the extra is not installed, or for options that say what the folder says already.
        DataError: if there are no answers yet, or they cannot be used.
    """
    if not (args.folder / ELICITED).is_file():
        return None
    # argparse does not distinguish a default from the same value given; other values can only be given.
    if tuple(args.classes) != CLASSES or args.num_items != NUM_ITEMS:
        raise ConfigError(
            f"{args.folder / ELICITED} says classes and number of items; leave --classes, --num-items out."
        )
    read = import_extra("hilmix.human.elicit.answers.read")
    studies: dict[Task, MixStudy] = read.read_answers(args.folder)
    for name, reason in read.collect_answers(args.folder).excluded.items():
        say(console, f"left out: {name} ({reason})")
    return studies


def read_inferences(args: argparse.Namespace, console: Console) -> MixStudy:
    """Returns the infer study of the folder, repeats left out.

    Raises:
        ConfigError: for a size of less than one image.
        DataError: naming file, row, column, what was found and what is allowed.
    """
    check_value("--num-items", args.num_items, PositiveInt)
    elicited = read_elicited(args, console)
    if elicited is not None:
        if "infer" not in elicited:
            raise DataError(f"{args.folder} holds answers to {', '.join(elicited)}; the task 'infer' is needed.")
        return elicited["infer"].without_repeats()
    study = read_study(args.folder, "infer", classes=args.classes, num_items=args.num_items).without_repeats()
    if not len(study.judgments):
        file = args.folder / LAYOUTS["infer"].file
        raise DataError(f"{file}: every trial is flagged as shown once more; none is left.")
    return study


def read_images(args: argparse.Namespace, study: MixStudy) -> AnnotatedData:
    """Returns the data folder that the study's ids point into.

    Raises:
        DataError: for a bad folder, or one of another size.
    """
    data = read_folder(args.data)
    if len(data) != study.num_items:
        raise DataError(
            f"--data {args.data} has {len(data):,} items; the ids of the study point into {study.num_items:,}. Give "
            "the whole set of images, in its order, or correct --num-items."
        )
    return data


def statistics_of_mixed(data: AnnotatedData, study: MixStudy) -> Tensor:
    """Returns (N, 15) float32 statistics of the images that are in a mix, NaN for the others.

    Raises:
        DataError: if the inputs are not colour images of at least 5 pixels a side, or not those of the study.
    """
    check_images(data, study)
    shape = data.inputs.shape
    if data.inputs.kind != "image" or shape[0] != 3 or min(shape[1:]) < _SMALLEST:
        raise DataError(
            f"{data.name} holds inputs of kind '{data.inputs.kind}' and shape {tuple(shape)}; {LEARNED} needs colour "
            f"images of at least {_SMALLEST} pixels a side."
        )
    return compute_statistics(data.inputs, np.unique([study.stimuli.id1, study.stimuli.id2]))


def policy_by_name(name: str, features: Tensor | None) -> Fit:
    """Returns how to fit a policy.

    Args:
        name: one of :data:`NAMES`.
        features: of all images, which ``learned_statistics`` needs.
    """
    if features is None:
        return POLICIES[name]
    return partial(LearnedPerception.fit, features=features)
