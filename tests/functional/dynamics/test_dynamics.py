"""Training dynamics against histories kept in full, closed forms, and the pitfalls of per-sample statistics."""

import itertools

import numpy as np
import pytest
import torch

from hilmix.errors import DataError
from hilmix.functional import dynamics as dyn


def history(rows: int = 30, classes: int = 4, epochs: int = 12, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(epochs, rows, classes, generator=generator)
    return logits, torch.randint(classes, (rows,), generator=generator)


def run(logits, label, batch: int = 7) -> dyn.DynamicsSums:
    sums = dyn.DynamicsSums.zeros(len(label))
    for epoch, z in enumerate(logits):
        order = torch.randperm(len(label), generator=torch.Generator().manual_seed(epoch))
        for row in order.split(batch):
            sums.update(row, z[row], label[row])
    return sums


def test_moments_equal_those_of_the_whole_history():
    logits, label = history()
    found = dyn.dynamics_scores(run(logits, label))
    z, p = logits.double(), logits.double().softmax(-1)
    rows = torch.arange(30)
    others = z.clone()
    others[:, rows, label] = -torch.inf
    own_p, right = p[:, rows, label], z.argmax(-1) == label
    expected = {
        "aum": (z[:, rows, label] - others.amax(-1)).mean(0),
        "el2n": (p - torch.eye(4, dtype=torch.float64)[label]).norm(dim=-1).mean(0),
        "confidence": own_p.mean(0),
        "variability": own_p.std(0, correction=0),
        "correctness": right.double().mean(0),
        "aleatoric": (own_p * (1 - own_p)).mean(0),
        "flips": (z.argmax(-1).diff(dim=0) != 0).double().sum(0),
        "last_loss": -own_p[-1].log(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-5, atol=1e-5)
    for i in range(30):
        visits = right[:, i].tolist()
        if not any(visits):
            assert found.forgetting[i] == found.first_learned[i] == torch.inf
            continue
        assert found.first_learned[i] == visits.index(True)
        assert found.forgetting[i] == sum(a and not b for a, b in itertools.pairwise(visits))


def test_aum_equals_the_package():
    aum = pytest.importorskip("aum")
    logits, label = history()
    package = aum.AUMCalculator("/dev/null", compressed=True)
    for z in logits:
        theirs = package.update(z, label, [str(i) for i in range(30)])
    ours = dyn.dynamics_scores(run(logits, label)).aum
    np.testing.assert_allclose(ours, [theirs[str(i)].aum for i in range(30)], atol=1e-5)


def test_state_is_small_whatever_the_number_of_visits():
    sums = dyn.DynamicsSums.zeros(1000)
    assert sum(v.element_size() for v in vars(sums).values()) <= 32


def test_rows_without_a_visit_are_nan_and_not_the_worst():
    logits, label = history()
    sums = dyn.DynamicsSums.zeros(32)
    sums.update(torch.arange(30), logits[0], label)
    for values in dyn.dynamics_scores(sums):
        assert values[30:].isnan().all()
        assert not values[:30].isnan().any()


def test_padding_counts_once():
    """A sampler that evens out ranks repeats the first items, in a batch or on another rank."""
    logits, label = history(rows=5, epochs=1)
    once = run(logits, label)
    twice, padded = torch.tensor([0, 1, 2, 3, 4, 0, 1]), dyn.DynamicsSums.zeros(5)
    padded.update(twice, logits[0][twice], label[twice])
    masked = dyn.DynamicsSums.zeros(5)
    masked.update(torch.tensor([0, 1, 2, 3, 4, -1]), logits[0][[0, 1, 2, 3, 4, 0]], label[[0, 1, 2, 3, 4, 0]])
    start = dyn.DynamicsSums.zeros(5)
    ranks = [dyn.DynamicsSums.zeros(5) for _ in range(3)]
    for rank, rows in zip(ranks, ([0, 1], [2, 3], [4, 0]), strict=True):
        rank.update(torch.tensor(rows), logits[0][rows], label[rows])
    for found in (padded, masked, dyn.merge_dynamics(start, ranks)):
        for name, value in vars(once).items():
            torch.testing.assert_close(getattr(found, name), value, msg=name)


def test_sums_over_ranks_that_share_out_the_rows_equal_their_merge():
    torch.manual_seed(0)
    logits, label = torch.randn(2, 5, 3), torch.tensor([0, 1, 2, 0, 1])
    start = dyn.DynamicsSums.zeros(5)
    start.update(torch.arange(4), logits[0][:4], label[:4])
    ranks = [dyn.DynamicsSums(**{name: value.clone() for name, value in vars(start).items()}) for _ in range(2)]
    for rank, rows in zip(ranks, ([0, 2], [3, 4]), strict=True):  # no rank visits row 1
        rank.update(torch.tensor(rows), logits[1][rows], label[rows])
    seen = ranks[1].visits > start.visits
    other = iter([seen.float(), *(torch.where(seen, value, 0).float() for value in vars(ranks[1]).values())])

    def total(mine: torch.Tensor) -> torch.Tensor:
        """The other rank's tensors, in the order that it sums them: its visits, then each field where it has one."""
        return mine + next(other)

    found = dyn.reduce_dynamics(start, ranks[0], total)
    for name, value in vars(dyn.merge_dynamics(start, ranks)).items():
        torch.testing.assert_close(getattr(found, name), value, msg=name, rtol=0, atol=0)


def test_other_data_are_refused():
    with pytest.raises(DataError, match=r"`row` must be below 3.*got 3"):
        dyn.DynamicsSums.zeros(3).update(torch.tensor([3]), torch.zeros(1, 2), torch.tensor([0]))


def test_margins_of_half_precision_are_subtracted_in_float32():
    z = torch.tensor([[100.0, 99.5, 0.0]]).bfloat16()
    found = dyn.sample_statistics(z, torch.tensor([0]))
    assert found.margin.dtype == torch.float32
    assert found.margin.item() == z[0, 0].float().item() - z[0, 1].float().item()


def test_ties_and_one_class():
    found = dyn.sample_statistics(torch.zeros(3, 3), torch.tensor([0, 1, 2]))
    assert found.margin.tolist() == [0, 0, 0]
    assert found.predicted.tolist() == [0, 0, 0]
    one = dyn.sample_statistics(torch.full((1, 1), 5.0), torch.tensor([0]))
    assert (one.p.item(), one.el2n.item(), one.loss.item()) == (1, 0, 0)
    assert dyn.sample_statistics(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).margin.shape == (0,)


def test_margins_of_the_given_and_of_another_label_are_kept_apart():
    """Relabelling during training: a second state follows the new labels, the first goes on with the given ones."""
    logits, label = history(epochs=4)
    given, current = run(logits, label), run(logits, (label + 1) % 4)
    assert (given.margin != current.margin).all()
    both = dyn.sample_statistics(logits[0], label).margin, dyn.sample_statistics(logits[0], (label + 1) % 4).margin
    assert (torch.minimum(*both) <= 0).all()


def test_wrong_labels_have_low_margins_and_the_cutoff_is_that_of_fake_ones():
    aum = torch.tensor([3.0, -1, 2, -2, torch.nan])
    assert dyn.aum_cutoff(aum, torch.tensor([1, 3, 4]), quantile=1.0) == -1
    assert np.isnan(dyn.aum_cutoff(aum, torch.tensor([4])))


def test_weighted_margins_by_hand():
    aum, trust = np.array([1.0, -1.0, 3.0, np.nan]), np.array([0.9, 0.3, 0.5, 1.0])
    item, who = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    np.testing.assert_allclose(dyn.waum(aum, trust, item, 3), [0.6 / 1.2, 3, np.nan])
    np.testing.assert_allclose(dyn.waum_per_annotator(aum, trust, who, 3), [1, 1.2 / 0.8, np.nan])


def test_clean_probability_finds_two_groups():
    rng = np.random.default_rng(0)
    wrong = rng.random(2000) < 0.2
    loss = np.where(wrong, rng.normal(3, 0.4, 2000), rng.normal(0.4, 0.2, 2000)).clip(0)
    loss[5] = np.nan
    found = dyn.clean_probability(loss)
    assert found.separated
    assert np.isnan(found.clean[5])
    assert ((found.clean < 0.5) == wrong)[~np.isnan(loss)].mean() > 0.99


@pytest.mark.parametrize(
    "loss", [np.full(50, 0.3), np.random.default_rng(0).normal(0.5, 0.01, 500), np.array([0.1, 0.9])]
)
def test_one_group_falls_back_to_quantiles(loss):
    found = dyn.clean_probability(loss)
    assert not found.separated
    order = np.argsort(loss, kind="stable")
    assert (np.diff(found.clean[order]) <= 0).all()
    assert ((found.clean >= 0) & (found.clean <= 1)).all()
    assert dyn.clean_probability(np.full(3, np.nan)).separated is False
