"""Quality of each annotator, the classes it confuses, and the choice of annotators to show."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import CONFUSION_CELLS, CleanPass
from hilmix.diagnostics.columns import mark_wrong_labels, named
from hilmix.functional.annotator_quality import estimate_confusion, mean_per_annotator
from hilmix.functional.sizes import bytes_needed, too_large
from hilmix.plotting import AnnotatorPanel


def annotator_table(data: AnnotatedData, result: CleanPass, trained: NDArray[np.bool_]) -> pd.DataFrame:
    """One row per annotator: number of labels, accuracy by annotator model, by posterior and by truth.

    Args:
        data: all items.
        result: clean pass over the items that are counted.
        trained: (A,) whether the annotator has a training label.
    """
    notes = data.annotations
    keep = result.seen[result.row]
    row, pairs = result.row[keep], result.pairs[keep]
    who, label = notes.annotator[pairs], notes.label[pairs]
    wrong = mark_wrong_labels(label, data.target[result.items[row]])

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return mean_per_annotator(who, values.astype(np.float64), num_annotators=notes.num_annotators)

    by_posterior = mean(result.best[row, label])
    modelled = result.p_right is not None
    return pd.DataFrame(
        {
            "annotator": list(notes.annotators),
            "labels": np.bincount(who, minlength=notes.num_annotators),
            # An annotator model knows nothing of the others but the mean, which would pass for their accuracy.
            "trained": trained,
            "estimated_accuracy": mean(result.p_right[keep]) if result.p_right is not None else by_posterior,
            "estimated_by": "annotator model" if modelled else "class model",
            "posterior_accuracy": by_posterior,
            "predictions": result.kinds_of_predictions,
            "true_accuracy": mean(np.where(wrong < 0, np.nan, 1 - wrong)),
            "labels_with_truth": np.bincount(who[wrong >= 0], minlength=notes.num_annotators),
        }
    )


def no_confusion_reason(annotations: Annotations) -> str | None:
    """Says why confusion matrices per annotator are left out, or returns None."""
    a, k = annotations.num_annotators, annotations.num_classes
    if annotations.exchangeable:
        return "the annotators are exchangeable"
    if (cells := a * k**2) > CONFUSION_CELLS:
        return f"{cells:,} numbers for {a:,} annotators, {k:,} classes are more than {CONFUSION_CELLS:,}"
    # Beside the matrices, one-hot labels and posteriors of every pair in float64.
    needed = bytes_needed(annotators=a, classes=k, per_pair=4) + 16 * k * annotations.num_pairs
    return too_large("Estimating them", needed, annotators=a, classes=k)


def confusion_arrays(data: AnnotatedData, result: CleanPass) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Returns the matrices estimated from posteriors (A, K, K) and their support (A, K)."""
    notes = data.annotations
    keep = result.seen[result.row]
    row, pairs = result.row[keep], result.pairs[keep]
    soft = np.eye(notes.num_classes)[notes.label[pairs]] if notes.probs is None else notes.probs[pairs]
    who = notes.annotator[pairs]
    return estimate_confusion(who, soft, result.best[row], num_annotators=notes.num_annotators)


def confusion_table(data: AnnotatedData, result: CleanPass) -> pd.DataFrame:
    """One row per annotator, true class and label, for annotators with a label in the pass.

    ``prob_model`` is the annotator model's matrix, averaged over the annotator's items with weights p(true class);
    ``prob_posterior`` the estimate from posteriors, shrunk to the crowd; ``support`` the expected number of its items
    of the true class. ``said`` is the former name of ``label``, kept in this version for scripts that read it.
    """
    notes = data.annotations
    estimate, support = confusion_arrays(data, result)
    who = np.unique(notes.annotator[result.pairs[result.seen[result.row]]])
    k = notes.num_classes
    true, label = (axis.ravel() for axis in np.indices((k, k)))
    columns: dict[str, Any] = {
        "annotator": named(np.repeat(who, k * k), notes.annotators),
        "true": named(np.tile(true, len(who)), data.classes),
        "label": named(np.tile(label, len(who)), data.classes),
    }
    columns["said"] = columns["label"]
    if result.confusion is not None:
        columns["prob_model"] = result.confusion[who].ravel()
    columns["prob_posterior"] = estimate[who].ravel()
    columns["support"] = np.repeat(support[who].ravel(), k)
    columns["predictions"] = named(np.zeros(len(columns["support"]), dtype=np.int64), (result.kinds_of_predictions,))
    return pd.DataFrame(columns)


def rank_annotators(table: pd.DataFrame) -> pd.DataFrame:
    """Return the annotators with labels by estimated accuracy, the least reliable first.

    Args:
        table: from :func:`annotator_table`.
    """
    # Stable: equal annotators keep the order of the data, in every run.
    return table[table["labels"] > 0].sort_values("estimated_accuracy", kind="stable")


def choose_annotators(table: pd.DataFrame, number: int) -> list[int]:
    """Return rows of the least reliable and the most active annotators, half of each, without repeats, worst first.

    Those with less than a quarter of the median number of labels do not count as unreliable: a handful says nothing.

    Args:
        table: from :func:`annotator_table`, its rows numbered from 0.
        number: of rows, at most.
    """
    active = table[table["labels"] > 0]
    # Annotators of few labels would take all places of the least reliable: with one label, an accuracy of 0 is luck.
    solid = active[active["labels"] >= active["labels"].median() / 4]
    worst = rank_annotators(solid).index[: number // 2]
    busiest = active.drop(worst).sort_values("labels", ascending=False, kind="stable").index[: number - len(worst)]
    chosen = table.loc[[*worst, *busiest]].sort_values("estimated_accuracy", kind="stable")
    return [int(i) for i in np.asarray(chosen.index)]


def annotator_panels(data: AnnotatedData, result: CleanPass, table: pd.DataFrame, number: int) -> list[AnnotatorPanel]:
    """Return confusion matrices to draw, titled with name and estimated accuracy; none where there can be none.

    Args:
        data: all items.
        result: clean pass that the table is made of.
        table: from :func:`annotator_table`.
        number: of matrices, at most, of the annotators that :func:`choose_annotators` names.
    """
    if no_confusion_reason(data.annotations) is not None:
        return []
    matrices = confusion_arrays(data, result)[0] if result.confusion is None else result.confusion
    panels = []
    for a in choose_annotators(table, number):
        name = str(table["annotator"][a])
        # A bare number as the title of a matrix reads like a count.
        name = f"annotator {name}" if name.isdecimal() else name
        panels.append(AnnotatorPanel(f"{name}  ({table['estimated_accuracy'][a]:.0%})", matrices[a]))
    return panels
