"""Confusion matrices and their penalties against plain Python."""

import math

import pytest
import torch

from hilmix.annotators import ConfusionMatrices, GeoRegW, TraceReg
from hilmix.errors import ConfigError
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, softmax, with_parameters

FORMS = [ConfusionMatrices, TraceReg, GeoRegW]


def determinant(m: list[list[float]]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


@pytest.mark.parametrize("form", FORMS)
def test_label_probabilities_loss_and_probability_of_being_right(form: type[ConfusionMatrices]) -> None:
    model, T = with_parameters(form(), "logits")
    output, batch = answered(model)
    loss = 0.0
    for i, (b, a, z) in enumerate(zip(ROW, ANNOTATOR, LABEL, strict=True)):
        C = [softmax(row) for row in T[a]]
        q = [sum(P[b][c] * C[c][k] for c in range(3)) for k in range(3)]
        loss -= math.log(q[z])
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(q)
        right = output.log_probs[i].exp().dot(output.confusion.diagonal()[i])
        assert right.item() == pytest.approx(sum(P[b][c] * C[c][c] for c in range(3)))
    assert model.loss(output, batch).sum().item() == pytest.approx(loss)


def test_trace_is_the_mean_over_annotators_and_training_lowers_the_diagonal() -> None:
    model, T = with_parameters(TraceReg(weight=0.3), "logits")
    expected = 0.3 * sum(softmax(T[a][c])[c] for a in range(2) for c in range(3)) / 2
    assert model.penalty().item() == pytest.approx(expected)
    model.penalty().backward()
    assert (model.logits.grad.diagonal(dim1=1, dim2=2) > 0).all()


def test_volume_is_that_of_the_stacked_matrices_up_to_a_constant() -> None:
    """-log det W'W of geo-reg-w, W all matrices transposed and stacked; the mean over annotators adds K log A."""
    model, T = with_parameters(GeoRegW(weight=0.3), "logits")
    C = [[softmax(row) for row in matrix] for matrix in T]
    W = [[C[a][c][k] for c in range(3)] for a in range(2) for k in range(3)]
    gram = [[sum(row[i] * row[j] for row in W) for j in range(3)] for i in range(3)]
    expected = 0.3 * (-math.log(determinant(gram)) + 3 * math.log(2))
    assert model.penalty().item() == pytest.approx(expected, abs=1e-3)


def test_volume_is_zero_for_annotators_who_never_say_the_same_of_two_classes_and_large_for_spammers() -> None:
    """Also for an annotator who swaps the classes: the penalty asks for structure, not for being right."""
    model = GeoRegW(weight=1.0, diagonal=30.0).build(num_features=4, num_classes=3, num_annotators=2)
    with torch.no_grad():
        model.logits[1] = model.logits[1].roll(1, 0)
    assert model.penalty().item() == pytest.approx(0, abs=1e-4)
    spammers = GeoRegW(weight=1.0, diagonal=0.0).build(num_features=4, num_classes=3, num_annotators=2)
    assert spammers.penalty().item() == pytest.approx(-2 * math.log(1e-6), rel=0.01), "bounded by the ridge"


@pytest.mark.parametrize(("classes", "annotators"), [(1, 1), (4, 1), (60, 3)])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_penalties_and_gradients_are_finite_for_equal_rows_and_extreme_logits(
    classes: int, annotators: int, scale: float
) -> None:
    for form in (TraceReg, GeoRegW):
        model = form(weight=1.0).build(num_features=4, num_classes=classes, num_annotators=annotators)
        with torch.no_grad():
            model.logits.normal_().mul_(scale)
        penalty = model.penalty()
        penalty.backward()
        assert penalty.isfinite()
        assert model.logits.grad.isfinite().all()


def test_the_starts_of_the_papers() -> None:
    for form, rest in ((ConfusionMatrices, 0.0), (GeoRegW, 0.0), (TraceReg, -5.0)):
        model = form().build(num_features=4, num_classes=3, num_annotators=2)
        expected = [softmax([1.0 if k == c else rest for k in range(3)]) for c in range(3)]
        output, _ = answered(model)
        torch.testing.assert_close(output.confusion.dense(), torch.tensor(expected).expand(3, -1, -1))
    assert TraceReg().weight == 0.01
    assert GeoRegW().weight == 1e-3


@pytest.mark.parametrize("form", [TraceReg, GeoRegW])
def test_all_logits_move_in_one_step(form: type[ConfusionMatrices]) -> None:
    model, _ = with_parameters(form(), "logits")
    before = model.logits.detach().clone()
    output, batch = answered(model)
    (model.loss(output, batch).sum() + model.penalty()).backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    assert (model.logits != before).all()


@pytest.mark.parametrize("form", FORMS)
def test_bad_arguments_are_refused(form: type[ConfusionMatrices]) -> None:
    with pytest.raises(ConfigError, match=f"^`{form.__name__}.off_diagonal` must be a finite number, got nan"):
        form(off_diagonal=math.nan)
    if form is not ConfusionMatrices:
        with pytest.raises(ConfigError, match=f"^`{form.__name__}.weight` must be >= 0, got -1"):
            form(weight=-1)


@pytest.mark.parametrize("classes", [10, 100, 300])
def test_volume_of_equal_rows_is_that_of_the_ridge_also_in_float32(classes):
    """All C have rows p: the eigenvalues of the mean of C C' are K |p|^2 and zeros."""
    model = GeoRegW(weight=1.0).build(num_features=4, num_classes=classes, num_annotators=3)
    row = 8 * torch.rand(classes, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.logits[:] = row
    size = classes * float(row.softmax(0).double().square().sum())
    expected = -math.log(size + 1e-6) - (classes - 1) * math.log(1e-6)
    assert model.penalty().item() == pytest.approx(expected, rel=1e-6)
