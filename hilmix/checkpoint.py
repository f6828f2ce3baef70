"""Checkpoint files that are whole or not there."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from hilmix.errors import RunError
from hilmix.integrity import SETTINGS, check_intact, forget_content, seal
from hilmix.redaction import redacted

__all__ = ["AtomicCheckpointIO"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames: a run that is killed while saving keeps its previous checkpoint.

    Each file ends with a digest of itself, which is checked before it is loaded.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves the checkpoint.

        Raises:
            RunError: if the folder is not writable or the disk is full; the previous file is untouched.
        """
        forget_content()
        target = Path(path)
        partial = target.with_name(f".{target.name}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w+b") as file:
                torch.save(_without_secrets(checkpoint), file)
                seal(file)
                file.flush()
                # Before the rename: after a loss of power the name could otherwise stand for a file without its
                # content.
                os.fsync(file.fileno())
            os.replace(partial, target)
        except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError about positions
            room = (
                f"{shutil.disk_usage(target.parent).free / 2**20:.0f} MB free"
                if target.parent.exists()
                else "no folder"
            )
            raise RunError(
                f"Cannot write the checkpoint {target} ({room}): {error}. Free space or choose another "
                "run folder; the last complete checkpoint can be resumed."
            ) from error
        finally:
            with contextlib.suppress(OSError):  # its own trouble must not hide the one above
                partial.unlink()

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Loads a checkpoint: tensors and plain values only, whatever ``weights_only`` says.

        Raises:
            RunError: if it is damaged.
        """
        check_intact(path)
        # Lightning gives the device first and weights_only behind it.
        checkpoint: dict[str, Any] = super().load_checkpoint(path, *args[:1], **{**kwargs, "weights_only": True})
        return checkpoint


def _without_secrets(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return {key: redacted(value) if key in SETTINGS else value for key, value in checkpoint.items()}
