"""The threshold of confidence: certified risk, against a slow search and by its promise."""

import numpy as np
import pytest
from scipy import stats

from hilmix.functional.selection import find_threshold, smallest_sample


def slow_threshold(confidence: np.ndarray, wrong: np.ndarray, risk: float) -> float | None:
    """By scipy's own exact interval, threshold by threshold from above, until one fails."""
    found = None
    for threshold in sorted(set(confidence.tolist()), reverse=True):
        accepted = confidence >= threshold
        if accepted.sum() < smallest_sample(risk):
            continue
        test = stats.binomtest(int(wrong[accepted].sum()), int(accepted.sum()), alternative="less")
        if test.proportion_ci(0.95, method="exact").high > risk:
            break
        found = threshold
    return found


@pytest.mark.parametrize("risk", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_against_a_slow_search(seed: int, risk: float) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.random(400).round(2)  # with ties
    wrong = rng.random(400) > confidence
    assert find_threshold(confidence, wrong, risk) == slow_threshold(confidence, wrong, risk)


@pytest.mark.parametrize(("risk", "expected"), [(0.05, 59), (0.1, 29), (0.5, 5)])
def test_the_smallest_sample(risk: float, expected: int) -> None:
    """The rule of three, exactly: 59 items without an error certify 5 %."""
    assert smallest_sample(risk) == expected
    right = np.zeros(expected, dtype=bool)
    assert find_threshold(np.full(expected, 0.9), right, risk) == 0.9
    assert find_threshold(np.full(expected - 1, 0.9), right[1:], risk) is None


def test_nothing_passes_where_all_is_wrong() -> None:
    assert find_threshold(np.linspace(0, 1, 200), np.ones(200, dtype=bool), 0.2) is None


def test_the_risk_is_kept_in_nineteen_of_twenty_draws() -> None:
    rng, risk, broken = np.random.default_rng(0), 0.1, 0
    for _ in range(400):
        confidence = rng.random(300)
        threshold = find_threshold(confidence, rng.random(300) > confidence, risk)
        # Above t the share of errors is the mean of 1 - c for c in [t, 1]: (1 - t) / 2.
        broken += threshold is not None and (1 - threshold) / 2 > risk
    assert broken / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
