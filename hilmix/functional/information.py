"""Information of answers: the one cut-off of near-singular matrices, and inverses that do not see rounding noise.

Where columns of a design depend on each other, its information ``X'X`` is singular in exact arithmetic. Rounding makes
of every zero eigenvalue a small one of either sign, another one on another processor, and an inverse makes of that a
step of any length. Every fit of hilmix therefore decides here what is determined: a direction counts if its eigenvalue,
columns scaled to length 1 (so that units do not matter), exceeds ``size * eps`` times the largest one, ``size`` the
number of rows or columns, whichever is larger. No other file inverts a matrix or takes a rank; a test looks for it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import helmert

FloatArray = NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)


def cutoff(largest: float | FloatArray, size: int) -> FloatArray:
    """Returns the eigenvalue of an information matrix up to which a direction is rounding noise.

    Args:
        largest: (...) largest eigenvalue, at least 0.
        size: number of rows of the design or of columns, whichever is larger.
    """
    noise: FloatArray = _EPS * size * np.asarray(largest)
    return noise


class IdentifiedDesign(NamedTuple):
    """A design ``X`` (M, P) in R coordinates that its rows determine, R its rank."""

    rows: FloatArray
    """(M, R) with orthonormal columns, which span those of the design."""
    back: FloatArray
    """(P, R): ``X back = rows``, and of all coefficients with that product these have the smallest norm."""


def find_coordinates(design: FloatArray) -> IdentifiedDesign:
    """Returns the coordinates that a design determines.

    A least-squares fit of y is ``back @ (rows.T @ y)``, the pseudo-inverse of ``X'X`` is ``back @ back.T``.

    Args:
        design: (M, P) finite.

    Example:
        >>> found = find_coordinates(np.array([[1.0, 1.0], [2.0, 2.0]]))
        >>> (found.back @ (found.rows.T @ [2.0, 4.0])).round(6).tolist()
        [1.0, 1.0]
    """
    scale = _lengths(np.linalg.norm(design, axis=0))
    # Singular values of the design, not eigenvalues of X'X, which squares the condition number.
    left, size, right = np.linalg.svd(design / scale, full_matrices=False)
    kept = size**2 > cutoff(size.max(initial=0.0) ** 2, max(design.shape))
    back = right[kept].T / size[kept] / scale[:, None]
    if not kept.all() or len(size) < design.shape[1]:  # off the null space, in the columns' own units
        span, _ = np.linalg.qr(scale[:, None] * right[kept].T)
        back = span @ (span.T @ back)
    return IdentifiedDesign(left[:, kept], back)


def information_root(information: FloatArray, rows: int) -> FloatArray:
    """Returns F (..., P, P) with ``F'F`` the information, and rows of zeros for what is not determined.

    Args:
        information: (..., P, P) symmetric, positive semi-definite up to rounding.
        rows: number of answers behind it.
    """
    # Rounding can leave a diagonal of 0 slightly negative, whose root would be NaN.
    scale = _lengths(np.sqrt(np.maximum(np.diagonal(information, axis1=-2, axis2=-1), 0.0)))
    size, vectors = np.linalg.eigh(information / (scale[..., :, None] * scale[..., None, :]))
    # eigh sorts ascending: the last eigenvalue is the largest.
    noise = cutoff(np.maximum(size[..., -1:], 0.0), max(rows, information.shape[-1]))
    root = np.sqrt(np.where(size > noise, size, 0.0))
    found: FloatArray = root[..., :, None] * np.swapaxes(vectors, -1, -2) * scale[..., None, :]
    return found


def penalised_root(design: FloatArray, penalty: FloatArray) -> FloatArray:
    """Returns S (..., P, P) with ``S S' = inverse(X'X + diag(penalty))``.

    By the QR factors of the design with the roots of the penalties below: ``X'X`` is never formed, so that in a
    direction without information the penalty counts, however small, and not what rounding leaves of ``X'X``.

    Args:
        design: (..., M, P), such as the columns times the roots of the rows' weights.
        penalty: (..., P) or (P,), positive.
    """
    columns = design.shape[-1]
    below = np.broadcast_to(np.sqrt(penalty)[..., :, None] * np.eye(columns), (*design.shape[:-2], columns, columns))
    # By QR of the stacked rows, not by X'X, which would square the condition number.
    upper = np.linalg.qr(np.concatenate([design, below], -2), mode="r")
    # Triangular and, with the roots of positive penalties in it, never singular.
    found: FloatArray = np.linalg.inv(upper)
    return found


def contrasts(levels: int) -> FloatArray:
    """Returns (K, K - 1) orthonormal columns of sum 0: effects of K levels, of which only differences matter.

    Args:
        levels: K, at least 1.
    """
    found: FloatArray = helmert(levels).T
    return found


def spread_or_one(values: FloatArray) -> FloatArray:
    """Returns (D,) standard deviations of columns by which to divide, 1 where one is constant up to rounding.

    Args:
        values: (N, D) finite, N at least 1.
    """
    # The mean of equal numbers rounds, so the deviation of a constant is tiny rather than 0.
    deviation = values.std(0)
    noise = _EPS * len(values) * np.abs(values).max(0)
    found: FloatArray = np.where(deviation > noise, deviation, 1.0)
    return found


def _lengths(values: FloatArray) -> FloatArray:
    """Lengths by which to divide, 1 for columns of zeros."""
    found: FloatArray = np.where(values > 0, values, 1.0)
    return found
