"""Description of annotated data: sizes, agreement, class balance, and annotators without training labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from hilmix.annotations import Annotations
from hilmix.codes import UNKNOWN
from hilmix.data.items import SPLITS, AnnotatedData, LabelledItems
from hilmix.faults import Fault, Findings
from hilmix.functional.aggregation import SparsePosterior, VoteTable
from hilmix.functional.aggregation.cells import count_votes

_ROUNDING = 1e-5
"""Of sums of float32 probabilities."""
_NAMES_SHOWN = 8
Counts: TypeAlias = ArrayLike | sparse.csr_array
"""(N, K) numbers of votes; sparse, they take memory O(L) whatever the number of classes."""


@dataclass(frozen=True)
class Description:
    """Numbers that ``hilmix data check`` prints."""

    items: int
    splits: dict[str, tuple[int, int]]
    """Split to number of items and of items with annotations; ``all`` where the data have no split."""
    annotations: int
    annotators: int
    labels_per_item: tuple[int, float, int]
    """Lowest, mean, highest of the items that have any."""
    labels_per_annotator: tuple[int, float, int]
    """Lowest, median, highest."""
    empty_items: int
    class_votes: NDArray[np.float64]
    """(K,) share of the votes."""
    class_targets: NDArray[np.float64] | None
    """(K,) share of the known targets; None where no target is known."""
    known_targets: int
    pairwise_agreement: float
    """Chance that two annotators' labels of the same item agree; NaN where no item has two."""
    krippendorff_alpha: float
    """Nominal alpha: 1 = full agreement, 0 = that of chance; NaN where it is not defined."""
    wrong_labels: float
    """Expected share of single labels that differ from the target; NaN where there are none with a target."""
    majority_accuracy: float
    """Accuracy of the majority vote where truth is known, ties split evenly; NaN where there is none."""
    silent_in_training: tuple[str, ...]
    """Annotators without a label on a training item; empty where identities or the split are unknown."""


def describe_data(data: AnnotatedData | LabelledItems) -> Description:
    """Return the description of data.

    A soft answer counts with its probabilities, so that one between two classes counts in equal shares. Agreement is
    that of different annotators: of several labels of one annotator for an item it sees the last.
    """
    votes, distinct = data.annotations, data.annotations.distinct()
    counts = sparse_counts(votes)
    compared = counts if distinct is votes else sparse_counts(distinct)
    squares = compared if distinct.probs is None else squared_counts(distinct)
    per_item = votes.labels_per_item[votes.labels_per_item > 0]
    known = data.target != UNKNOWN
    per_annotator = np.bincount(votes.annotator, minlength=votes.num_annotators)
    truth = data.target[votes.item]
    wrong = 1 - _compute_chance(votes, truth)[truth != UNKNOWN]
    return Description(
        items=len(data.items),
        splits=_count_splits(data),
        annotations=votes.num_pairs,
        annotators=votes.num_annotators,
        labels_per_item=_compute_spread(per_item, float(per_item.mean()) if len(per_item) else 0.0),
        labels_per_annotator=_compute_spread(
            per_annotator, float(np.median(per_annotator)) if len(per_annotator) else 0.0
        ),
        empty_items=int((votes.labels_per_item == 0).sum()),
        class_votes=counts.sum(0) / max(1.0, counts.sum()),
        class_targets=_compute_balance(data.target[known], votes.num_classes) if known.any() else None,
        known_targets=int(known.sum()),
        pairwise_agreement=pairwise_agreement(compared, squares),
        krippendorff_alpha=krippendorff_alpha(compared, squares),
        wrong_labels=float(wrong.mean()) if len(wrong) else np.nan,
        majority_accuracy=majority_accuracy(counts, data.target),
        silent_in_training=_find_silent(votes, data.split),
    )


def sparse_counts(votes: VoteTable | Annotations) -> sparse.csr_array:
    """(N, K) votes per item and class; a soft answer counts with its probabilities."""
    cells, counts = count_votes(votes)
    return sparse.csr_array((counts, cells.label, cells.start), shape=(votes.num_items, votes.num_classes))


def squared_counts(votes: Annotations) -> sparse.csr_array:
    """(N, K) sums of the squared probabilities of the answers; those of plain labels are their counts."""
    squares = None if votes.probs is None else votes.probs.astype(np.float64) ** 2
    sizes = (votes.num_items, votes.num_annotators, votes.num_classes)
    return sparse_counts(VoteTable(votes.item, votes.annotator, votes.label, *sizes, probs=squares))


def pairwise_agreement(counts: Counts, squares: Counts | None = None) -> float:
    """Chance that two different answers of the same item, drawn from all such pairs, name the same class.

    Args:
        counts: (N, K) votes per item and class.
        squares: (N, K) sums of the squared probabilities of soft answers, whose classes are drawn from them.

    Example:
        >>> pairwise_agreement([[2, 0], [1, 1]])
        0.5
    """
    votes = _as_sparse(counts)
    pairs = _count_pairs(votes.sum(1)).sum()
    squared = votes if squares is None else _as_sparse(squares)
    return float(_count_agreeing(votes, squared).sum() / pairs) if pairs else np.nan


