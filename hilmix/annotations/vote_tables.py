"""A table of labels, coded: missing cells, abstentions, soft answers and repeats mean the same wherever it is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations.repeats import Duplicates, rows_kept
from hilmix.annotations.soft_columns import check_label, check_mass, read_soft, soft_classes, soft_names
from hilmix.columns import bounded_column
from hilmix.faults import Findings
from hilmix.values import (
    MISSING_TEXTS,
    IntArray,
    Names,
    alike,
    is_list,
    is_whole,
    natural_order,
    places,
    quoted,
    read_names,
    spell,
    spelled_out,
)

_LISTS_SHOWN = 3
_ONE_LABEL = (
    "Write one row per label. hilmix data import builds a data folder from images that are sorted into one folder per "
    "class."
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
        names, abstained = _known(votes["label"], file, "label", declared, listed, found, empty_is_none=empty_is_none)
        columns, where = [names], [(file, "label")]
        _refuse_empty(names, abstained, votes, file, found)
    if target is not None:
        columns.append(_known(target, target_file, "target", declared, listed, found)[0])
        where.append((target_file, "target"))
    columns = [_without_lists(c, *place, listed or (), found) for c, place in zip(columns, where, strict=True)]
    if listed is None:
        columns = list(spell(*columns))
        for column, (its_file, name) in zip(columns, where, strict=True):
            _refuse_negative(column, its_file, name, found)
        # Sorted: the order of a set of texts changes from process to process, and codes with it.
        listed = tuple(sorted({text for column in columns for text in column.texts}, key=natural_order))
    codes = {name: _code(c, listed, f, name, found) for c, (f, name) in zip(columns, where, strict=True)}
    return CodedLabels(listed, codes.get("label"), codes.get("target"), abstained)


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
    item = _code(_required(votes["item"], file, "item", found), items, file, "item", found)
    who = _required(votes["annotator"], file, "annotator", found)
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


def _known(
    values: "pd.Series[Any]",
    file: Path | str,
    where: str,
    declared: LabelRules,
    listed: Sequence[str] | None,
    found: Findings,
    *,
    empty_is_none: bool = False,
) -> tuple[Names, NDArray[np.bool_]]:
    """The column where texts for "missing" are missing, and which rows mean that there is no label."""
    names = read_names(values)
    texts = set(MISSING_TEXTS) - set(listed or ()) - set(declared.missing)
    if len(rows := names.rows(texts)):
        shown = quoted([text for text in names.texts if text in texts])
        found.note(
            "missing-text",
            file,
            where,
            rows=rows,
            found=f"{len(rows):,} cell(s) {shown} count as missing",
            remedy="List it under 'classes' in dataset.yaml if it is a class.",
        )
        names = names.without(texts)
    place = places(names.texts, declared.missing)
    named = [text for text, p in zip(names.texts, place, strict=True) if p >= 0 and text not in (listed or ())]
    abstained = np.isin(np.arange(len(names.code)), names.rows(named))
    if empty_is_none:
        abstained |= names.code < 0
        named += [""] * bool((names.code < 0).any())
    if len(rows := np.flatnonzero(abstained)):
        text = f"{len(rows):,} cell(s) {quoted(named)} mean that there is no label"
        found.note("abstention", file, where, rows=rows, found=text)
    return names.without(named), abstained


def _refuse_empty(
    names: Names, abstained: NDArray[np.bool_], votes: pd.DataFrame, file: Path | str, found: Findings
) -> None:
    empty = np.flatnonzero((names.code < 0) & ~abstained)
    if len(empty) and not soft_names(votes):
        found.fault(
            "empty",
            file,
            "label",
            rows=empty,
            found="it is empty",
            expected="a class",
            remedy="Fill it in or remove the row; a word for \"no label\" goes under 'missing' in dataset.yaml.",
        )


def _without_lists(names: Names, file: Path | str, where: str, listed: Sequence[str], found: Findings) -> Names:
    lists = [text for text in names.texts if is_list(text) and text not in listed]
    if lists:
        found.fault(
            "list",
            file,
            where,
            rows=names.rows(lists),
            found=f"{quoted(lists[:_LISTS_SHOWN])} is a list",
            expected="one name",
            remedy=_ONE_LABEL,
        )
    return names.without(lists)


def _refuse_negative(names: Names, file: Path | str, where: str, found: Findings) -> None:
    negative = [text for text in names.texts if text.startswith("-") and is_whole(text)]
    if negative:
        found.fault(
            "negative",
            file,
            where,
            rows=names.rows(negative),
            found=f"{quoted(negative)} is negative",
            remedy=f"In dataset.yaml, write 'missing: [{', '.join(negative)}]' if it means that there is no label, or "
            "list it under 'classes'.",
        )


def _code(names: Names, listed: Sequence[str], file: Path | str, where: str, found: Findings) -> IntArray:
    """(L,) places in a list of names, -1 where missing; a name that is not in it is a fault."""
    place = places(names.texts, listed)
    unknown = [names.texts[u] for u in np.flatnonzero(place < 0)]
    if unknown:
        similar = alike(unknown[0], listed)
        found.fault(
            "unknown-name",
            file,
            where,
            rows=names.rows(unknown),
            found=f"{spelled_out(unknown[0]) if similar else quoted(unknown)} is unknown",
            expected=" or ".join(map(spelled_out, similar)) or f"one of {quoted(listed)}",
            remedy=_REMEDIES.get(where, ""),
        )
    return names.of(place, -1).astype(np.int64)


_REMEDIES = {
    "label": "Correct it, list it under 'classes' in dataset.yaml, or under 'missing' if it means that there is none.",
    "target": "Correct it, or list it under 'classes' in dataset.yaml.",
    "item": "Correct it, or give the item a row in items.",
    "annotator": "Correct it, or add the annotator.",
}


def _required(values: "pd.Series[Any]", file: Path | str, where: str, found: Findings) -> Names:
    names = read_names(values)
    if where == "annotator":
        names = names.without(MISSING_TEXTS)
    empty = np.flatnonzero(names.code < 0)
    if len(empty):
        found.fault(
            "empty",
            file,
            where,
            rows=empty,
            found="it is empty",
            expected="a name",
            remedy="Fill it in or remove the row.",
        )
    return _without_lists(spell(names)[0], file, where, (), found)


def _annotators(
    who: Names, abstained: NDArray[np.bool_], annotators: Sequence[str] | None, file: Path | str, found: Findings
) -> tuple[IntArray, tuple[str, ...]]:
    """Codes and names; an annotator who gave no label is none, unless they are listed."""
    if annotators is not None:
        return _code(who, annotators, file, "annotator", found), tuple(annotators)
    present = np.unique(who.code[(who.code >= 0) & ~abstained])
    annotator_names = tuple(sorted((who.texts[u] for u in present), key=natural_order))
    return who.of(places(who.texts, annotator_names), -1).astype(np.int64), annotator_names
