"""Aggregation of 100,000 items with 5 labels each, 1,000 annotators, 10 classes, against crowd-kit's implementations.

Same data, same start, same number of rounds, no early stop; the posteriors of both are compared. Memory is the peak of
what Python and numpy allocate during a call. Needs ``pip install 'hilmix[bench]'``.
"""

import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from crowdkit.aggregation.classification import GLAD, MACE, DawidSkene, dawid_skene as crowdkit_dawid_skene

from benchmarks.timing import Result, interleaved, ratio
from hilmix.annotations import Annotations
from hilmix.functional import aggregation
from hilmix.functional.aggregation.mace import random_start

ITEMS, PER_ITEM, ANNOTATORS, CLASSES = 100_000, 5, 1000, 10
ROUNDS = {"dawid-skene": 10, "mace": 10, "glad": 1}
STEPS = 3
"""Conjugate gradient steps of a round of GLAD."""
GOALS = {"dawid-skene": 1 / 12, "mace": 1 / 20, "glad": 1 / 80}
MEMORY_GOAL = 1 / 4
SAME = 1e-6
"""Goal for the largest difference of a posterior."""
REPEATS = {"dawid-skene": 3, "mace": 3, "glad": 1}
OFF = 1e-100
"""Pseudo-count of Dawid-Skene. crowd-kit lifts smaller counts to a constant of 1e-10, which is set to this too."""
NEVER = -1e18
"""A tolerance that no round meets, so that the number of rounds decides."""


def simulated(items: int) -> Annotations:
    """Annotators of all qualities; item, annotators and labels first appear in the order of their codes.

    crowd-kit's MACE gives wrong results for any other order.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, items)
    item = np.repeat(np.arange(items), PER_ITEM)
    # five different annotators per item: steps of 199 modulo 1,000 do not meet
    annotator = ((rng.integers(0, ANNOTATORS, (items, 1)) + 199 * np.arange(PER_ITEM)) % ANNOTATORS).ravel()
    right = rng.beta(3, 2, ANNOTATORS)
    labels = np.where(rng.random(len(item)) < right[annotator], truth[item], rng.integers(0, CLASSES, len(item)))
    return Annotations.build(
        item, in_order(annotator), in_order(labels), num_items=items, classes=CLASSES, annotators=ANNOTATORS
    )


def in_order(codes: np.ndarray) -> np.ndarray:
    """Renames codes by their first appearance."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]


def ours(votes: Annotations) -> dict[str, Callable[[], np.ndarray]]:
    """hilmix, set to crowd-kit's models: pseudo-counts off, starts alike, no early stop."""
    off = {"right": OFF, "wrong": OFF * (CLASSES - 1), "class_count": OFF}
    return {
        "dawid-skene": lambda: (
            aggregation.dawid_skene(votes, **off, max_rounds=ROUNDS["dawid-skene"], tolerance=-np.inf).posterior
        ),
        "mace": lambda: aggregation.mace(votes, restarts=1, max_rounds=ROUNDS["mace"], tolerance=-np.inf).posterior,
        "glad": lambda: (
            aggregation.glad(votes, max_rounds=ROUNDS["glad"], inner_rounds=STEPS, tolerance=-np.inf).posterior
        ),
    }


class SameStart(MACE):
    """crowd-kit's MACE from the start that hilmix draws for seed 0."""

    def _initialize(self, n_workers: int, n_labels: int) -> None:
        super()._initialize(n_workers, n_labels)
        rng = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0])
        state, self.thetas_ = random_start(n_workers, n_labels, rng)
        self.spamming_ = state[:, ::-1]


def theirs(votes: Annotations) -> dict[str, Callable[[], np.ndarray]]:
    """crowd-kit, posteriors in the order of items and classes."""
    frame = pd.DataFrame({"task": votes.item, "worker": votes.annotator, "label": votes.label})

    def dawid_skene() -> np.ndarray:
        crowdkit_dawid_skene._EPS = OFF
        return ordered(DawidSkene(n_iter=ROUNDS["dawid-skene"], tol=NEVER).fit(frame).probas_)

    def mace() -> np.ndarray:
        return ordered(SameStart(n_restarts=1, n_iter=ROUNDS["mace"]).fit(frame).probas_)

    def glad() -> np.ndarray:
        model = GLAD(n_iter=ROUNDS["glad"], tol=NEVER, m_step_max_iter=STEPS).fit(frame)
        model._e_step(model._current_data)  # its posteriors are those before the last M step
        return ordered(model.probas_)

    return {"dawid-skene": dawid_skene, "mace": mace, "glad": glad}


def ordered(posterior: pd.DataFrame | None) -> np.ndarray:
    assert posterior is not None
    return posterior.sort_index().sort_index(axis=1).to_numpy()


def peak(function: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Returns the posteriors, and the most MB that the call holds at one time on top of its inputs."""
    tracemalloc.start()
    posterior = function()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return posterior, most / 1e6


def compare(name: str, ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray]) -> list[Result]:
    """CPU time and memory as multiples of crowd-kit's, and how far the posteriors are apart."""
    (mine, my_peak), (other, their_peak) = peak(ours), peak(theirs)
    times = interleaved({"ours": ours, "theirs": theirs}, repeats=REPEATS[name])
    what = f"aggregation: {name}, {ROUNDS[name]} round{'s' * (ROUNDS[name] > 1)}"
    return [
        Result(f"{what}, time", ratio(times["ours"], times["theirs"]), "x crowd-kit", GOALS[name]),
        Result(f"{what}, memory", my_peak / their_peak, "x crowd-kit", MEMORY_GOAL),
        Result(f"{what}, largest difference of a posterior", float(np.abs(mine - other).max()), "", SAME),
    ]


def measure(items: int = ITEMS) -> list[Result]:
    """Every aggregator that crowd-kit has too and that iterates."""
    warnings.filterwarnings("ignore", module="crowdkit")
    votes = simulated(items)
    mine, other = ours(votes), theirs(votes)
    return [result for name in mine for result in compare(name, mine[name], other[name])]


if __name__ == "__main__":
    print(*measure(), sep="\n")
