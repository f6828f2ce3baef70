"""Statistics that need the order of all confidences, from sums over a fixed number of fine cells.

A cell is a 1024th of an octave of 1 - confidence: relative precision where networks are sure, 7e-4 at the other end.
Samples of one cell count as tied, in every order alike. So equal-mass bins, areas under risk-coverage curves and the
smooth error are sums over ranks, in 800 KB, where others keep every sample.
"""

import math

import torch
from torch import Tensor

from hilmix.functional.calibration import Bins, sum_dtype

_PER_OCTAVE = 1024
_OCTAVES = 32
RISK_CELLS = _PER_OCTAVE * _OCTAVES + 1
"""Number of cells. The last one is that of confidences within 2e-10 of 1."""
_GRID = 4096
"""Places on [0, 1] at which the smooth error is worked out."""


def fine_sums(confidence: Tensor, correct: Tensor) -> Bins:
    """Returns the sums over fine cells in ascending order of confidence, (RISK_CELLS,) each; additive.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool or in [0, 1].
    """
    dtype = sum_dtype(confidence.device)
    value = confidence.to(dtype)
    # By the logarithm of 1 - confidence: networks crowd near 1, where equal cells would hold nearly all samples.
    octaves = -torch.log2((1 - value).clamp(min=2.0**-_OCTAVES))
    cell = (octaves * _PER_OCTAVE).long().clamp(0, RISK_CELLS - 1)
    sums = torch.zeros(3, RISK_CELLS, dtype=dtype, device=value.device)
    sums.index_add_(1, cell, torch.stack([torch.ones_like(value), value, correct.to(dtype)]))
    return Bins(*sums)


def equal_mass_bins(fine: Bins, *, num_bins: int = 15) -> Bins:
    """Returns bins of equal numbers of samples, (num_bins,) each, whose sizes differ by at most one.

    A cell that a bound divides gives each side its share, as ties do in
    :func:`~hilmix.functional.calibration.adaptive_calibration_error`.

    Args:
        fine: of :func:`fine_sums`.
        num_bins: number of bins; fewer samples than bins get one each.
    """
    total = fine.samples.sum()
    bins = torch.arange(num_bins + 1, device=total.device, dtype=total.dtype)
    number = total.clamp(max=num_bins)
    bounds = torch.ceil(torch.minimum(bins, number) * total / number.clamp(min=1))
    filled = fine.samples > 0
    # Cumulative sums as a function of the rank, linear inside a cell.
    rank = torch.cat([total.new_zeros(1), fine.samples[filled].cumsum(0)])
    cell = torch.searchsorted(rank, bounds).clamp(1, max(len(rank) - 1, 1))
    sums = [bounds.diff()]
    for values in fine[1:]:
        running = torch.cat([total.new_zeros(1), values[filled].cumsum(0)])
        if len(running) == 1:
            sums.append(torch.zeros_like(sums[0]))
            continue
        share = (bounds - rank[cell - 1]) / (rank[cell] - rank[cell - 1])
        sums.append((running[cell - 1] + share * (running[cell] - running[cell - 1])).diff())
    return Bins(*sums)


def risk_coverage_area(fine: Bins) -> Tensor:
    """Returns the area under the risk-coverage curve (AURC), a scalar: the mean error among the k most confident
    samples, over all k; NaN without samples. Ties count as in the mean over their orders.

    Args:
        fine: of :func:`fine_sums`.

    Reference:
        Geifman and El-Yaniv, NeurIPS 2017. torch-uncertainty's ``AURC`` integrates between the first and the last k by
        trapezoids instead, and its ``AUGRC`` of :func:`generalized_risk_area` likewise.
    """
    size, errors, above, errors_above = _from_the_top(fine)
    # sum over j = 1..m of (E + e j / m) / (N + j), in closed form: no loop over samples.
    harmonic = torch.digamma(above + size + 1) - torch.digamma(above + 1)
    area = errors_above * harmonic + errors / size * (size - above * harmonic)
    return area.sum() / size.sum()


def generalized_risk_area(fine: Bins) -> Tensor:
    """Returns the area under the generalized risk-coverage curve (AUGRC), a scalar in [0, 1/2]; NaN without samples.

    The mean over all k of the number of errors among the k most confident samples, as a share of all samples.

    Args:
        fine: of :func:`fine_sums`.

    Reference:
        Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification Systems, NeurIPS 2024.
    """
    size, errors, _, errors_above = _from_the_top(fine)
    return (errors_above * size + errors * (size + 1) / 2).sum() / size.sum().square()


def _from_the_top(fine: Bins) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sizes and errors of the filled cells, the most confident first, and those of the cells before each."""
    filled = fine.samples > 0
    size = fine.samples[filled].flip(0)
    errors = size - fine.correct[filled].flip(0)
    return size, errors, size.cumsum(0) - size, errors.cumsum(0) - errors


def smooth_calibration_error(fine: Bins) -> Tensor:
    """Returns the smooth calibration error (smECE), a scalar: kernel smoothing in place of bins; NaN without samples.

    The width of the reflected Gaussian kernel is the error itself, found by bisection, so there is nothing to choose.

    Args:
        fine: of :func:`fine_sums`; the mean confidence of a cell stands for its samples.

    Reference:
        Blasiok and Nakkiran, Smooth ECE, ICLR 2024, definition 4 and algorithm 1.
    """
    total = fine.samples.sum()
    if not total:
        return torch.full((), math.nan, dtype=total.dtype, device=total.device)
    residual = _on_grid(fine) / total
    # A Gaussian kernel that is reflected at 0 and 1 multiplies the cosine transform by exp(-(pi k s)^2 / 2).
    # The mirrored sequence is periodic and even, so that its Fourier transform is the cosine transform.
    mirrored = torch.fft.rfft(torch.cat([residual, residual.flip(0)]))
    frequency = math.pi * torch.arange(len(mirrored), device=total.device, dtype=total.dtype)

    def smoothed(width: float) -> float:
        kept = torch.fft.irfft(mirrored * torch.exp(-(frequency * width).square() / 2), n=2 * _GRID)
        return float(kept[:_GRID].abs().sum())

    low, high = 1 / _GRID, 1.0
    # The error falls as the width grows, so the two cross once.
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if smoothed(middle) > middle else (low, middle)
    return total.new_tensor(smoothed(high))


def _on_grid(fine: Bins) -> Tensor:
    """(_GRID,) sums of confidence - outcome, shared between the two nearest of the grid's places."""
    filled = fine.samples > 0
    gap = fine.confidence[filled] - fine.correct[filled]
    place = (fine.confidence[filled] / fine.samples[filled] * _GRID - 0.5).clamp(0, _GRID - 1)
    left = place.floor().long()
    upper = place - left
    grid = torch.zeros(_GRID + 1, dtype=gap.dtype, device=gap.device)
    grid.index_add_(0, left, gap * (1 - upper)).index_add_(0, left + 1, gap * upper)
    return grid[:_GRID]
