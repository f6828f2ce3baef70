"""Groups against loops and hand-made numbers."""

import math

import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.functional.groups import adversarial_group_weights, group_sums, relative_core_sensitivity


@given(st.lists(st.tuples(st.integers(-1, 3), st.floats(-5, 5)), max_size=12))
def test_sums_by_group(rows: list[tuple[int, float]]) -> None:
    group = torch.tensor([g for g, _ in rows], dtype=torch.int64)
    value = torch.tensor([v for _, v in rows], dtype=torch.float64)
    sums, counts = group_sums(value, group, 4)
    for g in range(4):
        mine = [v for other, v in rows if other == g]
        assert sums[g].item() == pytest.approx(sum(mine))
        assert counts[g].item() == len(mine)


def test_a_step_of_the_weights_is_exponentiated_and_sums_to_one() -> None:
    before, loss = torch.tensor([0.25, 0.75]), torch.tensor([2.0, 1.0])
    raw = [0.25 * math.exp(0.2), 0.75 * math.exp(0.1)]
    found = adversarial_group_weights(before, loss, step=0.1)
    assert found.tolist() == pytest.approx([r / sum(raw) for r in raw])
    torch.testing.assert_close(adversarial_group_weights(before, loss, step=0.0), before)


@pytest.mark.parametrize(
    ("core", "spurious", "expected"),
    [(0.5, 0.5, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, -1.0), (0.0, 0.2, 1.0), (0.8, 1.0, 1.0), (1.0, 1.0, 0.0)],
)
def test_relative_core_sensitivity(core: float, spurious: float, expected: float) -> None:
    """+-1 where the difference is the largest that the mean allows."""
    found = relative_core_sensitivity(torch.tensor(core), torch.tensor(spurious))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_the_published_checkpoints() -> None:
    """Accuracies under spurious and core noise, and the printed negative, of six models of the authors' notebook."""
    rows = [
        (0.893, 0.696, -0.479),
        (0.893, 0.656, -0.525),
        (0.821, 0.542, -0.439),
        (0.795, 0.421, -0.476),
        (0.902, 0.623, -0.587),
        (0.929, 0.663, -0.650),
    ]
    for spurious, core, printed in rows:
        found = relative_core_sensitivity(torch.tensor(core), torch.tensor(spurious))
        assert found.item() == pytest.approx(-printed, abs=0.005)
