"""Agreement of participants on a stimulus and with themselves, and the share of it that a predictor captures."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hilmix.errors import DataError
from hilmix.functional.clusters import FloatArray, IntArray, cluster_covariance, t_quantile


class OneWay(NamedTuple):
    """Analysis of variance of answers in groups of unequal size; groups without answers do not count."""

    mean: FloatArray
    """(G,) mean of each group, NaN without answers."""
    answers: IntArray
    """(G,) how many answers each group has."""
    between: float
    """Mean square between groups."""
    within: float
    """Mean square within groups: the variance that participants who see the same stimulus do not share."""
    size: float
    """Effective group size ``(N - sum n_g^2 / N) / (G - 1)``; the common size where all are equal."""

    @property
    def group_variance(self) -> float:
        """Variance of the groups' true means, by moments, at least 0."""
        return max((self.between - self.within) / self.size, 0.0)

    @property
    def freedom(self) -> tuple[int, int]:
        """Degrees of freedom between and within groups."""
        groups = int((self.answers > 0).sum())
        return groups - 1, int(self.answers.sum()) - groups


def one_way(value: ArrayLike, group: IntArray, *, num_groups: int) -> OneWay:
    """Returns the one-way analysis of variance.

    Args:
        value: (M,) answers.
        group: (M,) int64 stimulus of each answer, in [0, num_groups).
        num_groups: G.

    Raises:
        DataError: if fewer than two groups have an answer, or none has two.
    """
    x = np.asarray(value, dtype=np.float64)
    count = np.bincount(group, minlength=num_groups)
    groups, answers = int((count > 0).sum()), len(x)
    if groups < 2 or answers == groups:
        raise DataError(
            f"agreement: {answers} answers on {groups} stimuli; needed are two stimuli and one with two answers."
        )
    total = np.bincount(group, x, minlength=num_groups)
    # np.divide leaves cells outside `where` as `out` had them: NaN, as a mean of 0 would pass for an answer.
    mean = np.divide(total, count, out=np.full(num_groups, np.nan), where=count > 0)
    within = float(np.square(x - mean[group]).sum()) / (answers - groups)
    # Summed over answers, not groups: each group counts with its size.
    between = float(np.square(mean[group] - x.mean()).sum()) / (groups - 1)
    size = (answers - float(np.square(count).sum()) / answers) / (groups - 1)
    return OneWay(mean, count, between, within, size)


class IntraclassCorrelation(NamedTuple):
    """Share of variance that is shared by the participants who see the same stimulus."""

    single: float
    """ICC(1), of one answer: what a perfect predictor of single answers could explain."""
    low: float
    high: float
    average: float
    """ICC(k), of the mean of k answers."""
    average_low: float
    average_high: float
    k: float
    """Effective number of answers per stimulus."""


def intraclass_correlation(
    value: ArrayLike, group: IntArray, *, num_groups: int, level: float = 0.95
) -> IntraclassCorrelation:
    """Returns the one-way ICC(1) and ICC(k), with ``F = between / within`` and k the effective group size:

        ICC(1) = (F - 1) / (F + k - 1),    ICC(k) = 1 - 1 / F

    It can be negative, as participants can agree less than by chance. The interval is that of the F distribution: exact
    for normal answers and equal groups, close for unequal ones. It takes the answers of one participant to different
    stimuli for independent; a participant's own bias counts as disagreement.

    Args:
        value: (M,) answers; deviations from the generating weight to see what is shared beyond it.
        group: (M,) int64 stimulus of each answer, in [0, num_groups).
        num_groups: G.
        level: of the intervals.

    Raises:
        DataError: as :func:`one_way`, and where all answers are the same.

    Reference:
        Shrout and Fleiss, Psychological Bulletin 86, 1979, case 1; effective size for unequal groups: Donner and Koval,
        Biometrics 36, 1980.
    """
    table = one_way(value, group, num_groups=num_groups)
    if table.between == table.within == 0:
        raise DataError("agreement: all answers are the same, so there is no variance to share.")
    tail = (1 - level) / 2
    # The upper end uses F with swapped degrees of freedom, whose quantile is the inverse of the lower tail's.
    quantile = stats.f.ppf(1 - tail, *table.freedom), 1 / stats.f.ppf(1 - tail, *table.freedom[::-1])
    # No spread within any stimulus is perfect agreement, not a division by zero.
    ratio = np.inf if table.within == 0 else table.between / table.within
    ratios = (ratio, ratio / quantile[0], ratio / quantile[1])
    single, low, high = (_single(f, table.size) for f in ratios)
    average, average_low, average_high = (float(1 - 1 / f) if f > 0 else -np.inf for f in ratios)
    return IntraclassCorrelation(single, low, high, average, average_low, average_high, table.size)