def krippendorff_alpha(counts: Counts, squares: Counts | None = None) -> float:
    """Krippendorff's alpha for nominal labels: 1 - observed / expected disagreement.

    Args:
        counts: (N, K) votes per item and class; items with fewer than two votes do not count.
        squares: (N, K) sums of the squared probabilities of soft answers; coincidences are then expected values over
            classes drawn from the answers.

    Returns:
        NaN if no item has two votes, or all of them name one class.

    Reference:
        K. Krippendorff, Content Analysis, chapter 11: coincidences o_cc weighted by 1 / (m_u - 1).

    Example:
        >>> krippendorff_alpha([[2, 0], [0, 2]])
        1.0
    """
    votes = _as_sparse(counts)
    # Items with one answer have no pair; alpha leaves them out of the chance agreement, too.
    usable = np.flatnonzero(votes.sum(1) > 2 - _ROUNDING)
    squared = (votes if squares is None else _as_sparse(squares))[usable]
    votes = votes[usable]
    size, total = votes.sum(1), votes.sum()
    # The squares are those of each answer, which is not compared with itself.
    expected = total * (total - 1) - (votes.sum(0) ** 2 - squared.sum(0)).sum()
    if expected <= _ROUNDING * total:
        return np.nan
    observed = ((_count_pairs(size) - _count_agreeing(votes, squared)) / (size - 1)).sum()
    return float(1 - (total - 1) * observed / expected)


def _count_pairs(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) ordered pairs of an item's answers; the sums of float32 probabilities are whole up to rounding."""
    whole = np.rint(size)
    pairs: NDArray[np.float64] = whole * (whole - 1)
    return pairs


def _count_agreeing(votes: sparse.csr_array, squares: sparse.csr_array) -> NDArray[np.float64]:
    """(N,) expected number of ordered pairs of different answers that name one class."""
    agreeing: NDArray[np.float64] = (votes**2 - squares).sum(1)
    return agreeing


def _as_sparse(counts: Counts) -> sparse.csr_array:
    return counts if sparse.issparse(counts) else sparse.csr_array(np.asarray(counts, dtype=np.float64))


def _compute_chance(votes: Annotations, label: NDArray[np.int64]) -> NDArray[np.float64]:
    """(L,) chance that an answer names the given class of its row; of no meaning where that is unknown."""
    if votes.probs is None:
        return np.asarray(votes.label == label, dtype=np.float64)
    return np.asarray(np.take_along_axis(votes.probs, np.maximum(label, 0)[:, None], 1)[:, 0], dtype=np.float64)


def majority_accuracy(counts: Counts, target: ArrayLike) -> float:
    """Accuracy of the majority vote, a tie counting as the chance to draw the right class.

    Args:
        counts: (N, K) votes per item and class.
        target: (N,) true classes, -1 unknown; items without votes do not count.

    Returns:
        NaN if no item has both votes and a target.
    """
    votes, truth = _as_sparse(counts), np.asarray(target)
    usable = (truth != UNKNOWN) & (votes.sum(1) > 0)
    if not usable.any():
        return np.nan
    table = SparsePosterior(votes.indptr, votes.indices, votes.data, np.zeros(len(truth)), votes.shape[1])
    winners, item = table.best(), table.item
    right = winners.named & (table.label == truth[item])
    return float((right[right] / winners.number[item[right]]).sum() / usable.sum())


def _compute_balance(labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    return np.bincount(labels, minlength=num_classes) / len(labels)


def _compute_spread(numbers: NDArray[np.int64], centre: float) -> tuple[int, float, int]:
    return int(numbers.min(initial=numbers.max(initial=0))), centre, int(numbers.max(initial=0))


def _count_splits(data: AnnotatedData | LabelledItems) -> dict[str, tuple[int, int]]:
    voted = data.annotations.labels_per_item > 0
    if data.split is None:
        return {"all": (len(data.items), int(voted.sum()))}
    return {s: (int((data.split == s).sum()), int((voted & (data.split == s)).sum())) for s in SPLITS}


def training_notes(
    data: AnnotatedData | LabelledItems, split: NDArray[np.str_] | None, root: Path | str
) -> list[Fault]:
    """Returns what training on data cannot learn from them: annotators, splits and classes that lack annotations.

    Args:
        data: the data.
        split: (N,) ``train``, ``val`` or ``test`` of each item; None where the data are not split.
        root: where the data are from, for the sentences.
    """
    found, votes = Findings(), data.annotations
    if not votes.num_pairs:
        found.note("no-annotations", root, found="there are no annotations at all, so that nothing can be learnt")
        return found.notes
    if silent := _find_silent(votes, split):
        found.note(
            "silent-annotators",
            root,
            found=f"nothing is learnt about {len(silent):,} annotator{'s' * (len(silent) > 1)} without a label on a "
            f"training item: {_shown(silent)}",
            count=len(silent),
        )
    voted = votes.labels_per_item > 0
    for name in ("train", "val"):
        rows = None if split is None else split == name
        if rows is not None and rows.any() and not voted[rows].any():
            found.note("unannotated-split", root, found=f"no item of split '{name}' has an annotation")
    weight = np.bincount(votes.label, minlength=votes.num_classes) if votes.probs is None else votes.probs.sum(0)
    if unused := [votes.classes[k] for k in np.flatnonzero(weight == 0)]:
        found.note(
            "unused-classes",
            root,
            found=f"{len(unused):,} class{'es' * (len(unused) > 1)} without an annotation: {_shown(unused)}",
            count=len(unused),
        )
    return found.notes


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + ", ..." * (len(names) > _NAMES_SHOWN)


def _find_silent(votes: Annotations, split: NDArray[np.str_] | None) -> tuple[str, ...]:
    if split is None or votes.exchangeable:
        return ()
    trained = votes.annotator[split[votes.item] == "train"]
    number = np.bincount(trained, minlength=votes.num_annotators)
    return tuple(votes.annotators[a] for a in np.flatnonzero(number == 0))
