"""CutMix: rectangles, their areas, and what is pasted."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.mixing import draw_boxes, paste_boxes
from hilmix.mix import CutMix
from hilmix.types import Batch


def batch_of(*shape: int) -> Batch:
    none = torch.zeros(0, dtype=torch.int64)
    pixels = torch.arange(float(np.prod(shape))).reshape(shape)
    return Batch(pixels, torch.arange(len(pixels)), torch.full((len(pixels),), -1), none, none, none)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6))
def test_labels_are_mixed_by_the_pixels_that_are_left(items: int, height: int, width: int, seed: int) -> None:
    batch = batch_of(items, 2, height, width)
    source = batch.input.clone()
    mixed = CutMix()(batch, np.random.default_rng(seed))
    for b, mate in enumerate(mixed.plan.partner.tolist()):
        own, pasted = mixed.input[b] == source[b], mixed.input[b] == source[mate]
        assert (own | pasted).all()  # every pixel is one or the other, at its place
        if mate != b:
            assert own.float().mean().item() == pytest.approx(mixed.plan.weight[b].item(), abs=1e-6)


def test_a_rectangle_inside_has_the_area_that_was_drawn() -> None:
    weight = torch.full((4000,), 0.75)
    box, left = draw_boxes(weight, 32, 32, np.random.default_rng(0))
    height, width = (box[:, 1] - box[:, 0], box[:, 3] - box[:, 2])
    inside = (height == 16) & (width == 16)  # a quarter of the image: half of each side
    assert inside.float().mean() == pytest.approx((17 / 32) ** 2, abs=0.03)  # centres from 8 to 24 are not cut off
    torch.testing.assert_close(left[inside], weight[inside])
    assert (left >= 0.75).all()


def test_nothing_and_everything() -> None:
    x = torch.randn(3, 1, 4, 4)
    box, left = draw_boxes(torch.ones(3), 4, 4, np.random.default_rng(0))
    assert torch.equal(paste_boxes(x, torch.tensor([1, 2, 0]), box), x)
    assert left.tolist() == [1.0] * 3
    whole = torch.tensor([[0, 4, 0, 4]] * 3)
    assert torch.equal(paste_boxes(x, torch.tensor([1, 2, 0]), whole), x[[1, 2, 0]])


def test_a_buffer_is_used_and_gradients_flow_without() -> None:
    x, box, partner = torch.randn(2, 1, 4, 4), torch.tensor([[0, 2, 1, 3], [1, 1, 0, 4]]), torch.tensor([1, 0])
    room = torch.empty_like(x)
    assert paste_boxes(x, partner, box, out=room) is room
    torch.testing.assert_close(room, paste_boxes(x.clone().requires_grad_(), partner, box).detach())
    assert torch.autograd.gradcheck(lambda v: paste_boxes(v, partner, box), x.double().requires_grad_())


def test_vectors_have_no_rectangles() -> None:
    with pytest.raises(ConfigError, match=r"rectangles of images.*\(7,\)"):
        CutMix()(batch_of(4, 7), np.random.default_rng(0))
