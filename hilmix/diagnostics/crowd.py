"""Agreement and quality of annotators as tables: of the data as a whole, of items, of annotations, of annotators."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations
from hilmix.diagnostics.columns import named
from hilmix.diagnostics.label_health import require_unseen
from hilmix.errors import DataError
from hilmix.functional import crowd
from hilmix.functional.sizes import bytes_needed, require_memory


class CrowdTables(NamedTuple):
    """Result of :func:`crowdlab_tables`. Low quality is suspicious; NaN where nothing is known."""

    items: pd.DataFrame
    """One row per item: ``consensus``, ``quality``, ``agreement``, ``labels``, ``next_label`` (ActiveLab: low
    where another label helps most)."""
    labels: pd.DataFrame
    """One row per annotation, in the order of the table: ``item`` (row), ``annotator``, ``label``, ``quality``."""
    annotators: pd.DataFrame
    """One row per annotator: ``annotator``, ``labels``, ``quality``, ``agreement`` (with the consensus), ``weight``,
    ``worst_class``, ``alpha_without`` (of the others), ``uncertainty`` (entropy of the labels, nats)."""


def crowdlab_tables(
    annotations: Annotations, probs: NDArray[np.floating[Any]], *, predictions: str, force: bool = False
) -> CrowdTables:
    """Judges items, annotations and annotators by labels and a classifier together (CROWDLAB, ActiveLab).

    With many labels per item from weak annotators CROWDLAB can be far behind Dawid-Skene, as it follows the classifier:
    compare its consensus with ``aggregate("dawid-skene", annotations)``.

    Args:
        annotations: of all items; of soft labels the most probable class counts.
        probs: (N, K) class probabilities.
        predictions: how ``probs`` were made: ``out-of-fold``, ``held-out`` or ``in-sample``.
        force: accept in-sample predictions.

    Raises:
        ConfigError: for in-sample predictions without ``force``.
        DataError: for anonymous annotators, probabilities of another shape, or no item with two labels.
        SizeError: if the tables would fill the memory.
    """
    require_unseen(predictions, force=force)
    if annotations.exchangeable:
        raise DataError("`annotations` must name annotators, got exchangeable ones. Use label_issue_table.")
    n, k = annotations.num_items, annotations.num_classes
    require_memory("CROWDLAB", bytes_needed(items=n, classes=k, per_item=5), items=n, classes=k)
    found = crowd.crowdlab(annotations, [probs])
    items = pd.DataFrame(
        {
            "consensus": named(found.consensus, annotations.classes),
            "quality": found.consensus_quality,
            "agreement": found.agreement,
            "labels": annotations.labels_per_item,
            "next_label": crowd.activelab(annotations, [probs]),
        }
    )
    labels = pd.DataFrame(
        {
            "item": annotations.item,
            "annotator": named(annotations.annotator, annotations.annotators),
            "label": named(annotations.label, annotations.classes),
            "quality": found.label_quality,
        }
    )
    a = annotations.num_annotators
    annotators = pd.DataFrame(
        {
            "annotator": list(annotations.annotators),
            "labels": np.bincount(annotations.annotator, minlength=a),
            "quality": found.annotator_quality,
            "agreement": found.annotator_agreement,
            "weight": found.annotator_weight,
            "worst_class": named(found.worst_class, annotations.classes),
            "alpha_without": crowd.leave_one_out_alpha(annotations),
            "uncertainty": crowd.label_uncertainty(annotations, annotations.annotator, a),
        }
    )
    return CrowdTables(items, labels, annotators)


def agreement_table(
    annotations: Annotations,
    *,
    levels: Sequence[crowd.Level] = ("nominal",),
    values: ArrayLike | None = None,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Measures how far annotators agree beyond chance.

    Args:
        annotations: of all items; of soft labels the most probable class counts.
        levels: for which Krippendorff's alpha is worked out: ``nominal``, for ordered classes ``ordinal``, for numbers
            ``interval``.
        values: (K,) numbers of the classes for ``interval``, by default 0, 1, ..., K - 1.
        draws: resamples of the items for the interval of alpha.
        seed: of the resamples.

    Returns:
        One row per measure: ``measure``, ``value``, ``low``, ``high`` (95 % interval, NaN without one), ``items`` or
        pairs that it rests on.
    """
    items = int((annotations.labels_per_item > 1).sum())
    rows = []
    for level in levels:
        found = crowd.bootstrap_alpha(annotations, level=level, values=values, draws=draws, seed=seed)
        rows.append((f"alpha_{level}", found.alpha, found.low, found.high, items))
    rows.append(("fleiss_kappa", crowd.fleiss_kappa(annotations), np.nan, np.nan, items))
    if not annotations.exchangeable:
        # On one common item kappa is 0 or undefined, and such pairs are most of all where annotators are many.
        pairs = crowd.cohen_kappas(annotations, min_items=2)
        known = ~np.isnan(pairs.kappa)
        # By common items: a kappa of two items is nearly noise.
        mean = float(np.average(pairs.kappa[known], weights=pairs.items[known])) if known.any() else np.nan
        rows.append(("mean_cohen_kappa", mean, np.nan, np.nan, int(known.sum())))
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high", "items"])
