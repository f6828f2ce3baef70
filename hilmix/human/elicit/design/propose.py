"""Choice of the next mixes: those whose judgments are expected to improve the fit of perception the most.

Pure functions of columns and weights. The fit is that of :class:`~hilmix.human.perception.LearnedPerception`: the logit
of what participants see of image 1 is linear in the columns of a mix, with a normal prior, and answers have variance
``phi h (1 - h)``. A judgment of mix j adds ``v_j x_j x_j'`` to the information about the coefficients.
"""

from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit, logit

from hilmix.functional.information import information_root, penalised_root
from hilmix.human.elicit.design.chosen import ChosenMixes
from hilmix.human.elicit.design.pairs import DoubleArray, IntArray, Pairs, draw_pairs
from hilmix.human.functional.ridge_logit import FREE, ridge_logit
from hilmix.human.perception.learned import RegressionColumns

LEAST_VARIANCE = 0.01
"""Of the coefficients of a block a priori, whatever its evidence: a block without influence yet may still have some."""
_LEAST = 1e-9
_TIED = 1e-9
"""Relative difference of gains that is rounding: mixes with equal columns have equal gains on every processor."""


class Belief(NamedTuple):
    """Posterior of the coefficients of participants in general, after some judgments."""

    mean: DoubleArray
    """(P,): slope, classes, components of images."""
    covariance: DoubleArray
    """(P, P) symmetric, positive definite."""
    dispersion: float
    """phi."""
    slope_variance: float
    """Variance of participants' own slopes."""

    @classmethod
    def fit(cls, shown: RegressionColumns) -> Self:
        """Returns the Laplace approximation around the penalised fit, with participants' own slopes integrated out.

        The prior variances are those that follow from the answers, but at least :data:`LEAST_VARIANCE`.
        """
        design, block = shown.design()
        fitted = ridge_logit(design, block, shown.judgments.answer)
        variance = np.maximum(fitted.variance, LEAST_VARIANCE)
        # variance[-1], of columns without a block, is discarded.
        penalty = np.where(block >= 0, 1 / variance[block], FREE)
        share = expit(design @ fitted.coefficients)
        known = share * (1 - share) / fitted.dispersion
        root = penalised_root(design * np.sqrt(known)[:, None], penalty)
        covariance = root @ root.T
        end = shown.slices["participant"].start
        # A block of the joint covariance is the marginal one: participants' own slopes are integrated out.
        return cls(fitted.coefficients[:end], covariance[:end, :end], fitted.dispersion, float(variance[1]))


class Candidates(NamedTuple):
    """C mixes that could be asked about, several of them of the same pair."""

    pairs: Pairs
    weight: DoubleArray
    """(C,) float64 in (0, 1), of image 1."""
    pair: IntArray
    """(C,) int64, which pair a mix is of."""

    @classmethod
    def cross(cls, pairs: Pairs, weights: tuple[float, ...]) -> Self:
        """Returns every pair at every weight."""
        pair = np.repeat(np.arange(len(pairs.first)), len(weights))
        return cls(Pairs(pairs.first[pair], pairs.second[pair]), np.tile(weights, len(pairs.first)), pair)

    def chosen(self, rows: IntArray) -> ChosenMixes:
        """Returns some of them."""
        return ChosenMixes(Pairs(self.pairs.first[rows], self.pairs.second[rows]), self.weight[rows])

    def columns(self, label: IntArray, components: DoubleArray, *, num_classes: int) -> DoubleArray:
        """Returns the columns (C, 1 + K + Q) of :meth:`RegressionColumns.design`.

        Args:
            label: (N,) int64 class of each image.
            components: (N, Q) of each image.
            num_classes: K.
        """
        hot, (a, b) = np.eye(num_classes), self.pairs
        return np.column_stack([logit(self.weight), hot[label[a]] - hot[label[b]], components[a] - components[b]])


class Proposal(NamedTuple):
    """Chosen mixes, in the order of choice."""

    rows: IntArray
    """(n,) of the candidates."""
    gain: DoubleArray
    """(n,) how much each makes the expected deviance smaller, given those before."""
    before: float
    """Expected excess deviance of an answer, without any."""


