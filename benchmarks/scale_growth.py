"""Growth of what a large crowd costs: exponents in items, labels per item, annotators and classes.

``python -m benchmarks.scale_growth`` doubles each size alone three times, from 20,000 items with four labels each by
500 annotators in 100 classes, and fits the exponent: the slope of log CPU seconds over log size, of four sizes. Items
grow with their labels. Methods run with their own settings, until they converge, in the form that large sizes choose.
The goal is 1.1.
"""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.crowd_data import Size, simulate
from benchmarks.timing import Result
from hilmix.annotations import Annotations
from hilmix.data.folder.describe import describe_data
from hilmix.data.items import LabelledItems
from hilmix.functional.aggregation import VoteTable, aggregate, shared_dawid_skene

GOAL = 1.1
BASE = {"items": 20_000, "labels": 4, "annotators": 500, "classes": 100}
FACTORS = (1, 2, 4, 8)
REPEATS = 2


def check(votes: VoteTable) -> object:
    """Describes votes as ``hilmix data check`` does once a table is read."""
    names = tuple(map(str, range(votes.num_classes)))
    people = tuple(map(str, range(votes.num_annotators)))
    annotations = Annotations(votes.item, votes.annotator, votes.label, votes.num_items, names, people)
    items = tuple(map(str, range(votes.num_items)))
    return describe_data(LabelledItems("crowd", items, annotations, np.arange(votes.num_items) % votes.num_classes))


STEPS: dict[str, Callable[[VoteTable], object]] = {
    "check": check,
    "majority": lambda votes: aggregate("majority", votes),
    "wawa": lambda votes: aggregate("wawa", votes),
    "zero-based-skill": lambda votes: aggregate("zero-based-skill", votes),
    "dawid-skene, shared matrix": shared_dawid_skene,
    "mace": lambda votes: aggregate("mace", votes),
    "glad": lambda votes: aggregate("glad", votes),
}


def crowd(items: int, labels: int, annotators: int, classes: int) -> VoteTable:
    return simulate(Size(items, labels * items, annotators, classes))[0]


def seconds(step: Callable[[VoteTable], object], votes: VoteTable) -> float:
    """Least CPU seconds of some runs."""
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        step(votes)
        taken.append(time.process_time() - start)
    return min(taken)


def measure() -> list[Result]:
    """Returns an exponent for every step and size."""
    found = []
    for size, value in BASE.items():
        crowds = [crowd(**BASE | {size: factor * value}) for factor in FACTORS]
        for name, step in STEPS.items():
            taken = [seconds(step, votes) for votes in crowds]
            exponent = float(np.polyfit(np.log(FACTORS), np.log(taken), 1)[0])
            found.append(Result(f"scale: {name}, exponent in {size}", exponent, "", GOAL))
            print(found[-1].what, f"{exponent:.2f}", [f"{t:.3f} s" for t in taken], flush=True)
    return found


if __name__ == "__main__":
    measure()