def _single(ratio: float, size: float) -> float:
    # (inf - 1) / (inf + k - 1) would be NaN; 1 is its limit.
    return 1.0 if np.isinf(ratio) else float((ratio - 1) / (ratio + size - 1))


class RepeatReliability(NamedTuple):
    """Reliability of answers of the same participants to the same stimuli."""

    correlation: float
    """Pearson; NaN where either is constant."""
    concordance: float
    """Lin's coefficient: 1 only for equal answers; NaN where both are the same constant."""
    mean_absolute_difference: float
    pairs: int


def repeat_reliability(first: ArrayLike, repeat: ArrayLike) -> RepeatReliability:
    """Returns how first and repeated answers agree; NaN for no pairs.

    Args:
        first: (M,) answers.
        repeat: (M,) the same participant's second answers to the same stimuli.

    Reference:
        Lin, Biometrics 45, 1989, equation 1 with moments of divisor n.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(repeat, dtype=np.float64)
    if not len(x):
        return RepeatReliability(np.nan, np.nan, np.nan, 0)
    # Moments over n, as in Lin's paper of 1989.
    product = float(np.mean((x - x.mean()) * (y - y.mean())))
    spread = float(x.std() * y.std())
    scale = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    return RepeatReliability(
        product / spread if spread > 0 else np.nan,
        2 * product / scale if scale > 0 else np.nan,
        float(np.abs(x - y).mean()),
        len(x),
    )


class ExplainedShare(NamedTuple):
    """Share of the squared deviation of answers from a reference that a predictor removes."""

    share: float
    """``1 - mean (y - prediction)^2 / mean (y - reference)^2``; negative where the predictor is the worse one."""
    low: float
    """Lower end of the interval; NaN for fewer than two participants."""
    high: float
    ceiling: float
    """The share that no predictor which sees the stimulus only can exceed."""
    of_ceiling: float
    """``share / ceiling``; NaN where participants share nothing."""


def explained_share(
    answer: ArrayLike,
    prediction: ArrayLike,
    reference: ArrayLike,
    *,
    participant: ArrayLike,
    group: IntArray,
    num_groups: int,
    level: float = 0.95,
) -> ExplainedShare:
    """Returns the share of the mean squared deviation that a prediction removes, and how much of the ceiling that is.

    The ceiling is ``1 - within / mean (y - reference)^2``, with the mean square within stimuli of :func:`one_way`: the
    one-way ICC(1) of the deviations, except that their common mean counts as explainable too. A prediction that was
    fitted on these very answers can exceed it. The interval is that of a ratio of means (linearised) over participants.

    Args:
        answer: (M,) answers y.
        prediction: (M,) what the predictor says of each.
        reference: (M,) what is to be improved on, such as the generating weight.
        participant: (M,) whose answer it is, numbers or names.
        group: (M,) int64 stimulus of each answer, in [0, num_groups).
        num_groups: number of stimuli.
        level: of the interval.

    Raises:
        DataError: as :func:`one_way`, and where the reference is right about every answer.
    """
    y = np.asarray(answer, dtype=np.float64)
    before, after = np.square(y - np.asarray(reference)), np.square(y - np.asarray(prediction))
    if not before.any():
        raise DataError("agreement: no answer deviates from the reference, so there is nothing to explain.")
    share = 1 - after.mean() / before.mean()
    _, who = np.unique(np.asarray(participant), return_inverse=True)
    # Residuals of the linearised ratio: they sum to zero, as cluster_covariance requires.
    variance = cluster_covariance(((1 - share) * before - after)[:, None], who)[0, 0]
    half = t_quantile(int(who.max()) + 1, level) * np.sqrt(variance) / before.sum()
    # The deviations from the mean of a stimulus are the same whatever is subtracted from all its answers.
    ceiling = 1 - one_way(y, group, num_groups=num_groups).within / before.mean()
    of_ceiling = share / ceiling if ceiling > 0 else np.nan
    return ExplainedShare(*(float(v) for v in (share, share - half, share + half, ceiling, of_ceiling)))
