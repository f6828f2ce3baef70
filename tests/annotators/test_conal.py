"""CoNAL against plain Python, and the start from which everything trains."""

import math

import pytest
import torch

from hilmix.annotators import CoNAL
from hilmix.errors import ConfigError
from hilmix.types import MixPlan
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, dot, linear, sigmoid, softmax

H = [[0.3, -1.2, 0.8, 2.0], [1.5, 0.1, -0.4, -0.9]]
"""Features of two items."""


def model(*, spread: float = 1.0, **settings) -> CoNAL:
    torch.manual_seed(3)
    built = CoNAL(embed_dim=5, **settings).build(num_features=4, num_classes=3, num_annotators=2)
    with torch.no_grad():
        for parameter in (built.common, built.individual):
            parameter.add_(spread * torch.randn_like(parameter))
    return built


def cosine(x: list[float], y: list[float]) -> float:
    return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))


def test_label_probabilities_loss_and_probability_of_being_right() -> None:
    conal = model()
    common, individual, v = conal.common.tolist(), conal.individual.tolist(), conal.embed_annotator.tolist()
    output, batch = answered(conal, H)
    loss = 0.0
    for i, (b, a, z) in enumerate(zip(ROW, ANNOTATOR, LABEL, strict=True)):
        g = sigmoid(cosine(linear(conal.embed_features, H[b]), v[a]))
        W = [[g * common[c][k] + (1 - g) * individual[a][c][k] for k in range(3)] for c in range(3)]
        q = softmax([sum(P[b][c] * W[c][k] for c in range(3)) for k in range(3)])
        loss -= math.log(q[z])
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(q)
        right = output.log_probs[i].exp().dot(output.confusion.diagonal()[i])
        assert right.item() == pytest.approx(sum(P[b][c] * softmax(W[c])[c] for c in range(3)))
    assert conal.loss(output, batch).sum().item() == pytest.approx(loss)


def test_the_penalty_rewards_distance_from_the_common_layer() -> None:
    conal = model(weight=0.3)
    common = conal.common.tolist()
    apart = [
        math.sqrt(sum((W[c][k] - common[c][k]) ** 2 for c in range(3) for k in range(3)))
        for W in conal.individual.tolist()
    ]
    assert conal.penalty().item() == pytest.approx(-0.3 * sum(apart))


def test_the_gradient_of_the_penalty_is_finite_where_all_layers_are_equal() -> None:
    conal = model()
    with torch.no_grad():
        conal.individual.copy_(conal.common.expand(2, -1, -1))
    conal.penalty().backward()
    assert not conal.common.grad.any()
    assert not conal.individual.grad.any()


def test_the_start_of_the_paper_but_for_the_noise() -> None:
    torch.manual_seed(0)
    conal = CoNAL().build(num_features=4, num_classes=10, num_annotators=50)
    assert (conal.embed_dim, conal.weight) == (20, 1e-5)
    assert torch.equal(conal.common, 2 * torch.eye(10))
    assert (conal.individual - conal.common).std().item() == pytest.approx(0.01, rel=0.05)


def test_embeddings_have_a_gradient_from_the_first_step_on() -> None:
    """In the authors' start, where all layers are equal, they have none."""
    conal = model(spread=0.0)
    output, batch = answered(conal, H)
    conal.loss(output, batch).sum().backward()
    assert all(parameter.grad.any() for parameter in conal.parameters())
    assert conal.embed_annotator.grad.any(1).all()


def test_the_gradient_does_not_reach_the_features() -> None:
    features, log_probs = torch.randn(2, 4, requires_grad=True), torch.zeros(2, 3).requires_grad_()
    label_log_probs, _ = model()(features, log_probs.log_softmax(-1), torch.tensor([0, 1]))
    label_log_probs[:, 0].sum().backward()
    assert features.grad is None
    assert log_probs.grad.any()


def test_an_unknown_annotator_is_an_even_mix_of_all() -> None:
    conal, half = model(), torch.tensor([0.5, 0.5])
    features, log_probs = torch.tensor(H[:1]).repeat(2, 1), torch.tensor(P[:1]).log().repeat(2, 1)
    unknown, _ = conal(features, log_probs, torch.tensor([-1, -1]))
    mixed, _ = conal(features, log_probs, torch.tensor([0, 1]), MixPlan(torch.tensor([1, 0]), half, rows="pairs"))
    torch.testing.assert_close(mixed, unknown)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"embed_dim": 0}, "`CoNAL.embed_dim` must be"), ({"weight": -1.0}, "`CoNAL.weight` must be")],
)
def test_bad_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CoNAL(**settings)
