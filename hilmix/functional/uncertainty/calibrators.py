"""Post-hoc calibrators beyond the temperature; one that does not lower the NLL of unseen rows is refused."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import log_softmax, softmax
from torch import Tensor

from hilmix.functional.temperature import fit_temperature

FloatArray = NDArray[np.float64]
CalibratorName = Literal["temperature", "vector", "dirichlet", "isotonic"]
CALIBRATORS: tuple[CalibratorName, ...] = get_args(CalibratorName)
"""Names of the calibrators of :func:`fit_calibrator`."""
_PENALTY = 1e-3
"""Of the squares of Dirichlet calibration's weights off the diagonal, and of its offsets (ODIR)."""
_LEAST = float(np.finfo(np.float32).tiny)


class Calibrator(NamedTuple):
    """A fitted calibrator; apply it by :func:`calibrate`. Without ``parts`` it returns what it is given."""

    name: CalibratorName
    parts: tuple[FloatArray, ...]
    """``temperature``: 1 / T; ``vector``: factors and offsets (K,); ``dirichlet``: weights (K, K) and offsets (K,);
    ``isotonic``: for each class confidences and calibrated ones, between which it interpolates."""
    nll_before: float
    """Mean negative log-likelihood as given."""
    nll_after: float
    """The same after calibration, of halves of the rows by calibrators fitted on the other half."""
    refused: bool
    """Whether it was dropped because ``nll_after`` was not lower."""


def fit_calibrator(name: CalibratorName, logits: Tensor, target: Tensor, *, seed: int = 0) -> Calibrator:
    """Fits a calibrator of class logits on true classes.

    Args:
        name: ``temperature``: one factor for all logits; ``vector``: a factor and an offset for each class;
            ``dirichlet``: a penalised linear map of the log-probabilities; ``isotonic``: a rising function of each
            class's probability, then normalised, which can change the predicted class.
        logits: (M, K) class logits, such as log-probabilities.
        target: (M,) int64 in [0, K).
        seed: draws the halves.

    Returns:
        The calibrator fitted on all rows, or one that changes nothing (``refused``) if calibrators fitted on
        one half do not lower the NLL of the other: few rows for many parameters, or nothing to correct.

    Reference:
        Guo et al., ICML 2017 (vector); Kull et al., NeurIPS 2019 (dirichlet, ODIR); Zadrozny and Elkan, KDD 2002
        (isotonic).
    """
    z, y = logits.detach().double().cpu().numpy(), target.cpu().numpy()
    # Two halves of equal size, each judged by the fit of the other: every row counts once.
    half = np.random.default_rng(seed).permutation(len(y)) % 2
    before = _mean_nll(log_softmax(z, axis=1), y)
    # In-sample each of them lowers the NLL, also where it only learns the noise.
    after = np.nan
    if len(y) >= 4:
        parts = [_fit(name, z[half != h], y[half != h]) for h in (0, 1)]
        sums = [_mean_nll(_apply(name, parts[h], z[half == h]), y[half == h]) * (half == h).sum() for h in (0, 1)]
        after = float(sum(sums) / len(y))
    # Not `after >= before`, which lets NaN pass.
    if not after < before:
        return Calibrator(name, (), before, after, True)
    return Calibrator(name, _fit(name, z, y), before, after, False)


def calibrate(calibrator: Calibrator, logits: Tensor) -> Tensor:
    """Returns calibrated log-probabilities, (M, K) float64 on the device of the logits.

    Args:
        calibrator: of :func:`fit_calibrator`.
        logits: (M, K) class logits.
    """
    z = logits.detach().double().cpu().numpy()
    found = _apply(calibrator.name, calibrator.parts, z) if calibrator.parts else log_softmax(z, axis=1)
    return torch.from_numpy(found).to(logits.device)


def _mean_nll(log_probs: FloatArray, target: NDArray[np.int64]) -> float:
    return float(-log_probs[np.arange(len(target)), target].clip(min=np.log(_LEAST)).mean()) if len(target) else np.nan


def _fit(name: CalibratorName, z: FloatArray, y: NDArray[np.int64]) -> tuple[FloatArray, ...]:
    k = z.shape[1]
    if name == "temperature":
        return (np.array([1 / fit_temperature(torch.from_numpy(z), torch.from_numpy(y)).temperature]),)
    if name == "isotonic":
        p = softmax(z, axis=1)
        return tuple(part for c in range(k) for part in _isotonic(p[:, c], y == c))
    x = log_softmax(z, axis=1)
    if name == "vector":
        start = np.concatenate([np.ones(k), np.zeros(k)])
        best = minimize(_vector_loss, start, (x, y), "L-BFGS-B", jac=True).x
        return best[:k], best[k:]
    # Starts at the identity, so that a fit that ends early is near no calibration at all.
    start = np.concatenate([np.eye(k).ravel(), np.zeros(k)])
    best = minimize(_dirichlet_loss, start, (x, y), "L-BFGS-B", jac=True).x
    return best[: k * k].reshape(k, k), best[k * k :]


def _apply(name: CalibratorName, parts: tuple[FloatArray, ...], z: FloatArray) -> FloatArray:
    if name == "temperature":
        scaled: FloatArray = log_softmax(z * parts[0], axis=1)
        return scaled
    if name == "isotonic":
        p = softmax(z, axis=1)
        raised = [np.interp(p[:, c], parts[2 * c], parts[2 * c + 1]) for c in range(p.shape[1])]
        # A class that was never right below a confidence keeps the least probability that the NLL knows.
        found = np.log(np.maximum(np.stack(raised, axis=1), _LEAST))
        normalised: FloatArray = log_softmax(found, axis=1)
        return normalised
    x = log_softmax(z, axis=1)
    moved = x * parts[0] + parts[1] if name == "vector" else x @ parts[0].T + parts[1]
    mapped: FloatArray = log_softmax(moved, axis=1)
    return mapped


def _isotonic(confidence: FloatArray, hit: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Confidences in ascending order, and the calibrated ones."""
    place, inverse, count = np.unique(confidence, return_inverse=True, return_counts=True)
    # Ties are one point with their mean, or their order would decide.
    share = np.bincount(inverse, hit) / count
    raised: FloatArray = isotonic_regression(share, weights=count).x
    return place, raised


def _vector_loss(at: FloatArray, x: FloatArray, y: NDArray[np.int64]) -> tuple[float, FloatArray]:
    k = x.shape[1]
    loss, slope = _cross_entropy(x * at[:k] + at[k:], y)
    return loss, np.concatenate([(slope * x).sum(axis=0), slope.sum(axis=0)])


def _dirichlet_loss(at: FloatArray, x: FloatArray, y: NDArray[np.int64]) -> tuple[float, FloatArray]:
    k = x.shape[1]
    weight, offset = at[: k * k].reshape(k, k), at[k * k :]
    loss, slope = _cross_entropy(x @ weight.T + offset, y)
    off = weight * (1 - np.eye(k))
    scale = _PENALTY / max(k * (k - 1), 1)
    loss += scale * float((off**2).sum()) + _PENALTY / k * float((offset**2).sum())
    by_weight = slope.T @ x + 2 * scale * off
    return loss, np.concatenate([by_weight.ravel(), slope.sum(axis=0) + 2 * _PENALTY / k * offset])


def _cross_entropy(z: FloatArray, y: NDArray[np.int64]) -> tuple[float, Any]:
    """The mean NLL and its gradient by the logits."""
    log_probs = log_softmax(z, axis=1)
    rows = np.arange(len(y))
    slope = np.exp(log_probs)
    slope[rows, y] -= 1
    return float(-log_probs[rows, y].mean()), slope / len(y)
