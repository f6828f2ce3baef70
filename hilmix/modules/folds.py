"""Networks of cross-fitting, side by side: each is trained without one fold and predicts that fold."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilmix.annotations import IntArray
from hilmix.backbones import MLP, Backbone, ReadyFeatures
from hilmix.errors import ConfigError
from hilmix.functional.confusion import Confusion, DenseConfusion
from hilmix.functional.folds import assign_folds, folds_by_key, majority_strata, pool_predictions, predicting_networks
from hilmix.functional.precision import at_least_float32
from hilmix.modules.model import CrowdModel
from hilmix.modules.outputs import evaluation_output
from hilmix.types import UNKNOWN, Batch, StepOutput

log = logging.getLogger(__name__)
PER_ITEM = {"posterior": False}
PER_PAIR = {"label_log_probs": True, "log_likelihood": True, "diagonal": False}
"""Fields of a StepOutput beside the logits, and whether they are logarithms of probabilities."""


def choose_folds(backbone: Backbone) -> int:
    """Returns the number of fold networks that a run can afford.

    A network that is trained without one of F folds has seen 1 - 1 / F of the items, and few items more count most
    where there are few; the run costs F times its passes. Fully connected layers are cheap: 5. Any other network: 2,
    which doubles the time.

    Args:
        backbone: of every network.
    """
    return 5 if isinstance(backbone, MLP | ReadyFeatures) else 2


class FoldNetworks(nn.ModuleList):
    """F models of the same kind; network f never trains on the items of fold f, and predicts them.

    They stand side by side, so that one run trains all of them, each step has predictions of all, and a checkpoint
    holds all. A backbone without a trainable parameter is shared.

    Args:
        networks: F at least 2 models, built alike.

    Example:
        >>> networks = FoldNetworks([CrowdModel(3, 5, [8]) for _ in range(2)])
        >>> batch, fold = (
        ...     Batch(
        ...         input=torch.randn(4, 8),
        ...         index=torch.arange(4),
        ...         target=torch.full((4,), -1),
        ...         row=torch.arange(4),
        ...         annotator=torch.tensor([0, 4, 1, 2]),
        ...         label=torch.tensor([2, 2, 0, 1]),
        ...     ),
        ...     torch.tensor([0, 1, 1, 0]),
        ... )
        >>> sum(network.loss(batch.select(fold != f)) for f, network in enumerate(networks)).backward()
        >>> networks.class_log_probs(batch.input, fold).shape
        torch.Size([4, 3])
    """

    def __init__(self, networks: Sequence[CrowdModel]) -> None:
        super().__init__(networks)
        parameters = [*networks[0].backbone.parameters()]
        frozen = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
        if frozen and not networks[0].explanations:  # these hold the network that they walk
            for network in networks[1:]:
                network.backbone = networks[0].backbone

    @property
    def models(self) -> list[CrowdModel]:
        """The networks, in the order of their folds."""
        return [network for network in self if isinstance(network, CrowdModel)]

    def forward(self, input: Tensor) -> Tensor:
        """Returns class log-probabilities (B, K) of the mean prediction of all networks, for items outside training."""
        return self.class_log_probs(input, torch.full((len(input),), UNKNOWN, device=input.device))

    def class_log_probs(self, input: Tensor, fold: Tensor) -> Tensor:
        """Returns class log-probabilities (B, K), each row by the networks that have not trained on it.

        Args:
            input: (B, ...), un-mixed.
            fold: (B,) int64 fold of each row; -1 outside training: the mean over all networks.
        """
        rows = predicting_networks(fold, len(self))
        found = [model(input[some]) for model, some in zip(self.models, rows, strict=True)]
        return pool_predictions([at_least_float32(logits).log_softmax(-1) for logits in found], rows, log=True)

    def evaluate(self, batch: Batch, fold: Tensor) -> StepOutput:
        """Returns all outputs for an un-mixed batch, each item by the networks that have not trained on it.

        Where these are several, probabilities are means over them, those of labels, matrices and posteriors too.

        Args:
            batch: of B rows; put the networks into evaluation mode first.
            fold: (B,) int64, see :meth:`class_log_probs`.
        """
        rows = predicting_networks(fold, len(self))
        outputs = [model.evaluate(batch.select(some)) for model, some in zip(self.models, rows, strict=True)]
        return pool_outputs(outputs, rows, batch)._replace(fold=fold)


def pool_outputs(outputs: list[StepOutput], rows: Tensor, batch: Batch) -> StepOutput:
    """Returns the outputs for an un-mixed batch as means over the networks that predict each item.

    Args:
        outputs: of F networks, each for its items.
        rows: (F, B) bool, the items that each network predicts.
        batch: of B rows.
    """
    # Logits of different networks have no common zero; normalised first, their probabilities can be averaged.
    logits = pool_predictions([output.logits.log_softmax(-1) for output in outputs], rows, log=True)
    fields = _pooled(outputs, rows, PER_ITEM) | _pooled(outputs, rows[:, batch.row], PER_PAIR)
    matrices = [output.confusion for output in outputs if output.confusion is not None]
    confusion = PooledConfusion(matrices, rows[:, batch.row]) if matrices else None
    return evaluation_output(batch, logits, fields | {"confusion": confusion})


def _pooled(outputs: list[StepOutput], rows: Tensor, fields: dict[str, bool]) -> dict[str, Tensor]:
    values = {name: [getattr(output, name) for output in outputs] for name in fields}
    return {
        name: pool_predictions(parts, rows, log=fields[name]) for name, parts in values.items() if parts[0] is not None
    }


class PooledConfusion:
    """The confusion of pairs as the mean over the networks that predict their items.

    Args:
        parts: of each network, for its pairs.
        rows: (F, L) bool, the pairs of each network.
    """

    def __init__(self, parts: Sequence[Confusion], rows: Tensor) -> None:
        self.parts, self.rows = list(parts), rows

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        # Of the mean matrix, as the mean of the networks' own answers would weigh them by their class model once more.
        return DenseConfusion(self.dense().log()).log_marginal(log_probs)

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        return DenseConfusion(self.dense().log()).log_likelihood(label, probs)

    def diagonal(self) -> Tensor:
        return pool_predictions([part.diagonal() for part in self.parts], self.rows, log=False)

    def dense(self) -> Tensor:
        return pool_predictions([part.dense() for part in self.parts], self.rows, log=False)


class ItemFolds:
    """The folds of the items of a run, by their names' digests: other data may hold them in other rows."""

    def __init__(self) -> None:
        self._keys: tuple[IntArray, IntArray] | None = None
        """Digests (N,) of the run's items, and their folds (N,)."""
        self._of_row: Tensor | None = None
        """Folds of the rows of the data at hand."""

    @property
    def known(self) -> bool:
        """True once folds were drawn, or read from a checkpoint."""
        return self._keys is not None

    def draw(self, datamodule: Any, folds: int, *, seed: int, left_out: NDArray[np.bool_] | None = None) -> None:
        """Draws the folds of a run; see :func:`draw_folds`."""
        fold = draw_folds(datamodule, folds, seed=seed, left_out=left_out)
        self._keys, self._of_row = (datamodule.item_digests, fold), None

    def change_data(self) -> None:
        """Lets the next call of :meth:`of_rows` look the items up in other data."""
        self._of_row = None

    def of_rows(self, datamodule: Any, device: torch.device) -> Tensor:
        """Returns the fold of each item of the data at hand, (N,) int64, -1 for those that were not trained on.

        Raises:
            ConfigError: if no folds are known.
        """
        if self._keys is None:
            raise ConfigError("The model has no folds before it is trained. Load a checkpoint, or train it.")
        if self._of_row is None or self._of_row.device != device:
            # Once per device and data: digests of a million names take seconds, and every step asks.
            self._of_row = torch.from_numpy(folds_by_key(*self._keys, datamodule.item_digests)).to(device)
        return self._of_row

    def state(self) -> dict[str, Tensor]:
        """Returns the folds as a checkpoint holds them; empty before any were drawn."""
        if self._keys is None:
            return {}
        return dict(zip(("items", "fold"), map(torch.from_numpy, self._keys), strict=True))

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes the folds of a checkpoint, none if it was written before any were drawn."""
        found = (np.asarray(state["items"]), np.asarray(state["fold"])) if "fold" in state else None
        self._keys, self._of_row = found, None


def clip_each(networks: Iterable[nn.Module], value: float | None, algorithm: str | None) -> None:
    """Clips each network's gradient by itself: a common norm would let the labels of a fold reach its network.

    Args:
        networks: that are trained in one run.
        value: the largest norm, or entry; None or 0 clips nothing.
        algorithm: ``value`` for entries, else the norm.
    """
    if not value:
        return
    for network in networks:
        if algorithm == "value":
            nn.utils.clip_grad_value_(network.parameters(), value)
        else:
            nn.utils.clip_grad_norm_(network.parameters(), value)


def draw_folds(datamodule: Any, folds: int, *, seed: int, left_out: NDArray[np.bool_] | None = None) -> IntArray:
    """Returns the fold of every item of the data, (N,) int64, -1 outside training.

    Stratified by the majority label of what training learns from, items without a label being a stratum of their own;
    the true class is read only where training learns from it. Drawn in the order of the items' names: the order of the
    rows does not matter.

    Args:
        datamodule: has ``data``, ``rows("train")`` and ``train_annotations``.
        folds: number of folds.
        seed: of the draw.
        left_out: optional (N,) bool, items whose labels are not read.

    Raises:
        ConfigError: unless there are at least 2 folds, and at least as many training items.
    """
    rows = datamodule.rows("train")
    # By name and stably, so that a copy of the data with its rows in another order has the same folds.
    by_name = rows[np.argsort(np.array([str(datamodule.data.items[row]) for row in rows], dtype=str), kind="stable")]
    votes = datamodule.train_annotations
    stratum = majority_strata(votes if left_out is None else votes.subset(~left_out))[by_name]
    found = np.full(len(datamodule.data), UNKNOWN, dtype=np.int64)
    found[by_name] = assign_folds(stratum, folds, seed=seed)
    _warn_about_rare_classes(datamodule.data.classes, stratum, folds)
    return found


def _warn_about_rare_classes(classes: Sequence[str], stratum: IntArray, folds: int) -> None:
    count = np.bincount(stratum, minlength=len(classes))[: len(classes)]
    # Only warned of: a crowd's data often have such classes, and leaving their items out would shift the others.
    rare = np.flatnonzero((count > 0) & (count < folds))
    if len(rare):
        log.warning(
            "%d class(es) have fewer training items than there are folds (%s: %d), so that some folds have none of "
            "them; the only item of a class is predicted by a network that has not seen the class.",
            len(rare),
            classes[rare[0]],
            count[rare[0]],
        )
