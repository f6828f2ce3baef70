"""High-order consensus: the noise of labels from triples of an item and its two nearest neighbours."""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray
from hilmix.functional.sizes import bytes_needed, require_memory

_ROUNDS, _TOLERANCE = 2000, 1e-8
_START = 0.7
"""Share of right labels from which the fit starts: the diagonal leads, which decides the order of the true classes."""
_LEAST = 1e-12


class Transition(NamedTuple):
    """Noise of labels, the same for all items of a class."""

    noise: FloatArray
    """(K, K) p(label = k | true class = c) at [c, k]; rows sum to 1."""
    prior: FloatArray
    """(K,) p(true class = c)."""
    log_likelihood: float
    """Of the triples, per triple, in nats."""


def fit_transition(label: IntArray, index: IntArray, num_classes: int) -> Transition:
    """Estimates noise and prior of labels by the consensus of nearest neighbours, without a true label.

    An item and its two nearest neighbours are taken to share their true class c, and to be labelled independently:

        p(k, l, m) = sum_c p(c) T[c, k] T[c, l] T[c, m]

    Fitted by expectation maximisation of the counted triples, O(triples K) per round. Three labels identify T up to
    the order of the classes where it has full rank; the start on the diagonal chooses the order in which labels are
    more often right than any other way.

    Args:
        label: (N,) int64 in [0, K), -1 for none.
        index: (N, >= 2) int64 rows of the nearest neighbours, nearest first.
        num_classes: K.

    Raises:
        SizeError: where the table of triples and classes would fill the memory.

    Reference:
        Zhu, Song and Liu, Clusterability as an Alternative to Anchor Points, ICML 2021, equations 5 to 7. Differs from
        the paper, which fits the first three orders by squared error and gradient steps: the third order holds the
        lower ones, and its likelihood needs no learning rate.
    """
    k = num_classes
    triple = np.stack([label, label[index[:, 0]], label[index[:, 1]]], axis=1)
    triple = triple[(triple >= 0).all(axis=1)]
    cell, count = np.unique((triple[:, 0] * k + triple[:, 1]) * k + triple[:, 2], return_counts=True)
    require_memory(
        "The consensus of neighbours", bytes_needed(items=len(cell), classes=k, per_item=3), items=len(cell), classes=k
    )
    seen = np.stack([cell // k**2, cell // k % k, cell % k])
    noise = np.full((k, k), (1 - _START) / max(k - 1, 1))
    np.fill_diagonal(noise, _START if k > 1 else 1.0)
    prior, last, total = np.full(k, 1 / k), -np.inf, max(count.sum(), 1)
    for _ in range(_ROUNDS):
        log_noise = np.log(np.maximum(noise, _LEAST)).T
        joint = np.log(np.maximum(prior, _LEAST)) + log_noise[seen].sum(axis=0)
        top = joint.max(axis=1, keepdims=True)
        joint = np.exp(joint - top)
        mass = joint.sum(axis=1, keepdims=True)
        found = float(count @ (np.log(mass) + top)[:, 0] / total)
        if found - last <= _TOLERANCE:
            break
        last = found
        weight = joint / mass * count[:, None]
        prior = weight.sum(axis=0) / total
        counts = np.zeros((k, k))
        for one in seen:
            np.add.at(counts, one, weight)
        rows = counts.sum(axis=0)
        # A class that no triple belongs to keeps its row.
        noise = np.divide(counts.T, rows[:, None], out=noise.copy(), where=rows[:, None] > 0)
    return Transition(noise, prior, last)


def right_shares(transition: Transition) -> FloatArray:
    """Returns p(true class = k | label = k), (K,), 1 for labels that never occur.

    Args:
        transition: noise and prior.
    """
    given = transition.prior @ transition.noise
    own = transition.prior * np.diag(transition.noise)
    right: FloatArray = np.divide(own, given, out=np.ones_like(own), where=given > 0)
    return right
