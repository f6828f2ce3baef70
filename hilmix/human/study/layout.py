"""The layout of the released files: names, columns, what marks a trial. Own studies are exported in the same one."""

from collections.abc import Sequence
from typing import NamedTuple

from hilmix.data.sources import cifar10
from hilmix.errors import DataError
from hilmix.human.study.tables import Task

CLASSES = tuple(name.capitalize() for name in cifar10.CLASSES)
"""The released class names: those of CIFAR-10, in the same order, capitalised."""
NUM_ITEMS = 10_000
"""Size of the CIFAR-10 test set, whose positions are the released image ids."""
ORIGIN = "the folder h_mix of the GitHub repository cambridge-mlg/hill-mixup"
INFERENCES = "processed_hmix_inferences.json"
SOFT_LABELS = "hmix_individ_soft_labels.json"
REPEAT_PREFIX = "rerun_"
NO_ALTERNATIVE = "No"
"""Stands for "no alternative" (an unquoted attribute of the page was cut at the space); no class may be called this."""
FIRST_PAGE = 6
"""``trial_index`` of the first trial of a session without failed checks."""

# Columns that jsPsych 6 writes for every page.
_PAGE = (
    "trial_type",
    "trial_index",
    "time_elapsed",
    "subject",
    "condition",
    "rt",
    "url",
    "view_history",
    "response",
    "question_order",
    "success",
    "timeout",
    "failed_images",
    "failed_audio",
    "failed_video",
)
_MIX = ("filename", "task", "subj_id", "label1", "label2", "mixtureCoeff", "id1", "id2")


class Layout(NamedTuple):
    """One study's file."""

    file: str
    trial: str
    """Value of the column ``task``; with :data:`REPEAT_PREFIX` before it for the repeats."""
    page: str
    """Value of the column ``trial_type`` in such rows."""
    columns: tuple[str, ...]
    """After the row number, which has no name."""
    needed: tuple[str, ...]
    """The columns that are read, besides those of every task."""


NEEDED = ("subject", "task", "condition", "trial_index", "rt")
LAYOUTS: dict[Task, Layout] = {
    "construct": Layout(
        "hmix_construct_midpoint.csv",
        "select_create",
        "reconstruction",
        ("index", *_PAGE, "final_value", "start_value", "task", "class_pair", "starting_value", "filename"),
        ("class_pair", "final_value", "start_value"),
    ),
    "select": Layout(
        "hmix_select_shuffled_midpoint.csv",
        "select_shuffled",
        "survey-html-form",
        ("index", *_PAGE, "task", "class_pair"),
        ("class_pair", "response"),
    ),
    "infer": Layout(
        "hmix_infer_mixing_factor.csv",
        "rate_mixture",
        "multiple-slider",
        ("index", *_PAGE, "responses", *_MIX, "class_pair"),
        ("filename", "label1", "label2", "mixtureCoeff", "id1", "id2", "responses"),  # `response` is there, and empty
    ),
    "categorical": Layout(
        "hmix_categorical_soft_labels.csv",
        "spec_conf",
        "survey-html-form",
        (*_PAGE, *_MIX),
        ("filename", "label1", "label2", "mixtureCoeff", "id1", "id2", "response"),
    ),
}


def check_classes(classes: Sequence[str]) -> None:
    """Refuses class names that the file of the categorical task cannot hold.

    Raises:
        DataError: if a class has the name that stands for "no alternative".
    """
    if NO_ALTERNATIVE in classes:
        raise DataError(f"A class is called '{NO_ALTERNATIVE}', which this layout reads as no alternative; rename it.")
