"""Growth of the time of a round of an aggregator: exponents in items, labels, annotators and classes.

Each size is quadrupled alone, from 40,000 items with five labels each by 400 annotators in five classes; the exponent
is the slope of log seconds over log size. Items grow with their labels, labels with the number per item. Of every fit
the same few rounds are run, as the number of rounds depends on the data. CPU time of this process, the least of three
runs. PTBCC has a column of classes for every pair of annotator and label that occurs, so that its time grows with A K^2
as long as such pairs are fewer than labels, and with L K from there on; M-MSR with the pairs of annotators who share an
item, up to the square of the labels per item.
"""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.timing import Result
from hilmix.functional import aggregation
from hilmix.functional.aggregation import VoteTable

GOAL = 1.1
ROUNDS = 5
MIDDLE = {"items": 40_000, "labels": 5, "annotators": 400, "classes": 5}
GROWTH = 4
SETTINGS = {"max_rounds": ROUNDS, "tolerance": -np.inf}
METHODS: dict[str, Callable[[VoteTable], object]] = {
    "ptbcc": lambda votes: aggregation.ptbcc(votes, **SETTINGS),
    "wds": lambda votes: aggregation.wds(votes, **SETTINGS),
    "bwa": lambda votes: aggregation.bwa(votes, **SETTINGS),
    "m-msr": lambda votes: aggregation.mmsr(votes, **SETTINGS),
    "plantnet": lambda votes: aggregation.plantnet(votes, max_rounds=ROUNDS),
    "ensemble": lambda votes: aggregation.ensemble(votes, max_rounds=ROUNDS),
}


def simulated(items: int, labels: int, annotators: int, classes: int) -> VoteTable:
    """Annotators who are right in 70 per cent; those of an item are random, and differ."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, items)
    item = np.repeat(np.arange(items), labels)
    step = annotators // labels
    annotator = ((rng.integers(0, annotators, (items, 1)) + step * np.arange(labels)) % annotators).ravel()
    label = np.where(rng.random(len(item)) < 0.7, truth[item], rng.integers(0, classes, len(item)))
    return VoteTable(item, annotator, label, items, annotators, classes)


def seconds(method: Callable[[VoteTable], object], votes: VoteTable) -> float:
    taken = []
    for _ in range(3):
        start = time.process_time()
        method(votes)
        taken.append(time.process_time() - start)
    return min(taken)


def measure() -> list[Result]:
    """Returns an exponent for every method and size."""
    found = []
    middle = simulated(**MIDDLE)
    for name, method in METHODS.items():
        base = seconds(method, middle)
        for size, value in MIDDLE.items():
            grown = seconds(method, simulated(**MIDDLE | {size: GROWTH * value}))
            exponent = float(np.log(grown / base) / np.log(GROWTH))
            found.append(Result(f"aggregation: {name}, exponent in {size}", exponent, "", GOAL))
    return found


if __name__ == "__main__":
    print(*measure(), sep="\n")
