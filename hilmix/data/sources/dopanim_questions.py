"""The questionnaires that dopanim's annotators filled in, as numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEVEL = ("Very low", "Below average", "Average", "Above average", "Very high")
_EASE = ("Very difficult", "Somewhat difficult", "Neither easy nor difficult", "Somewhat easy", "Very easy")
_SCALES: Mapping[str, tuple[str, ...]] = {
    "pre_interest_choice": _LEVEL,
    "pre_knowledge_choice": _LEVEL,
    "post_likelihood_choice": ("Very poor", "Poor", "Acceptable", "Good", "Very good"),
    "post_concentration_choice": (
        "Very unconcentrated",
        "Somewhat unconcentrated",
        "Neither unconcentrated nor concentrated",
        "Somewhat concentrated",
        "Very concentrated",
    ),
    "post_tutorial_choice": ("Never", "Rarely", "Sometimes", "Often", "Very often"),
    "post_motivation_choice": (
        "Very unmotivated",
        "Somewhat unmotivated",
        "Neither unmotivated nor motivated",
        "Somewhat motivated",
        "Very motivated",
    ),
}
_RIGHT: Mapping[str, str] = {
    "pre_oldest_animal_choice": "Greenland shark",
    "pre_mammal_migration_choice": "Caribou",
    "pre_big_cats_choice": "Leopard",
    "pre_hares_choice": "Rabbits are born blind and hairless, hares are born with fur and can see.",
    "pre_squirrels_choice": "Squirrel tails help with balance.",
    "pre_insects_choice": "Hornets are one of the most commonly known wasp.",
}
"""Questions on animals, and the answer that the authors count as right."""
_ANIMALS = (
    *("jaguar", "leopard", "cheetah"),
    *("brown_hare", "black_tailed_jackrabbit", "marsh_rabbit", "european_rabbit", "desert_cottontail"),
    *("douglas_squirrel", "american_red_squirrel", "eurasian_red_squirrel"),
    *("asian_hornet", "european_hornet", "european_paper_wasp", "german_yellowjacket"),
)
_TUTORIALS = tuple(f"{name}_tutorial" for name in ("basic", "big_cats", "hares_rabbits", "insects", "squirrels"))
_NUMBERS = ("pre_time", "post_time", "post_estimated_accuracy")
FEATURES = (*_SCALES, "right_answers", "ease", "tutorials", *_NUMBERS)
"""Names of the numbers, in order."""


def encode_questionnaire(answers: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return (F,) numbers of one annotator, see :data:`FEATURES`.

    Scales of five steps count from 0 to 4. ``right_answers`` is the share of six questions on animals that was answered
    right, ``ease`` the mean over 15 animals of how easy they were, ``tutorials`` the mean over the five tutorials.

    Args:
        answers: the annotator's entry of ``annotator_metadata.json``.

    Raises:
        KeyError: if an answer is missing.
        ValueError: if an answer is not one of its scale.

    Reference:
        The encoding of the authors' code. Differs from it: what they compute from an annotator's labels (mean highest
        likelihood, mean time, consistency) is left out.
    """
    scales = [_SCALES[key].index(answers[key]) for key in _SCALES]
    right = np.mean([answers[key] == answer for key, answer in _RIGHT.items()])
    ease = np.mean([_EASE.index(answers[f"post_{name}_choice"]) for name in _ANIMALS])
    tutorials = np.mean([float(answers[key]) for key in _TUTORIALS])
    numbers = [float(answers[key]) for key in _NUMBERS]
    return np.array([*scales, right, ease, tutorials, *numbers], dtype=np.float32)
