"""Clean passes of a Lightning trainer over its data module, equal on all ranks, shared between callbacks."""

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import Annotations
from hilmix.clean_batches import clean_batches
from hilmix.diagnostics.clean_pass import PER_ITEM, PER_PAIR, CleanPass, Collector
from hilmix.errors import ConfigError, SizeError
from hilmix.functional.calibration import sum_dtype
from hilmix.functional.modes import evaluation_mode
from hilmix.functional.sizes import too_large
from hilmix.modules.outputs import evaluation_output
from hilmix.types import ItemLogits, StepOutput

_passes: "WeakKeyDictionary[Trainer, dict[tuple[Any, ...], CleanPass]]" = WeakKeyDictionary()


def clean_pass(trainer: Trainer, pl_module: LightningModule, split: str) -> CleanPass:
    """Returns what the model says of the items of a split, or ``all``; every rank must call it.

    Callbacks that ask for the same split at the same weights share one pass.

    Raises:
        SizeError: on every rank, where its tables would fill the memory.
    """
    weights = (id(pl_module), _digest(pl_module))
    known = _passes.setdefault(trainer, {})
    # Only passes of the weights at hand are kept: each holds N x K numbers, and reports share it within one moment.
    for stale in [key for key in known if key[:2] != weights]:
        del known[stale]
    key = (*weights, split)
    if key not in known:
        datamodule = datamodule_of(trainer)
        chosen = _chosen(datamodule, split)
        require_pass(trainer, datamodule.data.annotations, chosen, f"A pass over '{split}' items")
        training = datamodule.split[chosen] == "train"
        collector = Collector(datamodule.data.annotations, np.flatnonzero(chosen), training=training)
        for output in clean_outputs(trainer, pl_module, split):
            collector.add(output)
        known[key] = collector.finish(partial(sum_over_ranks, trainer))
    return known[key]


def _chosen(datamodule: Any, split: str) -> NDArray[np.bool_]:
    """(N,) which items a split has."""
    chosen: NDArray[np.bool_] = (datamodule.split == split) | (split == "all")
    return chosen


def require_pass(trainer: Trainer, annotations: Annotations, items: NDArray[np.bool_], what: str) -> None:
    """Refuses a pass that would not fit into the memory; every rank must call it, and gets the same answer.

    Args:
        trainer: of the ranks, whose machines may differ.
        annotations: all of the data.
        items: (N,) bool, those that the pass reaches.
        what: the pass.

    Raises:
        SizeError: with the sizes and the gigabytes.
    """
    n, m, k = int(items.sum()), int(annotations.labels_per_item[items].sum()), annotations.num_classes
    reason = too_large(what, k * (PER_ITEM * n + PER_PAIR * m), items=n, classes=k)
    # The first rank decides for all: machines differ in memory, and one rank alone in a pass would wait for ever.
    if reason := trainer.strategy.broadcast(reason):
        raise SizeError(reason)


def _digest(module: LightningModule) -> str:
    """By content: callbacks that average weights change them behind the back of torch's version counters."""
    digest = hashlib.blake2b()
    for tensor in [*module.parameters(), *module.buffers()]:
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def clean_outputs(trainer: Trainer, pl_module: LightningModule, split: str) -> Iterator[StepOutput]:
    """Yields what the model says of batches of a split (or ``all``) on this rank, nothing mixed, in evaluation mode.

    A module whose ``predict_step`` returns ``index`` and ``logits`` alone is read as a class model: it expects of every
    annotator what it predicts. Global random states are put back behind the last batch, as data loaders draw from
    them: a run gives the same with and without its reports.

    Raises:
        ConfigError: for a step that returns neither, or other items than those of its batch.
    """
    for batch, output in _clean_steps(trainer, pl_module, split):
        yield output if isinstance(output, StepOutput) else _at_face_value(batch, output, _predict_step(pl_module))


def _at_face_value(batch: Any, output: Any, step: str) -> StepOutput:
    """The class model alone, with the pairs of the batch."""
    index, logits, _ = ItemLogits.read(output, f"model: {step}")
    if not torch.equal(index.cpu(), batch.index.cpu()):
        raise ConfigError(f"model: {step}: `index` must be that of the batch, in its order, got other items.")
    log_probs = logits.detach().float().log_softmax(-1)
    return evaluation_output(batch, logits, {"label_log_probs": log_probs[batch.row]})


def clean_logits(trainer: Trainer, pl_module: LightningModule, split: str) -> Iterator[ItemLogits]:
    """Yields index and logits as :func:`clean_outputs` does, of any module whose ``predict_step`` returns these two."""
    for _, output in _clean_steps(trainer, pl_module, split):
        yield ItemLogits.read(output, f"model: {_predict_step(pl_module)}")


@torch.no_grad()
def _clean_steps(trainer: Trainer, pl_module: LightningModule, split: str) -> Iterator[tuple[Any, Any]]:
    if not _chosen(datamodule_of(trainer), split).any():
        return
    # A report must leave no trace: the draws of the next training step are those of a run without it.
    with isolate_rng(), evaluation_mode(pl_module):
        for i, batch in enumerate(clean_batches(trainer, datamodule_of(trainer).clean_dataloader(split))):
            yield batch, pl_module.predict_step(batch, i)


def _predict_step(pl_module: LightningModule) -> str:
    return f"{type(pl_module).__module__}.{type(pl_module).__qualname__}.predict_step"


def datamodule_of(trainer: Trainer) -> Any:
    """Returns the trainer's datamodule.

    Raises:
        ConfigError: if it lacks what the diagnostics read.
    """
    datamodule = getattr(trainer, "datamodule", None)
    if not hasattr(datamodule, "clean_dataloader"):
        raise ConfigError(
            "hilmix callbacks need the data as a datamodule with data, split and clean_dataloader; pass "
            "datamodule=AnnotatedDataModule(...) to the trainer in place of data loaders."
        )
    return datamodule


def sum_over_ranks(trainer: Trainer, values: Tensor) -> Tensor:
    """Returns the sum of a CPU tensor over the ranks of a trainer, on the CPU; every rank must call it."""
    if trainer.world_size == 1:
        return values
    device = trainer.strategy.root_device
    # The lesser of both precisions: MPS has no float64, and flags in float32 need not grow.
    moved = values.to(device, dtype=min(values.dtype, sum_dtype(device), key=lambda d: torch.finfo(d).bits))
    reduced = trainer.strategy.reduce(moved, reduce_op="sum")
    assert isinstance(reduced, Tensor)
    return reduced.cpu()
