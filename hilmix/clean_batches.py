"""Batches outside Lightning's loops, as its loops would hand them to a model."""

from collections.abc import Iterable, Iterator

from lightning.pytorch import Trainer

from hilmix.types import Batch


def clean_batches(trainer: Trainer, loader: Iterable[Batch]) -> Iterator[Batch]:
    """Yields the batches of a loader in the run's precision, on its device.

    Args:
        trainer: of the run; its precision also holds for what the caller computes between two batches.
        loader: un-mixed batches, such as ``AnnotatedDataModule.clean_dataloader("train")``.
    """
    for batch in loader:
        converted = trainer.precision_plugin.convert_input(batch)
        moved = trainer.strategy.batch_to_device(converted, dataloader_idx=0)
        with trainer.precision_plugin.forward_context():
            yield moved
