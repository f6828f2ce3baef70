"""Saliency against closed forms."""

import pytest
import torch

from hilmix.functional.explanation.saliency import input_gradient, saliency_penalty


def test_gradient_of_summed_logits() -> None:
    weight = torch.randn(3, 4, dtype=torch.float64)
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    found = input_gradient(x.square() @ weight.t(), x)
    torch.testing.assert_close(found, 2 * x * weight.sum(0))
    (second,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(second, (2 * weight.sum(0)).expand(2, 4))


def test_gradients_too_small_for_half_precision_are_seen() -> None:
    x = torch.ones(1, 2, dtype=torch.float16, requires_grad=True)
    small = torch.tensor([2e-6, 0.0], dtype=torch.float32)
    factor = small.sqrt().to(torch.float16)  # 1.4e-3: the product is lost where both are half
    logits = (x * factor) * factor
    found = input_gradient(logits, x)
    assert found.dtype == torch.float32
    assert found[0, 0].item() == pytest.approx(2e-6, rel=0.02)


@pytest.mark.parametrize(("norm", "expected"), [("l2", [5.0, 0.0]), ("l1", [7.0, 0.0])])
def test_norms_inside_fractional_masks(norm, expected) -> None:
    gradient = torch.tensor([[[6.0, -4.0, 100.0]], [[1.0, 1.0, 1.0]]], requires_grad=True)
    mask = torch.tensor([[[0.5, 1.0, 0.0]], [[0.0, 0.0, 0.0]]])
    found = saliency_penalty(gradient, mask, norm=norm)
    assert found.tolist() == pytest.approx(expected)
    found.sum().backward()
    assert gradient.grad is not None
    assert gradient.grad.isfinite().all()
    assert gradient.grad[1].abs().sum() == 0


def test_one_mask_serves_all_channels() -> None:
    gradient, mask = torch.ones(1, 3, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert saliency_penalty(gradient, mask, norm="l1").tolist() == [3.0]
