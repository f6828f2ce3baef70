"""Scores that differ by rounding alone count as equal, so that the order of batches and ranks never shows.

A network returns the same item's score with another last digit when its batch has another size or the item another
place in it. Sums of scores do not notice; ranks, ties and edges of bins would.
"""

import torch
from torch import Tensor

ROUNDING = 1e-6
"""Relative difference up to which two scores may differ by float32 rounding alone."""


def rank_groups(scores: Tensor) -> Tensor:
    """Returns for each score the number of its group in ascending order, (M,) int64; a group counts as tied.

    Sorted scores fall apart into runs where two neighbours differ by more than :data:`ROUNDING`, and a run into groups
    no wider than that. So equal scores stay together wherever rounding puts them, and scores that differ stay apart,
    however densely they lie. Zeros, and scores that are NaN, are groups of their own, the latter the last one.

    Args:
        scores: (M,) float, at least 0.

    Example:
        >>> rank_groups(torch.tensor([0.8, 0.3, 0.80000007])).tolist()
        [1, 0, 1]
    """
    # Relative differences are differences of logarithms.
    place, order = _log_in_float64(scores).sort(stable=True)
    start = torch.ones(len(place), dtype=torch.bool, device=place.device)
    start[1:] = place.diff() > ROUNDING
    run = start.cumsum(0) - 1
    # A long run of near-equal scores is cut by its own start, else a chain could tie scores that are far apart.
    cell = ((place - place[start][run]) / ROUNDING).floor()
    start[1:] |= cell.diff() > 0
    groups = torch.empty_like(order)
    groups[order] = start.cumsum(0) - 1
    return groups


def _log_in_float64(scores: Tensor) -> Tensor:
    device = torch.device("cpu") if scores.device.type == "mps" else scores.device  # has no float64
    # +-1e3 lies beyond the logarithm of any float64, so that neither zeros nor NaN come near a score.
    return scores.to(device, torch.float64).clamp_min(0).log().nan_to_num(nan=1e3, neginf=-1e3)
