"""A table of labels, coded: missing cells, abstentions, soft answers and repeats mean the same wherever it is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations.name_columns import (
    code_names,
    known_names,
    refuse_empty,
    refuse_negative,
    required_names,
    without_lists,
)
from hilmix.annotations.repeats import Duplicates, rows_kept
from hilmix.annotations.soft_columns import check_label, check_mass, read_soft, soft_classes, soft_names
from hilmix.columns import bounded_column, read_numbers
from hilmix.faults import Findings
from hilmix.values import (
    MISSING_TEXTS,
    IntArray,
    Names,
    natural_order,
    places,
    spell,
)


class LabelRules(NamedTuple):
    """Rules of ``dataset.yaml`` about labels."""

    classes: tuple[str, ...] | None = None
    """K class names; None for those that occur."""
    missing: tuple[str, ...] = ()
    """Labels that mean "did not label", such as ``-1`` or ``skip``."""
    duplicates: Duplicates = "last"
    exchangeable: bool = False

    @property
    def empty_is_none(self) -> bool:
        """True if an empty cell means "did not label": the empty text or ``NaN`` is listed under ``missing``."""
        return not {"", *MISSING_TEXTS}.isdisjoint(self.missing)


class CodedLabels(NamedTuple):
    """Labels and targets as numbers of classes."""

    classes: tuple[str, ...]
    label: IntArray | None
    """(L,) int64, -1 where missing, None without such a column."""
    target: IntArray | None
    """(N,) int64, -1 where unknown, None without such a column."""
    abstained: NDArray[np.bool_]
    """(L,) bool, rows whose label is declared to be none."""


def code_classes(
    votes: pd.DataFrame,
    file: Path | str,
    declared: LabelRules,
    found: Findings,
    *,
    target: "pd.Series[Any] | None" = None,
    target_file: Path | str = "",
) -> CodedLabels:
    """Returns labels and targets as classes: those declared, those with a ``prob_`` column, or all that occur.

    Args:
        votes: L rows, perhaps with a column ``label``.
        file: its file, for messages.
        declared: what is known of the labels.
        found: collects what is wrong, and notes on missing values.
        target: (N,) cells of true classes.
        target_file: their file, for messages.
    """
    listed = declared.classes or soft_classes(votes, declared.missing) or None
    columns, abstained, where = [], np.zeros(len(votes), dtype=bool), []
    if "label" in votes.columns:
        empty_is_none = declared.empty_is_none and not soft_names(votes)  # else the probabilities are the answer
        names, abstained = known_names(
            votes["label"], file, "label", declared.missing, listed, found, empty_is_none=empty_is_none
        )
        columns, where = [names], [(file, "label")]
        refuse_empty(names, abstained, votes, file, found)
    if target is not None:
        columns.append(known_names(target, target_file, "target", declared.missing, listed, found)[0])
        where.append((target_file, "target"))
    columns = [without_lists(c, *place, listed or (), found) for c, place in zip(columns, where, strict=True)]
    if listed is None:
        columns = list(spell(*columns))
        for column, (its_file, name) in zip(columns, where, strict=True):
            refuse_negative(column, its_file, name, found)
        # Sorted: the order of a set of texts changes from process to process, and codes with it.
        listed = tuple(sorted({text for column in columns for text in column.texts}, key=natural_order))
    codes = {name: code_names(c, listed, f, name, found) for c, (f, name) in zip(columns, where, strict=True)}
    return CodedLabels(listed, codes.get("label"), codes.get("target"), abstained)


def code_frame(
    frame: pd.DataFrame, declared: LabelRules, *, items: Sequence[str], annotators: Sequence[str] | None
) -> dict[str, Any]:
    """Returns the arguments of :meth:`~hilmix.annotations.Annotations.build` for a table in memory.

    Args:
        frame: L rows, as of :func:`code_votes`.
        declared: what is known of the labels.
        items: N item names.
        annotators: A annotator names, or None.

    Raises:
        FaultyDataError: for missing or repeated columns, items that are there twice, empty cells, names outside the
            vocabularies, contradictions.
    """
    found = Findings()
    for what, names in (("column", list(frame.columns)), ("item", items)):
        if len(again := pd.Index(names)[pd.Index(names).duplicated()]):
            found.fault(f"repeated-{what}", "annotations", found=f"{what} '{again[0]}' is there more than once")
    found.raise_if_any("annotations")
    # Findings name rows by their number; the index of a filtered table would point elsewhere.
    frame = frame.reset_index(drop=True)
    read_numbers(frame, "annotations", found)
    coded = code_classes(frame, "annotations", declared, found)
    columns = code_votes(frame, "annotations", coded, declared, found, items=items, annotators=annotators)
    found.raise_if_any("annotations")
    # None comes with a fault alone, which was raised.
    assert columns is not None
    return columns


def code_votes(
    votes: pd.DataFrame,
    file: Path | str,
    coded: CodedLabels,
    declared: LabelRules,
    found: Findings,
    *,
    items: Sequence[str],
    annotators: Sequence[str] | None = None,
) -> dict[str, Any] | None:
    """Returns the arguments of :meth:`~hilmix.annotations.Annotations.build`, None where something is wrong.

    Args:
        votes: L rows: columns ``item``, ``annotator``, ``label`` or ``prob_<class>``, perhaps ``confidence`` and
            ``seconds``.
        file: its file, for messages.
        coded: the labels, of :func:`code_classes`.
        declared: what is known of the labels.
        found: collects what is wrong, and notes on repeats.
        items: N item names.
        annotators: A annotator names; by default those with a label, in natural order.
    """
    # Faults that are there already are of other files, and do not stop this one.
    before = len(found.faults)
    has_soft = bool(soft_names(votes))
    needed = ("item", "annotator") if has_soft else ("item", "annotator", "label")
    if lacking := [column for column in needed if column not in votes.columns]:
        found.fault(
            "missing-column",
            file,
            lacking[0],
            found=f"lacks the column(s) {lacking}; has {list(map(str, votes.columns))}",
        )
        return None
    item = code_names(required_names(votes["item"], file, "item", found), items, file, "item", found)
    # Coded by their own names first, as repeats need them also for annotators whose every answer is an abstention.
    who = required_names(votes["annotator"], file, "annotator", found)
    numbers = {c: bounded_column(votes, file, c, found) for c in ("confidence", "seconds")}
    abstained, probs, label = coded.abstained, None, coded.label
    if has_soft:
        probs, mass = read_soft(votes, file, coded.classes, declared.missing, abstained, found)
        abstained = abstained | check_mass(mass, file, found)
        if probs is not None:
            label = check_label(probs, label, abstained, coded.classes, file, found)
    annotator, annotator_names = _annotators(who, abstained, annotators, file, found)
    if len(found.faults) > before or label is None or (label[~abstained] < 0).any():
        return None
    keep = ~abstained
    if not declared.exchangeable:
        # Abstentions take part: one that comes last takes the earlier label back.
        keep &= rows_kept(item, who.code, declared.duplicates, file, found)
    if len(found.faults) > before:
        return None
    columns = {"item": item, "annotator": annotator, "label": label, "probs": probs} | numbers
    return {c: None if values is None else values[keep] for c, values in columns.items()} | {
        "num_items": len(items),
        "classes": coded.classes,
        "annotators": annotator_names,
        "exchangeable": declared.exchangeable,
    }


def _annotators(
    who: Names, abstained: NDArray[np.bool_], annotators: Sequence[str] | None, file: Path | str, found: Findings
) -> tuple[IntArray, tuple[str, ...]]:
    """Codes and names; an annotator who gave no label is none, unless they are listed."""
    if annotators is not None:
        return code_names(who, annotators, file, "annotator", found), tuple(annotators)
    present = np.flatnonzero(np.bincount(who.code[(who.code >= 0) & ~abstained]))
    annotator_names = tuple(sorted((who.texts[u] for u in present), key=natural_order))
    return who.of(places(who.texts, annotator_names), -1).astype(np.int64), annotator_names
