"""The annotator model that expectation maximisation fits."""

import pytest
import torch

from hilmix.annotators import AnnotatorModel, DawidSkene
from hilmix.errors import ConfigError
from hilmix.functional.label_columns import LabelColumns

A, K = 3, 4


def model(classes: int = K, **settings: float) -> DawidSkene:
    return DawidSkene(**settings).build(num_features=2, num_classes=classes, num_annotators=A)


def with_prototypes(number: int = 2, **settings: float) -> DawidSkene:
    """Its matrices and shares are random."""
    ds = DawidSkene(prototypes=number, **settings).build(num_features=2, num_classes=K, num_annotators=A)
    g = torch.Generator().manual_seed(1)
    ds.log_confusion.copy_(torch.rand(number, K, K, generator=g).log_softmax(-1))
    ds.log_share.copy_(torch.rand(A + 1, number, generator=g).log_softmax(-1))
    return ds


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


@pytest.mark.parametrize("soft", [False, True])
def test_prototypes_are_asked_as_the_matrices_that_they_mix(soft: bool) -> None:
    ds, (features, log_p), who = with_prototypes(), asked(3), torch.tensor([0, 2, -1])
    label, probs = torch.tensor([3, 0, 1]), torch.rand(3, K).softmax(1) if soft else None
    label_log_probs, confusion = ds(features, log_p, who)
    mixed = torch.einsum("ls,sck->lck", ds.log_share[who].exp(), ds.log_confusion.exp())
    torch.testing.assert_close(label_log_probs.exp(), torch.einsum("lc,lck->lk", log_p.exp(), mixed))
    answers = torch.nn.functional.one_hot(label, K).float() if probs is None else probs
    torch.testing.assert_close(ds.log_likelihood(who, label, probs), torch.einsum("lk,lck->lc", answers, mixed.log()))
    torch.testing.assert_close(confusion.dense(), mixed)


@pytest.mark.parametrize(("annotators", "classes", "expected"), [(64, 1024, 0), (65, 1024, 4), (10**6, 10, 4)])
def test_large_crowds_get_prototypes_by_size_alone(
    annotators: int, classes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilmix.annotators.dawid_skene.require_matrices", lambda *sizes, **copies: None)
    with torch.device("meta"):  # nothing is allocated
        ds = DawidSkene().build(num_features=2, num_classes=classes, num_annotators=annotators)
    matrices = expected or annotators + 1
    assert (ds.num_prototypes, *ds.log_confusion.shape) == (expected, matrices, classes, classes)


@pytest.mark.parametrize("out_of_fold", [False, True])
def test_prototypes_lie_in_the_state_and_an_m_step_moves_them(out_of_fold: bool) -> None:
    ds = DawidSkene(prototypes=2).build(num_features=2, num_classes=K, num_annotators=A)
    again = DawidSkene(prototypes=2).build(num_features=2, num_classes=K, num_annotators=A)
    assert ds.untouched
    g = torch.Generator().manual_seed(0)
    item, label = torch.arange(40), torch.randint(K, (40,), generator=g)
    log_probs, who = torch.randn(40, K, generator=g).log_softmax(-1), torch.randint(A, (40,), generator=g)
    if out_of_fold:
        ds.maximise_out_of_fold(log_probs, LabelColumns(item, who, label), item % 2)
    else:
        ds.maximise(log_probs.exp(), who, label)
    assert not ds.untouched
    torch.testing.assert_close(ds.log_confusion.exp().sum(2), torch.ones(2, K))
    torch.testing.assert_close(ds.log_share.exp().sum(1), torch.ones(A + 1))
    again.load_state_dict(ds.state_dict())
    assert torch.equal(again(*asked(1), item[:1])[0], ds(*asked(1), item[:1])[0])


@pytest.mark.parametrize("prototypes", [0, 3])
@pytest.mark.parametrize(("classes", "pairs"), [(1, 2), (K, 0)])
def test_one_class_and_no_pairs(classes: int, pairs: int, prototypes: int) -> None:
    ds = model(classes, prototypes=prototypes)
    label_log_probs, _ = ds(*asked(pairs, classes), torch.zeros(pairs, dtype=torch.int64))
    assert label_log_probs.shape == (pairs, classes)
    ds.maximise(
        torch.ones(pairs, classes), torch.zeros(pairs, dtype=torch.int64), torch.zeros(pairs, dtype=torch.int64)
    )
    torch.testing.assert_close(ds.log_confusion.exp().sum(2), torch.ones(prototypes or A + 1, classes))


def test_spec_round_trip_and_no_parameters() -> None:
    ds = DawidSkene(eta=0.6, strength=5.0, dependence=0.1)
    assert AnnotatorModel.from_spec(ds.spec()).spec() == ds.spec()
    assert not list(model().parameters())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("eta", 1.0), ("eta", 0.0), ("strength", 0.0), ("dependence", 1.5), ("dependence", -0.1), ("prototypes", -1)],
)
def test_settings_are_checked(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"`DawidSkene\.{setting}` must be .*, got {value}"):
        DawidSkene(**{setting: value})
