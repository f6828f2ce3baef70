"""Groups of scores that are equal but for rounding, against a loop, and what rests on them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from hilmix.functional import calibration as F
from hilmix.functional.label_errors import LabelScores, detection, rank_label_errors
from hilmix.functional.ties import ROUNDING, rank_groups
from hilmix.metrics import AnnotatorAUROC

CLOSE = 1 + 2e-7
"""A factor of float32 rounding."""


def slow_groups(scores: list[float]) -> list[int]:
    """A run ends at a gap; inside a run a group ends at multiples of the tolerance from the run's start."""
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    groups, number = [0] * len(scores), -1
    last = first = cell = None
    for i in order:
        place = math.log(scores[i])
        if last is None or place - last > ROUNDING:
            number, first, cell = number + 1, place, 0
        elif math.floor((place - first) / ROUNDING) != cell:
            number, cell = number + 1, math.floor((place - first) / ROUNDING)
        groups[i], last = number, place
    return groups


@given(st.lists(st.integers(0, 60), max_size=30), st.floats(1e-6, 0.9))
def test_groups_equal_those_of_a_loop(steps: list[int], lowest: float) -> None:
    scores = [lowest * (1 + 3e-7) ** step for step in steps]
    assert rank_groups(torch.tensor(scores, dtype=torch.float64)).tolist() == slow_groups(scores)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(0, 2**16))
def test_rounding_changes_no_group(values: list[int], seed: int) -> None:
    scores = np.array(values) / 20
    noisy = scores * (1 + 2e-7 * np.random.default_rng(seed).uniform(-1, 1, len(scores)))
    want = np.unique(scores, return_inverse=True)[1].tolist()
    assert rank_groups(torch.from_numpy(scores)).tolist() == want
    assert rank_groups(torch.from_numpy(noisy)).tolist() == want


def test_a_dense_run_is_not_one_tie() -> None:
    scores = torch.linspace(0.5, 0.5001, 10_000, dtype=torch.float64)
    assert len(rank_groups(scores).unique()) == pytest.approx(0.0001 / 0.5 / ROUNDING, rel=0.01)


def test_zeros_and_unknown_scores_are_groups_of_their_own() -> None:
    scores = torch.tensor([math.nan, 0.0, 1e-30, 1.0, -0.0, math.nan])
    assert rank_groups(scores).tolist() == [3, 0, 1, 2, 0, 3]
    assert rank_groups(torch.empty(0)).tolist() == []


@pytest.mark.parametrize("edge", [3 / 15, 5 / 15, 12 / 15, 14 / 15])
def test_rounding_moves_no_confidence_over_the_edge_of_a_bin(edge: float) -> None:
    bins = F.bin_sums(torch.tensor([edge * CLOSE, edge, edge / CLOSE], dtype=torch.float64), torch.ones(3))
    assert bins.samples.nonzero().tolist() == [[round(edge * 15)]]
    beside = F.bin_sums(torch.tensor([edge - 1e-5], dtype=torch.float64), torch.ones(1))
    assert beside.samples.nonzero().tolist() == [[round(edge * 15) - 1]]


def test_scores_that_are_equal_but_for_rounding_tie_in_every_ranking() -> None:
    rng = np.random.default_rng(0)
    exact = rng.choice([0.3, 0.8, 0.9], 200)
    noisy = exact * (1 + 2e-7 * rng.uniform(-1, 1, 200))
    right = rng.random(200) < exact
    metric = AnnotatorAUROC()
    for part in np.array_split(np.arange(200), 9):
        metric.update(torch.from_numpy(noisy[part]), torch.from_numpy(right[part].astype(np.int64)))
    assert metric.compute().item() == pytest.approx(roc_auc_score(right, exact), abs=1e-6)
    found = detection(noisy, (~right).astype(np.int64))
    assert found.auroc == pytest.approx(roc_auc_score(~right, -exact), abs=1e-12)
    assert found.average_precision == pytest.approx(average_precision_score(~right, -exact), abs=1e-12)
    adaptive = [F.adaptive_calibration_error(torch.from_numpy(p), torch.from_numpy(right)) for p in (exact, noisy)]
    assert adaptive[1].item() == pytest.approx(adaptive[0].item(), abs=1e-6)
    other = rng.random((2, 200))
    order = [rank_label_errors(LabelScores(p, *other)) for p in (exact, noisy)]
    assert order[0].tolist() == order[1].tolist()


def test_a_probability_above_one_by_rounding_is_no_logit() -> None:
    metric = AnnotatorAUROC()
    metric.update(torch.tensor([1.0000001, 0.9, 0.6]), torch.tensor([1, 1, 0]))
    metric.update(torch.tensor([0.7, 0.3]), torch.tensor([1, 0]))
    assert metric.compute().item() == 1.0
