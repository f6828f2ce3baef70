"""KOS: reliable annotators and sure items by message passing, for two classes."""

from typing import NamedTuple

import numpy as np

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.grouped import sum_by_group


class Kos(NamedTuple):
    """Result of :func:`kos`: sides, not probabilities."""

    posterior: FloatArray
    """(N, 2) float64, one-hot; even without votes or the messages cancel."""
    reliability: FloatArray
    """(A,) float64, mean message of an annotator on the scale of the last round: below 0 speaks against the label."""


def kos(table: Votes, *, rounds: int = 20, seed: int = 0) -> Kos:
    """Returns the side of every item after rounds of messages between items and annotators.

    An answer is +1 or -1. An item sends each of its annotators the others' labels, weighted by their reliability; an
    annotator sends each item how well the others of their items agree. Messages are rescaled each round, which changes
    no sign. Memory is O(L).

    Args:
        table: the votes on two classes, rows in any order; a soft label is the difference of its probabilities.
        rounds: of messages, at least 1. The method has no objective, so nothing shows convergence.
        seed: of the first messages, normal with mean 1 and variance 1.

    Raises:
        ConfigError: for other than two classes, or no rounds.

    Reference:
        D. R. Karger, S. Oh and D. Shah, Budget-optimal task allocation for reliable crowdsourcing systems, Operations
        Research 62 (2014), the iterative algorithm. Differs from the paper: soft answers.
    """
    if table.num_classes != 2:
        raise ConfigError(f"KOS: `num_classes` must be 2, got {table.num_classes}. Use another method.")
    require_counts("KOS", rounds=rounds)
    answer = _signed_answers(table)
    known = None if table.gold is None else np.where(table.gold >= 0, 2 * table.gold - 1, 0)[table.item]
    message = np.empty_like(answer)  # from annotator to item
    # drawn by item and annotator: where few labels leave the signs open, the order of the rows must not decide
    message[np.lexsort((table.annotator, table.item))] = np.random.default_rng(seed).normal(1.0, 1.0, len(answer))
    for _ in range(rounds):
        message = _others(answer * message, table.item, table.num_items)
        if known is not None:
            # a gold item is as sure as the surest of the others
            message = np.where(known != 0, known * np.abs(message).max(initial=0.0), message)
        message = _others(answer * message, table.annotator, table.num_annotators)
        # messages grow by about the labels per item and annotator each round, and would overflow unscaled
        message /= max(float(np.abs(message).max(initial=0.0)), np.finfo(np.float64).tiny)
    score = sum_by_group(answer * message, table.item, table.num_items)
    if table.gold is not None:
        score = np.where(table.gold >= 0, 2 * table.gold - 1, score)
    labels = np.maximum(np.bincount(table.annotator, minlength=table.num_annotators), 1)
    reliability = np.bincount(table.annotator, message, minlength=table.num_annotators) / labels
    # The sign of 0 is 0, which leaves both sides one half.
    side = np.sign(score)
    return Kos(np.stack([1 - side, 1 + side], axis=1) / 2, reliability)


def _signed_answers(table: Votes) -> FloatArray:
    """(L,) in [-1, 1]: -1 for class 0, +1 for class 1."""
    if table.probs is None:
        return (2 * table.label - 1).astype(np.float64)
    return (table.probs[:, 1] - table.probs[:, 0]).astype(np.float64)


def _others(value: FloatArray, group: IntArray, size: int) -> FloatArray:
    """(L,) sum over the group's other members."""
    total: FloatArray = np.bincount(group, value, minlength=size)[group] - value
    return total
