"""An aggregator of votes with the calls of crowd-kit and scikit-learn: ``fit_predict(votes)``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, Union, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.aggregates import annotator_quality_table
from hilmix.annotations import Annotations
from hilmix.data.exports.columns import Columns
from hilmix.data.exports.export import ExportSettings
from hilmix.data.exports.gold import code_gold
from hilmix.data.exports.labels import label_items
from hilmix.data.exports.tables import read_votes_table
from hilmix.data.in_memory import read_annotations
from hilmix.errors import ConfigError, DataError
from hilmix.faults import Findings
from hilmix.functional.aggregation import Votes, aggregate, with_gold
from hilmix.functional.aggregation.decisions import Ties, decide
from hilmix.functional.aggregation.sparse_posterior import dense_posterior
from hilmix.functional.vote_quality import judge_annotators

Gold = Union[Mapping[Any, Any], "pd.Series[Any]"]
"""Class of each gold item by its name, or the number of its row where items have none."""


class Aggregator:
    """One label and one distribution per item from the votes of many annotators.

    Votes are one of

    * a long table with one row per vote, its columns named or guessed: ``task``, ``worker``, ``label`` as in crowd-kit;
    * a wide table or an (N, A) array, one row per item and one column per annotator, NaN or None for no label, as in
      scikit-activeml and cleanlab; an array is always wide, a table if ``wide`` is set;
    * N mappings from annotator to label, or :class:`~hilmix.Annotations`.

    Items without a name are called by the number of their row, from 0.

    Args:
        method: name of an aggregator, see ``docs/aggregation.md``.
        ties: rule for classes that tie: ``draw`` one, ``abstain``, or take the ``first``.
        seed: draws between them, and decides where some methods start.
        wide: whether tables are wide.
        item: column of the items; None is guessed, as the next two.
        annotator: column of the annotators.
        label: column of the labels.

    Attributes:
        classes_: (K,) names of the classes, sorted.
        items_: (N,) items, in the order in which they occur.
        probabilities_: (N, K) float64.
        annotators_: table of the annotators, see :func:`~hilmix.aggregates.annotator_quality_table`; None
            where their identities are unknown.

    Example:
        >>> votes = pd.DataFrame({"task": [1, 1, 2], "worker": ["a", "b", "a"], "label": ["cat", "cat", "dog"]})
        >>> Aggregator(method="majority").fit_predict(votes).to_dict()
        {'1': 'cat', '2': 'dog'}
    """

    def __init__(
        self,
        method: str = "ensemble",
        *,
        ties: Ties = "draw",
        seed: int = 0,
        wide: bool = False,
        item: str | None = None,
        annotator: str | None = None,
        label: str | None = None,
    ) -> None:
        self.method, self.ties, self.seed, self.wide = method, ties, seed, wide
        self.item, self.annotator, self.label = item, annotator, label

    def fit(self, votes: Any, y: object = None, *, gold: Gold | None = None) -> Self:
        """Aggregates votes.

        Args:
            votes: see the class.
            y: ignored, as nothing but the votes and gold items is learned from.
            gold: known classes of some items, by item: they teach the method how good annotators are.

        Raises:
            ConfigError: for another method or rule for ties.
            DataError: for votes that cannot be read, or gold items or classes that these do not have.
        """
        items, annotations = self._read(votes)
        known: Votes = annotations
        if gold is not None:
            series = pd.Series(gold, dtype=object)
            table = pd.DataFrame({"item": series.index.astype(object), "label": series.to_numpy()})
            known = with_gold(annotations, code_gold(table, Path("gold"), items, annotations.classes))
        result = aggregate(self.method, known, seed=self.seed)
        decision = decide(self.method, result, known, ties=self.ties, seed=self.seed)
        self.classes_ = np.asarray(annotations.classes, dtype=object)
        self.items_ = np.asarray(items, dtype=object)
        self.probabilities_, self._label = dense_posterior(decision.posterior), decision.label
        self.annotators_: pd.DataFrame | None = None
        if not annotations.exchangeable:
            self.annotators_ = annotator_quality_table(annotations, judge_annotators(annotations, result.posterior))
        return self

    def predict_proba(self, votes: Any = None) -> "pd.DataFrame | NDArray[np.float64]":
        """Returns (N, K) probabilities of the items: a table by item and class, or an array where ``votes`` is one.

        Args:
            votes: of items that were fitted; None for all of them.

        Raises:
            ConfigError: before :meth:`fit`.
            DataError: for an item that was not fitted.
        """
        return self._probabilities_of(self._rows(votes), as_array=isinstance(votes, np.ndarray))

    def predict(self, votes: Any = None) -> "pd.Series[Any] | NDArray[Any]":
        """Returns the label of each item, None without one; arguments and errors as of :meth:`predict_proba`."""
        return self._labels_of(self._rows(votes), as_array=isinstance(votes, np.ndarray))

    def fit_predict(self, votes: Any, y: object = None, *, gold: Gold | None = None) -> "pd.Series[Any] | NDArray[Any]":
        """Returns the label of each item of the votes; see :meth:`fit` and :meth:`predict`."""
        rows = self.fit(votes, gold=gold)._rows(None)
        return self._labels_of(rows, as_array=isinstance(votes, np.ndarray))

    def fit_predict_proba(
        self, votes: Any, y: object = None, *, gold: Gold | None = None
    ) -> "pd.DataFrame | NDArray[np.float64]":
        """Returns the probabilities of the items of the votes; see :meth:`fit` and :meth:`predict_proba`."""
        rows = self.fit(votes, gold=gold)._rows(None)
        return self._probabilities_of(rows, as_array=isinstance(votes, np.ndarray))

    def _probabilities_of(self, rows: NDArray[np.int64], *, as_array: bool) -> "pd.DataFrame | NDArray[np.float64]":
        found: NDArray[np.float64] = self.probabilities_[rows]
        return found if as_array else pd.DataFrame(found, index=self._index(rows), columns=self.classes_)

    def _labels_of(self, rows: NDArray[np.int64], *, as_array: bool) -> "pd.Series[Any] | NDArray[Any]":
        # An item without a label has the code -1, which picks the None at the end.
        found: NDArray[Any] = np.asarray([*self.classes_, None], dtype=object)[self._label[rows]]
        return found if as_array else pd.Series(found, index=self._index(rows), name="label", dtype=object)

    def _rows(self, votes: Any) -> NDArray[np.int64]:
        # By the attribute, as scikit-learn's own check asks for what `fit` leaves, and not for a flag.
        if not hasattr(self, "items_"):
            raise ConfigError("`Aggregator` must be fitted before it predicts. Call fit or fit_predict.")
        if votes is None:
            return np.arange(len(self.items_))
        items, _ = self._read(votes)
        found = pd.Index(self.items_).get_indexer(pd.Index(items, dtype=object))
        rows: NDArray[np.int64] = found.astype(np.int64)
        if (rows < 0).any():
            name = items[int((rows < 0).argmax())]
            raise DataError(f"Item '{name}' was not fitted. An aggregator labels the items whose votes it has seen.")
        return rows

    def _index(self, rows: NDArray[np.int64]) -> pd.Index:
        return pd.Index(self.items_[rows], name="item")

    def _read(self, votes: Any) -> tuple[tuple[str, ...], Annotations]:
        if not isinstance(votes, pd.DataFrame):
            number = votes.num_items if isinstance(votes, Annotations) else len(votes)
            return tuple(map(str, range(number))), read_annotations(votes, number)
        columns = Columns(item=self.item, annotator=self.annotator, label=self.label)
        # By the reader of files: a table in memory and the same on disk have the same faults.
        settings, found, place = ExportSettings(columns, wide=self.wide), Findings(), Path("votes")
        export = read_votes_table(votes, place, settings, found)
        found.raise_if_any(place)
        labels = label_items(export, settings, found)
        found.raise_if_any(place)
        return cast(Any, labels).items, cast(Any, labels).annotations
