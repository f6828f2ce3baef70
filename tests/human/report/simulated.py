"""Studies drawn from known parameters."""

from typing import Any

import numpy as np
import torch

from hilmix.human.functional.perception import logit_curve
from hilmix.human.study import MixStudy, Task

CLASSES = ("ant", "bee", "cow", "dog")
STRENGTH = np.array([0.06, 0.02, -0.03, -0.05])
CURVE = (-0.1, 0.85)
"""a and b of the logit curve."""
MIDPOINT, ANCHORING = 0.53, 0.1
STIMULUS_SD, NOISE_SD = 0.04, 0.05
ICC = STIMULUS_SD**2 / (STIMULUS_SD**2 + NOISE_SD**2)
CONFIDENCE = (0.3, 0.5)
"""Of an even answer, and what is added for a fully one-sided one."""


def _design(rng: np.random.Generator, pairs: int, people: int, each: int) -> dict[str, Any]:
    """Pairs of different classes in both orders; every person sees ``each`` of them, and the first two once more.

    With about two people per pair, as in H-Mix, intervals over people also hold most of the spread of the pairs.
    """
    first = rng.integers(0, 4, pairs)
    second = (first + rng.integers(1, 4, pairs)) % 4
    shown = np.stack([rng.permutation(pairs)[:each] for _ in range(people)])
    at = np.concatenate([shown, shown[:, :2]], 1)
    return {
        "label1": first,
        "label2": second,
        "id1": np.arange(pairs),
        "id2": np.arange(pairs) + pairs,
        "at": at.ravel(),
        "person": np.repeat(np.arange(people), each + 2),
        "trial": np.tile(np.arange(each + 2), people),
    }


def _study(task: Task, plan: dict[str, Any], stimuli: dict[str, Any], judgments: dict[str, Any]) -> MixStudy:
    names = [
        f"{CLASSES[a]}_{i}_{CLASSES[b]}_{j}"
        for a, i, b, j in zip(plan["label1"], plan["id1"], plan["label2"], plan["id2"], strict=True)
    ]
    return MixStudy.build(
        task,
        classes=CLASSES,
        participants=[f"p{k}" for k in range(plan["person"].max() + 1)],
        num_items=10_000,
        stimuli={"name": names, **{k: plan[k] for k in ("id1", "id2", "label1", "label2")}, **stimuli},
        judgments={
            "participant": plan["person"],
            "stimulus": plan["at"],
            "trial": plan["trial"],
            "repeat": plan["trial"] >= plan["trial"].max() - 1,
            "seconds": np.full(len(plan["at"]), 8.0),
            **judgments,
        },
    )


def infer(seed: int = 0, *, pairs: int = 1200, people: int = 60, each: int = 40) -> MixStudy:
    """Answers are the logit curve, class strengths, what is special of a stimulus, and noise; none reaches 0 or 1."""
    rng = np.random.default_rng(seed)
    plan = _design(rng, pairs, people, each)
    weight = rng.choice([0.3, 0.4, 0.5, 0.6, 0.7], pairs)
    seen = logit_curve(torch.tensor(weight), *CURVE).numpy()
    seen = seen + STRENGTH[plan["label1"]] - STRENGTH[plan["label2"]] + rng.normal(0, STIMULUS_SD, pairs)
    answer = np.clip(seen[plan["at"]] + rng.normal(0, NOISE_SD, len(plan["at"])), 0, 1)
    sure = CONFIDENCE[0] + CONFIDENCE[1] * np.abs(2 * answer - 1) + rng.normal(0, 0.05, len(answer))
    return _study("infer", plan, {"weight": weight}, {"weight": answer, "confidence": np.clip(sure, 0, 1)})


def construct(seed: int = 0, *, pairs: int = 500, people: int = 50, each: int = 20) -> MixStudy:
    """Half the people start at .1 and half at .9, and stay a little on that side; a strong class needs less weight."""
    rng = np.random.default_rng(seed)
    plan = _design(rng, pairs, people, each)
    start = np.where(plan["person"] % 2, 0.9, 0.1)
    middle = MIDPOINT - STRENGTH[plan["label1"]] + STRENGTH[plan["label2"]] + rng.normal(0, STIMULUS_SD, pairs)
    answer = middle[plan["at"]] + ANCHORING * (start - 0.5) + rng.normal(0, NOISE_SD, len(start))
    return _study("construct", plan, {}, {"weight": answer, "start": start})


def categorical(*, share: float = 0.25, people: int = 8, pairs: int = 20) -> MixStudy:
    """A share of the people is sure of class 1 and excludes nothing; the others give class 1 60 % and another, neither
    of both, 40 %, and exclude the rest."""
    plan = _design(np.random.default_rng(0), pairs, people, pairs)
    first, second = plan["label1"][plan["at"]], plan["label2"][plan["at"]]
    other = np.array([min({0, 1, 2, 3} - {a, b}) for a, b in zip(first, second, strict=True)])
    sure = plan["person"] < share * people
    named = (np.arange(4) == first[:, None]) | (np.arange(4) == other[:, None])
    return _study(
        "categorical",
        plan,
        {"weight": np.full(pairs, 0.75)},
        {
            "top": first,
            "top_percent": np.where(sure, 100.0, 60.0),
            "second": np.where(sure, -1, other),
            "second_percent": np.where(sure, np.nan, 40.0),
            "impossible": ~named & ~sure[:, None],
        },
    )
