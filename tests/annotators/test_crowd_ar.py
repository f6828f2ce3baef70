"""CrowdAR against plain Python, its projection, and the confusion matrices that hilmix reads out of it."""

import math

import pytest
import torch

from hilmix.annotators import CoNAL, CrowdAR
from hilmix.annotators.crowd_ar import ReliabilityConfusion
from hilmix.errors import ConfigError
from hilmix.types import MixPlan
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, linear, sigmoid, softmax

H = [[0.3, -1.2, 0.8, 2.0], [1.5, 0.1, -0.4, -0.9]]
"""Features of two items."""


def model(**settings) -> CrowdAR:
    torch.manual_seed(3)
    built = CrowdAR(hidden_dim=6, **settings).build(num_features=4, num_classes=3, num_annotators=2)
    with torch.no_grad():
        for parameter in (built.skill, built.logits, built.offset):
            parameter.normal_()
        built.slope.copy_(torch.tensor([0.5, 2.0, 3.0]))
    return built


def expected_reliability(crowd: CrowdAR, b: int, a: int) -> float:
    d = linear(crowd.difficulty[2], [sigmoid(x) for x in linear(crowd.difficulty[0], H[b])])
    e, w = crowd.skill[a].tolist(), crowd.slope.tolist()
    return sigmoid(
        sum(max(0, w[k]) * (sigmoid(e[k]) - sigmoid(d[k])) * P[b][k] for k in range(3)) + crowd.offset.item()
    )


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_label_probabilities_loss_and_probability_of_being_right(weight: float) -> None:
    crowd = model(weight=weight)
    C = crowd.logits.tolist()
    output, batch = answered(crowd, H)
    loss = 0.0
    for i, (b, a, z) in enumerate(zip(ROW, ANNOTATOR, LABEL, strict=True)):
        r = expected_reliability(crowd, b, a)
        q = softmax([sum(P[b][c] * C[a][c][k] for c in range(3)) for k in range(3)])
        softened = [r * (k == z) + (1 - r) / 3 for k in range(3)]
        cross_entropy = -sum(softened[k] * math.log(q[k]) for k in range(3))
        agrees = P[b].index(max(P[b])) == z
        loss += weight * cross_entropy - (1 - weight) * math.log(r if agrees else 1 - r)
        assert output.label_log_probs[i].exp().tolist() == pytest.approx(q)
        right = output.log_probs[i].exp().dot(output.confusion.diagonal()[i])
        assert right.item() == pytest.approx(r, rel=1e-5)
    assert crowd.loss(output, batch).sum().item() == pytest.approx(loss, rel=1e-5)


def test_soft_answers_count_by_their_share() -> None:
    crowd = model()
    output, batch = answered(crowd, H)
    share = torch.tensor([0.5, 0.3, 0.2])
    every = torch.stack([crowd.loss(output, batch._replace(label=torch.full((3,), k))).sum() for k in range(3)])
    soft = crowd.loss(output, batch._replace(probs=share.expand(3, -1))).sum()
    torch.testing.assert_close(soft, share @ every)


