"""Sums of per-sample statistics, keyed by row: fixed memory, additive over ranks within an epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hilmix.errors import DataError


class SampleStatistics(NamedTuple):
    """Statistics of one visit of B labels. Each is (B,) float32."""

    margin: Tensor
    """Logit of the label less the largest other one; without another class, the logit."""
    p: Tensor
    """Probability of the label."""
    el2n: Tensor
    """Euclidean distance of the probabilities from the one-hot label."""
    loss: Tensor
    """Cross-entropy of the label."""
    predicted: Tensor
    """(B,) int64 most probable class, the first of several."""


def sample_statistics(logits: Tensor, label: Tensor) -> SampleStatistics:
    """Returns the statistics of one visit.

    Args:
        logits: (B, K) class logits of un-mixed inputs, any float dtype; cast to float32 before anything is subtracted,
            as bfloat16 has 3 digits.
        label: (B,) int64 in [0, K).

    Reference:
        Margin: Pleiss et al., NeurIPS 2020. EL2N: Paul et al., NeurIPS 2021.
    """
    # float32 also under autocast: the sums run over all epochs, and half precision has three digits.
    z = logits.detach().float()
    own = z.gather(-1, label[:, None]).squeeze(-1)
    if z.shape[-1] == 1:
        margin = own
    else:
        # Two largest logits: the other is the second where the label is the first.
        top, place = z.topk(2, dim=-1)
        margin = own - torch.where(place[:, 0] == label, top[:, 1], top[:, 0])
    log_p = own - z.logsumexp(-1)
    p = log_p.exp()
    # |p - onehot|^2 = sum of squares - 2 p + 1, without a (B, K) table of one-hots.
    squares = z.softmax(-1).square().sum(-1) - 2 * p + 1
    return SampleStatistics(margin, p, squares.clamp(min=0).sqrt(), -log_p, z.argmax(-1))


@dataclass
class DynamicsSums:
    """Sums over the visits of N rows, in place; 32 bytes per row.

    Args:
        margin: (N,) float32 sum of margins.
        p: (N,) float32 mean of the label's probability (Welford's recurrence, so that no digits are lost).
        p_spread: (N,) float32 sum of squared deviations from it.
        el2n: (N,) float32 sum.
        loss: (N,) float32 loss of the last visit.
        visits: (N,) int16.
        right: (N,) int16 visits at which the label was predicted.
        forgotten: (N,) int16 visits at which it was not, though at the one before.
        flips: (N,) int16 changes of the predicted class.
        learned: (N,) int16 first visit, from 0, at which the label was predicted; -1 never.
        predicted: (N,) int16 class predicted last, -1 before the first visit.
    """

    margin: Tensor
    p: Tensor
    p_spread: Tensor
    el2n: Tensor
    loss: Tensor
    visits: Tensor
    right: Tensor
    forgotten: Tensor
    flips: Tensor
    learned: Tensor
    predicted: Tensor

    @classmethod
    def zeros(cls, rows: int, *, device: torch.device | None = None) -> "DynamicsSums":
        """Returns the sums before the first visit.

        Args:
            rows: N.
            device: of the sums.
        """
        real = [torch.zeros(rows, device=device) for _ in range(5)]
        whole = [torch.zeros(rows, dtype=torch.int16, device=device) for _ in range(4)]
        last = [torch.full((rows,), -1, dtype=torch.int16, device=device) for _ in range(2)]
        return cls(*real, *whole, *last)

    def update(self, row: Tensor, logits: Tensor, label: Tensor) -> None:
        """Adds one visit of each row; of rows that occur twice in a batch, the first counts.

        Args:
            row: (B,) int64 rows; negative ones, such as of padding, are left out.
            logits: (B, K) class logits of un-mixed inputs.
            label: (B,) int64 label of each row.

        Raises:
            DataError: for a row that the sums do not have: the data have changed.
        """
        if len(row) and int(row.max()) >= len(self.visits):
            raise DataError(
                f"`row` must be below {len(self.visits)}, the number of rows at the start, got {int(row.max())}. The "
                "data have changed; begin anew."
            )
        # Indexed assignment keeps one of several equal rows, which one is not defined on a GPU.
        kept = _first_visits(row)
        row, label = row[kept], label[kept]
        seen = sample_statistics(logits[kept], label)
        right, before = seen.predicted == label, self.predicted[row].long()
        # The visit before was right if the class predicted last is the label.
        was_right = before == label
        number = self.visits[row] + 1
        self.learned[row] = torch.where(right & (self.learned[row] < 0), self.visits[row], self.learned[row])
        self.visits[row] = number
        self.right[row] += right.short()
        self.forgotten[row] += (was_right & ~right).short()
        self.flips[row] += ((before >= 0) & (before != seen.predicted)).short()
        self.predicted[row] = seen.predicted.short()
        self.margin[row] += seen.margin
        self.el2n[row] += seen.el2n
        self.loss[row] = seen.loss
        step = seen.p - self.p[row]
        self.p[row] += step / number
        self.p_spread[row] += step * (seen.p - self.p[row])


def _first_visits(row: Tensor) -> Tensor:
    """Positions of the rows of at least 0, the first of each."""
    kept = torch.nonzero(row >= 0).squeeze(-1)
    value, order = row[kept].sort(stable=True)
    first = torch.ones_like(value, dtype=torch.bool)
    first[1:] = value[1:] != value[:-1]
    return kept[order[first]].sort().values


def merge_dynamics(whole: DynamicsSums, parts: list[DynamicsSums]) -> DynamicsSums:
    """Returns the state after an epoch from the states of ranks that all began it with ``whole``.

    A row that several ranks visited, as a padded sampler lets them, counts as visited by the first of them alone.

    Args:
        whole: the common state at the beginning of the epoch.
        parts: the states at its end, at least one.
    """
    merged = DynamicsSums(**{name: value.clone() for name, value in vars(whole).items()})
    open_rows = torch.ones_like(whole.visits, dtype=torch.bool)
    for part in parts:
        taken = open_rows & (part.visits > whole.visits)
        for name, value in vars(part).items():
            getattr(merged, name)[taken] = value[taken]
        open_rows &= ~taken
    return merged


def reduce_dynamics(whole: DynamicsSums, part: DynamicsSums, total: Callable[[Tensor], Tensor]) -> DynamicsSums:
    """Returns on every rank what :func:`merge_dynamics` returns of all ranks, where no row is visited by two of them.

    Exact: each row is a sum of one value and zeros. Takes one row of N numbers at a time, however many ranks there are.

    Args:
        whole: the common state at the beginning of the epoch.
        part: the state of this rank at its end.
        total: the sum of a float32 tensor over the ranks; every rank must call this.
    """
    mine = part.visits > whole.visits
    visited = total(mine.float()) > 0
    merged = {}
    for name, before in vars(whole).items():
        value = torch.where(mine, getattr(part, name), 0).float()
        merged[name] = torch.where(visited, total(value).to(before.dtype), before)
    return DynamicsSums(**merged)
