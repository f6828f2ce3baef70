"""Does a model depend on what annotators marked as irrelevant? Accuracy under noise there, and elsewhere."""

from collections.abc import Callable

import torch
from torch import Tensor

from hilmix.functional.groups import relative_core_sensitivity
from hilmix.functional.random import step_seed
from hilmix.metrics import Accuracy
from hilmix.types import UNKNOWN, Batch


class MaskSensitivityTracker:
    """Measures accuracy under noise on and off the masks, over the explained items with a known target.

    Noise is drawn by (seed, item), whatever batch and rank the item is in; sums are exact over ranks.

    Args:
        sigma: standard deviation of the Gaussian noise, in standard deviations of the inputs, > 0.
        seed: of the noise, at least 0.
        device: of the batches.

    Reference: S. Singla, M. Moayeri, S. Feizi, Core Risk Minimization using Salient ImageNet, 2022.
    """

    def __init__(self, sigma: float = 2.0, *, seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.sigma, self.seed = sigma, seed
        self._irrelevant, self._core = (Accuracy().to(device) for _ in range(2))

    @torch.no_grad()
    def update(self, model: Callable[[Tensor], Tensor], batch: Batch, input_std: Tensor) -> None:
        """Adds an un-mixed batch, by two more calls of the model.

        Args:
            model: returns the logits (B, K) of inputs (B, ...); in evaluation mode.
            batch: with ``mask`` in [0, 1], 1 where the input is irrelevant; without masks nothing is added.
            input_std: (C,) standard deviation of each channel, or (D,) of each feature, of the inputs.
        """
        if batch.mask is None:
            return
        # Items without a mask would count as robust: noise on nothing changes nothing.
        rows = (batch.mask.flatten(1) > 0).any(1) & (batch.target != UNKNOWN)
        x, mask, target = batch.input[rows], batch.mask[rows], batch.target[rows]
        if not len(x):
            return
        std = input_std.reshape(-1, *[1] * (x.ndim - 2))
        noise = self.sigma * std * standard_noise(x, batch.index[rows], self.seed)
        for metric, where in ((self._irrelevant, mask), (self._core, 1 - mask)):
            metric.update(model(x + where * noise).softmax(-1), target)

    def compute(self) -> dict[str, Tensor]:
        """Returns the results over all ranks, each of which must call it; nothing where no item was added.

        Returns:
            ``acc_noise_irrelevant``, the accuracy under noise on the marked part, ``acc_noise_core``, under noise on
            the rest, and ``rcs``, the relative core sensitivity in [-1, 1]: 1 if only the rest counts.
        """
        irrelevant, core = self._irrelevant.compute(), self._core.compute()
        if irrelevant.isnan():
            return {}
        rcs = relative_core_sensitivity(core, irrelevant)
        return {"acc_noise_irrelevant": irrelevant, "acc_noise_core": core, "rcs": rcs}


def standard_noise(x: Tensor, index: Tensor, seed: int) -> Tensor:
    """Returns standard normal noise of the shape and type of ``x``, each row drawn by (seed, item).

    Args:
        x: (B, ...) float.
        index: (B,) int64 row of each item in the whole items table.
        seed: of the run, at least 0.
    """
    generator, noise = torch.Generator(), torch.empty(x.shape)
    for row, item in zip(noise, index.tolist(), strict=True):
        # By item and on the host: the same noise whatever the batch, the rank or the device.
        row.normal_(generator=generator.manual_seed(step_seed(seed, item, stream="sample")))
    return noise.to(x)
