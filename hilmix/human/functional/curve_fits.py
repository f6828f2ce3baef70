"""Fitting the relabelling curves of :mod:`hilmix.human.functional.perception` to participants' answers."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from hilmix.errors import ConfigError, DataError
from hilmix.functional.clusters import cluster_covariance, t_quantile
from hilmix.functional.information import find_coordinates
from hilmix.human.functional.perception import CURVES

FloatArray = NDArray[np.float64]
FittedKind = Literal["logit", "probit", "logistic"]
Criterion = Literal["likelihood", "squares"]

PARAMETERS: dict[FittedKind, tuple[str, str]] = {
    "logit": ("a", "b"),
    "probit": ("a", "b"),
    "logistic": ("k", "x0"),
}
"""The curves that can be fitted. The anchored logistic curve takes the parameters of the logistic fit: fitted freely,
the answers of H-Mix do not determine it (the best x0 runs away)."""
# The identity; 4 is the logistic slope at which the curve has slope 1 in the middle (k / 4).
_START: dict[FittedKind, tuple[float, float]] = {"logit": (0.0, 1.0), "probit": (0.0, 1.0), "logistic": (4.0, 0.5)}
_FLAT = 1e-7
"""Information per answer below which a direction of the parameters is not determined; usual values are .01 to .3."""
_TINY = 1e-12  # keeps logarithms and variances finite at fitted values of 0 and 1


class CurveFit(NamedTuple):
    """A fitted curve."""

    kind: FittedKind
    criterion: Criterion
    parameters: tuple[float, float]
    """In the order of the curve's arguments."""
    low: tuple[float, float]
    """Lower ends of the intervals; NaN for fewer than two participants."""
    high: tuple[float, float]
    covariance: FloatArray
    """(2, 2), cluster-robust."""
    mean_squared_error: float
    answers: int
    participants: int

    def __call__(self, weight: ArrayLike) -> FloatArray:
        """Returns what participants see at the weights, (...) float64."""
        return _curve(self.kind, np.asarray(weight, dtype=np.float64), np.array(self.parameters))[0]


