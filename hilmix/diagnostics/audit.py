"""The verdict: one probability per label that it is wrong, from every view of it, with reasons and a review queue."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from hilmix.annotations import Annotations
from hilmix.diagnostics.audit_reasons import describe_labels
from hilmix.diagnostics.clean_pass import PREDICTIONS
from hilmix.diagnostics.columns import named
from hilmix.diagnostics.features import Features, nearest_neighbors
from hilmix.diagnostics.label_health import check_labels, require_unseen
from hilmix.errors import DataError
from hilmix.functional.aggregation import majority, vote_counts
from hilmix.functional.aggregation.vote_table import FloatArray
from hilmix.functional.label_views import (
    Fusion,
    Verdict,
    dynamics_log_odds,
    fit_fusion,
    fit_transition,
    judge_labels,
    label_prior,
    neighbor_labels,
    rank_flags,
    right_shares,
    vote_flags,
)

Probs = NDArray[np.floating[Any]]
_NEIGHBORS = 10
_NEVER = 1e-12


class Audit(NamedTuple):
    """Result of :func:`audit`."""

    labels: pd.DataFrame
    """One row per label in the order of the votes: ``item``, ``annotator`` (where known), ``label``, ``suggested``,
    ``p_wrong``, ``is_issue``, each view's own probability of the label (``prediction``, ``annotators``, ``neighbors``,
    ``dynamics`` in [0, 1], those that were given), ``neighbor_vote`` and ``neighbor_rank`` with features, ``reasons``
    (of issues; else empty), ``predictions``."""
    review: pd.DataFrame
    """One row per item with an issue, the item first whose majority label is most probably wrong: ``item``, ``label``
    (the majority), ``suggested``, ``p_wrong`` of the majority label, ``p_suggested``, ``labels``, ``reasons``."""
    annotators: pd.DataFrame
    """One row per annotator, the worst first: ``annotator``, ``labels``, ``skill``, ``issues``; none where identities
    are unknown."""
    views: pd.DataFrame
    """One row per view: ``view``, ``weight``: 1 where its probabilities count in full, 0 where not at all,
    NaN where nothing measures it."""


def audit(
    votes: Annotations,
    probs: Probs,
    features: Features | None = None,
    *,
    predictions: str = "out-of-fold",
    dynamics: FloatArray | None = None,
    items: "tuple[str, ...] | None" = None,
    force: bool = False,
    seed: int = 0,
) -> Audit:
    """Judges every label by predictions, the other annotators, the neighbours, and the training dynamics.

    Views are weighted by how well they foresee votes that are held out (:mod:`hilmix.functional.label_views`); no true
    class is read. Cost: O(L K) per round, and with ``features`` O(N^2 D).

    Args:
        votes: the annotations; of soft labels the most probable class.
        probs: (N, K) class probabilities by models that have not seen the item's labels; rows of NaN are unknown.
        features: (N, D) finite, such as those of a backbone that was not trained on the labels.
        predictions: how ``probs`` were made: ``out-of-fold``, ``held-out`` or ``in-sample``.
        dynamics: (L,) score of each label, in the order of ``votes``, low is suspicious: the mean probability of the
            label over epochs, its margin (AUM), ...; NaN is unknown.
        items: N names; by default their rows.
        force: accept in-sample predictions, by which nearly every label looks right.
        seed: draws the labels that are held out, where there are more than 20,000.

    Raises:
        ConfigError: for in-sample predictions without ``force``.
        DataError: for arrays that do not fit together or are no distributions.
        SizeError: where the tables would fill the memory.

    Example:
        >>> labels = [[0, 0], [0, 0], [1, 1], [1, 0]]
        >>> probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]])
        >>> result = audit(Annotations.from_dense(labels), probs)
        >>> int(result.labels["p_wrong"].argmax())
        7
    """
    require_unseen(predictions, force=force)
    _check(votes, probs, features, dynamics, items)
    known = np.asarray(~np.isnan(probs).any(axis=1))
    views: dict[str, Probs] = {"prediction": probs}
    columns: dict[str, Any] = {"prediction": _of_labels(probs, votes)}
    if features is not None:
        near = _by_neighbors(votes, features)
        views["neighbors"] = near.probs
        columns |= near.columns
    fusion = fit_fusion(votes, list(views.values()), seed=seed)
    verdict = judge_labels(votes, list(views.values()), fusion)
    if not np.isnan(verdict.by_others).all():
        columns["annotators"] = verdict.by_others
    wrong = verdict.wrong
    if dynamics is not None:
        columns["dynamics"] = dynamics
        # Added as log-odds and not as a view: dynamics judge a label, where a view is a distribution over classes.
        wrong = expit(logit(np.clip(wrong, _NEVER, 1 - _NEVER)) + dynamics_log_odds(dynamics, wrong))
    names = np.arange(votes.num_items) if items is None else np.asarray(items, dtype=object)
    labels = _label_table(votes, names, verdict, wrong, columns)
    labels["predictions"] = named(
        np.where(known[votes.item], PREDICTIONS.index(predictions), -1).astype(np.int64), PREDICTIONS
    )
    shown = [*views, "annotators"]
    # Without a second label of any item no label foresees another.
    paired = bool((votes.labels_per_item > 1).any())
    weights = [*fusion.view_weight, fusion.vote_weight if paired else np.nan]
    return Audit(
        labels,
        _review_table(votes, names, verdict, labels),
        _annotator_table(votes, fusion, labels),
        pd.DataFrame({"view": shown, "weight": weights}),
    )


class _Near(NamedTuple):
    probs: FloatArray
    columns: dict[str, Any]


def _by_neighbors(votes: Annotations, features: Features) -> _Near:
    """The neighbours' labels as class probabilities, and what SimiFeat finds in them."""
    k = votes.num_classes
    found = nearest_neighbors(features, k=_NEIGHBORS)
    counts = vote_counts(votes)
    total = counts.sum(axis=1, keepdims=True)
    # An item with many labels counts as much as a neighbour with one.
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    near = neighbor_labels(found, shares)
    share = near.share[votes.item]
    columns: dict[str, Any] = {
        "neighbors": share[np.arange(votes.num_pairs), votes.label],
        "neighbor_vote": vote_flags(share, votes.label),
    }
    if found.rows.shape[1] > 1:
        right = right_shares(fit_transition(majority(votes).label, found.rows, k))
        columns["neighbor_rank"] = rank_flags(share, votes.label, right)
    # One pseudo-neighbour of the prior: ten neighbours are no proof that a class is impossible.
    support = near.support[:, None]
    return _Near((near.share * support + label_prior(votes)) / (support + 1), columns)


