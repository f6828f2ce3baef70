"""A study of the infer task with images that it points into."""

import numpy as np

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.human.study import MixStudy

CLASSES = ("ant", "bee", "cow")
N, PAIRS, PEOPLE = 200, 45, 15
OWN = ["--classes", *CLASSES, "--num-items", str(N)]


def plan_study(classes: tuple[str, ...] = CLASSES, num_items: int = N) -> MixStudy:
    """Images 0..44 with images 45..89, each mix judged by three people; the others are in no mix."""
    rng, k = np.random.default_rng(0), len(classes)
    label1, weight = rng.integers(0, k, PAIRS), rng.choice([0.1, 0.25, 0.5, 0.75, 0.9], PAIRS)
    label2 = (label1 + rng.integers(1, k, PAIRS)) % k
    stimulus, who = np.repeat(np.arange(PAIRS), 3), np.arange(3 * PAIRS) % PEOPLE
    trial = np.arange(3 * PAIRS) // PEOPLE
    again = np.arange(PEOPLE)  # each person's first trial once more
    at, person = np.concatenate([stimulus, stimulus[again]]), np.concatenate([who, who[again]])
    shift = rng.normal(0, 0.1, PAIRS) + 0.1 * (label1 == 0) - 0.1 * (label2 == 0)
    answer = np.clip(weight[at] + shift[at] + rng.normal(0, 0.1, len(at)), 0, 1).round(2)
    return MixStudy.build(
        "infer",
        classes=classes,
        participants=[f"p{i}" for i in range(PEOPLE)],
        num_items=num_items,
        stimuli={
            "name": [f"mix-{i}.png" for i in range(PAIRS)],
            "id1": np.arange(PAIRS),
            "id2": PAIRS + np.arange(PAIRS),
            "label1": label1,
            "label2": label2,
            "weight": weight,
        },
        judgments={
            "participant": person,
            "stimulus": at,
            "weight": answer,
            "confidence": rng.integers(0, 101, len(at)) / 100,
            "trial": np.concatenate([trial, np.full(PEOPLE, trial.max() + 1)]),
            "repeat": np.arange(len(at)) >= 3 * PAIRS,
        },
    )


def images(study: MixStudy, *, split: bool = False) -> AnnotatedData:
    """Images with known classes and two votes each."""
    rng, n = np.random.default_rng(1), study.num_items
    target, where = rng.integers(0, study.num_classes, n), np.full(n, "train", dtype="<U5")
    target[study.stimuli.id1], target[study.stimuli.id2] = study.stimuli.label1, study.stimuli.label2
    where[2 * PAIRS :: 2], where[2 * PAIRS + 1 :: 2] = "val", "test"
    return AnnotatedData(
        name="pictures",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs(rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8), "image"),
        annotations=Annotations.build(
            np.repeat(np.arange(n), 2),
            np.tile([0, 1], n),
            np.repeat(target, 2),
            num_items=n,
            classes=study.classes,
            annotators=["x", "y"],
        ),
        target=target,
        split=where if split else None,
    )


def words(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())
