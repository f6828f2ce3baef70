"""The plain structures that flow from data to model to diagnostics.

Shape letters, used everywhere: B items of a batch, L annotations ("pairs" of item and annotator) of a batch,
R rows that go through the backbone (B, or L under exact pairwise mixing), N items of a table, A annotators,
K classes, D features, C H W image.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from hilmix.codes import UNKNOWN as UNKNOWN
from hilmix.errors import ConfigError
from hilmix.functional.calibration import sum_dtype
from hilmix.functional.confusion import Confusion

Stage = Literal["train", "val", "test", "predict"]


class MixPlan(NamedTuple):
    """Plan of mixing the rows of one batch: ``x <- weight * x + (1 - weight) * x[partner]``.

    A plan is drawn once per batch and then shared by everything that is mixed: inputs or a hidden layer, annotator
    embeddings, label likelihoods. It can be logged, replayed and injected by a test.
    """

    partner: Tensor
    """(R,) int64, a permutation of the rows: whom each row is mixed with."""
    weight: Tensor
    """(R,) float in [0, 1]: share of the row itself."""
    rows: Literal["items", "pairs"] = "items"
    """Meaning of a row: an item (R = B) or one annotation of an item (R = L)."""
    layer: str = "input"
    """Place of mixing: ``input``, ``features`` (the backbone's output), or a module name inside the backbone."""
    box: Tensor | None = None
    """(R, 4) int64 top, bottom, left, right of the partner's pixels, if a rectangle is pasted and nothing is blended;
    ``weight`` is the share of the pixels left."""
    shares: Tensor | None = None
    """(2L, 2) float, of plans over items: how much each answer counts on a mixed row, and how much the row is labelled
    uniformly on its behalf. First the rows of the answers' own items, then those on which these are the partner. None:
    ``weight`` on the own, ``1 - weight`` on the other, nothing uniform, as mixup has it; participants may perceive
    otherwise."""


class Batch(NamedTuple):
    """One batch: every input once, annotations as a flat list of pairs. Absent fields are None."""

    input: Tensor
    """(R, C, H, W) uint8 or float, or (R, D) float; from the loader R = B, one row per item."""
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which has no use on a batch
    """(B,) int64, row of the item in the whole items table, not in the split."""
    target: Tensor
    """(B,) int64 true class, -1 where unknown. For evaluation; a training part that reads it says so in its name."""
    row: Tensor
    """(L,) int64 non-decreasing, the row of ``index`` that a pair belongs to."""
    annotator: Tensor
    """(L,) int64, -1 for an annotator without a training label."""
    label: Tensor
    """(L,) int64, the label given; the argmax where ``probs`` is given."""
    probs: Tensor | None = None
    """(L, K) float, soft answers."""
    confidence: Tensor | None = None
    """(L,) float in [0, 1], stated confidence, NaN where not stated."""
    mask: Tensor | None = None
    """(B, 1 or C, H, W) or (B, D) float in [0, 1], 1 = a human called this pixel irrelevant; all zero = no explanation.
    uint8 from the loader; mixed together with the inputs, so that it has their R rows."""
    group: Tensor | None = None
    """(B,) int64 evaluation group, -1 where unknown."""
    plan: MixPlan | None = None
    """None from the loader; set by the mix policy in training."""

    def select(self, keep: Tensor) -> "Batch":
        """Returns the batch of some items, with their pairs, in the order that they have.

        Args:
            keep: (B,) bool.

        Raises:
            ConfigError: if the batch is mixed: a mixed row belongs to two items.
        """
        if self.plan is not None:
            raise ConfigError("`batch.plan` must be None to select items. Select them before they are mixed.")
        pairs = keep[self.row]
        return Batch(
            input=self.input[keep],
            index=self.index[keep],
            target=self.target[keep],
            row=(keep.cumsum(0) - 1)[self.row[pairs]],
            annotator=self.annotator[pairs],
            label=self.label[pairs],
            probs=None if self.probs is None else self.probs[pairs],
            confidence=None if self.confidence is None else self.confidence[pairs],
            mask=None if self.mask is None else self.mask[keep],
            group=None if self.group is None else self.group[keep],
        )


class StepOutput(NamedTuple):
    """The outputs of a step for metrics and callbacks, which read nothing else of the module.

    In training only the first nine fields are set and ``logits`` may belong to mixed rows (see ``plan``). In
    evaluation and prediction nothing is mixed, R = B, and the remaining fields are set where the annotator model
    has them (``Perfect`` has none).
    """

    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which has no use on a batch
    """(B,) int64, row of the item in the whole items table."""
    target: Tensor
    """(B,) int64, -1 where unknown."""
    logits: Tensor
    """(R, K) float class logits."""
    row: Tensor
    """(L,) int64, the row of ``index`` that a pair belongs to."""
    annotator: Tensor
    """(L,) int64, -1 unknown."""
    label: Tensor
    """(L,) int64, the label given."""
    probs: Tensor | None
    """(L, K) float soft answers, or None."""
    plan: MixPlan | None
    """Plan by which the rows were mixed, or None."""
    label_log_probs: Tensor
    """(L, K) float, log p(annotator says k | input), before seeing the label. Under an item-wise plan: (2L, K)."""
    diagonal: Tensor | None = None
    """(L, K) float, p(annotator says c | input, true class c)."""
    confusion: Confusion | None = None
    """p(annotator says k | input, true class c) of the pairs; its ``dense()`` is a tensor (L, K, K), rows = true class.
    None for too many classes."""
    log_likelihood: Tensor | None = None
    """(L, K) float, log p(the annotator's label | input, true class c); for soft answers its expectation."""
    posterior: Tensor | None = None
    """(B, K) float, p(true class | input, the labels given to the item)."""
    group: Tensor | None = None
    """(B,) int64 evaluation group, -1 where unknown."""
    fold: Tensor | None = None
    """(B,) int64, of a cross-fitted model: the fold of an item, which the network that predicts it has not seen; -1
    where no network has. None: the model has no folds, what it says of training items is in-sample."""

    @property
    def class_probs(self) -> Tensor:
        """(R, K) float class probabilities."""
        return self.logits.softmax(-1)

    @property
    def p_right(self) -> Tensor | None:
        """(L,) float64: sum over classes of p(class) times the annotator's diagonal, before seeing the label."""
        if self.diagonal is None:
            return None
        dtype = sum_dtype(self.logits.device)  # rounding of probabilities that sum to 1 would make a ranking of noise
        return (self.logits.to(dtype).softmax(-1)[self.row] * self.diagonal.to(dtype)).sum(-1)

    @property
    def right(self) -> Tensor:
        """(L,) int64: 1 if the label equals the target, 0 if not, -1 where the target is unknown."""
        target = self.target[self.row]
        return torch.where(target == UNKNOWN, UNKNOWN, (self.label == target).long())


class ItemLogits(NamedTuple):
    """The least that a diagnostic of single items reads of a step."""

    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which has no use on a batch
    """(B,) int64, row of the item in the whole items table."""
    logits: Tensor
    """(B, K) float class logits of the items."""
    plan: MixPlan | None = None
    """Plan by which the rows were mixed, or None."""

    @classmethod
    def read(cls, output: Any, step: str) -> "ItemLogits":
        """Returns the logits of a step of any module.

        Args:
            output: a :class:`StepOutput`, another object with attributes ``index`` and ``logits``, or a dict with
                these keys.
            step: that returned it, for the message.

        Raises:
            ConfigError: if it lacks one of the two, if their lengths differ, or if it has a mix plan.
        """
        fields = output if isinstance(output, Mapping) else {n: getattr(output, n, None) for n in cls._fields}
        index, logits, plan = (fields.get(name) for name in cls._fields)
        if not isinstance(index, Tensor) or not isinstance(logits, Tensor):
            raise ConfigError(
                f"{step} must return tensors `index` (B,) and `logits` (B, K), in a hilmix.types.StepOutput or a dict, "
                f"got {type(output).__name__}."
            )
        if plan is not None or logits.shape[:-1] != index.shape:
            found = "a mix plan" if plan is not None else f"{tuple(logits.shape)} for {tuple(index.shape)}"
            raise ConfigError(f"{step}: `logits` must be (B, K), of the un-mixed items of `index` (B,), got {found}.")
        return cls(index, logits)
