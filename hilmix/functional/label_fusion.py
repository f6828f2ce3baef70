"""Labels of an item fused into one distribution, and the matrices that correct them."""

import torch
from torch import Tensor


def draw_permutations(num: int, num_classes: int, *, seed: int = 0) -> Tensor:
    """Returns (num, K, K) float permutation matrices: the identity, then random ones.

    Args:
        num: at least 1.
        num_classes: K.
        seed: of the draw.
    """
    g = torch.Generator().manual_seed(seed)
    # From a generator of its own: a layer's start must not depend on what was drawn before.
    order = torch.stack(
        [torch.arange(num_classes), *(torch.randperm(num_classes, generator=g) for _ in range(num - 1))]
    )
    return torch.eye(num_classes)[order]


def fuse_labels(labels: Tensor, score: Tensor, row: Tensor, num_items: int) -> Tensor:
    """Returns for each item the weighted mean (B, K) of its labels; zeros where it has none.

    Args:
        labels: (L, K) float distributions.
        score: (L,) float; the weights are its softmax over the labels of the item.
        row: (L,) int64 item row of each label.
        num_items: B.

    Example:
        >>> fuse_labels(torch.eye(2), torch.tensor([0.0, 3.0]).log(), torch.tensor([1, 1]), 2).tolist()
        [[0.0, 0.0], [0.0, 1.0]]
    """
    # The largest score of each item cancels, and so would its gradient: detached.
    top = score.new_full((num_items,), -torch.inf).scatter_reduce(0, row, score.detach(), "amax")
    weight = (score - top[row]).exp()
    total = weight.new_zeros(num_items).index_add(0, row, weight)
    share = (weight / total[row]).unsqueeze(1)
    return labels.new_zeros(num_items, labels.shape[1]).index_add(0, row, share * labels)
