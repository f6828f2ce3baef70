"""Fusion of predictions, neighbours and annotators into one posterior, weighted by the votes they foresee.

    log p(z | i) = log pi(z) + sum_v w_v (log q_v(z | i) - log pi(z)) + u sum_l log T_l[z, y_l] + const
    T_l[z, y] = s[z] where y = z, else (1 - s[z]) E[z, y];    logit s[z] = skill of the annotator + ease of the class z

A product of experts q_v: w_v = 1 for one that is calibrated and independent of the others, below where it is
overconfident or repeats them. u < 1 where annotators who see the same item err alike. Weights, skills and errors have
the highest likelihood of each label given the *other* labels of its item, and so need no truth.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.sizes import bytes_needed, require_memory, row_chunks

_ROUNDS, _FIT_LABELS = 30, 20_000
_TOLERANCE = 1e-6
"""Gain in mean log-likelihood of a label below which the fit ends."""
_SKILL_STRENGTH = 5.0
"""Pseudo-labels that draw an annotator to the mean one."""
_LEAST = 1e-6
_MOST_WEIGHT = 3.0
Probs = NDArray[np.floating[Any]]


class Fusion(NamedTuple):
    """Reliabilities of views and annotators."""

    view_weight: FloatArray
    """(V,) in [0, 3]."""
    vote_weight: float
    """In [0, 1]; 1 where no item has two labels."""
    prior: FloatArray
    """(K,) pi."""
    skill: FloatArray
    """(A,) in (0, 1): p(label is right), for an item of the mean class."""
    ease: FloatArray
    """(K,) in nats, added to the skill's logit for items of a class."""
    errors: FloatArray
    """(K, K) E: p(label = k | true class c, wrong) at [c, k], 0 on the diagonal."""
    log_likelihood: float
    """Mean of log p(label | other labels, views), in nats."""


class Verdict(NamedTuple):
    """Posteriors by a :class:`Fusion`."""

    posterior: FloatArray
    """(N, K) p(true class) given everything."""
    wrong: FloatArray
    """(L,) p(label is wrong) given everything, the label itself included."""
    unseen: FloatArray
    """(L,) p(true class = label) before the label itself is seen."""
    by_others: FloatArray
    """(L,) p(true class = label) by the other labels of the item alone; NaN without any."""


def label_prior(table: Votes) -> FloatArray:
    """Returns the shares of the classes among all labels, one label of each class added, (K,) float64.

    Args:
        table: the labels; of soft ones ``label`` counts.
    """
    k = table.num_classes
    prior: FloatArray = (np.bincount(table.label, minlength=k) + 1.0) / (len(table.label) + k)
    return prior


def fit_fusion(table: Votes, views: Sequence[Probs], *, seed: int = 0) -> Fusion:
    """Estimates how far to rely on each view and annotator, by the labels that they foresee.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.
        views: (N, K) class probabilities each, that have not seen the item's labels. A row of NaN is no evidence.
        seed: chooses the 20,000 labels by which weights are fitted, where there are more.

    Reference:
        Hinton, Training Products of Experts, Neural Computation 14, 2002, equation 1; labels held out one at a time as
        in stacking (Wolpert, Neural Networks 5, 1992); the errors of annotators as of one-coin Dawid-Skene.
    """
    n, k = table.num_items, table.num_classes
    require_memory("The fusion of views", bytes_needed(items=n, classes=k, per_item=3 + len(views)), items=n, classes=k)
    prior = label_prior(table)
    errors = np.full((k, k), 1 / max(k - 1, 1))
    np.fill_diagonal(errors, 0)
    weight = np.full(len(views), 1 / max(len(views), 1))
    fusion = Fusion(weight, 1.0, prior, np.full(table.num_annotators, 0.8), np.zeros(k), errors, -np.inf)
    if k == 1 or not len(table.label):
        return fusion
    evidence = [_evidence(view, prior) for view in views]
    order = np.arange(len(table.label))
    rng = np.random.default_rng(seed)
    # A few weights need no more labels; sorted, so that rows are read in the order of the memory.
    some = order if len(order) <= _FIT_LABELS else np.sort(rng.choice(order, _FIT_LABELS, replace=False))
    last = -np.inf
    for _ in range(_ROUNDS):
        votes = _vote_sums(table, fusion)
        fusion = _fit_weights(table, evidence, fusion, votes, some)
        fusion = _fit_annotators(table, evidence, fusion, votes)
        if fusion.log_likelihood - last <= _TOLERANCE:
            break
        last = fusion.log_likelihood
    return fusion


def judge_labels(table: Votes, views: Sequence[Probs], fusion: Fusion) -> Verdict:
    """Returns the posterior of every item and the probability that each label is wrong.

    A label counts with the weight of votes for itself too: where annotators share mistakes, its own evidence is as
    little independent of the views as that of the others.

    Args:
        table: as of :func:`fit_fusion`.
        views: as there.
        fusion: the reliabilities.
    """
    size, k = len(table.label), table.num_classes
    evidence = [_evidence(view, fusion.prior) for view in views]
    base, votes = _base(evidence, fusion, table.num_items), _vote_sums(table, fusion)
    posterior = _softmax(base + fusion.vote_weight * votes)
    wrong, unseen, by_others = np.empty(size), np.empty(size), np.empty(size)
    labels = np.bincount(table.item, minlength=table.num_items)
    for rows in row_chunks(size, k):
        item, label = table.item[rows], table.label[rows]
        at = np.arange(len(item)), label
        # A label must not speak for itself: its own term leaves the sum.
        others = fusion.vote_weight * (votes[item] - _label_log_probs(table, fusion, rows))
        unseen[rows] = _softmax(base[item] + others)[at]
        alone = _softmax(np.log(fusion.prior) + others)[at]
        by_others[rows] = np.where(labels[item] > 1, alone, np.nan)
        # Not 1 - p: the digits of p(wrong) near 0 rank the labels that are probably right.
        given = posterior[item]
        given[at] = 0
        wrong[rows] = given.sum(axis=1)
    return Verdict(posterior, np.clip(wrong, 0, 1), unseen, by_others)


