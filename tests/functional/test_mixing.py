"""Mixing: weights, partners, and the identities that every mix must keep."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy import stats

from hilmix.errors import ConfigError
from hilmix.functional.mixing import draw_partners, draw_weights, mix_masks, mix_rows, partner_rows
from hilmix.types import MixPlan


def rows_partner_weight(rows: int, seed: int, shape: tuple[int, ...] = (3,), dtype: torch.dtype = torch.float64):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, *shape, generator=g, dtype=torch.float64).to(dtype)
    return x, torch.randperm(rows, generator=g), torch.rand(rows, generator=g, dtype=torch.float64)


@given(st.integers(0, 200), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_weights_lie_in_the_unit_interval(rows: int, alpha: float, seed: int) -> None:
    weight = draw_weights(rows, alpha, np.random.default_rng(seed))
    assert weight.shape == (rows,)
    assert weight.dtype == torch.float32
    assert ((weight >= 0) & (weight <= 1)).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_weights_follow_the_beta_distribution(alpha: float) -> None:
    weight = draw_weights(5000, alpha, np.random.default_rng(0)).numpy().astype(float)
    assert stats.kstest(weight, stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf")])
def test_alpha_must_be_positive_and_finite(alpha: float) -> None:
    with pytest.raises(ConfigError, match=r"alpha.*must be"):
        draw_weights(3, alpha, np.random.default_rng(0))


@given(st.integers(0, 300), st.integers(0, 10**6))
def test_partners_are_a_permutation(rows: int, seed: int) -> None:
    partner = draw_partners(rows, np.random.default_rng(seed))
    assert partner.dtype == torch.int64
    assert partner.sort().values.tolist() == list(range(rows))


def test_every_partner_is_equally_likely() -> None:
    generator = np.random.default_rng(0)
    partners = np.stack([draw_partners(4, generator).numpy() for _ in range(4000)])
    for row in range(4):
        assert stats.chisquare(np.bincount(partners[:, row], minlength=4)).pvalue > 0.001


@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 5)])
def test_mix_equals_the_row_by_row_formula(shape: tuple[int, ...]) -> None:
    x, partner, weight = rows_partner_weight(6, 0, shape)
    mixed = mix_rows(x, partner, weight)
    for i in range(6):
        torch.testing.assert_close(mixed[i], weight[i] * x[i] + (1 - weight[i]) * x[partner[i]])


@given(st.integers(1, 12), st.integers(0, 10**6))
def test_mixing_identities(rows: int, seed: int) -> None:
    x, partner, weight = rows_partner_weight(rows, seed)
    mixed = mix_rows(x, partner, weight)
    # rows that are their own partner, or that all are equal, do not change
    torch.testing.assert_close(mix_rows(x, torch.arange(rows), weight), x)
    torch.testing.assert_close(mix_rows(torch.ones_like(x), partner, weight), torch.ones_like(x))
    # weights 1 and 0 keep and swap, exactly
    assert torch.equal(mix_rows(x, partner, torch.ones(rows)), x)
    assert torch.equal(mix_rows(x, partner, torch.zeros(rows)), x[partner])
    # one weight for all rows keeps their mean, and every mix stays between its two sources
    torch.testing.assert_close(mix_rows(x, partner, torch.full((rows,), 0.3)).mean(0), x.mean(0))
    low, high = torch.minimum(x, x[partner]) - 1e-12, torch.maximum(x, x[partner]) + 1e-12
    assert ((mixed >= low) & (mixed <= high)).all()
    # affine maps commute with the mix
    torch.testing.assert_close(mix_rows(2 * x - 1, partner, weight), 2 * mixed - 1)


def test_with_and_without_gradients_and_buffer_agree() -> None:
    x, partner, weight = rows_partner_weight(7, 1, (2, 3))
    plain = mix_rows(x, partner, weight)
    buffer = torch.full_like(x, float("nan"))
    assert mix_rows(x, partner, weight, out=buffer).data_ptr() == buffer.data_ptr()
    torch.testing.assert_close(buffer, plain)
    torch.testing.assert_close(mix_rows(x.clone().requires_grad_(), partner, weight), plain)


def test_the_source_is_left_alone() -> None:
    x, partner, weight = rows_partner_weight(7, 1)
    before = x.clone()
    mix_rows(x, partner, weight)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rows_keep_their_type(dtype: torch.dtype) -> None:
    x, partner, weight = rows_partner_weight(5, 2, (4,), dtype)
    mixed = mix_rows(x, partner, weight.float())
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed.double(), mix_rows(x.double(), partner, weight), rtol=0.02, atol=0.02)


def test_gradient() -> None:
    x, partner, weight = rows_partner_weight(4, 3)
    assert torch.autograd.gradcheck(lambda v: mix_rows(v, partner, weight), x.requires_grad_())


def test_empty_batch() -> None:
    empty = torch.zeros(0, 3)
    assert mix_rows(empty, torch.zeros(0, dtype=torch.int64), torch.zeros(0)).shape == (0, 3)


@given(st.integers(1, 8), st.integers(0, 20), st.integers(0, 10**6))
def test_partner_rows_are_where_the_item_is_the_partner(items: int, pairs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, partner = torch.from_numpy(rng.integers(0, items, pairs)), torch.from_numpy(rng.permutation(items))
    found = partner_rows(row, partner)
    assert found.shape == row.shape
    assert torch.equal(partner[found], row)


MASK = torch.tensor([[[[1.0, 0.0, 0.5]]], [[[0.0, 0.0, 1.0]]]])
SWAP, WEIGHT = torch.tensor([1, 0]), torch.tensor([0.25, 1.0])


def test_a_mixed_row_trusts_no_pixel_that_was_marked_in_either_image() -> None:
    found = mix_masks(MASK, MixPlan(SWAP, WEIGHT), torch.tensor([0, 1]))
    assert found.flatten(1).tolist() == [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]


def test_masks_can_be_weighted_as_the_images() -> None:
    found = mix_masks(MASK, MixPlan(SWAP, WEIGHT), torch.tensor([0, 1]), how="weighted")
    assert found.flatten(1).tolist() == [[0.25, 0.0, 0.875], [0.0, 0.0, 1.0]]


def test_pasted_rectangles_bring_their_mask() -> None:
    plan = MixPlan(SWAP, WEIGHT, box=torch.tensor([[0, 1, 1, 3], [0, 0, 0, 0]]))
    found = mix_masks(MASK, plan, torch.tensor([0, 1]))
    assert found.flatten(1).tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]


def test_pairs_have_the_masks_of_their_items() -> None:
    plan = MixPlan(torch.tensor([0, 2, 1]), torch.ones(3), rows="pairs")
    found = mix_masks(MASK, plan, torch.tensor([0, 0, 1]))
    assert found.flatten(1).tolist() == [[1.0, 0.0, 0.5], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]


@pytest.mark.parametrize("plan", [None, MixPlan(SWAP, WEIGHT, layer="features")])
def test_inputs_that_are_not_mixed_keep_their_masks(plan: MixPlan | None) -> None:
    assert mix_masks(MASK, plan, torch.tensor([0, 1])) is MASK
