"""Samplers and loaders of batches: seeded and resumable in training, each item once in evaluation."""

import os
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from torch.utils.data import DataLoader, Sampler

from hilmix.data.dataset import ItemDataset, pass_batch
from hilmix.data.inputs import ImageFiles
from hilmix.data.samplers import EpochSampler
from hilmix.errors import ConfigError
from hilmix.types import Batch

FEW_ITEMS = 1000
"""Items below which fetching takes less time than starting a process for it."""
MOST_WORKERS = 8
"""Processes of a loader without a given number: more hold more batches in memory than a network keeps up with."""


def choose_workers(dataset: ItemDataset, *, ranks: int = 1) -> int:
    """Returns the number of processes that suits the data and the machine.

    None where a batch is a slice of an array or items are few; where pictures are decoded or augmented, one for each
    core of a rank but its own, at most :data:`MOST_WORKERS`. The number changes nothing of what is drawn.

    Args:
        dataset: to fetch from.
        ranks: number of ranks on this machine, which share its cores.
    """
    if len(dataset) < FEW_ITEMS or not (dataset.augments or isinstance(dataset.data.inputs, ImageFiles)):
        return 0
    # the cores that a job was given, not those of the machine
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, max(0, cores // ranks - 1))


def build_loader(
    dataset: ItemDataset, sampler: Sampler[int] | None, *, batch_size: int, num_workers: int
) -> DataLoader[Batch]:
    """Return a loader of batches; without a sampler in the order of the data set."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        # a process that starts anew in every epoch imports torch and reads the table of items again
        persistent_workers=num_workers > 0,
        collate_fn=pass_batch,  # type: ignore[arg-type]  # __getitems__ hands it a whole batch
        # Copies from pinned memory overlap with the work of the GPU; without one, torch warns.
        pin_memory=torch.cuda.is_available(),
    )


def build_train_sampler(dataset: ItemDataset, trainer: Trainer, *, batch_size: int, seed: int) -> EpochSampler:
    """Return the sampler of training, at the position of the trainer's counters."""
    sampler = EpochSampler(dataset, seed=seed, num_replicas=trainer.world_size, rank=trainer.global_rank)
    # Lightning asks for the loader after it has restored its counters, but not the loader's position
    epochs, batches = trainer.fit_loop.epoch_progress.current, trainer.fit_loop.epoch_loop.batch_progress
    if batches.is_last_batch:
        # Between two epochs `ready`, how many have begun, is the number of the next; the batches are those of the last.
        sampler.resume(epoch=epochs.ready, items=0)
    else:
        current: Any = batches.current  # a _ProcessedTracker, typed as its base
        # Processed, not completed: Lightning completes a batch only behind the hook that saves checkpoints.
        sampler.resume(epoch=trainer.current_epoch, items=current.processed * batch_size)
    return sampler


def build_clean_sampler(dataset: ItemDataset, trainer: Trainer | None, split: str) -> Sampler[int] | None:
    """Return a sampler that shares the items among devices, none twice; None where one device takes all.

    Raises:
        ConfigError: if there are fewer items than devices.
    """
    if trainer is None or trainer.world_size == 1:
        return None
    if len(dataset) < trainer.world_size:
        raise ConfigError(
            f"Devices must be at most as many as items of '{split}', got {trainer.world_size} for {len(dataset)} items."
        )
    # Lightning's default repeats items to even out the ranks: 101 items on two of them were scored as 102.
    return UnrepeatedDistributedSampler(
        dataset, shuffle=False, num_replicas=trainer.world_size, rank=trainer.global_rank
    )