def _evidence(view: Probs, prior: FloatArray) -> FloatArray:
    """(N, K) log q - log pi, 0 where nothing is known; floored: one zero must not veto every other view."""
    floored = np.maximum(np.asarray(view, dtype=np.float64), _LEAST)
    found: FloatArray = np.where(np.isnan(view), 0.0, np.log(floored) - np.log(prior))
    return found


def _base(evidence: Sequence[FloatArray], fusion: Fusion, num_items: int) -> FloatArray:
    base = np.tile(np.log(fusion.prior), (num_items, 1))
    for weight, one in zip(fusion.view_weight, evidence, strict=True):
        base += weight * one
    return base


def _label_log_probs(table: Votes, fusion: Fusion, rows: "slice | IntArray") -> FloatArray:
    """(M, K) log T[z, label] of some labels."""
    label, who = table.label[rows], table.annotator[rows]
    right = np.clip(expit(logit(fusion.skill[who])[:, None] + fusion.ease), _LEAST, 1 - _LEAST)
    at = np.arange(len(label)), label
    found: FloatArray = np.log1p(-right) + np.log(np.maximum(fusion.errors, _LEAST)).T[label]
    found[at] = np.log(right[at])
    return found


def _vote_sums(table: Votes, fusion: Fusion) -> FloatArray:
    """(N, K) sum of log T over the labels of each item."""
    total = np.zeros((table.num_items, table.num_classes))
    for rows in row_chunks(len(table.label), table.num_classes):
        np.add.at(total, table.item[rows], _label_log_probs(table, fusion, rows))
    return total


def _fit_weights(
    table: Votes, evidence: Sequence[FloatArray], fusion: Fusion, votes: FloatArray, some: IntArray
) -> Fusion:
    """Weights of views and votes with the highest likelihood of some labels, given all other labels."""
    item = table.item[some]
    own = _label_log_probs(table, fusion, some)
    features = [one[item] for one in evidence] + [votes[item] - own]
    start = np.log(fusion.prior)

    def objective(weight: FloatArray) -> tuple[float, FloatArray]:
        score = start + sum(w * feature for w, feature in zip(weight, features, strict=True))
        before, after = _softmax(score), _softmax(score + own)
        # The probability of a label that is held out: weights that only make the posterior sharper do not raise it.
        value = logsumexp(score + own, axis=1) - logsumexp(score, axis=1)
        gradient = np.array([np.einsum("lk,lk->", after - before, feature) for feature in features])
        return -float(value.mean()), -gradient / len(some)

    first = np.append(fusion.view_weight, fusion.vote_weight)
    bounds = [(0, _MOST_WEIGHT)] * len(evidence) + [(0, 1)]
    found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds)
    return fusion._replace(view_weight=found.x[:-1], vote_weight=float(found.x[-1]))


def _fit_annotators(table: Votes, evidence: Sequence[FloatArray], fusion: Fusion, votes: FloatArray) -> Fusion:
    """Skills, ease and errors by one round of expectation maximisation, each label held out in the E step's prior."""
    k, a = table.num_classes, table.num_annotators
    base = _base(evidence, fusion, table.num_items)
    counts, right = np.zeros((k, k)), np.zeros(len(table.label))
    total = 0.0
    for rows in row_chunks(len(table.label), k):
        item, label = table.item[rows], table.label[rows]
        own = _label_log_probs(table, fusion, rows)
        before = base[item] + fusion.vote_weight * (votes[item] - own)
        total += float((logsumexp(before + own, axis=1) - logsumexp(before, axis=1)).sum())
        given = _softmax(before + own)
        np.add.at(counts, label, given)
        right[rows] = given[np.arange(len(label)), label]
    counts = counts.T
    mean = counts.trace() / max(counts.sum(), _LEAST)
    labels = np.bincount(table.annotator, minlength=a)
    hits = np.bincount(table.annotator, right, minlength=a)
    skill = np.clip((hits + _SKILL_STRENGTH * mean) / (labels + _SKILL_STRENGTH), _LEAST, 1 - _LEAST)
    # Relative to the mean skill, as skill and ease add up: otherwise the mean would count twice.
    of_class = (np.diag(counts) + _SKILL_STRENGTH * mean) / (counts.sum(axis=1) + _SKILL_STRENGTH)
    ease = logit(np.clip(of_class, _LEAST, 1 - _LEAST)) - logit(np.clip(mean, _LEAST, 1 - _LEAST))
    # One pseudo-label in every cell off the diagonal.
    wrong = counts + 1.0
    np.fill_diagonal(wrong, 0)
    errors = wrong / wrong.sum(axis=1, keepdims=True)
    log_likelihood = total / len(table.label)
    return fusion._replace(skill=skill, ease=ease, errors=errors, log_likelihood=log_likelihood)


def _softmax(score: FloatArray) -> FloatArray:
    top = np.exp(score - score.max(axis=1, keepdims=True))
    found: FloatArray = top / top.sum(axis=1, keepdims=True)
    return found
