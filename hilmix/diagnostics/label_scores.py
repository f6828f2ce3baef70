"""Label-error scores by name, and those of other packages: how plausible a given label is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.errors import ConfigError
from hilmix.functional.label_errors import FloatArray, normalized_margin, self_confidence
from hilmix.functional.ties import ROUNDING
from hilmix.trusted import import_object, is_object_path

_TAKEN = frozenset({"item", "annotator", "label", "tied", "labels", "suggested", "predictions", "target"})
"""Other columns of the tables."""


class LabelEvidence(NamedTuple):
    """Inputs of a score: M given labels and the predictions of their items."""

    probs: NDArray[np.float64]
    """(M, K) class probabilities of the item that each label belongs to."""
    label: IntArray
    """(M,) int64 in [0, K)."""
    posterior: NDArray[np.floating] | None
    """(M, K) class probabilities given all labels of the item too, or None without an annotator model."""


@dataclass(frozen=True)
class LabelScore:
    """A label-error score: high where the label is plausible, low where it is suspicious.

    Args:
        name: column of the tables; an identifier that is no other column's name.
        summary: one line about it.
        compute: returns (M,) float in [0, 1] of :class:`LabelEvidence`, NaN where nothing is known.

    Raises:
        ConfigError: for a name that cannot be a column.

    Example:
        >>> ratio = LabelScore("ratio", "p(label) / largest p", lambda e: e.probs[[0, 1], e.label] / e.probs.max(1))
        >>> ratio.of(LabelEvidence(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([1, 1]), None)).tolist()
        [0.25, 1.0]
    """

    name: str
    summary: str
    compute: Callable[[LabelEvidence], NDArray[np.floating]]

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in _TAKEN:
            raise ConfigError(
                f"`name` of a label-error score must be an identifier other than {', '.join(sorted(_TAKEN))}, "
                f"got {self.name!r}."
            )

    def of(self, evidence: LabelEvidence) -> FloatArray:
        """Return the scores of given labels, (M,) float64.

        Raises:
            ConfigError: if what the score computes has another shape or is outside [0, 1].
        """
        scores = np.asarray(self.compute(evidence), dtype=np.float64)
        if scores.shape != evidence.label.shape:
            raise ConfigError(
                f"Label-error score '{self.name}' must have the shape {evidence.label.shape}, got {scores.shape}."
            )
        # probabilities may leave [0, 1] by rounding
        outside = scores[~np.isnan(scores) & ~((scores >= -ROUNDING) & (scores <= 1 + ROUNDING))]
        if len(outside):
            raise ConfigError(
                f"Label-error score '{self.name}' must be in [0, 1], or NaN where nothing is known, got "
                f"{outside[0]:g}. Map it there, such as a loss by exp(-loss)."
            )
        return scores


def _posterior(evidence: LabelEvidence) -> FloatArray:
    if evidence.posterior is None:
        return np.full(len(evidence.label), np.nan)
    return self_confidence(evidence.posterior, evidence.label)


POSTERIOR = LabelScore("posterior", "p(true class = label | input, all labels of the item)", _posterior)
SELF_CONFIDENCE = LabelScore(
    "self_confidence", "p(true class = label | input)", lambda known: self_confidence(known.probs, known.label)
)
MARGIN = LabelScore(
    "margin",
    "(p(label) - largest p of another class + 1) / 2 given the input",
    lambda known: normalized_margin(known.probs, known.label),
)
LABEL_SCORES: dict[str, LabelScore] = {score.name: score for score in (POSTERIOR, SELF_CONFIDENCE, MARGIN)}
"""The label-error scores of hilmix, by name, in the order in which a ranking goes by them."""


def find_score(name: str) -> LabelScore:
    """Return a label-error score by its name, or one of another package.

    Args:
        name: see :data:`LABEL_SCORES`, or ``package.module:NAME``, a :class:`LabelScore` in a module that is imported.

    Raises:
        ConfigError: listing the names, if there is none, or if there is no score at such a path.

    Example:
        >>> find_score("margin") is find_score("hilmix.diagnostics.label_scores:MARGIN")
        True
    """
    if is_object_path(name):
        return import_object(name, LabelScore)
    if name not in LABEL_SCORES:
        raise ConfigError(
            f"`name` of a label-error score must be one of {', '.join(LABEL_SCORES)}, or package.module:NAME of your "
            f"own, got '{name}'."
        )
    return LABEL_SCORES[name]


def find_scores(names: Sequence[str]) -> list[LabelScore]:
    """Return label-error scores, each as :func:`find_score` does, in the order given.

    Raises:
        ConfigError: for an unknown name, or if there is no score, or two of one name.
    """
    scores = [find_score(name) for name in names]
    check_scores(scores)
    return scores


def check_scores(scores: Sequence[LabelScore]) -> None:
    """Refuse what no table can have as columns: no score, or two of one name."""
    columns = [score.name for score in scores]
    if not columns or len(set(columns)) < len(columns):
        raise ConfigError(f"`scores` must be one or more label-error scores of different names, got {columns}.")