def _label_table(
    votes: Annotations, names: NDArray[Any], verdict: Verdict, wrong: FloatArray, columns: dict[str, Any]
) -> pd.DataFrame:
    table = pd.DataFrame({"item": names[votes.item]})
    if not votes.exchangeable:
        table["annotator"] = named(votes.annotator, votes.annotators)
    table["label"] = named(votes.label, votes.classes)
    table["suggested"] = named(verdict.posterior.argmax(axis=1)[votes.item].astype(np.int64), votes.classes)
    table["p_wrong"] = wrong
    table["is_issue"] = wrong > 0.5
    table = table.assign(**columns)
    reasons = np.full(votes.num_pairs, "", dtype=object)
    some = np.flatnonzero(wrong > 0.5)
    reasons[some] = describe_labels(votes, table, some)
    table["reasons"] = reasons
    return table


def _review_table(votes: Annotations, names: NDArray[Any], verdict: Verdict, labels: pd.DataFrame) -> pd.DataFrame:
    """Items with an issue by the doubt about their majority label: outvoted errors alone need no reviewer."""
    issue = np.flatnonzero(labels["is_issue"].to_numpy())
    most = majority(votes).label
    # The reasons are about the majority label, unless only other labels are issues.
    other = votes.label[issue] != most[votes.item[issue]]
    worst = issue[np.lexsort((-labels["p_wrong"].to_numpy()[issue], other))]
    item, first = np.unique(votes.item[worst], return_index=True)
    label = most[item]
    posterior = verdict.posterior[item]
    at = np.arange(len(item))
    # Of an item's only label, whose probability the dynamics may have moved, that of the table of labels.
    only = labels["p_wrong"].to_numpy()[worst[first]]
    doubt = np.where(votes.labels_per_item[item] == 1, only, 1 - posterior[at, label])
    table = pd.DataFrame(
        {
            "item": names[item],
            "label": named(label, votes.classes),
            "suggested": named(posterior.argmax(axis=1).astype(np.int64), votes.classes),
            "p_wrong": doubt,
            "p_suggested": posterior.max(axis=1),
            "labels": votes.labels_per_item[item],
            "reasons": labels["reasons"].to_numpy()[worst[first]],
        }
    )
    return table.sort_values("p_wrong", ascending=False, kind="stable", ignore_index=True)


def _annotator_table(votes: Annotations, fusion: Fusion, labels: pd.DataFrame) -> pd.DataFrame:
    a = 0 if votes.exchangeable else votes.num_annotators
    issues = np.bincount(votes.annotator, labels["is_issue"], minlength=a)[:a].astype(np.int64)
    number = np.bincount(votes.annotator, minlength=a)[:a]
    table = pd.DataFrame(
        {
            "annotator": np.asarray(votes.annotators, dtype=object)[:a],
            "labels": number,
            "skill": np.where(number > 0, fusion.skill[:a], np.nan),
            "issues": issues,
        }
    )
    return table.sort_values("skill", kind="stable", ignore_index=True)


def _of_labels(probs: Probs, votes: Annotations) -> FloatArray:
    found: FloatArray = probs[votes.item, votes.label].astype(np.float64)
    return found


def _check(
    votes: Annotations,
    probs: Probs,
    features: Features | None,
    dynamics: FloatArray | None,
    items: "tuple[str, ...] | None",
) -> None:
    n, k = votes.num_items, votes.num_classes
    if np.shape(probs) != (n, k):
        raise DataError(f"`probs` must be {n} items x {k} classes, as the votes are, got {np.shape(probs)}.")
    rows = np.flatnonzero(~np.isnan(probs).any(axis=1))
    check_labels(probs[rows], np.zeros(len(rows), dtype=np.int64))
    for name, values, size in (("features", features, n), ("dynamics", dynamics, votes.num_pairs), ("items", items, n)):
        if values is not None and len(values) != size:
            raise DataError(f"`{name}` must have {size} rows, as the votes have, got {len(values)}.")
