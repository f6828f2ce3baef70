"""Columns of names in a table of labels: missing texts, abstentions, lists and unknown names, each reported once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations.soft_columns import soft_names
from hilmix.faults import Findings
from hilmix.values import (
    MISSING_TEXTS,
    IntArray,
    Names,
    alike,
    is_list,
    is_whole,
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
_REMEDIES = {
    "label": "Correct it, list it under 'classes' in dataset.yaml, or under 'missing' if it means that there is none.",
    "target": "Correct it, or list it under 'classes' in dataset.yaml.",
    "item": "Correct it, or give the item a row in items.",
    "annotator": "Correct it, or add the annotator.",
}


def known_names(
    values: "pd.Series[Any]",
    file: Path | str,
    where: str,
    missing: Sequence[str],
    listed: Sequence[str] | None,
    found: Findings,
    *,
    empty_is_none: bool = False,
) -> tuple[Names, NDArray[np.bool_]]:
    """Returns the column where texts for "missing" are missing, and the rows that mean that there is no label.

    Args:
        values: (L,) cells.
        file: their file, for messages.
        where: their column, for messages.
        missing: names that are declared to mean that there is no label.
        listed: names that are declared to be classes.
        found: collects notes.
        empty_is_none: an empty cell means that there is no label.
    """
    names = read_names(values)
    # What dataset.yaml lists is what it says: `none` may be a class, or mean that an annotator abstained.
    texts = set(MISSING_TEXTS) - set(listed or ()) - set(missing)
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
        # Only noted: such texts are what other programs write for an empty cell, and a class of this name is rare.
        names = names.without(texts)
    place = places(names.texts, missing)
    named = [text for text, p in zip(names.texts, place, strict=True) if p >= 0 and text not in (listed or ())]
    abstained = np.isin(np.arange(len(names.code)), names.rows(named))
    if empty_is_none:
        abstained |= names.code < 0
        named += [""] * bool((names.code < 0).any())
    if len(rows := np.flatnonzero(abstained)):
        text = f"{len(rows):,} cell(s) {quoted(named)} mean that there is no label"
        found.note("abstention", file, where, rows=rows, found=text)
    return names.without(named), abstained


def refuse_empty(
    names: Names, abstained: NDArray[np.bool_], votes: pd.DataFrame, file: Path | str, found: Findings
) -> None:
    """Notes a fault of rows without a label, unless probabilities stand in its place."""
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


def without_lists(names: Names, file: Path | str, where: str, listed: Sequence[str], found: Findings) -> Names:
    """Returns the column without lists, such as ``[cat, dog]``; each is a fault unless it is listed as a name."""
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


def refuse_negative(names: Names, file: Path | str, where: str, found: Findings) -> None:
    """Notes a fault of negative numbers: most tables mean by them that there is no label."""
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


def code_names(names: Names, listed: Sequence[str], file: Path | str, where: str, found: Findings) -> IntArray:
    """Returns (L,) int64 places in a list of names, -1 where missing; a name that is not in it is a fault."""
    place = places(names.texts, listed)
    unknown = [names.texts[u] for u in np.flatnonzero(place < 0)]
    if unknown:
        # Spelled out only beside similar names: the difference may be a blank or a letter of another alphabet.
        similar = alike(unknown[0], listed)
        found.fault(
            "unknown-name",
            file,
            where,
            rows=names.rows(unknown),
            found=f"{spelled_out(unknown[0]) if similar else quoted(unknown)} is unknown",
            expected=" or ".join(map(spelled_out, similar)) or (f"one of {quoted(listed)}" if len(listed) else ""),
            remedy=_REMEDIES.get(where, ""),
        )
    return names.of(place, -1).astype(np.int64)


def required_names(values: "pd.Series[Any]", file: Path | str, where: str, found: Findings) -> Names:
    """Returns a column of names in which every row must have one."""
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
    return without_lists(spell(names)[0], file, where, (), found)
