"""Training labels and items ranked by how unlikely they are, and how well the ranking finds wrong ones."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.diagnostics.columns import majority_labels, mark_wrong_labels, named
from hilmix.functional.label_errors import LabelScores, detection, label_scores, rank_suspects
from hilmix.plotting import Thumbnail
from hilmix.types import UNKNOWN


class SuspectRanking(NamedTuple):
    """Given labels, the most suspicious first."""

    table: pd.DataFrame
    """One row per label: its item, ``label``, ``suggested``, a column per known score, ``target`` if any is known."""
    scores: LabelScores
    """(M,) float64 each, in the order of the table; low means suspicious."""
    wrong: IntArray
    """(M,) int64 in the order of the table: 1 where the label differs from the true class, 0 where not, -1 unknown."""


def label_table(data: AnnotatedData, result: CleanPass) -> SuspectRanking:
    """Rank the pairs of a clean pass by suspicion.

    Args:
        data: all items.
        result: clean pass over the items whose labels are ranked.

    Raises:
        SizeError: if the table would fill the memory.
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
    table = _suspects(columns, data, result, items, row, scores)
    return SuspectRanking(table, scores, mark_wrong_labels(label, data.target[items]))


def item_table(data: AnnotatedData, result: CleanPass) -> SuspectRanking:
    """Rank the labelled items of a clean pass by how unlikely their majority label is.

    Args:
        data: all items.
        result: clean pass over the items that are ranked.

    Raises:
        SizeError: if the table would fill the memory.
    """
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
    return SuspectRanking(table, scores, mark_wrong_labels(votes.label[row], data.target[items]))


def detection_table(rankings: Mapping[str, SuspectRanking]) -> pd.DataFrame:
    """Score how well each label-error score finds the labels known to be wrong.

    Args:
        rankings: by what they rank, such as ``label`` and ``item``.

    Returns:
        One row per ranking and score: ``level``, ``score``, ``average_precision``, ``auroc``, the numbers of ``wrong``
        and of all ``scored`` labels; none where nothing, or everything, is known to be wrong.
    """
    found = pd.DataFrame(
        {"level": level, "score": name, **detection(score, ranking.wrong)._asdict()}
        for level, ranking in rankings.items()
        for name, score in ranking.scores._asdict().items()
    )
    return found[found["average_precision"].notna()]


def find_contradicted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the suspects whose suggested class is another than their label, in their order, the first of each item.

    Args:
        table: from :func:`label_table` or :func:`item_table`.
    """
    return table[table["label"].astype(object) != table["suggested"].astype(object)].drop_duplicates("item")


def choose_suspects(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return the rows to show first, at most one per item: those that contradict their label, if any does.

    Args:
        table: from :func:`label_table`.
        number: of rows, at most.
    """
    contradicted = find_contradicted(table)
    return (contradicted if len(contradicted) else table.drop_duplicates("item")).head(number)


def suspect_thumbnails(table: pd.DataFrame, images: Sequence[NDArray[np.uint8]]) -> list[Thumbnail]:
    """Return each suspect's picture with its label, the class that the model suggests, annotator and target.

    Args:
        table: from :func:`label_table`, with as many rows as there are images.
        images: (H, W, C) uint8 each.
    """
    captions = []
    for image, row in zip(images, table.to_dict("records"), strict=True):
        parts = [f"by {row['annotator']}"] if "annotator" in row else []
        if isinstance(row.get("target"), str):
            parts.append(f"truth {row['target']}")
        p = row.get("posterior", row["self_confidence"])
        chance = f"{p:.1%}" if p >= 0.001 else "< 0.1%"
        label, suggested = f"label {row['label']} ({chance})", f"suggests {row['suggested']}"
        captions.append(Thumbnail(image, label, suggested, ", ".join(parts)))
    return captions


def _suspects(
    columns: dict[str, Any], data: AnnotatedData, result: CleanPass, items: IntArray, row: IntArray, scores: LabelScores
) -> pd.DataFrame:
    columns["suggested"] = named(result.best[row].argmax(1), data.classes)
    columns |= {name: score for name, score in scores._asdict().items() if not np.isnan(score).all()}
    columns["predictions"] = "in-sample"
    if (data.target != UNKNOWN).any():
        columns["target"] = named(data.target[items], data.classes)
    return pd.DataFrame(columns)
