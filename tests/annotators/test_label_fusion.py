"""Sample-wise label fusion against plain Python."""

import math

import pytest
import torch

from hilmix.annotators import CoNAL, LabelFusion
from hilmix.errors import ConfigError
from hilmix.functional.label_fusion import draw_permutations, fuse_labels
from hilmix.types import MixPlan
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, dot, linear, sigmoid, softmax

H = [[1.0, -2.0, 0.5, 3.0], [-1.0, 0.3, 2.0, 0.0]]
"""Features of two items."""


def model(**settings) -> LabelFusion:
    torch.manual_seed(0)
    return LabelFusion(hidden_dim=5, permutations=4, **settings).build(num_features=4, num_classes=3, num_annotators=2)


def matrix_and_score(fusion: LabelFusion, b: int, a: int) -> tuple[list[list[float]], float]:
    """P and the score of a label, by hand."""
    hidden = [max(0.0, x) for x in linear(fusion.hidden, H[b])]
    heads, bias = fusion.heads[a].tolist(), fusion.bias[a].tolist()
    outputs = [dot(row, hidden) + offset for row, offset in zip(heads, bias, strict=True)]
    share, permutations = softmax(outputs[:-1]), fusion.permutation.tolist()
    rows = [
        [(1 - 1e-4) * sum(s * m[c][k] for s, m in zip(share, permutations, strict=True)) + 1e-4 / 3 for k in range(3)]
        for c in range(3)
    ]
    return rows, outputs[-1]


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_label_probabilities_and_loss(weight: float) -> None:
    fusion = model(weight=weight)
    output, batch = answered(fusion, H)
    found = [matrix_and_score(fusion, b, a) for b, a in zip(ROW, ANNOTATOR, strict=True)]
    for i, (matrix, score) in enumerate(found):
        g = sigmoid(score)
        q = [sum(P[ROW[i]][c] * (g * matrix[c][k] + (1 - g) / 3) for c in range(3)) for k in range(3)]
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(q, rel=1e-5)
    expected = []
    for i, b in enumerate(ROW):
        own = [j for j in range(3) if ROW[j] == b]
        w = dict(zip(own, softmax([found[j][1] for j in own]), strict=True))
        target = [sum(w[j] * found[j][0][c][LABEL[j]] for j in own) for c in range(3)]
        divergence = sum(t * math.log(t / p) for t, p in zip(target, P[b], strict=True))
        away = sum((1 - found[i][0][k][k]) ** 2 for k in range(3)) / 3
        expected.append(divergence / 3 + weight * away)
    assert fusion.loss(output, batch).tolist() == pytest.approx(expected, rel=1e-4)


def test_fused_labels_are_means_by_item() -> None:
    labels, score = torch.eye(3), torch.tensor([1.0, 0.0, 500.0])
    found = fuse_labels(labels, score, torch.tensor([0, 0, 2]), 3).tolist()
    assert found[0] == pytest.approx([*softmax([1.0, 0.0]), 0.0])
    assert found[1:] == [[0.0] * 3, [0.0, 0.0, 1.0]]


def test_permutations_begin_with_the_identity() -> None:
    found = draw_permutations(6, 4)
    assert torch.equal(found[0], torch.eye(4))
    assert torch.equal(found @ found.mT, torch.eye(4).expand(6, 4, 4))
    assert len(found.unique(dim=0)) > 3


def test_matrices_are_doubly_stochastic_and_positive() -> None:
    output, _ = answered(model(), H)
    for matrices in (output.confusion.matrix, output.confusion.dense()):
        torch.testing.assert_close(matrices.sum(1), torch.ones(3, 3))
        torch.testing.assert_close(matrices.sum(2), torch.ones(3, 3))
        assert (matrices > 3e-5).all()


def test_soft_answers_of_certainty_are_labels() -> None:
    fusion = model()
    output, batch = answered(fusion, H)
    certain = torch.eye(3)[batch.label]
    torch.testing.assert_close(fusion.loss(output, batch._replace(probs=certain)), fusion.loss(output, batch))


def test_the_penalty_makes_annotators_perfect() -> None:
    """Labels that say nothing of the class cost nothing where the matrices may explain them away."""
    fusion = model(weight=100.0)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.1)
    for _ in range(200):
        output, batch = answered(fusion, H)
        optimizer.zero_grad()
        fusion.loss(output, batch).sum().backward()
        optimizer.step()
    matrices = answered(fusion, H)[0].confusion.matrix
    assert (matrices.diagonal(dim1=1, dim2=2) > 0.95).all()


def test_the_gradient_does_not_reach_the_features() -> None:
    features = torch.randn(2, 4, requires_grad=True)
    label_log_probs, _ = model()(features, torch.tensor(P).log(), torch.tensor([0, 1]))
    label_log_probs.sum().backward()
    assert features.grad is None


def test_what_it_refuses() -> None:
    fusion = model()
    output, batch = answered(fusion, H)
    with pytest.raises(ConfigError, match=r"data\.mix to NoMix"):
        fusion.loss(output, batch._replace(plan=MixPlan(torch.tensor([1, 0]), torch.tensor([0.5, 0.5]))))
    other, batch = answered(CoNAL().build(num_features=4, num_classes=3, num_annotators=2), H)
    with pytest.raises(TypeError, match=r"LabelFusion\.loss needs the confusion of LabelFusion\.forward"):
        fusion.loss(other, batch)


def test_the_defaults() -> None:
    fusion = LabelFusion()
    assert (fusion.hidden_dim, fusion.permutations, fusion.weight) == (84, 20, 1.0)
