"""The correction of annotators' layers against a virtual step of gradient descent, differentiated by autograd."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from hilmix.functional.confusion_correction import (
    descent_direction,
    meta_gradient,
    scale_correction,
    select_clean_labels,
)

B, L, M, K, D, A, G = 6, 9, 5, 3, 4, 4, 2


def test_the_meta_gradient_is_that_of_a_small_virtual_step() -> None:
    """Reference: the head takes a step on the labels' loss; the other loss after it is differentiated by V."""
    g = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=g, dtype=torch.float64)

    features, other, W = draw(B, D), draw(M, D), draw(A, K, K)
    head, bias = draw(K, D).requires_grad_(), draw(K).requires_grad_()
    row, annotator = torch.randint(B, (L,), generator=g), torch.randint(A, (L,), generator=g)
    label, clean = torch.randint(K, (L,), generator=g), torch.randint(K, (M,), generator=g)
    group_of = torch.tensor([0, 1, 1, -1])
    group = group_of[annotator]

    V = torch.zeros(G, K, K, dtype=torch.float64, requires_grad=True)
    corrections = torch.cat([V, V.new_zeros(1, K, K)])[group]
    p = (features @ head.t() + bias).softmax(-1)[row]
    loss = cross_entropy(torch.einsum("lc,lck->lk", p, W[annotator] + corrections), label, reduction="sum")
    step = torch.autograd.grad(loss, (head, bias), create_graph=True)
    rate = 1e-6
    after = cross_entropy(other @ (head - rate * step[0]).t() + bias - rate * step[1], clean)
    expected = -torch.autograd.grad(after, V)[0] / rate

    with torch.no_grad():
        weights, biases = descent_direction(other, (other @ head.t() + bias).log_softmax(-1), clean)
        direction = features @ weights.t() + biases
        answers = one_hot(label, K).double()
        found = meta_gradient(p.log(), direction[row], W[annotator], answers, group, G)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert expected.abs().max() > 0.01


def test_the_direction_is_the_gradient_of_the_head() -> None:
    torch.manual_seed(0)
    head, features, label = torch.nn.Linear(D, K), torch.randn(M, D), torch.randint(K, (M,))
    logits = head(features)
    cross_entropy(logits, label).backward()
    weights, biases = descent_direction(features, logits.detach().log_softmax(-1), label)
    torch.testing.assert_close(weights, head.weight.grad)
    torch.testing.assert_close(biases, head.bias.grad)


def test_the_likeliest_labels_of_each_class() -> None:
    p = torch.tensor([[0.5, 0.4, 0.1], [0.9, 0.05, 0.05], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1]])
    item, label = torch.tensor([0, 0, 1, 1, 4, 2, 3]), torch.tensor([0, 0, 0, 1, 0, 1, 1])
    items, classes = select_clean_labels(p.log(), item, label, 6)  # two of each class, and no label of class 2
    assert set(zip(items.tolist(), classes.tolist(), strict=True)) == {(1, 0), (4, 0), (2, 1), (3, 1)}
    items, _ = select_clean_labels(p.log(), item, label, 100)
    assert sorted(items.tolist()) == [0, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_largest_number_of_a_correction_is_the_rate_times_that_of_the_layers(rate: float) -> None:
    gradient, logits = torch.tensor([[[1.0, -4.0], [2.0, 0.0]]]), torch.tensor([[[3.0, -9.0], [0.0, 2.0]]])
    expected = rate * 3 * torch.tensor([[[0.25, -1.0], [0.5, 0.0]]])
    torch.testing.assert_close(scale_correction(gradient, logits, rate), expected)
    assert not scale_correction(torch.zeros(1, 2, 2), logits, rate).any()
