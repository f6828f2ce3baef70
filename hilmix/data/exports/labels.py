"""The votes of an export as annotations, checked by the rules of a data folder."""

from pathlib import Path

import numpy as np
import pandas as pd

from hilmix.annotations.vote_tables import LabelRules
from hilmix.columns import read_numbers
from hilmix.data.exports.export import Export, ExportSettings
from hilmix.data.exports.read import is_export, read_export
from hilmix.data.folder.items import read_item_names, read_split
from hilmix.data.folder.labels import read_labels
from hilmix.data.folder.tables import read_names_column
from hilmix.data.folder.votes import note_similar_names, read_classes, read_votes
from hilmix.data.items import LabelledItems
from hilmix.faults import Findings


def load_labels(source: Path, settings: ExportSettings) -> LabelledItems:
    """Return the votes of a data folder or of an export.

    Args:
        source: a folder, or a file as :func:`~hilmix.data.exports.read.read_export` reads it.
        settings: of an export.

    Raises:
        FaultyDataError: with all faults found.
        DataError: for a source that cannot be read.
    """
    if not is_export(source):
        return read_labels(source)
    labels, found = examine_labels(source, settings)
    found.raise_if_any(source)
    assert labels is not None, "what is None comes with a fault"
    return labels


def examine_labels(file: Path, settings: ExportSettings) -> tuple[LabelledItems | None, Findings]:
    """Return the votes of an export, None where anything is wrong, with all faults and notes.

    Args:
        file: the export.
        settings: what its layout leaves open.

    Raises:
        DataError: only for a file that cannot be read at all.
    """
    found = Findings()
    export = read_export(file, settings, found)
    return (None if found.faults else label_items(export, settings, found)), found


def label_items(export: Export, settings: ExportSettings, found: Findings) -> LabelledItems | None:
    """Return the items of an export with their annotations, None where anything is wrong.

    Args:
        export: what was read.
        settings: which labels mean "did not label", and which of repeated labels count.
        found: collects faults and notes.
    """
    votes, items, file = _clean(export.votes, export.file, found), _clean(export.items, export.file, found), export.file
    names = read_item_names(items, file, found)
    # Of several choices in one answer all count, which the last alone would not.
    duplicates = "keep" if settings.several == "explode" else settings.duplicates
    rules = LabelRules(missing=settings.missing, duplicates=duplicates)
    split = read_split(items, file, found)
    note_similar_names(names or (), file, "item", found)
    coded, target = read_classes(votes, file, items, file, rules, found)
    if names is None:
        return None
    annotations = read_votes(votes, file, names, coded, rules, found)
    if annotations is None or found.faults:
        return None
    return LabelledItems(file.stem, names, annotations, target, duplicates, tuple(found.notes), split)


def _clean(frame: pd.DataFrame, file: Path, found: Findings) -> pd.DataFrame:
    """Names in one spelling, numbers as numbers, as in the tables of a data folder."""
    named = [c for c in ("item", "annotator", "label", "target", "split") if c in frame.columns]
    cleaned = frame.assign(**{c: read_names_column(frame[c], file, c, found) for c in named})
    read_numbers(cleaned, file, found)
    return cleaned


def keep_items(export: Export, keep: "np.ndarray") -> Export:
    """Return the export of some items, with their votes.

    Args:
        export: with N items.
        keep: (N,) bool.
    """
    items = export.items[keep].reset_index(drop=True)
    votes = export.votes[export.votes["item"].isin(items["item"])].reset_index(drop=True)
    return export._replace(items=items, votes=votes)
