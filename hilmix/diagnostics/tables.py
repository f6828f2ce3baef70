"""Tables that the callbacks write: suspicious labels and items, annotators, confusion matrices, predictions."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import CONFUSION_CELLS, CleanPass
from hilmix.functional.aggregation import HardLabels, majority
from hilmix.functional.annotator_quality import estimate_confusion, mean_per_annotator
from hilmix.functional.label_errors import LabelScores, label_scores, rank_suspects
from hilmix.functional.sizes import bytes_needed, too_large
from hilmix.types import UNKNOWN


def named(codes: IntArray, names: tuple[str, ...]) -> "pd.Categorical[Any]":
    """Returns names for codes, missing for -1, in little memory."""
    return pd.Categorical.from_codes(codes, categories=list(names))


def mark_wrong_labels(label: IntArray, target: IntArray) -> IntArray:
    """Returns 1 where a label differs from the target, 0 where not, -1 where either is unknown."""
    return np.where((label < 0) | (target == UNKNOWN), -1, label != target).astype(np.int64)


def label_table(data: AnnotatedData, result: CleanPass) -> tuple[pd.DataFrame, LabelScores, IntArray]:
    """Ranks the pairs of a clean pass by suspicion.

    Returns:
        The table with the most suspicious pair first; the scores and the labels known to be wrong, in its order.
    """
    result.require_room("The table of label errors", per_pair=28)
    keep = result.seen[result.row]
    row, pairs = result.row[keep], result.pairs[keep]
    label = data.annotations.label[pairs]
    posterior = None if result.posterior is None else result.posterior[row]
    scores = label_scores(result.probs[row], label, posterior)
    order = rank_suspects(scores)
    row, pairs, label = row[order], pairs[order], label[order]
    scores = LabelScores(*(score[order] for score in scores))
    items = result.items[row]
    columns: dict[str, Any] = {"item": np.asarray(data.items, dtype=object)[items]}
    if not data.annotations.exchangeable:
        columns["annotator"] = named(data.annotations.annotator[pairs], data.annotations.annotators)
    columns["label"] = named(label, data.classes)
    return _suspects(columns, data, result, items, row, scores), scores, mark_wrong_labels(label, data.target[items])


def item_table(data: AnnotatedData, result: CleanPass) -> tuple[pd.DataFrame, LabelScores, IntArray]:
    """Ranks the labelled items of a clean pass by how unlikely their majority label is, as :func:`label_table` does."""
    result.require_room("The table of suspicious items", per_item=28)
    votes = majority_labels(data, result.items)
    row = np.flatnonzero(result.seen & (votes.label >= 0))
    posterior = None if result.posterior is None else result.posterior[row]
    scores = label_scores(result.probs[row], votes.label[row], posterior)
    order = rank_suspects(scores)
    row = row[order]
    scores = LabelScores(*(score[order] for score in scores))
    items = result.items[row]
    columns = {
        "item": np.asarray(data.items, dtype=object)[items],
        "label": named(votes.label[row], data.classes),
        "tied": votes.tied[row],
        "labels": data.annotations.labels_per_item[items],
    }
    table = _suspects(columns, data, result, items, row, scores)
    return table, scores, mark_wrong_labels(votes.label[row], data.target[items])


def majority_labels(data: AnnotatedData, items: IntArray) -> HardLabels:
    """Returns the majority vote of some items."""
    votes = majority(data.annotations)
    return HardLabels(votes.label[items], votes.tied[items])


def _suspects(
    columns: dict[str, Any], data: AnnotatedData, result: CleanPass, items: IntArray, row: IntArray, scores: LabelScores
) -> pd.DataFrame:
    columns["suggested"] = named(result.best[row].argmax(1), data.classes)
    columns |= {name: score for name, score in scores._asdict().items() if not np.isnan(score).all()}
    columns["predictions"] = "in-sample"
    if (data.target != UNKNOWN).any():
        columns["target"] = named(data.target[items], data.classes)
    return pd.DataFrame(columns)


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
            "trained": trained,
            "estimated_accuracy": mean(result.p_right[keep]) if result.p_right is not None else by_posterior,
            "estimated_by": "annotator model" if modelled else "class model",
            "posterior_accuracy": by_posterior,
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
    return pd.DataFrame(columns)


def prediction_table(data: AnnotatedData, split: NDArray[np.str_], result: CleanPass) -> pa.Table:
    """One row per predicted item; annotators, labels and p(annotator is right) as list columns."""
    result.require_room("The table of predictions", per_item=48)
    row = np.flatnonzero(result.seen)
    items = result.items[row]
    votes = majority_labels(data, items)
    scores = label_scores(result.probs[row], votes.label, None if result.posterior is None else result.posterior[row])
    columns: dict[str, Any] = {"item": np.asarray(data.items, dtype=object)[items], "split": split[items]}
    if (data.target != UNKNOWN).any():
        columns["target"] = named(data.target[items], data.classes)
    columns["predicted"] = named(result.logits[row].argmax(1), data.classes)
    columns["suggested"] = named(result.best[row].argmax(1), data.classes)
    columns["majority"] = named(votes.label, data.classes)
    columns["label_quality"] = scores.self_confidence if result.posterior is None else scores.posterior
    columns |= {f"prob_{name}": result.probs[row, k] for k, name in enumerate(data.classes)}
    if result.posterior is not None:
        columns |= {f"posterior_{name}": result.posterior[row, k] for k, name in enumerate(data.classes)}
    table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
    return _with_pairs(table, data, result, items)


def _with_pairs(table: pa.Table, data: AnnotatedData, result: CleanPass, items: IntArray) -> pa.Table:
    notes, keep = data.annotations, result.seen[result.row]
    pairs = result.pairs[keep]
    offsets = pa.array(np.concatenate([[0], np.cumsum(notes.labels_per_item[items])]), pa.int32())
    lists: dict[str, Any] = {"labels": pa.DictionaryArray.from_arrays(notes.label[pairs], list(data.classes))}
    if not notes.exchangeable:
        lists = {"annotators": pa.DictionaryArray.from_arrays(notes.annotator[pairs], list(notes.annotators))} | lists
    if result.p_right is not None:
        lists["p_right"] = pa.array(result.p_right[keep])
    for name, values in lists.items():
        values = values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
        table = table.append_column(name, pa.ListArray.from_arrays(offsets, values))
    return table
