"""One plain line per epoch, where the output is no terminal and a progress bar would fill it with escapes."""

import time

from lightning.pytorch import Callback, LightningModule, Trainer

from hilmix.terminal import say, terminal

SHOWN = ("loss", "acc", "nll", "ece", "agreement")


class EpochLine(Callback):
    """Prints the epoch, the validation metrics and the seconds that it took; the command line adds it to training."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        found = {name: trainer.callback_metrics.get(f"val/{name}") for name in SHOWN}
        scores = [f"val {name} {float(value):.4f}" for name, value in found.items() if value is not None]
        seconds = f"{time.monotonic() - self._start:.1f} s"
        of = "" if trainer.max_epochs in (None, -1) else f" of 0-{trainer.max_epochs - 1}"
        say(terminal(), f"epoch {trainer.current_epoch}{of}: {', '.join([*scores, seconds])}")
