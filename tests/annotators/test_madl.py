"""MaDL against plain Python, scipy and the meaning of its weights."""

import math

import pytest
import torch
from scipy.stats import gamma as gamma_distribution

from hilmix.annotators import AnnotatorOutput, MaDL
from hilmix.annotators.madl import HIDDEN
from hilmix.errors import ConfigError
from hilmix.types import Batch, MixPlan
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, linear, softmax

H = [[0.3, -1.2, 0.8, 2.0], [1.5, 0.1, -0.4, -0.9]]
"""Features of two items."""


def model(annotators: int = 2, *, features: int = 0) -> MaDL:
    torch.manual_seed(3)
    built = MaDL(embed_dim=5).build(
        num_features=4, num_classes=3, num_annotators=annotators, num_annotator_features=features
    )
    for norm in (built.hidden[1], built.hidden[4]):
        torch.nn.init.normal_(norm.running_mean)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        torch.nn.init.normal_(norm.bias)
    return built.eval()


def norm(layer: torch.nn.BatchNorm1d, x: list[float]) -> list[float]:
    statistics = (t.tolist() for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias))
    return [
        (value - mean) / math.sqrt(var + layer.eps) * scale + shift
        for value, mean, var, scale, shift in zip(x, *statistics, strict=True)
    ]


def expected_matrix(madl: MaDL, h: list[float], v: list[float]) -> list[list[float]]:
    u = linear(madl.embed_features, h)
    both = [x + y for x, y in zip(u, v, strict=True)]
    o = [
        sum(x * w * y for x, row in zip(both, W, strict=True) for w, y in zip(row, both, strict=True))
        for W in madl.product.weight.tolist()
    ]
    hidden = [max(0.0, x) for x in norm(madl.hidden[1], linear(madl.hidden[0], [*v, *u, *o]))]
    hidden = norm(madl.hidden[4], linear(madl.hidden[3], hidden))
    out = linear(madl.out, [max(0.0, x + y) for x, y in zip(hidden, v, strict=True)])
    return [softmax(out[3 * c : 3 * c + 3]) for c in range(3)]


def expected_weights(v: list[list[float]], gamma: float) -> list[float]:
    s = [sum(math.exp(-gamma * sum((x - y) ** 2 for x, y in zip(a, b, strict=True))) for b in v) for a in v]
    return [len(v) / own / sum(1 / other for other in s) for own in s]


def test_label_probabilities_loss_and_probability_of_being_right() -> None:
    madl = model()
    with torch.no_grad():
        madl.log_gamma.fill_(math.log(2.5))
        madl.embed_annotator.weight.copy_(torch.randn(5, 2))
    v, w = madl.embeddings().tolist(), expected_weights(madl.embeddings().tolist(), 2.5)
    output, batch = answered(madl, H)
    loss = 0.0
    for i, (b, a, z) in enumerate(zip(ROW, ANNOTATOR, LABEL, strict=True)):
        C = expected_matrix(madl, H[b], v[a])
        q = [sum(P[b][c] * C[c][k] for c in range(3)) for k in range(3)]
        loss -= w[a] * math.log(q[z])
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(q, rel=1e-4)
        right = output.log_probs[i].exp().dot(output.confusion.diagonal()[i])
        assert right.item() == pytest.approx(sum(P[b][c] * C[c][c] for c in range(3)), rel=1e-4)
    assert madl.loss(output, batch).sum().item() == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.01, 1.0, 7.0])
def test_the_penalty_is_the_prior_of_gamma(gamma: float) -> None:
    madl = model()
    torch.nn.init.constant_(madl.log_gamma, math.log(gamma))
    prior = gamma_distribution(a=1.25, scale=1 / 0.25)
    assert madl.penalty().item() == pytest.approx(-prior.logpdf(gamma), rel=1e-5)


def test_gamma_starts_at_the_mode_of_its_prior() -> None:
    madl = model()
    assert madl.log_gamma.exp().item() == 1
    madl.penalty().backward()
    assert madl.log_gamma.grad.item() == 0


def test_weights_are_those_of_the_formula_and_have_mean_one() -> None:
    madl = model(annotators=7)
    with torch.no_grad():
        madl.embed_annotator.weight.normal_()
        madl.log_gamma.fill_(-1.0)
    weights = madl.annotator_weights()
    assert weights.tolist() == pytest.approx(expected_weights(madl.embeddings().tolist(), math.exp(-1)), rel=1e-5)
    assert weights.mean().item() == pytest.approx(1)


def test_copies_share_the_weight_of_one() -> None:
    """Three independent annotators; the third has two copies. Far apart, a group counts as one."""
    madl = model(annotators=5)
    with torch.no_grad():
        madl.embed_annotator.weight.copy_(100 * torch.eye(5)[:, [0, 1, 2, 2, 2]])
    torch.testing.assert_close(madl.annotator_weights(), torch.tensor([1, 1, 1 / 3, 1 / 3, 1 / 3]) * 5 / 3)


