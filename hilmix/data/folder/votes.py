"""Labels and targets of a data folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.annotations.vote_tables import CodedLabels, LabelRules, code_classes, code_votes
from hilmix.codes import UNKNOWN
from hilmix.faults import Findings
from hilmix.values import lookalikes, spelled_out

_GROUPS_SHOWN = 5


def read_label_rules(meta: dict[str, Any]) -> LabelRules:
    """Return the rules for labels in the checked keys of ``dataset.yaml``."""
    return LabelRules(
        classes=meta.get("classes"),
        missing=meta.get("missing", ()),
        duplicates=meta.get("duplicates", "last"),
        exchangeable=meta.get("identity") == "exchangeable",
    )


def read_classes(
    votes: pd.DataFrame,
    votes_file: Path,
    items: pd.DataFrame,
    items_file: Path,
    declared: LabelRules,
    found: Findings,
) -> tuple[CodedLabels, NDArray[np.int64]]:
    """Return labels and targets by number of class, and the (N,) targets, -1 where unknown or faulty."""
    target = items["target"] if "target" in items.columns else None
    coded = code_classes(votes, votes_file, declared, found, target=target, target_file=items_file)
    note_similar_names((*coded.classes, *declared.missing), votes_file, "label", found)
    if coded.target is None:
        return coded, np.full(len(items), UNKNOWN, dtype=np.int64)
    _note_disjoint_classes(coded, votes_file, found)
    return coded, np.where(coded.target < 0, UNKNOWN, coded.target)


def read_votes(
    votes: pd.DataFrame, file: Path, names: Sequence[str], coded: CodedLabels, declared: LabelRules, found: Findings
) -> Annotations | None:
    """Return the annotations, None where they are faulty."""
    if votes.columns.empty:
        return None
    columns = code_votes(votes, file, coded, declared, found, items=names)
    if columns is None:
        return None
    note_similar_names(columns["annotators"], file, "annotator", found)
    return Annotations.build(**columns)


def note_similar_names(names: Sequence[str], file: Path, where: str, found: Findings) -> None:
    """Note names that look the same but for case, Unicode form, blanks, or how a number is written."""
    groups = lookalikes(names)
    if groups:
        shown = "; ".join(" and ".join(map(spelled_out, group)) for group in groups[:_GROUPS_SHOWN])
        more = f"; and {len(groups) - _GROUPS_SHOWN} more" * (len(groups) > _GROUPS_SHOWN)
        found.note(
            "similar-names",
            file,
            where,
            found=f"{shown}{more} differ only in case, Unicode form, blanks, invisible letters or the form of a number",
            remedy="Spell them alike if they are the same.",
            count=len(groups),
        )


def _note_disjoint_classes(coded: CodedLabels, file: Path, found: Findings) -> None:
    """Note targets none of which is ever a label: most likely two spellings of the same classes."""
    if coded.label is None or coded.target is None:
        return
    labels, targets = (np.flatnonzero(np.bincount(codes[codes >= 0])) for codes in (coded.label, coded.target))
    if len(labels) and len(targets) and not np.isin(targets, labels).any():
        one, other = coded.classes[labels[0]], coded.classes[targets[0]]
        found.note(
            "no-common-class",
            file,
            "label",
            found=f"no target is ever a label; a label is '{one}', a target '{other}'",
            remedy="Write both in the same way.",
        )
