"""Conformal sets of classes, calibrated on true classes, or on votes: then they cover a share of what people say."""

import math
from typing import Literal

import torch
from torch import Tensor

from hilmix.errors import ConfigError

SetScore = Literal["lac", "aps"]


def set_scores(probs: Tensor, *, score: SetScore = "lac") -> Tensor:
    """Returns how strange each class is, (B, K) float64 in [0, 1]; a set holds the classes up to a threshold.

    Args:
        probs: (B, K) class probabilities.
        score: ``lac``: 1 - p, for the smallest sets; ``aps``: the sum of the probabilities of the class and all more
            probable ones, for sets that are larger where the model is unsure.

    Reference:
        Sadinle, Lei and Wasserman, JASA 2019 (LAC); Romano, Sesia and Candes, NeurIPS 2020 (APS, without its random
        term: sets are larger than needed, and the same in every run).
    """
    p = probs.double()
    if score == "lac":
        return 1 - p
    value, order = p.sort(dim=-1, descending=True, stable=True)
    return torch.empty_like(p).scatter_(-1, order, value.cumsum(-1).clamp(max=1.0))


def conformal_threshold(probs: Tensor, target: Tensor, *, miss: float = 0.1, score: SetScore = "lac") -> float:
    """Returns the threshold whose sets hold the true class of a new item with probability 1 - ``miss`` or more.

    Args:
        probs: (M, K) class probabilities of held-out items, exchangeable with the new ones.
        target: (M,) int64 true classes.
        miss: accepted share of sets without the true class, in (0, 1).
        score: see :func:`set_scores`.

    Returns:
        The ceil((M + 1) (1 - miss))-th smallest score; infinite (all classes) where there are too few items.

    Raises:
        ConfigError: for a miss outside (0, 1).
    """
    _check(miss)
    own = set_scores(probs, score=score).gather(-1, target[:, None]).squeeze(-1)
    # A rounding error must not raise the rank: 1 - 0.1 is above 9 / 10 in float64.
    rank = math.ceil((len(own) + 1) * (1 - miss) - 1e-9)
    return math.inf if rank > len(own) else float(own.kthvalue(max(rank, 1)).values)


def crowd_threshold(probs: Tensor, shares: Tensor, *, miss: float = 0.1, score: SetScore = "lac") -> float:
    """Returns the threshold whose sets hold a share of 1 - ``miss`` or more of a new item's votes, in expectation.

    The smallest threshold at which (sum over items of the share of votes outside the set + 1) / (M + 1) is at most
    ``miss``. Votes of one item are not independent, so items are counted and not votes.

    Args:
        probs: (M, K) class probabilities of held-out items, exchangeable with the new ones.
        shares: (M, K) shares of the votes.
        miss: accepted share of votes outside the sets, in (0, 1).
        score: see :func:`set_scores`.

    Returns:
        The threshold; infinite (all classes) where there are too few items.

    Raises:
        ConfigError: for a miss outside (0, 1).

    Reference:
        Angelopoulos et al., Conformal Risk Control, ICLR 2024, theorem 1, with the share of votes as the loss.
    """
    _check(miss)
    value, order = set_scores(probs, score=score).flatten().sort(stable=True)
    covered = shares.double().flatten()[order].cumsum(0)
    # The new item counts as one that is missed: that makes it a guarantee and not an estimate.
    risk = (len(probs) - covered + 1) / (len(probs) + 1)
    # Equal scores enter together: the risk of a threshold is that behind the last of them.
    last = torch.searchsorted(value, value, right=True) - 1
    enough = torch.nonzero(risk[last] <= miss + 1e-12)
    return float(value[enough[0]]) if len(enough) else math.inf


def prediction_sets(probs: Tensor, threshold: float, *, score: SetScore = "lac") -> Tensor:
    """Returns which classes each set holds, (B, K) bool; always the most probable one.

    Args:
        probs: (B, K) class probabilities.
        threshold: of :func:`conformal_threshold` or :func:`crowd_threshold`, with the same score.
        score: see :func:`set_scores`.
    """
    held = set_scores(probs, score=score) <= threshold
    # An empty set is of no use; a class more cannot break the guarantee.
    return held.scatter(-1, probs.argmax(-1, keepdim=True), True)


def _check(miss: float) -> None:
    if not 0 < miss < 1:
        raise ConfigError(f"`miss` must be in (0, 1), got {miss!r}.")
