"""The annotator model that expectation maximisation fits."""

import pytest
import torch

from hilmix.annotators import AnnotatorModel, DawidSkene
from hilmix.errors import ConfigError

A, K = 3, 4


def model(classes: int = K, **settings: float) -> DawidSkene:
    return DawidSkene(**settings).build(num_features=2, num_classes=classes, num_annotators=A)


def asked(pairs: int, classes: int = K) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.zeros(pairs, 2), torch.randn(pairs, classes, generator=g).log_softmax(-1)


def test_before_the_first_m_step_every_annotator_is_right_with_probability_eta() -> None:
    _, confusion = model(eta=0.7)(*asked(2), torch.tensor([1, -1]))
    expected = torch.full((K, K), 0.1).fill_diagonal_(0.7)
    torch.testing.assert_close(confusion.dense(), expected.expand(2, K, K))


def test_label_probabilities_are_the_marginal_of_the_annotators_matrix() -> None:
    ds, (features, log_p) = model(), asked(4)
    ds.log_confusion.copy_(torch.rand(A + 1, K, K).log_softmax(-1))
    who = torch.tensor([0, 2, -1, 1])
    label_log_probs, _ = ds(features, log_p, who)
    for i in range(4):
        matrix = ds.log_confusion[who[i]].exp()
        torch.testing.assert_close(label_log_probs[i].exp(), log_p[i].exp() @ matrix)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("cells", [1, 2 * K * K, 2**24])
def test_log_likelihood_is_that_of_the_confusion(soft: bool, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilmix.functional.confusion.CHUNK_CELLS", cells)
    ds, who = model(), torch.tensor([0, 2, -1])
    ds.log_confusion.copy_(torch.rand(A + 1, K, K).log_softmax(-1))
    label, probs = torch.tensor([3, 0, 1]), torch.rand(3, K).softmax(1) if soft else None
    _, confusion = ds(*asked(3), who)
    torch.testing.assert_close(ds.log_likelihood(who, label, probs), confusion.log_likelihood(label, probs))


def test_labels_of_known_classes_give_the_shares_of_the_answers() -> None:
    """A thousand labels of each class against three pseudo-labels: the matrix that drew them, within two points."""
    g = torch.Generator().manual_seed(0)
    truth = torch.arange(K).repeat_interleave(1000)
    true_matrix = torch.rand(K, K, generator=g).softmax(1)
    label = torch.multinomial(true_matrix[truth], 1, generator=g).squeeze(1)
    ds = model()
    ds.maximise(torch.nn.functional.one_hot(truth, K).float(), torch.zeros_like(truth), label)
    torch.testing.assert_close(ds.log_confusion[0].exp(), true_matrix, rtol=0, atol=0.05)
    torch.testing.assert_close(ds.log_confusion[1], ds.log_confusion[-1])  # nothing is known of the second annotator


def test_posterior_discounts_several_answers_for_an_item() -> None:
    log_p, evidence = torch.zeros(1, 2).log_softmax(1), torch.tensor([[0.0, -1.0], [0.0, -1.0]])
    row = torch.zeros(2, dtype=torch.int64)
    found = model(2, dependence=1.0).posterior(log_p, evidence, row)
    torch.testing.assert_close(found, torch.tensor([[0.0, -1.0]]).softmax(1))
    independent = model(2, dependence=0.0).posterior(log_p, evidence, row)
    torch.testing.assert_close(independent, torch.tensor([[0.0, -2.0]]).softmax(1))


@pytest.mark.parametrize(("classes", "pairs"), [(1, 2), (K, 0)])
def test_one_class_and_no_pairs(classes: int, pairs: int) -> None:
    ds = model(classes)
    label_log_probs, _ = ds(*asked(pairs, classes), torch.zeros(pairs, dtype=torch.int64))
    assert label_log_probs.shape == (pairs, classes)
    ds.maximise(
        torch.ones(pairs, classes), torch.zeros(pairs, dtype=torch.int64), torch.zeros(pairs, dtype=torch.int64)
    )
    torch.testing.assert_close(ds.log_confusion.exp().sum(2), torch.ones(A + 1, classes))


def test_spec_round_trip_and_no_parameters() -> None:
    ds = DawidSkene(eta=0.6, strength=5.0, dependence=0.1)
    assert AnnotatorModel.from_spec(ds.spec()).spec() == ds.spec()
    assert not list(model().parameters())


@pytest.mark.parametrize(
    ("setting", "value"), [("eta", 1.0), ("eta", 0.0), ("strength", 0.0), ("dependence", 1.5), ("dependence", -0.1)]
)
def test_settings_are_checked(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"`DawidSkene\.{setting}` must be .*, got {value}"):
        DawidSkene(**{setting: value})
