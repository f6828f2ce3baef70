"""Inputs and votes of the estimator, in the forms that users of scikit-learn have."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array

from hilmix.annotations import Annotations
from hilmix.annotations.in_memory import read_votes
from hilmix.errors import DataError


def are_vectors(X: Any) -> bool:
    """Returns True if inputs are vectors (N, D), not pictures or their paths."""
    if isinstance(X, pd.DataFrame):
        return "path" not in X.columns
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X.ndim not in (3, 4)
    # What is neither, scikit-learn names in its own words.
    return not (isinstance(X, list | tuple) and len(X) and isinstance(X[0], str | Path | Image.Image | np.ndarray)) or (
        isinstance(X[0], np.ndarray) and X[0].ndim == 1
    )


def read_labels(votes: Any, num_items: int) -> tuple[Annotations, NDArray[Any]]:
    """Returns the votes in codes, and the label (K,) of each code as it was given.

    Args:
        votes: in a form that :meth:`~hilmix.AnnotatedClassifier.fit` takes.
        num_items: N.

    Raises:
        DataError: for votes of another form, or labels of several types.
    """
    if not isinstance(votes, pd.DataFrame | pd.Series | Annotations | list | tuple):
        votes = np.asarray(votes)
    if (
        not isinstance(votes, pd.DataFrame | Annotations)
        and len(votes)
        and np.ndim(votes[:1]) == 1
        and not _of_mappings(votes)
    ):
        votes = check_array(votes, ensure_2d=False, dtype=None, ensure_all_finite=True, ensure_min_samples=0)
        check_classification_targets(votes)
    found = read_votes(votes, num_items)
    try:
        classes, label = np.unique(np.asarray(found.label.tolist()), return_inverse=True)
    except TypeError as error:
        raise DataError(f"`votes` must be labels of one type, got several: {error}.") from error
    annotators, who = np.unique(found.annotator.astype(str), return_inverse=True)
    names = list(map(str, classes))
    return Annotations.build(
        found.item, who, label, num_items=num_items, classes=names, annotators=list(map(str, annotators))
    ), classes


def _of_mappings(votes: Any) -> bool:
    return len(votes) > 0 and isinstance(votes[0], dict)