def draw_candidates(
    label: IntArray, most: int, taken: Pairs, *, weights: tuple[float, ...], classes: tuple[str, ...], seed: int
) -> Candidates:
    """Draws balanced pairs, either image first, and returns each at every weight; those taken already are left out.

    Args:
        label: (N,) int64 class of each image, -1 for images that must not be used.
        most: number of pairs before those taken are left out; fewer where the classes do not give as many.
        taken: pairs, either image first.
        weights: grid of weights.
        classes: K names, for the error.
        seed: of the draw.

    Raises:
        DataError: if fewer than two classes have images.
    """
    rng = np.random.default_rng(seed)
    sizes = np.sort(np.bincount(label[label >= 0]))
    sizes = sizes[sizes > 0]
    # Every pair of classes gives at least as many pairs of images as the two smallest classes do.
    possible = len(sizes) * (len(sizes) - 1) // 2 * int(np.prod(sizes[:2]))
    drawn = draw_pairs(label, min(most, possible), classes=classes, rng=rng)
    used = {frozenset(pair) for pair in zip(*(rows.tolist() for rows in taken), strict=True)}
    new = np.array([frozenset(pair) not in used for pair in zip(*(rows.tolist() for rows in drawn), strict=True)])
    flip = rng.random(int(new.sum())) < 0.5
    first, second = drawn.first[new], drawn.second[new]
    return Candidates.cross(Pairs(np.where(flip, second, first), np.where(flip, first, second)), weights)


def propose(belief: Belief, columns: DoubleArray, weight: DoubleArray, pair: IntArray, number: int) -> Proposal:
    """Returns the mixes to judge next, chosen greedily, of each pair at most one.

    The criterion is the expected excess deviance of an answer about a mix of the candidates, ``mean_j h_j (1 - h_j)
    x_j' V x_j`` with V the covariance of the coefficients: the A-optimal design for the logits of what participants
    see, each weighted by how much an error in it matters. A judgment by a new participant has precision ``v_j = 1 /
    (phi / (h_j (1 - h_j)) + t logit(w_j)^2)`` with t the variance of participants' slopes, and takes ``v_j x_j' V M V
    x_j / (1 + v_j x_j' V x_j)`` off the criterion, M its matrix; then V follows by the formula of Sherman and Morrison.

    Args:
        belief: after the judgments so far.
        columns: (C, P) of the candidates.
        weight: (C,) their weights of image 1.
        pair: (C,) int64 which pair they are of.
        number: n, at most the number of pairs.

    Reference:
        Fedorov, Theory of Optimal Experiments, 1972 (linear criteria, one-point exchange); Chaloner and Verdinelli,
        Statistical Science 10, 1995, section 4 (generalised linear models, at the current estimate).
    """
    precision, criterion = _precision_and_criterion(belief, columns, weight)
    covariance, free = belief.covariance.copy(), np.ones(len(columns), dtype=bool)
    before = float((criterion * covariance).sum())
    rows, gain = np.empty(number, dtype=np.int64), np.empty(number)
    for step in range(number):
        spread = columns @ covariance
        variance = (spread * columns).sum(1)
        gains = precision * ((spread @ criterion) * spread).sum(1) / (1 + precision * variance)
        best = int((free & (gains >= gains[free].max() * (1 - _TIED))).argmax())  # the first of equal ones
        rows[step], gain[step] = best, gains[best]
        # In place, on the copy made above: the belief itself stays.
        covariance -= precision[best] / (1 + precision[best] * variance[best]) * np.outer(spread[best], spread[best])
        # Every weight of that pair goes.
        free &= pair != pair[best]
    return Proposal(rows, gain, before)


def compute_excess_after(belief: Belief, columns: DoubleArray, weight: DoubleArray, rows: IntArray) -> float:
    """Returns the criterion of :func:`propose` after one judgment of each of these candidates.

    Args:
        belief: after the judgments so far.
        columns: (C, P) of the candidates.
        weight: (C,) their weights of image 1.
        rows: (n,) int64 of the candidates.
    """
    precision, criterion = _precision_and_criterion(belief, columns, weight)
    prior = information_root(belief.covariance, len(columns)).T
    asked = (columns[rows] @ prior) * np.sqrt(precision[rows])[:, None]  # in units of the prior: information above 1
    root = prior @ penalised_root(asked, np.ones(prior.shape[1]))
    return float((criterion * (root @ root.T)).sum())


def _precision_and_criterion(
    belief: Belief, columns: DoubleArray, weight: DoubleArray
) -> tuple[DoubleArray, DoubleArray]:
    """(C,) precision of a judgment of each candidate, and (P, P) the matrix M of the criterion."""
    share = expit(columns @ belief.mean)
    # A belief that is sure of a mix would divide phi by 0.
    matters = np.maximum(share * (1 - share), _LEAST)
    precision = 1 / (belief.dispersion / matters + belief.slope_variance * logit(weight) ** 2)
    return precision, (columns * (matters / len(columns))[:, None]).T @ columns