@pytest.mark.parametrize("scale", [0.0, 1e30])
def test_weights_of_extreme_embeddings_are_one_and_gamma_has_a_finite_gradient(scale: float) -> None:
    madl = model(annotators=4)
    with torch.no_grad():
        madl.embed_annotator.weight.copy_(scale * torch.eye(5)[:, :4])
    weights = madl.annotator_weights()
    torch.testing.assert_close(weights, torch.ones(4))
    weights[0].backward()
    assert madl.log_gamma.grad.isfinite()


def test_the_likelihood_teaches_gamma_and_the_weights_do_not_teach_the_embeddings() -> None:
    madl = model(annotators=4)
    madl.annotator_weights()[0].backward()
    assert madl.log_gamma.grad.any()
    assert madl.embed_annotator.weight.grad is None


def test_the_gradient_does_not_reach_the_features() -> None:
    features, log_probs = torch.randn(2, 4, requires_grad=True), torch.zeros(2, 3).requires_grad_()
    label_log_probs, _ = model()(features, log_probs.log_softmax(-1), torch.tensor([0, 1]))
    label_log_probs[:, 0].sum().backward()
    assert features.grad is None
    assert log_probs.grad.any()


def test_mixed_pairs_have_mixed_weights() -> None:
    """Weight 0 makes a row its partner: with the labels' mixture the loss is that of the permuted pairs."""
    madl = model()
    torch.nn.init.normal_(madl.embed_annotator.weight)
    output, batch = answered(madl, H)
    partner = torch.tensor([2, 0, 1])
    plan = MixPlan(partner, torch.zeros(3), rows="pairs")
    permuted = output._replace(label_log_probs=output.label_log_probs[partner], log_probs=output.log_probs[partner])
    torch.testing.assert_close(madl.loss(permuted, batch._replace(plan=plan)).sum(), madl.loss(output, batch).sum())


@pytest.mark.parametrize("eta", [0.6, 0.8])
def test_the_initial_bias_encodes_the_prior_diagonal(eta: float) -> None:
    madl = MaDL(eta=eta).build(num_features=4, num_classes=3, num_annotators=2).eval()
    torch.nn.init.zeros_(madl.out.weight)
    output, _ = answered(madl, H)
    expected = torch.full((3, 3), (1 - eta) / 2).fill_diagonal_(eta)
    torch.testing.assert_close(output.confusion.dense(), expected.expand(3, -1, -1))
    assert (MaDL().embed_dim, MaDL().eta) == (16, 0.8)


def test_metadata_move_the_embeddings_of_their_annotators() -> None:
    madl = model(annotators=3, features=2)
    plain, features = madl.embeddings(), torch.tensor([[0.0, 0.0], [1.0, -2.0], [0.5, 3.0]])
    madl.set_annotator_features(features)
    torch.testing.assert_close(madl.embeddings() - plain, features @ madl.embed_metadata.weight.t())


def test_memory_does_not_grow_with_pairs_times_annotators() -> None:
    """Nothing that is kept for the gradient has more than A^2 numbers, or a hidden layer's width per pair."""
    pairs, annotators, sizes = 2000, 500, []
    madl = model(annotators)
    row = torch.arange(pairs) % 2
    who, label = torch.arange(pairs) % annotators, torch.arange(pairs) % 3
    features, log_probs = torch.tensor(H)[row], torch.tensor(P).log()[row]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        label_log_probs, confusion = madl(features, log_probs, who)
        madl.loss(
            AnnotatorOutput(label_log_probs, confusion, log_probs, who), Batch(features, row, label, row, who, label)
        ).sum()
    assert max(sizes) <= max(annotators**2, pairs * HIDDEN) < pairs * annotators


def test_an_unknown_annotator_has_the_mean_embedding() -> None:
    madl = model()
    features, log_probs, half = torch.tensor(H), torch.tensor(P).log(), torch.tensor([0.5, 0.5])
    unknown, _ = madl(features[:1], log_probs[:1], torch.tensor([-1]))
    plan = MixPlan(torch.tensor([1, 0]), half, rows="pairs")
    mixed, _ = madl(features[[0, 0]], log_probs[[0, 0]], torch.tensor([0, 1]), plan)
    torch.testing.assert_close(mixed, unknown.expand(2, -1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embed_dim": 0}, "`MaDL.embed_dim` must be"),
        ({"eta": 1.0}, "`MaDL.eta` must be"),
        ({"eta": 0.0}, "`MaDL.eta` must be"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MaDL(**settings)
