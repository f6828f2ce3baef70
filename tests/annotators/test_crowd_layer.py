"""The crowd layer against plain Python."""

import math

import pytest
import torch

from hilmix.annotators import CrowdLayer
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, softmax, with_parameters


def test_label_probabilities_loss_and_probability_of_being_right() -> None:
    model, W = with_parameters(CrowdLayer(), "weight")
    output, batch = answered(model)
    loss = 0.0
    for i, (b, a, z) in enumerate(zip(ROW, ANNOTATOR, LABEL, strict=True)):
        q = softmax([sum(P[b][c] * W[a][c][k] for c in range(3)) for k in range(3)])
        right = sum(P[b][c] * softmax(W[a][c])[c] for c in range(3))
        loss -= math.log(q[z])
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(q)
        assert output.log_probs[i].exp().dot(output.confusion.diagonal()[i]).item() == pytest.approx(right)
    assert model.loss(output, batch).sum().item() == pytest.approx(loss)
    assert model.penalty() == 0


def test_the_start_says_the_softmax_of_the_class_probabilities() -> None:
    model = CrowdLayer().build(num_features=4, num_classes=3, num_annotators=2)
    output, _ = answered(model)
    for i, b in enumerate(ROW):
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(softmax(P[b]))


def test_all_weights_move_in_one_step() -> None:
    model, _ = with_parameters(CrowdLayer(), "weight")
    before = model.weight.detach().clone()
    output, batch = answered(model)
    model.loss(output, batch).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert (model.weight != before).all()
