"""What annotated data hold: sizes, agreement, class balance, and what a user should know before training."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations
from hilmix.data.items import SPLITS, AnnotatedData
from hilmix.errors import DataError
from hilmix.types import UNKNOWN

_DECODED_AT_ONCE = 256


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
    """Chance that two labels of the same item agree; NaN where no item has two."""
    krippendorff_alpha: float
    """Nominal alpha: 1 = full agreement, 0 = that of chance; NaN where it is not defined."""
    wrong_labels: float
    """Share of single labels that differ from the target; NaN where there are none with a target."""
    majority_accuracy: float
    """Accuracy of the majority vote where truth is known, ties split evenly; NaN where there is none."""
    silent_in_training: tuple[str, ...]
    """Annotators without a label on a training item; empty where identities or the split are unknown."""


def describe(data: AnnotatedData) -> Description:
    """Returns what the data hold. Soft answers count with their most probable class."""
    votes = data.annotations
    counts = hard_counts(votes)
    per_item = votes.labels_per_item[votes.labels_per_item > 0]
    known = data.target != UNKNOWN
    per_annotator = np.bincount(votes.annotator, minlength=votes.num_annotators)
    truth = data.target[votes.item]
    wrong = (votes.label != truth)[truth != UNKNOWN]
    return Description(
        items=len(data),
        splits=_splits(data),
        annotations=votes.num_pairs,
        annotators=votes.num_annotators,
        labels_per_item=_spread(per_item, float(per_item.mean()) if len(per_item) else 0.0),
        labels_per_annotator=_spread(per_annotator, float(np.median(per_annotator)) if len(per_annotator) else 0.0),
        empty_items=int((votes.labels_per_item == 0).sum()),
        class_votes=counts.sum(0) / max(1.0, counts.sum()),
        class_targets=_balance(data.target[known], votes.num_classes) if known.any() else None,
        known_targets=int(known.sum()),
        pairwise_agreement=pairwise_agreement(counts),
        krippendorff_alpha=krippendorff_alpha(counts),
        wrong_labels=float(wrong.mean()) if len(wrong) else np.nan,
        majority_accuracy=majority_accuracy(counts, data.target),
        silent_in_training=_silent(data),
    )


def check_inputs(data: AnnotatedData) -> None:
    """Decodes every input once.

    Raises:
        DataError: naming the file or item that can not be read or holds numbers that are not finite.
    """
    for start in range(0, len(data), _DECODED_AT_ONCE):
        part = data.inputs.fetch(np.arange(start, min(start + _DECODED_AT_ONCE, len(data))))
        bad = np.flatnonzero(~np.isfinite(part.numpy()).reshape(len(part), -1).all(1))
        if len(bad):
            raise DataError(f"{data.name}: the input of item '{data.items[start + bad[0]]}' holds NaN or infinity.")


def hard_counts(votes: Annotations) -> NDArray[np.float64]:
    """(N, K) votes per item and class; a soft answer counts as one vote for its most probable class."""
    return replace(votes, probs=None).counts()


def pairwise_agreement(counts: ArrayLike) -> float:
    """Chance that two different labels of the same item, drawn from all such pairs, name the same class.

    Args:
        counts: (N, K) votes per item and class.

    Example:
        >>> pairwise_agreement([[2, 0], [1, 1]])
        0.5
    """
    votes = np.asarray(counts, dtype=np.float64)
    total = votes.sum(1)
    pairs = (total * (total - 1)).sum()
    return float((votes * (votes - 1)).sum() / pairs) if pairs else np.nan


def krippendorff_alpha(counts: ArrayLike) -> float:
    """Krippendorff's alpha for nominal labels: 1 - observed / expected disagreement.

    Args:
        counts: (N, K) votes per item and class; items with fewer than two votes do not count.

    Returns:
        NaN if no item has two votes, or all of them name one class.

    Reference:
        K. Krippendorff, Content Analysis, chapter 11: coincidences o_cc weighted by 1 / (m_u - 1).

    Example:
        >>> krippendorff_alpha([[2, 0], [0, 2]])
        1.0
    """
    votes = np.asarray(counts, dtype=np.float64)
    votes = votes[votes.sum(1) >= 2]
    size, classes = votes.sum(1), votes.sum(0)
    total = classes.sum()
    expected = total**2 - (classes**2).sum()
    if not expected:
        return np.nan
    observed = ((size**2 - (votes**2).sum(1)) / (size - 1)).sum()
    return float(1 - (total - 1) * observed / expected)


def majority_accuracy(counts: ArrayLike, target: ArrayLike) -> float:
    """Accuracy of the majority vote, a tie counting as the chance to draw the right class.

    Args:
        counts: (N, K) votes per item and class.
        target: (N,) true classes, -1 unknown; items without votes do not count.

    Returns:
        NaN if no item has both votes and a target.
    """
    votes, truth = np.asarray(counts, dtype=np.float64), np.asarray(target)
    usable = (truth != UNKNOWN) & (votes.sum(1) > 0)
    votes, truth = votes[usable], truth[usable]
    if not len(votes):
        return np.nan
    winners = votes == votes.max(1, keepdims=True)
    return float((winners[np.arange(len(truth)), truth] / winners.sum(1)).mean())


def _balance(labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    return np.bincount(labels, minlength=num_classes) / len(labels)


def _spread(numbers: NDArray[np.int64], centre: float) -> tuple[int, float, int]:
    return int(numbers.min(initial=numbers.max(initial=0))), centre, int(numbers.max(initial=0))


def _splits(data: AnnotatedData) -> dict[str, tuple[int, int]]:
    voted = data.annotations.labels_per_item > 0
    if data.split is None:
        return {"all": (len(data), int(voted.sum()))}
    return {s: (int((data.split == s).sum()), int((voted & (data.split == s)).sum())) for s in SPLITS}


def _silent(data: AnnotatedData) -> tuple[str, ...]:
    votes = data.annotations
    if data.split is None or votes.exchangeable:
        return ()
    trained = votes.annotator[data.split[votes.item] == "train"]
    number = np.bincount(trained, minlength=votes.num_annotators)
    return tuple(votes.annotators[a] for a in np.flatnonzero(number == 0))
