"""Labels of mixes against sums over all pairs of classes."""

import pytest
import torch

from hilmix.human.functional.perception import CURVES
from hilmix.human.functional.relabelling import blend_classes, blend_labels, class_order, ordered_curve

F64 = torch.float64


def soft(rows, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, classes, dtype=F64, generator=generator).mul(2).softmax(1)


def by_hand(label1, label2, seen):
    found = torch.zeros_like(label1)
    for r in range(len(label1)):
        for c in range(label1.shape[1]):
            for d in range(label1.shape[1]):
                mass = label1[r, c] * label2[r, d]
                found[r, c] += mass * seen[r, c, d]
                found[r, d] += mass * (1 - seen[r, c, d])
    return found


def test_blend_classes_is_the_expectation_over_pairs_of_classes():
    y, z, seen = soft(5, 4, 0), soft(5, 4, 1), torch.rand(5, 4, 4, dtype=F64)
    torch.testing.assert_close(blend_classes(y, z, seen), by_hand(y, z, seen))


def test_one_share_for_all_pairs_is_the_plain_blend():
    y, z, seen = soft(5, 4, 0), soft(5, 4, 1), torch.rand(5, dtype=F64)
    torch.testing.assert_close(
        blend_classes(y, z, seen[:, None, None].expand(5, 4, 4)), blend_labels(y, z, seen), rtol=0, atol=1e-15
    )


def test_class_order():
    assert class_order(3, torch.zeros(1)).tolist() == [[0, 1, 1], [-1, 0, 1], [-1, -1, 0]]


@pytest.mark.parametrize("kind", CURVES)
def test_an_ordered_curve_belongs_to_the_earlier_class(kind):
    weight = torch.tensor([0.1, 0.5, 0.8], dtype=F64)
    seen = ordered_curve(kind, weight, 1.3, 0.7, num_classes=3)
    torch.testing.assert_close(seen[:, 0, 2], CURVES[kind](weight, 1.3, 0.7))
    torch.testing.assert_close(seen[:, 2, 0], 1 - CURVES[kind](1 - weight, 1.3, 0.7))
    swap_images = ordered_curve(kind, 1 - weight, 1.3, 0.7, num_classes=3)
    torch.testing.assert_close(swap_images.transpose(1, 2), 1 - seen)


def test_gradients():
    y, z = soft(3, 3, 0).requires_grad_(), soft(3, 3, 1).requires_grad_()
    seen = torch.rand(3, 3, 3, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(blend_classes, (y, z, seen))
    assert torch.autograd.gradcheck(blend_labels, (y, z, torch.rand(3, dtype=F64, requires_grad=True)))
