"""Features of images as regression columns: leading components of each block of features."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg import eigh

from hilmix.errors import ConfigError
from hilmix.functional.information import cutoff, spread_or_one
from hilmix.human.perception.judgments import FloatArray, IntArray


class Components(NamedTuple):
    """A linear map of standardised features."""

    mean: FloatArray
    """(D,) of the features that it was made from."""
    scale: FloatArray
    """(D,) their standard deviations, 1 where they are constant."""
    basis: FloatArray
    """(D, Q)."""
    block: IntArray
    """(Q,) int64, which block of features each component belongs to."""

    @classmethod
    def fit(cls, features: FloatArray, sizes: Sequence[int], most: int) -> Self:
        """Returns the leading principal components of each block of columns.

        Args:
            features: (N, D) of different images.
            sizes: numbers of columns of the blocks, in order, of sum D.
            most: components of a block, fewer where the images span fewer; one that is no wider keeps its columns as
                they are.

        Raises:
            ConfigError: if the sizes do not add up.
        """
        if sum(sizes) != features.shape[1] or min(sizes) < 1:
            raise ConfigError(
                f"perception: `blocks` must be >= 1 and sum to {features.shape[1]}, the features of an image, got "
                f"{list(sizes)}."
            )
        # 1 in place of a deviation of 0: constant columns become 0 and not NaN.
        mean, scale = features.mean(0), spread_or_one(features)
        blocks = np.split((features - mean) / scale, np.cumsum(sizes)[:-1], axis=1)
        parts = [_basis(values, most) for values in blocks]
        basis = np.zeros((features.shape[1], sum(p.shape[1] for p in parts)))
        row = column = 0
        for part in parts:
            basis[row : row + part.shape[0], column : column + part.shape[1]] = part
            row, column = row + part.shape[0], column + part.shape[1]
        return cls(mean, scale, basis, np.repeat(np.arange(len(parts)), [p.shape[1] for p in parts]))

    def __call__(self, features: FloatArray) -> FloatArray:
        """Returns (N, Q) of (N, D) features."""
        found: FloatArray = ((features - self.mean) / self.scale) @ self.basis
        return found

    def to_feature_weights(self, coefficients: FloatArray) -> FloatArray:
        """Returns (D,) weights of the features themselves that do what (Q,) coefficients do to the components."""
        found: FloatArray = (self.basis @ coefficients) / self.scale
        return found


def _basis(values: FloatArray, most: int) -> FloatArray:
    """(D_b, Q_b), scaled so that components have a mean square of 1 in all and keep their proportions.

    Fewer components where the images span fewer: other directions are arbitrary, and images seen later lie in them.
    """
    if values.shape[1] <= most:
        return np.eye(values.shape[1])
    wide = values.shape[1]
    # eigh sorts upwards: the last are the leading ones.
    size, vectors = eigh(values.T @ values / len(values), subset_by_index=[wide - most, wide - 1])
    kept = size > cutoff(size[-1], max(values.shape))
    found: FloatArray = vectors[:, kept][:, ::-1] / np.sqrt(size[kept].mean() if kept.any() else 1.0)
    return found
