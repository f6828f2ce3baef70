"""Does a model depend on what annotators marked as irrelevant? Accuracy under noise there and elsewhere."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from hilmix.checks import Positive, check_value
from hilmix.functional.groups import relative_core_sensitivity
from hilmix.functional.random import run_seed, step_seed
from hilmix.metrics import Accuracy
from hilmix.types import UNKNOWN, Batch, StepOutput


class MaskSensitivity(Callback):
    """Logs in ``test``, over the explained items with a known target,

    * ``test/acc_noise_irrelevant``: accuracy under noise on the marked part,
    * ``test/acc_noise_core``: accuracy under noise on the rest,
    * ``test/rcs``: relative core sensitivity, in [-1, 1]; 1 if only the rest counts.

    Each takes one more pass over these items. Without any, nothing is logged.

    Args:
        sigma: standard deviation of the Gaussian noise, in standard deviations of the inputs, as the network reads
            them.

    Raises:
        ConfigError: if it is not positive.

    Reference: S. Singla, M. Moayeri, S. Feizi, Core Risk Minimization using Salient ImageNet, 2022; sigma 2 in the
    perturbation paper's evaluation. Noise is drawn by (seed, item), whatever batch and rank the item is in.
    """

    def __init__(self, sigma: Positive = 2.0) -> None:
        check_value("MaskSensitivity.sigma", sigma, Positive)
        self.sigma = sigma

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._irrelevant, self._core = (Accuracy().to(pl_module.device) for _ in range(2))

    @torch.no_grad()
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch.mask is None:
            return
        rows = (batch.mask.flatten(1) > 0).any(1) & (batch.target != UNKNOWN)
        x, mask, target = batch.input[rows], batch.mask[rows], batch.target[rows]
        if not len(x):
            return
        noise = self.sigma * self._spread(pl_module, x) * standard_noise(x, batch.index[rows])
        with (
            isolate_rng()
        ):  # a model may draw when it predicts, and must predict the next batch as without these passes
            for metric, where in ((self._irrelevant, mask), (self._core, 1 - mask)):
                metric.update(pl_module(x + where * noise).softmax(-1), target)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        irrelevant, core = self._irrelevant.compute(), self._core.compute()
        if irrelevant.isnan():
            return
        rcs = relative_core_sensitivity(core, irrelevant)
        values: dict[str, Any] = {"acc_noise_irrelevant": irrelevant, "acc_noise_core": core, "rcs": rcs}
        pl_module.log_dict({f"test/{name}": value for name, value in values.items()}, batch_size=1)

    @staticmethod
    def _spread(pl_module: LightningModule, x: Tensor) -> Tensor:
        """The standard deviation of the network's inputs in units of the stored ones, (C, 1, 1) or (D,)."""
        std: Tensor = pl_module.input_std  # type: ignore[assignment]  # a buffer
        return std.reshape(-1, *[1] * (x.ndim - 2))


def standard_noise(x: Tensor, index: Tensor) -> Tensor:
    """Returns standard normal noise of the shape and type of ``x``, each row drawn by (seed of the run, item).

    Args:
        x: (B, ...) float.
        index: (B,) int64 row of each item in the whole items table.
    """
    generator, noise = torch.Generator(), torch.empty(x.shape)
    for row, item in zip(noise, index.tolist(), strict=True):
        row.normal_(generator=generator.manual_seed(step_seed(run_seed(), item, stream="sample")))
    return noise.to(x)