def fit_curve(
    kind: FittedKind,
    weight: ArrayLike,
    answer: ArrayLike,
    participant: ArrayLike,
    *,
    criterion: Criterion = "likelihood",
    level: float = 0.95,
) -> CurveFit:
    """Fits a curve h(w) to answers y, with intervals that let the answers of a participant depend on each other.

    ``likelihood`` maximises the quasi-binomial sum of ``y log h(w) + (1 - y) log(1 - h(w))``, ``squares`` minimises
    that of ``(y - h(w))^2``. The intervals come from the sandwich of expected information and participants' scores,
    corrected by G / (G - 1), with t quantiles of G - 1 degrees of freedom, G participants.

    The constants that hilmix takes from the infer answers of H-Mix (repeats left out) come from both criteria: the
    logit curve's a = -.098, b = .875 from the likelihood (squares: -.095, .928), the logistic curve's k = 4.58,
    x0 = .522 from the squares (likelihood: 4.51, .523).

    Args:
        kind: a name in :data:`PARAMETERS`.
        weight: (M,) generating weights in [0, 1]; between the two for ``logit`` and ``probit``, which are 0 and 1 at
            the ends whatever their parameters.
        answer: (M,) in [0, 1].
        participant: (M,) whose answer it is, numbers or names.
        criterion: what the fit optimises.
        level: of the intervals.

    Raises:
        ConfigError: for an unknown kind or criterion.
        DataError: for a value that is out of range, or answers that do not determine both parameters.

    Example:
        >>> w = np.array([0.1, 0.5, 0.9])
        >>> fit = fit_curve("logit", w, w, [0, 1, 2])
        >>> np.round(np.abs(fit.parameters), 4).tolist()
        [0.0, 1.0]
    """
    if kind not in PARAMETERS or criterion not in ("likelihood", "squares"):
        raise ConfigError(
            f"`kind` must be one of {', '.join(PARAMETERS)} and `criterion` one of likelihood, squares, got '{kind}' "
            f"and '{criterion}'."
        )
    w, y = np.asarray(weight, dtype=np.float64), np.asarray(answer, dtype=np.float64)
    _check(kind, w, y)
    # The loss is a mean whose curvature is .01 to .3: the default gtol of 1e-5 would leave parameters off by up to
    # 1e-3.
    squares = criterion == "squares"
    found = minimize(_loss, _START[kind], args=(kind, w, y, squares), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    fitted, slopes = _curve(kind, w, found)
    # Least squares is the quasi-likelihood of constant variance, so one sandwich serves both criteria.
    spread = np.ones_like(y) if squares else _variance(fitted)
    weighted = slopes / np.sqrt(spread)[:, None]
    # A search that ran away overflows; it counts as undetermined, like a singular one.
    back = find_coordinates(weighted).back if np.isfinite(weighted).all() else np.zeros((2, 0))
    # back @ back.T inverts the information, so 1 / |back|^2 is its smallest eigenvalue.
    if back.shape[1] < 2 or 1 / np.linalg.norm(back, 2) ** 2 < _FLAT * len(y):
        raise DataError(
            f"curve fit: the {len(y)} answers do not determine {' and '.join(PARAMETERS[kind])} of the {kind} curve "
            f"(best: {found[0]:.3g}, {found[1]:.3g}); answers that lie between 0 and 1 at several weights would."
        )
    bread = back @ back.T  # the inverse of the information
    _, cluster = np.unique(np.asarray(participant), return_inverse=True)
    covariance = bread @ cluster_covariance(slopes * ((y - fitted) / spread)[:, None], cluster) @ bread
    participants = int(cluster.max()) + 1
    half = t_quantile(participants, level) * np.sqrt(np.diag(covariance))
    low, high = found - half, found + half
    error = float(np.mean((y - fitted) ** 2))
    return CurveFit(kind, criterion, _pair(found), _pair(low), _pair(high), covariance, error, len(y), participants)


def _pair(values: FloatArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _check(kind: FittedKind, weight: FloatArray, answer: FloatArray) -> None:
    for name, column in (("weight", weight), ("answer", answer)):
        bad = np.flatnonzero(~((column >= 0) & (column <= 1)))
        if len(bad):
            raise DataError(f"{name}, row {bad[0]}: must be in [0, 1], got {column[bad[0]]}.")
    ends = np.flatnonzero((weight == 0) | (weight == 1))
    if kind != "logistic" and len(ends):
        raise DataError(
            f"weight, row {ends[0]}: {weight[ends[0]]:g}; every {kind} curve is 0 and 1 at the pure images. "
            "Leave their answers out."
        )
    if len(np.unique(weight)) < 2:
        raise DataError(
            f"curve fit: all {len(weight)} answers have one weight, but {' and '.join(PARAMETERS[kind])} of the {kind} "
            "curve need answers at two weights or more."
        )


def _curve(kind: FittedKind, weight: FloatArray, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The curve, (...), and its derivatives by the two parameters, (..., 2). One backward pass: every weight has its
    own copy of the parameters."""
    first, second = (torch.full(weight.shape, float(p), dtype=torch.float64, requires_grad=True) for p in parameters)
    value = CURVES[kind](torch.tensor(weight), first, second)
    slopes = torch.autograd.grad(value.sum(), (first, second))
    return value.detach().numpy(), torch.stack(slopes, -1).numpy()


def _variance(fitted: FloatArray) -> FloatArray:
    inside = np.clip(fitted, _TINY, 1 - _TINY)
    variance: FloatArray = inside * (1 - inside)
    return variance


def _loss(
    parameters: FloatArray, kind: FittedKind, weight: FloatArray, answer: FloatArray, squares: bool
) -> tuple[float, FloatArray]:
    """Mean loss and its gradient."""
    fitted, slopes = _curve(kind, weight, parameters)
    if squares:
        return float(np.mean((answer - fitted) ** 2)) / 2, slopes.T @ (fitted - answer) / len(answer)
    inside = np.clip(fitted, _TINY, 1 - _TINY)
    # log1p keeps the digits of fitted values near 0, which 1 - inside rounds away.
    loss = -np.mean(answer * np.log(inside) + (1 - answer) * np.log1p(-inside))
    return float(loss), slopes.T @ ((fitted - answer) / _variance(fitted)) / len(answer)
