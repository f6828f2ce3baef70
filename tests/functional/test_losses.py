"""Likelihoods of answers, plain and mixed, against loops over pairs."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.functional.losses import annotation_nll, label_log_likelihood, mixed_cross_entropy, negative_log_volume
from hilmix.functional.mixing import draw_partners, row_shares
from hilmix.types import MixPlan


def answers(pairs: int, classes: int, items: int, seed: int, *, copies: int = 1):
    """log q, hard and soft answers, and item rows; ``copies=2`` for what an item-wise plan scores."""
    rng = np.random.default_rng(seed)
    label_log_probs = torch.from_numpy(rng.normal(size=(copies * pairs, classes))).log_softmax(-1)
    probs = torch.from_numpy(rng.dirichlet(np.ones(classes), pairs)).reshape(pairs, classes)
    label = torch.from_numpy(rng.integers(0, classes, pairs))
    return label_log_probs, label, probs, torch.from_numpy(np.sort(rng.integers(0, items, pairs)))


def plan(rows: str, size: int, seed: int) -> MixPlan:
    rng = np.random.default_rng(seed)
    return MixPlan(draw_partners(size, rng), torch.from_numpy(rng.random(size)), rows=rows)


def test_log_likelihood_hard_and_soft() -> None:
    label_log_probs, label, probs, _ = answers(5, 3, 2, 0)
    hard, soft = label_log_likelihood(label_log_probs, label), label_log_likelihood(label_log_probs, label, probs)
    for i in range(5):
        assert hard[i].item() == pytest.approx(label_log_probs[i, label[i]].item())
        assert soft[i].item() == pytest.approx(sum(probs[i, k].item() * label_log_probs[i, k].item() for k in range(3)))
    one_hot = torch.nn.functional.one_hot(label, 3)
    torch.testing.assert_close(label_log_likelihood(label_log_probs, label, one_hot), hard)


@given(st.integers(0, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6), st.booleans())
def test_plain_loss_is_minus_the_log_likelihood(pairs: int, classes: int, items: int, seed: int, soft: bool) -> None:
    label_log_probs, label, probs, row = answers(pairs, classes, items, seed)
    given_probs = probs if soft else None
    expected = [-(probs[i] @ label_log_probs[i] if soft else label_log_probs[i, label[i]]).item() for i in range(pairs)]
    assert annotation_nll(label_log_probs, label, given_probs, row).tolist() == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 10**6), st.booleans())
def test_loss_of_mixed_pairs_is_the_cross_entropy_with_the_mixed_answer(
    pairs: int, classes: int, seed: int, soft: bool
) -> None:
    label_log_probs, label, probs, row = answers(pairs, classes, 3, seed)
    mix = plan("pairs", pairs, seed)
    label_probs = probs if soft else torch.nn.functional.one_hot(label, classes).double()
    expected = []
    for i in range(pairs):
        w, j = mix.weight[i], mix.partner[i]
        expected.append(-((w * label_probs[i] + (1 - w) * label_probs[j]) @ label_log_probs[i]).item())
    found = annotation_nll(label_log_probs, label, probs if soft else None, row, mix)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 9), st.integers(1, 5), st.integers(0, 10**6), st.booleans())
def test_loss_of_mixed_items_scores_each_answer_on_both_of_its_rows(
    pairs: int, items: int, seed: int, soft: bool
) -> None:
    """Here q of a pair depends on the mixed row only, so that the two rows of an answer can be message apart."""
    _, label, probs, row = answers(pairs, 3, items, seed)
    mix = plan("items", items, seed)
    per_row = torch.from_numpy(np.random.default_rng(seed).normal(size=(items, 3))).log_softmax(-1)
    expected, partner_row = [0.0] * pairs, []
    for j in range(pairs):
        (other,) = [b for b in range(items) if mix.partner[b] == row[j]]
        partner_row.append(other)
        for b, share in ((int(row[j]), mix.weight[row[j]]), (other, 1 - mix.weight[other])):
            own = probs[j] @ per_row[b] if soft else per_row[b, label[j]]
            expected[j] -= (share * own).item()
    label_log_probs = torch.cat([per_row[row], per_row[torch.tensor(partner_row, dtype=torch.int64)]])
    found = annotation_nll(label_log_probs, label, probs if soft else None, row, mix)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", [None, "pairs", "items"])
@pytest.mark.parametrize("soft", [False, True])
def test_answers_weigh_as_many_as_there_are_pairs(rows: str | None, soft: bool) -> None:
    """With the same log q everywhere, -1, the loss is the total weight.

    Item-wise this holds in expectation only if items differ in their number of answers: an answer weighs
    w of its own row plus 1 - w of the row it is the partner on, and the two w are different draws.
    """
    pairs, items = 6, 6
    _, label, probs, _ = answers(pairs, 4, items, 1)
    row = torch.arange(pairs)
    mix = None if rows is None else plan(rows, pairs, 2)
    copies = 2 if rows == "items" else 1
    found = annotation_nll(torch.full((copies * pairs, 4), -1.0).double(), label, probs if soft else None, row, mix)
    assert found.sum().item() == pytest.approx(pairs)


@given(st.integers(1, 5), st.integers(0, 8), st.integers(0, 10**6), st.booleans())
def test_answers_with_shares_of_their_own(items: int, pairs: int, seed: int, soft: bool) -> None:
    """Against a loop: each answer on both of its rows, and what is uniform on its behalf."""
    rng = np.random.default_rng(seed)
    label, row = torch.from_numpy(rng.integers(0, 3, pairs)), torch.from_numpy(np.sort(rng.integers(0, items, pairs)))
    probs = torch.from_numpy(rng.dirichlet(np.ones(3), pairs))
    label_log_probs = torch.from_numpy(rng.normal(size=(2 * pairs, 3))).log_softmax(-1)
    shares = torch.from_numpy(rng.random((2 * pairs, 2)))
    mix = plan("items", items, seed)._replace(shares=shares)
    expected = [0.0] * pairs
    for i in range(2 * pairs):
        label_probs = probs[i % pairs] if soft else torch.eye(3)[label[i % pairs]].double()
        expected[i % pairs] -= ((shares[i, 0] * label_probs + shares[i, 1] / 3) @ label_log_probs[i]).item()
    found = annotation_nll(label_log_probs, label, probs if soft else None, row, mix)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 6), st.integers(0, 10**6), st.integers(1, 3))
def test_rows_are_labelled_as_their_answers_say(items: int, seed: int, each: int) -> None:
    """If the model says the same of a row whatever the annotator, answers and rows make one loss up to their number."""
    rng = np.random.default_rng(seed)
    row, label = torch.arange(items).repeat_interleave(each), torch.from_numpy(rng.integers(0, 3, items * each))
    mix = plan("items", items, seed)
    host = torch.argsort(mix.partner)
    seen, uniform = torch.from_numpy(rng.random((2, items)))  # of each row, by all annotators
    of_row = torch.stack([(1 - uniform) * seen, (1 - uniform) * (1 - seen), uniform], 1)
    weight = mix.weight.double()
    own = torch.stack([of_row[row, 0], (weight * uniform)[row]], 1)
    other = torch.stack([of_row[host[row], 1], ((1 - weight) * uniform)[host[row]]], 1)
    shares = torch.cat([own, other])
    found = row_shares(shares, row, mix.partner)
    torch.testing.assert_close(found, of_row)
    target = torch.nn.functional.one_hot(label, 3).double().view(items, each, 3).mean(1)
    log_q = torch.from_numpy(rng.normal(size=(items, 3))).log_softmax(-1)
    by_rows = mixed_cross_entropy(log_q, target, mix, found)
    by_answers = annotation_nll(
        torch.cat([log_q[row], log_q[host[row]]]), label, None, row, mix._replace(shares=shares)
    )
    torch.testing.assert_close(by_answers.sum(), each * by_rows.sum())


def test_shares_as_the_inputs_are_mixed_change_nothing() -> None:
    target, log_probs = torch.rand(4, 3).double(), torch.randn(4, 3).double().log_softmax(-1)
    mix = plan("items", 4, 0)
    weight = mix.weight.double()
    same = torch.stack([weight, 1 - weight, torch.zeros(4, dtype=torch.float64)], 1)
    expected = mixed_cross_entropy(log_probs, target, mix)
    torch.testing.assert_close(mixed_cross_entropy(log_probs, target, mix, same), expected)


def test_items_without_answers_have_no_share() -> None:
    swap = torch.tensor([1, 0])
    shares = torch.tensor([[0.5, 0.1], [0.3, 0.2]])  # one answer, about item 0: on its own row, on row 1
    expected = torch.tensor([[0.5, 0.0, 0.1], [0.0, 0.3, 0.2]])
    torch.testing.assert_close(row_shares(shares, torch.tensor([0]), swap), expected)


@given(st.integers(0, 10**6), st.booleans())
def test_order_of_the_pairs_does_not_matter(seed: int, mixed: bool) -> None:
    label_log_probs, label, probs, row = answers(7, 3, 4, seed)
    order = torch.from_numpy(np.random.default_rng(seed + 1).permutation(7))
    mix = plan("pairs", 7, seed) if mixed else None
    moved = None
    if mix is not None:  # the same mixes, message in another order
        moved = mix._replace(partner=order.argsort()[mix.partner[order]], weight=mix.weight[order])
    for given_probs in (None, probs):
        before = annotation_nll(label_log_probs, label, given_probs, row, mix)
        there = None if given_probs is None else given_probs[order]
        after = annotation_nll(label_log_probs[order], label[order], there, row[order], moved)
        torch.testing.assert_close(after, before[order])


@pytest.mark.parametrize("rows", [None, "pairs", "items"])
@pytest.mark.parametrize("soft", [False, True])
def test_gradient(rows: str | None, soft: bool) -> None:
    label_log_probs, label, probs, row = answers(4, 3, 3, 5, copies=2 if rows == "items" else 1)
    mix = None if rows is None else plan(rows, 4 if rows == "pairs" else 3, 6)
    assert torch.autograd.gradcheck(
        lambda v: annotation_nll(v, label, probs if soft else None, row, mix), label_log_probs.requires_grad_()
    )


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("rows", [None, "items"])
def test_no_pairs_cost_nothing(rows: str | None, soft: bool) -> None:
    label_log_probs, label, probs, row = answers(0, 3, 4, 0)
    label_log_probs.requires_grad_()
    loss = annotation_nll(
        label_log_probs, label, probs if soft else None, row, None if rows is None else plan(rows, 4, 0)
    )
    loss.sum().backward()
    assert loss.shape == (0,)
    assert label_log_probs.grad.shape == (0, 3)


def test_one_class_costs_nothing() -> None:
    label_log_probs = torch.zeros(5, 1)
    assert annotation_nll(label_log_probs, torch.zeros(5, dtype=torch.int64), None, torch.arange(5)).tolist() == [0] * 5


def test_one_answer_per_item_mixed_by_items_is_mixup() -> None:
    """Zhang et al.: cross-entropy of each mixed row with the mixed one-hot label of its two items."""
    items = 6
    _, label, _, _ = answers(items, 4, items, 3)
    row, mix = torch.arange(items), plan("items", items, 9)
    logits = torch.randn(items, 4, dtype=torch.float64)
    one_hot = torch.nn.functional.one_hot(label, 4).double()
    target = mix.weight[:, None] * one_hot + (1 - mix.weight[:, None]) * one_hot[mix.partner]
    expected = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
    log_probs = logits.log_softmax(-1)
    found = annotation_nll(torch.cat([log_probs, log_probs[mix.partner.argsort()]]), label, None, row, mix)
    assert found.sum().item() == pytest.approx(expected.item())


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_volume_is_the_sum_of_the_log_eigenvalues(classes: int) -> None:
    rows = torch.randn(7, classes, dtype=torch.float64)
    gram = rows.t() @ rows / 7
    expected = -torch.linalg.eigvalsh(gram).add(1e-6).log().sum()
    torch.testing.assert_close(negative_log_volume(gram), expected)


def test_volume_of_a_singular_matrix_is_bounded_by_the_ridge() -> None:
    gram = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    value = negative_log_volume(gram, ridge=1e-4)
    value.backward()
    assert value.item() == pytest.approx(-3 * math.log(1e-4))
    assert gram.grad.isfinite().all()
