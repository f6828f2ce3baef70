"""Soft answers in a table: one ``prob_<class>`` column per class. The probabilities decide."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.columns import whole_numbers
from hilmix.errors import DataError
from hilmix.faults import Findings
from hilmix.values import IntArray, places, read_names, spell

SOFT = "prob_"
TIE = 1e-6
"""Relative difference of two probabilities below which they are equal: float32 carries this much rounding."""


def soft_names(votes: pd.DataFrame) -> list[str]:
    """The names after ``prob_`` of a table's columns."""
    return [str(c).removeprefix(SOFT) for c in votes.columns if str(c).startswith(SOFT)]


def soft_classes(votes: pd.DataFrame, missing: Sequence[str]) -> tuple[str, ...]:
    """The classes that a table's ``prob_`` columns name, spelled as a column of labels; without names for "missing"."""
    names = [name for name in soft_names(votes) if places([name], missing)[0] < 0]
    return spell(read_names(names))[0].texts


def read_soft(
    votes: pd.DataFrame,
    file: Path | str,
    classes: Sequence[str],
    missing: Sequence[str],
    abstained: NDArray[np.bool_],
    found: Findings,
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Returns the distributions, and what share of each answer is an abstention.

    Args:
        votes: L rows.
        file: their file, for messages.
        classes: K names.
        missing: names that mean "did not label".
        abstained: (L,) bool, rows that are abstentions already; they may have no probabilities.
        found: collects what is wrong.

    Returns:
        (L, K) float64, None where columns are missing or too many, and (L,) float64 in [0, 1].
    """
    names = soft_names(votes)
    place, declared = places(names, classes), places(names, missing) >= 0
    mass = np.zeros(len(votes))
    # Counted once, as a search through all columns for each class grows with the square of K.
    columns = np.bincount(place[place >= 0], minlength=len(classes))
    lacking = [f"{SOFT}{classes[k]}" for k in np.flatnonzero(columns == 0).tolist()]
    extra = [n for n, p, known in zip(names, place, declared, strict=True) if (columns[p] > 1 if p >= 0 else not known)]
    if lacking:
        found.fault(
            "missing-column",
            file,
            lacking[0],
            found=f"lacks the column(s) {lacking}",
            expected="one per class, as there are soft answers",
        )
    for name in extra:
        found.fault(
            "unknown-class",
            file,
            f"{SOFT}{name}",
            found=f"'{name}' is no class, or has two columns",
            remedy=f"List '{name}' under 'classes' in dataset.yaml, or under 'missing' if it means that there is no "
            "label, or remove the column.",
        )
    if lacking or extra:
        return None, mass
    # Of all columns, also those that mean an abstention: the sum by which an answer is divided holds them too.
    values = votes[[f"{SOFT}{name}" for name in names]].to_numpy(dtype=np.float64, na_value=np.nan)
    # An abstention may leave its probabilities empty or 0.
    blank = abstained & ~(np.nan_to_num(values) != 0).any(1)
    total = values.sum(1)
    # Not `total <= 0`, which is false for NaN.
    bad = np.flatnonzero(~blank & (~np.isfinite(values).all(1) | (values < 0).any(1) | ~(total > 0)))
    if len(bad):
        found.fault(
            "distribution",
            file,
            "probs",
            rows=bad,
            found=f"{values[bad[0]].tolist()} is not a distribution",
            expected="finite numbers of at least 0 with a positive sum",
        )
        return None, mass
    mass[~blank] = values[~blank][:, declared].sum(1) / total[~blank]
    if len(rows := np.flatnonzero(abstained & ~blank & (mass < 1 - TIE))):
        found.fault(
            "contradiction",
            file,
            "label",
            rows=rows,
            found="the label means that there is none, but there are probabilities",
            remedy="Correct one of them, or empty the probabilities.",
        )
    probs = np.zeros((len(votes), len(classes)))
    probs[:, place[~declared]] = values[:, ~declared]
    return probs, mass


def check_mass(mass: NDArray[np.float64], file: Path | str, found: Findings) -> NDArray[np.bool_]:
    """Returns (L,) bool, answers that are abstentions; one that is so in part only is a fault."""
    # Not rescaled to the other classes: that would count an answer that is half "skip" as a full vote.
    whole = mass >= 1 - TIE
    part = np.flatnonzero((mass > TIE) & ~whole)
    if len(part):
        found.fault(
            "abstention",
            file,
            "probs",
            rows=part,
            found=f"{mass[part[0]]:.3g} of the answer is no label",
            expected="all of it or nothing",
            remedy="List that column under 'classes' in dataset.yaml, or divide its share among the classes.",
        )
    return whole


def check_label(
    probs: NDArray[np.float64],
    label: IntArray | None,
    abstained: NDArray[np.bool_],
    classes: Sequence[str],
    file: Path | str,
    found: Findings,
) -> IntArray:
    """Returns (L,) int64 labels: those given, else the first most probable class.

    A label that is not among the most probable classes contradicts them, which is a fault.

    Args:
        probs: (L, K) non-negative numbers.
        label: (L,) int64, -1 where missing.
        abstained: (L,) bool, rows without an answer.
        classes: K names.
        file: the file, for messages.
        found: collects what is wrong.
    """
    # argmax() of no classes raises.
    top = probs.argmax(1) if probs.shape[1] else np.zeros(len(probs), dtype=np.int64)
    if label is None:
        return top.astype(np.int64)
    wrong = find_contradictions(probs, label)
    if len(rows := np.flatnonzero(wrong & ~abstained)):
        found.fault(
            "contradiction",
            file,
            "label",
            rows=rows,
            found=f"the label is '{classes[label[rows[0]]]}', but '{classes[top[rows[0]]]}' is the most probable",
            expected="a label that agrees with its probabilities",
            remedy="Correct one of them, or remove the column 'label': the probabilities decide.",
        )
    return np.where(label < 0, top, label)


def find_contradictions(probs: NDArray[np.float64], label: IntArray) -> NDArray[np.bool_]:
    """Returns (L,) bool, whether a label of at least 0 is not among the most probable classes.

    Example:
        >>> find_contradictions(np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([1, 1])).tolist()
        [False, True]
    """
    if not probs.shape[1]:
        return np.zeros(len(label), dtype=bool)
    # With room for rounding: the label may have been taken from a tie before the numbers were written as text.
    own = np.take_along_axis(probs, np.maximum(label, 0)[:, None], 1)[:, 0]
    contradicted: NDArray[np.bool_] = (label >= 0) & (own < probs.max(1) * (1 - TIE))
    return contradicted


def label_columns(
    label: ArrayLike | None, probs: ArrayLike | None, rows: int, num_classes: int
) -> dict[str, NDArray[Any]]:
    """Returns the columns ``label``, (L,) int64, and, where there are soft answers, ``probs``, (L, K) float32.

    Args:
        label: (L,) integers in [0, K), or None for the argmax of ``probs``.
        probs: (L, K) non-negative numbers with a positive sum in each row, which are scaled to 1, or None.
        rows: L.
        num_classes: K.

    Raises:
        DataError: naming the first bad row, or if neither is given, or the labels contradict their probabilities.
    """
    if probs is None:
        if label is None:
            raise DataError("Annotations need a label or probs.")
        return {"label": whole_numbers(label, "label", num_classes)}
    soft = distributions(probs, rows, num_classes)
    codes = whole_numbers(soft.argmax(1) if label is None else label, "label", num_classes)
    require_agreement(soft, codes)
    # float32 for L x K numbers, but divided in float64 first.
    return {"probs": (soft / soft.sum(1, keepdims=True)).astype(np.float32), "label": codes}


def distributions(probs: ArrayLike, rows: int, num_classes: int) -> NDArray[np.float64]:
    """Returns (L, K) float64, not scaled yet.

    Args:
        probs: (L, K) non-negative numbers with a positive sum in each row.
        rows: L.
        num_classes: K.

    Raises:
        DataError: naming the first bad row, or another number of columns.
    """
    # Of no rows, -1 cannot be inferred.
    soft = np.asarray(probs, dtype=np.float64).reshape(rows, -1 if rows else num_classes)
    if soft.shape[1] != num_classes:
        raise DataError(f"probs has {soft.shape[1]} columns, expected one per class, {num_classes}.")
    bad = np.flatnonzero(~np.isfinite(soft).all(1) | (soft < 0).any(1) | ~(soft.sum(1) > 0))
    if len(bad):
        raise DataError(
            f"probs, row {bad[0]}: {soft[bad[0]].tolist()} is not a distribution; "
            "expected finite numbers of at least 0 with a positive sum."
        )
    return soft


def require_agreement(probs: NDArray[np.float64], label: IntArray) -> None:
    """Refuses labels that contradict their probabilities.

    Args:
        probs: (L, K) non-negative numbers.
        label: (L,) integers in [0, K).

    Raises:
        DataError: for the first label that is not among the most probable classes.
    """
    if len(label) == len(probs) and len(odd := np.flatnonzero(find_contradictions(probs, label))):
        raise DataError(
            f"label, row {odd[0]}: {label[odd[0]]} is not the most probable class of {probs[odd[0]].tolist()}. Leave "
            "out the labels: the probabilities decide."
        )
