"""CutMix: a rectangle of another image is pasted in."""

import numpy as np

from hilmix.errors import ConfigError
from hilmix.functional.mixing import Alpha, draw_boxes, draw_partners, draw_weights
from hilmix.mix.base import MixPolicy
from hilmix.types import Batch, MixPlan


class CutMix(MixPolicy):
    """In every image a rectangle is replaced by that of its partner; labels are mixed by area, as in ItemMix.

    Args:
        alpha: parameter of the Beta(alpha, alpha) distribution of the area kept, one rectangle per item.

    Raises:
        ConfigError: for inputs that are no images.

    Reference: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019. Differs from the
    paper: weights and places are drawn per item, not per batch.
    """

    def __init__(self, alpha: Alpha = 1.0) -> None:
        self.alpha = float(alpha)

    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan:
        if batch.input.ndim != 4:
            raise ConfigError(
                f"mix: CutMix pastes rectangles of images, the inputs have the shape {tuple(batch.input.shape[1:])}; "
                "for vectors choose ItemMix."
            )
        items = len(batch.index)
        partner = draw_partners(items, generator)
        drawn = draw_weights(items, self.alpha, generator)
        box, weight = draw_boxes(drawn, batch.input.shape[2], batch.input.shape[3], generator)
        return MixPlan(partner, weight, box=box)
