"""Confident learning on a clean pass: every given label scored, and how noisy the classes are."""

from typing import Any

import numpy as np
import pandas as pd

from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import PREDICTIONS, CleanPass
from hilmix.diagnostics.columns import named
from hilmix.diagnostics.fold_temperature import fold_temperatures, temper
from hilmix.diagnostics.label_health import LabelHealth, label_health, label_issue_table
from hilmix.functional.confident_learning import IssueFilter


def judge_pass(
    data: AnnotatedData, result: CleanPass, *, by: IssueFilter = "noise_rate", force: bool = False
) -> tuple[pd.DataFrame, LabelHealth] | None:
    """Judges the labels of a pass by confident learning, each by the class probabilities of its item.

    Those of a cross-fitted model are taken at the temperature of their fold.

    Args:
        data: all items.
        result: clean pass over the items whose labels are judged.
        by: filter that decides ``is_issue``, see :func:`~hilmix.functional.confident_learning.find_label_issues`.
        force: accept in-sample predictions, by which nearly every label looks right.

    Returns:
        One row per label in the order of the pass: ``item``, ``annotator`` (where known) and the columns of
        :func:`~hilmix.diagnostics.label_issue_table`; and the health of the classes. None where no item has a label.

    Raises:
        ConfigError: for in-sample predictions without ``force``.
        SizeError: if the class probabilities of all labels would fill the memory.
    """
    keep = result.seen[result.row]
    row, pairs = result.row[keep], result.pairs[keep]
    if not len(pairs):
        return None
    result.require_room("Confident learning", per_item=16, per_pair=8)
    kind = result.predictions[row]
    # One in-sample prediction among them is enough to refuse: it bends the thresholds of its class.
    strictest = "in-sample" if (kind == PREDICTIONS.index("in-sample")).any() else PREDICTIONS[kind[0]]
    notes = data.annotations
    probs = temper(result.probs, fold_temperatures(notes, result))[row]
    settings: dict[str, Any] = {"predictions": strictest, "classes": data.classes, "force": force}
    issues = label_issue_table(probs, notes.label[pairs], by=by, **settings)
    issues["predictions"] = named(kind, PREDICTIONS)
    issues.insert(0, "item", np.asarray(data.items, dtype=object)[result.items[row]])
    if not notes.exchangeable:
        issues.insert(1, "annotator", named(notes.annotator[pairs], notes.annotators))
    return issues, label_health(probs, notes.label[pairs], **settings)


def ranked_issues(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the labels that are issues, the least confident first, ties in the order of the table.

    Args:
        table: of :func:`judge_pass`.
    """
    return table[table["is_issue"]].sort_values("self_confidence", kind="stable", ignore_index=True)
