"""A clean pass: what the model says of un-mixed, un-augmented items, as dense arrays that are equal on all ranks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import Annotations, IntArray
from hilmix.errors import ConfigError, RunError
from hilmix.functional.sizes import require_memory
from hilmix.types import UNKNOWN, StepOutput

CONFUSION_CELLS = 2**24
"""Most numbers (A * K * K) of per-annotator confusion matrices; larger ones are left out, as a log line says."""
PREDICTIONS = ("in-sample", "out-of-fold", "held-out")
"""Origins of a prediction: of an item that the network has trained on, of a training item by a network that has not,
and of an item that no network trains on."""
PER_ITEM, PER_PAIR = 16, 4
"""Bytes for each class that a pass holds: of an item logits, posterior, and probabilities in float64; of a pair its
likelihood."""


@dataclass(frozen=True)
class CleanPass:
    """Predictions of n items and their m pairs. Optional fields are None where the annotator model lacks them.

    Args:
        items: (n,) int64 rows in the items table.
        pairs: (m,) int64 rows in the annotation table, in the order of ``annotations.gather(items)``.
        row: (m,) int64 position in ``items`` that each pair belongs to.
        seen: (n,) bool, whether the pass reached the item; the other values are zero where it did not.
        logits: (n, K) float32 class logits.
        label_log_probs: (m,) float32, log p(annotator says the label it gave | input).
        posterior: (n, K) float32, p(true class | input, labels).
        p_right: (m,) float32, p(annotator is right | input).
        log_likelihood: (m, K) float32, log p(the given label | true class).
        confusion: (A, K, K) float, class-prior-weighted mean of the annotator's matrices; NaN rows without weight.
        fold: (n,) int64, the fold of each item, which the network that predicts it has not seen; -1 outside training.
        training: (n,) bool, whether training learns from the item; None: from all of them.
    """

    items: IntArray
    pairs: IntArray
    row: IntArray
    seen: NDArray[np.bool_]
    logits: NDArray[np.float32]
    label_log_probs: NDArray[np.float32]
    posterior: NDArray[np.float32] | None
    p_right: NDArray[np.float32] | None
    log_likelihood: NDArray[np.float32] | None
    confusion: NDArray[np.floating] | None
    fold: IntArray | None = None
    training: NDArray[np.bool_] | None = None

    @classmethod
    def from_logits(
        cls,
        annotations: Annotations,
        items: IntArray,
        logits: NDArray[np.floating],
        posterior: NDArray[np.floating] | None = None,
    ) -> "CleanPass":
        """Returns the pass of a class model that ran elsewhere; its probabilities also stand for those of the labels.

        Args:
            annotations: all annotations of the data.
            items: (n,) int64 sorted rows of the items.
            logits: (n, K) class logits, such as log-probabilities.
            posterior: (n, K) p(true class | input, labels), or None.

        Raises:
            ConfigError: if an array has another shape.

        Example:
            >>> votes = Annotations.from_dense([[0, 1], [1, 1]])
            >>> result = CleanPass.from_logits(votes, np.array([1]), np.log([[0.2, 0.8]]))
            >>> result.probs.round(3).tolist(), result.pairs.tolist()
            ([[0.2, 0.8]], [2, 3])
        """
        shape = (len(items), annotations.num_classes)
        for name, values in (("logits", logits), ("posterior", posterior)):
            if values is not None and values.shape != shape:
                raise ConfigError(f"`{name}` must have the shape (items, classes) = {shape}, got {values.shape}.")
        # All pairs of the items, in the order in which collected passes have them: tables join both by position.
        row, pairs = annotations.gather(items)
        log_probs = torch.from_numpy(logits).log_softmax(-1).numpy()[row, annotations.label[pairs]]
        return cls(
            items=items,
            pairs=pairs,
            row=row,
            seen=np.ones(len(items), dtype=bool),
            logits=logits.astype(np.float32),
            label_log_probs=log_probs.astype(np.float32),
            posterior=None if posterior is None else posterior.astype(np.float32),
            p_right=None,
            log_likelihood=None,
            confusion=None,
        )

    @cached_property
    def predictions(self) -> IntArray:
        """(n,) int64 place in :data:`PREDICTIONS`: how the prediction of each item was made."""
        training = np.ones(len(self.items), dtype=bool) if self.training is None else self.training
        found = np.where(training, PREDICTIONS.index("in-sample"), PREDICTIONS.index("held-out"))
        if self.fold is not None:
            found = np.where(self.fold >= 0, PREDICTIONS.index("out-of-fold"), found)
        return found

    @property
    def kinds_of_predictions(self) -> str:
        """Origins of the predictions behind a statistic of all items, such as ``in-sample, held-out``."""
        return ", ".join(PREDICTIONS[kind] for kind in np.unique(self.predictions[self.seen]))

    @cached_property
    def probs(self) -> NDArray[np.float64]:
        """(n, K) class probabilities."""
        probs: NDArray[np.float64] = torch.from_numpy(self.logits).double().softmax(-1).numpy()
        return probs

    @property
    def best(self) -> NDArray[np.floating]:
        """(n, K) posterior given the labels, or the class probabilities where there is none."""
        return self.probs if self.posterior is None else self.posterior

    def require_room(self, what: str, *, per_item: int = 0, per_pair: int = 0) -> None:
        """Refuses a table that would not fit beside the pass.

        Args:
            what: the table.
            per_item: bytes for each item and class that it needs at its largest.
            per_pair: the same for each pair and class.

        Raises:
            SizeError: with the sizes and the gigabytes.
        """
        (n, k), m = self.logits.shape, len(self.pairs)
        needed = k * ((PER_ITEM + per_item) * n + (PER_PAIR + per_pair) * m)
        require_memory(what, needed, items=n, classes=k)


def _of_one_process(values: Tensor) -> Tensor:
    return values


_PER_ITEM = ("logits", "posterior", "fold")
_PER_PAIR = ("label_log_probs", "p_right", "log_likelihood")


class Collector:
    """Gathers step outputs into dense buffers keyed by item and pair.

    Args:
        annotations: all annotations of the data.
        items: (n,) int64 sorted rows of the items to expect.
        likelihood: keep ``log_likelihood``, (m, K).
        confusion: accumulate confusion matrices where they fit.
        training: (n,) bool, whether training learns from an item; default: from all of them.
    """

    def __init__(
        self,
        annotations: Annotations,
        items: IntArray,
        *,
        likelihood: bool = True,
        confusion: bool = True,
        training: NDArray[np.bool_] | None = None,
    ) -> None:
        self.annotations, self.items, self.training = annotations, items, training
        self.row, self.pairs = annotations.gather(items)
        n, m, k, a = len(items), len(self.pairs), annotations.num_classes, annotations.num_annotators
        self.place = np.full(annotations.num_items, -1, dtype=np.int64)
        self.place[items] = np.arange(n)
        self.first_pair = np.concatenate([[0], np.cumsum(annotations.labels_per_item[items])])
        self.shapes: dict[str, tuple[int, ...]] = {
            "seen": (n,),
            "fold": (n,),
            "logits": (n, k),
            "label_log_probs": (m,),
            "posterior": (n, k),
            "p_right": (m,),
        }
        if likelihood:
            self.shapes["log_likelihood"] = (m, k)
        if confusion and a * k * k <= CONFUSION_CELLS and not annotations.exchangeable:
            self.shapes |= {"confusion": (a, k, k), "weight": (a, k)}
        self.buffers: dict[str, Tensor] = {}

    def add(self, output: StepOutput) -> None:
        """Adds the output of an un-mixed batch; items outside ``items`` and repeats are left out."""
        index = output.index.cpu().numpy()
        place = self.place[index]
        fresh = place >= 0
        # Samplers of other libraries repeat items to fill the last batch; the second visit would count twice in sums.
        fresh[fresh] = self._buffer("seen")[place[fresh]].numpy() == 0
        # Of an item that a batch holds twice, the first.
        fresh &= np.isin(np.arange(len(index)), np.unique(index, return_index=True)[1])
        row = output.row.cpu().numpy()
        expected, position = self.annotations.gather(index)
        if not np.array_equal(row, expected):
            raise ConfigError("The batches of a clean pass must carry the annotations of the data as they are.")
        kept = fresh[row]
        # Pairs lie item by item in the order of `items`: where those of the item begin there, and the place among them.
        slot = self.first_pair[place[row[kept]]] + position[kept] - self.annotations.indptr[index[row[kept]]]
        # On the host: the tables of a large data set do not fit beside the model on the device.
        fields = {"seen": torch.ones(len(index)), "logits": output.logits, "posterior": output.posterior}
        fields["fold"] = output.fold
        for name, value in fields.items():
            if value is not None:
                self._buffer(name)[place[fresh]] = value.detach().float().cpu()[fresh]
        own_label = output.label_log_probs.gather(1, output.label[:, None]).squeeze(1)
        fields = {"label_log_probs": own_label, "p_right": output.p_right, "log_likelihood": output.log_likelihood}
        for name, value in fields.items():
            if value is not None and name in self.shapes:
                self._buffer(name)[slot] = value.detach().float().cpu()[kept]
        if output.confusion is not None and "confusion" in self.shapes:
            annotator = torch.from_numpy(self.annotations.annotator[position[kept]])
            # A matrix that depends on the input counts by how probable each true class is there.
            weight = output.class_probs[output.row].cpu()[kept].double()
            matrices = output.confusion.dense().detach().cpu()[kept].double()
            self._buffer("confusion").index_add_(0, annotator, weight[:, :, None] * matrices)
            self._buffer("weight").index_add_(0, annotator, weight)

    def _buffer(self, name: str) -> Tensor:
        if name not in self.buffers:
            # These are sums over many pairs; the others hold one value each.
            dtype = torch.float64 if name in ("confusion", "weight") else torch.float32
            self.buffers[name] = torch.zeros(self.shapes[name], dtype=dtype)
        return self.buffers[name]

    def finish(self, sum_over_ranks: Callable[[Tensor], Tensor] = _of_one_process) -> CleanPass:
        """Returns the arrays.

        Args:
            sum_over_ranks: returns the sum of a tensor over the processes that share the items, all of which must call
                this; by default there is one.
        """
        # A rank whose batches all lacked a field must take part in its sum too, or the others would wait for it.
        filled = sum_over_ranks(torch.tensor([float(name in self.buffers) for name in self.shapes]))
        total: dict[str, Any] = dict.fromkeys(self.shapes)
        for name, somewhere in zip(self.shapes, filled.tolist(), strict=True):
            if somewhere or name in ("seen", "logits", "label_log_probs"):
                total[name] = sum_over_ranks(self._buffer(name)).numpy()
        item_visits = np.maximum(total["seen"], 1)  # what two ranks saw counts once
        visits = dict.fromkeys(_PER_ITEM, item_visits) | dict.fromkeys(_PER_PAIR, item_visits[self.row])
        for name, count in visits.items():
            if total.get(name) is not None:
                total[name] = total[name] / count.reshape(-1, *[1] * (total[name].ndim - 1))
        confusion = total.get("confusion")
        if confusion is not None:
            with np.errstate(invalid="ignore"):
                # An annotator whose items are never of a class gets NaN there, for "unknown".
                confusion = confusion / total["weight"][:, :, None]
        fold = total["fold"]
        if fold is not None:
            fold = np.where(total["seen"] > 0, fold, UNKNOWN).astype(np.int64)
        return CleanPass(
            self.items,
            self.pairs,
            self.row,
            total["seen"] > 0,
            total["logits"],
            total["label_log_probs"],
            total["posterior"],
            total["p_right"],
            total.get("log_likelihood"),
            confusion,
            fold=fold,
            training=self.training,
        )


def refuse_diverged(result: CleanPass) -> None:
    """Refuses predictions that are not finite, which reports would hide.

    Raises:
        RunError: if predictions are NaN or infinite.
    """
    if not np.isfinite(result.logits).all():
        raise RunError(
            "The predictions are not finite numbers: the training has diverged. Give it a smaller learning rate, or "
            "smaller weights of penalties and explanation losses."
        )
