"""Losses of labels at face value that resist wrong labels, against plain Python."""

import math

import pytest
import torch

from hilmix.annotators import GCE, AnnotatorModel, AnnotatorOutput, LabelSmoothing, Perfect, Tempered
from hilmix.types import Batch, MixPlan
from tests.annotators.closed_forms import LABEL, ROW, P, answered

MODELS = [GCE(), LabelSmoothing(), Tempered()]


def losses(model: AnnotatorModel) -> list[float]:
    output, batch = answered(model)
    return model.loss(output, batch).tolist()


def p(i: int) -> float:
    """Class probability of the label of answer i."""
    return P[ROW[i]][LABEL[i]]


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_generalised_cross_entropy(q: float) -> None:
    assert losses(GCE(q)) == pytest.approx([(1 - p(i) ** q) / q for i in range(3)])


def test_generalised_cross_entropy_lies_between_likelihood_and_absolute_error() -> None:
    assert losses(GCE(1e-4)) == pytest.approx([-math.log(p(i)) for i in range(3)], rel=1e-3)
    assert losses(GCE(1.0)) == pytest.approx([1 - p(i) for i in range(3)])


def test_a_label_that_is_not_believed_has_a_loss_and_a_gradient() -> None:
    logits = torch.tensor([[0.0, 1e4]], requires_grad=True)
    log_probs = logits.log_softmax(-1)
    zero = torch.zeros(1, dtype=torch.int64)
    batch = Batch(torch.zeros(1, 2), zero, zero, zero, zero, zero)
    loss = GCE().loss(AnnotatorOutput(log_probs, None, log_probs, zero), batch)
    loss.sum().backward()
    assert loss.item() == pytest.approx(1 / 0.7)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_label_smoothing(share: float) -> None:
    expected = []
    for i in range(3):
        target = [(1 - share) * (k == LABEL[i]) + share / 3 for k in range(3)]
        expected.append(-sum(t * math.log(x) for t, x in zip(target, P[ROW[i]], strict=True)))
    assert losses(LabelSmoothing(share)) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_temperature(temperature: float) -> None:
    power = [[x ** (1 / temperature) for x in row] for row in P]
    expected = [-math.log(power[ROW[i]][LABEL[i]] / sum(power[ROW[i]])) for i in range(3)]
    assert losses(Tempered(temperature)) == pytest.approx(expected)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_soft_answers_and_mixed_rows_count_by_their_shares(model: AnnotatorModel) -> None:
    output, batch = answered(model)
    each = torch.stack([model.loss(output, batch._replace(label=torch.full((3,), k))) for k in range(3)], 1)
    share = torch.tensor([0.5, 0.3, 0.2])
    torch.testing.assert_close(model.loss(output, batch._replace(probs=share.expand(3, -1))), each @ share)
    partner, weight = torch.tensor([1, 2, 0]), torch.tensor([0.25, 1.0, 0.0])
    mixed = model.loss(output, batch._replace(plan=MixPlan(partner, weight, rows="pairs")))
    own, other = each.gather(1, batch.label[:, None])[:, 0], each.gather(1, batch.label[partner, None])[:, 0]
    torch.testing.assert_close(mixed, weight * own + (1 - weight) * other)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_annotators_have_no_matrices(model: AnnotatorModel) -> None:
    output, _ = answered(model)
    assert isinstance(model, Perfect)
    assert output.confusion is None
    assert output.label_log_probs.exp().sum(1).tolist() == pytest.approx([1.0] * 3)


def test_the_defaults() -> None:
    assert (GCE().q, LabelSmoothing().share, Tempered().temperature) == (0.7, 0.1, 2.0)
