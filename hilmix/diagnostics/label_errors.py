"""Training labels and items ranked by how unlikely they are, and how well the ranking finds wrong ones."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import PREDICTIONS, CleanPass
from hilmix.diagnostics.columns import majority_labels, mark_wrong_labels, named
from hilmix.diagnostics.label_scores import LABEL_SCORES, LabelEvidence, LabelScore, check_scores
from hilmix.errors import ConfigError
from hilmix.functional.label_errors import FloatArray, detection, rank_label_errors
from hilmix.plotting import Thumbnail
from hilmix.types import UNKNOWN


class LabelErrorRanking(NamedTuple):
    """Given labels, the most suspicious first."""

    table: pd.DataFrame
    """One row per label: its item, ``label``, ``suggested``, a column per known score, ``target`` if any is known."""
    scores: dict[str, FloatArray]
    """Of the known scores, (M,) float64 each in the order of the table: low means suspicious. The first one ranks."""
    wrong: IntArray
    """(M,) int64 in the order of the table: 1 where the label differs from the true class, 0 where not, -1 unknown."""


def label_table(
    data: AnnotatedData, result: CleanPass, scores: Sequence[LabelScore] = tuple(LABEL_SCORES.values())
) -> LabelErrorRanking:
    """Rank the pairs of a clean pass by suspicion.

    Args:
        data: all items.
        result: clean pass over the items whose labels are ranked.
        scores: columns of the table; the ranking goes by the first that is known, ties by the next.

    Raises:
        ConfigError: if none of the scores is known for these predictions, or one of them is outside [0, 1].
        SizeError: if the table would fill the memory.
    """
    result.require_room("The table of label errors", per_pair=28)
    keep = result.seen[result.row]
    row, pairs = result.row[keep], result.pairs[keep]
    label = data.annotations.label[pairs]
    order, known = _rank(result, row, label, scores)
    row, pairs, label = row[order], pairs[order], label[order]
    items = result.items[row]
    columns: dict[str, Any] = {"item": np.asarray(data.items, dtype=object)[items]}
    # One id stands for all of an anonymous crowd: a column of it would suggest one annotator with every error.
    if not data.annotations.exchangeable:
        columns["annotator"] = named(data.annotations.annotator[pairs], data.annotations.annotators)
    columns["label"] = named(label, data.classes)
    table = _suspects(columns, data, result, row, known)
    return LabelErrorRanking(table, known, mark_wrong_labels(label, data.target[items]))


def item_table(
    data: AnnotatedData, result: CleanPass, scores: Sequence[LabelScore] = tuple(LABEL_SCORES.values())
) -> LabelErrorRanking:
    """Rank the labelled items of a clean pass by how unlikely their majority label is.

    Args:
        data: all items.
        result: clean pass over the items that are ranked.
        scores: as of :func:`label_table`.

    Raises:
        ConfigError: as :func:`label_table`.
        SizeError: if the table would fill the memory.
    """
    result.require_room("The table of suspicious items", per_item=28)
    votes = majority_labels(data, result.items)
    row = np.flatnonzero(result.seen & (votes.label >= 0))
    order, known = _rank(result, row, votes.label[row], scores)
    row = row[order]
    items = result.items[row]
    columns = {
        "item": np.asarray(data.items, dtype=object)[items],
        "label": named(votes.label[row], data.classes),
        "tied": votes.tied[row],
        "labels": data.annotations.labels_per_item[items],
    }
    table = _suspects(columns, data, result, row, known)
    return LabelErrorRanking(table, known, mark_wrong_labels(votes.label[row], data.target[items]))


def detection_table(rankings: Mapping[str, LabelErrorRanking]) -> pd.DataFrame:
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
        for name, score in ranking.scores.items()
    )
    # Average precision is undefined where nothing is wrong, and 1 where everything is: neither ranks a score.
    return found[found["average_precision"].notna()] if len(found) else found


def find_contradicted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the suspects whose suggested class is another than their label, in their order, the first of each item.

    Args:
        table: from :func:`label_table` or :func:`item_table`.
    """
    # As objects: categories of two columns compare only where both have the same ones.
    return table[table["label"].astype(object) != table["suggested"].astype(object)].drop_duplicates("item")


def choose_label_errors(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return the rows to show first, at most one per item: those that contradict their label, if any does.

    Args:
        table: from :func:`label_table`.
        number: of rows, at most.
    """
    contradicted = find_contradicted(table)
    return (contradicted if len(contradicted) else table.drop_duplicates("item")).head(number)


def ranking_score(table: pd.DataFrame) -> str:
    """Return the name of the score by which the labels of a table are ranked.

    Args:
        table: from :func:`label_table` or :func:`item_table`, with at least one row; also one that an older version
            wrote, which does not name it.
    """
    return str(table.attrs.get("ranked_by") or next(name for name in LABEL_SCORES if name in table))


def suspect_thumbnails(table: pd.DataFrame, images: Sequence[NDArray[np.uint8]]) -> list[Thumbnail]:
    """Return each suspect's picture with its label, the class that the model suggests, annotator and target.

    Args:
        table: from :func:`label_table`, with as many rows as there are images.
        images: (H, W, C) uint8 each.
    """
    captions, score = [], ranking_score(table)
    for image, row in zip(images, table.to_dict("records"), strict=True):
        parts = [f"by {row['annotator']}"] if "annotator" in row else []
        if isinstance(row.get("target"), str):
            parts.append(f"truth {row['target']}")
        p = row[score]
        # 0.0 % would claim certainty.
        chance = f"{p:.1%}" if p >= 0.001 else "< 0.1%"
        label, suggested = f"label {row['label']} ({chance})", f"suggests {row['suggested']}"
        captions.append(Thumbnail(image, label, suggested, ", ".join(parts)))
    return captions


def _rank(
    result: CleanPass, row: IntArray, label: IntArray, scores: Sequence[LabelScore]
) -> tuple[IntArray, dict[str, FloatArray]]:
    """The order from the most suspicious label on, and the known scores in it."""
    check_scores(scores)
    posterior = None if result.posterior is None else result.posterior[row]
    # Scores get arrays alone, and no data set, so that one of another package cannot peek at the truth.
    evidence = LabelEvidence(result.probs[row], label, posterior)
    found = {score.name: score.of(evidence) for score in scores}
    known = {name: values for name, values in found.items() if not np.isnan(values).all()}
    if len(label) and not known:
        raise ConfigError(
            f"`scores` must be known for at least one label, got NaN alone of {', '.join(found)}. Add self_confidence."
        )
    # By all scores: one that is NaN alone is a constant to the ranking, so the next decides.
    order = rank_label_errors(list(found.values()))
    return order, {name: values[order] for name, values in known.items()}


def _suspects(
    columns: dict[str, Any], data: AnnotatedData, result: CleanPass, row: IntArray, scores: dict[str, FloatArray]
) -> pd.DataFrame:
    columns["suggested"] = named(result.best[row].argmax(1), data.classes)
    columns |= scores
    columns["predictions"] = named(result.predictions[row], PREDICTIONS)
    if (data.target != UNKNOWN).any():
        columns["target"] = named(data.target[result.items[row]], data.classes)
    table = pd.DataFrame(columns)
    # Parquet keeps the attributes, so that a report of the file alone names the score.
    table.attrs["ranked_by"] = next(iter(scores), None)
    return table
