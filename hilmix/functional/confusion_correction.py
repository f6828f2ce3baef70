"""Correction of annotators' layers by the clean-looking labels of another network."""

import torch
from torch import Tensor

from hilmix.functional.precision import at_least_float32
from hilmix.types import UNKNOWN


def select_clean_labels(log_probs: Tensor, item: Tensor, label: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Returns the labels that a network finds likeliest, the same number of each class: items and classes, (M,) each.

    Args:
        log_probs: (N, K) float class log-probabilities of all items.
        item: (L,) int64 item of each label; a class that several annotators gave to an item counts once.
        label: (L,) int64.
        size: of the selection over all classes; classes with fewer labels have all of theirs in it.

    Example:
        >>> log_probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]).log()
        >>> select_clean_labels(log_probs, torch.tensor([0, 1, 2, 2]), torch.tensor([0, 0, 0, 1]), 4)
        (tensor([0, 1, 2]), tensor([0, 0, 1]))
    """
    items, classes = log_probs.shape
    given = torch.zeros_like(log_probs, dtype=torch.bool)
    given[item, label] = True
    found = log_probs.masked_fill(~given, -torch.inf).topk(min(max(size // classes, 1), items), dim=0)
    rank, label = found.values.isfinite().t().nonzero().unbind(1)[::-1]
    return found.indices[rank, label], label


def descent_direction(features: Tensor, log_probs: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the gradient of the mean cross-entropy of a linear head by its weights (K, D) and biases (K,).

    Args:
        features: (M, D) float, the head's inputs.
        log_probs: (M, K) float, its class log-probabilities.
        label: (M,) int64.
    """
    error = log_probs.exp()
    error[torch.arange(len(label), device=label.device), label] -= 1
    error = error / max(len(label), 1)
    return error.t() @ features, error.sum(0)


def meta_gradient(
    log_probs: Tensor, direction: Tensor, logits: Tensor, answers: Tensor, group: Tensor, num_groups: int
) -> Tensor:
    """Returns by how much a change of the layers of each group lets one step lower another loss, (G, K, K).

    A step of gradient descent on the labels' loss ``-log softmax(p (W + V))[z]`` moves the class logits. The value is
    the derivative by V, at V = 0, of what that step takes off a second loss whose gradient is the ``direction``, as
    the step becomes small: ``dp' (q - z) + p' dq``, summed over the labels of a group, with the derivatives of p and of
    q = softmax(p W) along the direction.

    Args:
        log_probs: (L, K) float class log-probabilities p of the item of each label.
        direction: (L, K) float change of its class logits.
        logits: (L, K, K) float W of its annotator.
        answers: (L, K) float, the label as a distribution.
        group: (L,) int64 in [0, G), -1 for none.
        num_groups: G.
    """
    p = log_probs.exp()
    # The softmax's Jacobian times the direction, written out: no (K, K) matrix per label.
    dp = p * (direction - (p * direction).sum(1, keepdim=True))
    q = torch.einsum("lc,lck->lk", p, logits).softmax(-1)
    ds = torch.einsum("lc,lck->lk", dp, logits)
    dq = q * (ds - (q * ds).sum(1, keepdim=True))
    outer = dp.unsqueeze(2) * (q - answers).unsqueeze(1) + p.unsqueeze(2) * dq.unsqueeze(1)
    # -1 would index the last group; labels without a group add 0 to group 0.
    known = group != UNKNOWN
    total = outer.new_zeros(num_groups, *outer.shape[1:])
    return total.index_add(0, group.clamp_min(0), outer * known.reshape(-1, 1, 1))


def scale_correction(gradient: Tensor, logits: Tensor, rate: float) -> Tensor:
    """Returns the correction V: the gradient, with ``rate`` times the largest weight as its largest number.

    Args:
        gradient: (G, K, K) float of :func:`meta_gradient`.
        logits: (A, K, K) float, all layers W.
        rate: at least 0.
    """
    largest = at_least_float32(gradient).abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    # Divided first: under fp16 the product of a small gradient and the rate would be zero.
    return rate * logits.amax() * (gradient / largest)
