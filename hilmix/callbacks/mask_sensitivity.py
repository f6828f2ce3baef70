"""Does a model depend on what annotators marked as irrelevant? Accuracy under noise there and elsewhere."""

from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from hilmix.checks import Positive, check_value
from hilmix.diagnostics.mask_sensitivity import MaskSensitivityTracker
from hilmix.functional.random import run_seed
from hilmix.types import Batch, StepOutput


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
        self._tracker = MaskSensitivityTracker(self.sigma, seed=run_seed(), device=pl_module.device)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch.mask is None:  # and the model may have no input_std
            return
        with isolate_rng():  # a model that draws when it predicts must not predict the next batch differently
            self._tracker.update(pl_module, batch, cast(Tensor, pl_module.input_std))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        values = {f"test/{name}": value for name, value in self._tracker.compute().items()}
        pl_module.log_dict(values, batch_size=1)