def test_the_confusion_has_r_on_its_diagonal_and_the_layer_beside_it() -> None:
    logits = torch.tensor([[0.0, 1.0, 3.0], [9.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
    r, wrong = 0.7, softmax([1.0, 3.0])
    dense = ReliabilityConfusion(torch.tensor([math.log(0.7 / 0.3)]), logits.unsqueeze(0)).dense()[0]
    expected = [[r, 0.3 * wrong[0], 0.3 * wrong[1]], [0.15, r, 0.15], [0.15, 0.15, r]]
    torch.testing.assert_close(dense, torch.tensor(expected))


def test_the_confusion_of_one_class_is_one() -> None:
    found = ReliabilityConfusion(torch.tensor([-3.0]), torch.ones(1, 1, 1))
    assert found.dense().tolist() == [[[1.0]]]
    assert found.diagonal().tolist() == [[1.0]]


def test_extreme_reliabilities_keep_the_confusion_and_its_gradient_finite() -> None:
    logit = torch.tensor([-1e4, 1e4], requires_grad=True)
    logits = (1e4 * torch.randn(2, 3, 3)).requires_grad_()
    likelihood = ReliabilityConfusion(logit, logits).log_likelihood(torch.tensor([0, 1]))
    assert likelihood.isfinite().all()
    likelihood.sum().backward()
    assert logit.grad.isfinite().all()
    assert logits.grad.isfinite().all()


def test_a_negative_slope_is_projected_in_training_and_does_not_count_in_evaluation() -> None:
    crowd = model()
    with torch.no_grad():
        crowd.slope[1] = -1.0
    output, _ = answered(crowd.eval(), H)
    expected = expected_reliability(crowd, ROW[0], ANNOTATOR[0])
    assert output.confusion.logit[0].sigmoid().item() == pytest.approx(expected)
    assert crowd.slope[1].item() == -1
    trained, batch = answered(crowd.train(), H)
    assert crowd.slope.tolist() == [0.5, 0.0, 3.0]
    torch.testing.assert_close(trained.confusion.logit, output.confusion.logit)
    crowd.loss(trained, batch).sum().backward()
    assert crowd.slope.grad.all(), "a slope at zero can grow again"


def test_more_skill_is_never_less_reliable() -> None:
    crowd = model()
    before = answered(crowd, H)[0].confusion.logit
    with torch.no_grad():
        crowd.skill[1] += torch.tensor([0.0, 2.0, 0.5])
    after = answered(crowd, H)[0].confusion.logit
    asked_again = torch.tensor(ANNOTATOR) == 1
    assert (after[asked_again] > before[asked_again]).all()
    assert torch.equal(after[~asked_again], before[~asked_again])


def test_the_start_and_the_defaults() -> None:
    crowd = CrowdAR().build(num_features=4, num_classes=3, num_annotators=2)
    assert (crowd.hidden_dim, crowd.weight) == (128, 0.9)
    assert torch.equal(crowd.logits, torch.eye(3).repeat(2, 1, 1))
    output, batch = answered(crowd, H)
    crowd.loss(output, batch).sum().backward()
    for name, parameter in crowd.named_parameters():
        assert parameter.grad.any(), f"{name} has no gradient at the start"
    assert crowd.skill.grad.all(), "every annotator's skill learns"


def test_the_gradient_does_not_reach_the_features() -> None:
    features = torch.randn(2, 4, requires_grad=True)
    _, confusion = model()(features, torch.tensor(P).log(), torch.tensor([0, 1]))
    confusion.logit.sum().backward()
    assert features.grad is None


def test_an_unknown_annotator_has_the_mean_parameters() -> None:
    crowd = model()
    label_log_probs, confusion = crowd(torch.tensor(H[:1]), torch.tensor(P[:1]).log(), torch.tensor([-1]))
    with torch.no_grad():
        crowd.skill.copy_(crowd.skill.mean(0).expand(2, -1))
        crowd.logits.copy_(crowd.logits.mean(0).expand(2, -1, -1))
    known, same = crowd(torch.tensor(H[:1]), torch.tensor(P[:1]).log(), torch.tensor([0]))
    torch.testing.assert_close(label_log_probs, known)
    torch.testing.assert_close(confusion.logit, same.logit)


def test_mixed_pairs_have_mixed_parameters() -> None:
    crowd, weight = model(), torch.tensor([0.25, 1.0])
    plan = MixPlan(torch.tensor([1, 0]), weight, rows="pairs")
    _, mixed = crowd(torch.tensor(H), torch.tensor(P).log(), torch.tensor([0, 1]), plan)
    torch.testing.assert_close(mixed.logits[0], 0.25 * crowd.logits[0] + 0.75 * crowd.logits[1])
    torch.testing.assert_close(mixed.logits[1], crowd.logits[1])


def test_the_loss_needs_its_own_confusion() -> None:
    output, batch = answered(CoNAL().build(num_features=4, num_classes=3, num_annotators=2), H)
    with pytest.raises(TypeError, match=r"CrowdAR\.loss needs the confusion of CrowdAR\.forward"):
        model().loss(output, batch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_dim": 0}, "`CrowdAR.hidden_dim` must be"),
        ({"weight": 1.1}, "`CrowdAR.weight` must be"),
        ({"weight": float("nan")}, "`CrowdAR.weight` must be"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CrowdAR(**settings)
