"""Mixing once per item: mixup, with any number of annotations per item."""

import numpy as np

from hilmix.functional.mixing import Alpha, draw_partners, draw_weights
from hilmix.mix.base import MixPolicy
from hilmix.types import Batch, MixPlan


class ItemMix(MixPolicy):
    """The inputs of two items are mixed once; the annotations of both are scored on the shared outputs.

    An item's own annotations count with weight w, its partner's with 1 - w; annotators are not mixed. One backbone
    pass per item, whatever the number of labels. On targets with one label per item this is mixup.

    Args:
        alpha: parameter of the Beta(alpha, alpha) distribution of the weights, one weight per item.

    Reference: for one label per item Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. Differs
    from annot-mix: weights and partners belong to items, not to (item, annotator) pairs, and each annotation is
    judged by the confusion of the annotator who gave it, not of a mixed annotator.
    """

    def __init__(self, alpha: Alpha = 1.0) -> None:
        self.alpha = float(alpha)

    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan:
        items = len(batch.index)
        return MixPlan(draw_partners(items, generator), draw_weights(items, self.alpha, generator))
