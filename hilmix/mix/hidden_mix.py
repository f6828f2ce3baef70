"""Mixing behind the input: in a hidden layer, or pair by pair in the features."""

import numpy as np

from hilmix.errors import ConfigError
from hilmix.functional.mixing import Alpha, draw_partners, draw_weights
from hilmix.mix.base import MixPolicy
from hilmix.types import Batch, MixPlan


class HiddenMix(MixPolicy):
    """annot-mix with the mix moved from the input into the network; one backbone pass per item.

    ``layer="features"`` (default) gathers the backbone's output once per pair and mixes pairs exactly as annot-mix
    does: one weight for features, annotator embedding and label. A named layer inside the backbone mixes items
    there, as :class:`~hilmix.mix.ItemMix` does at the input, since everything behind that layer would otherwise run
    once per pair.

    Args:
        alpha: parameter of the Beta(alpha, alpha) distribution of the weights.
        layer: ``features``, or a module of the backbone such as ``layer2`` (timm ResNet) or ``stages.1`` (ConvNeXt);
            a wrong name is answered with the names that the backbone has.

    Reference: Verma et al., "Manifold Mixup", ICML 2019, joined with annot-mix (Herde et al., ECAI 2024). Differs
    from both: neither mixes hidden features of annotated pairs.
    """

    def __init__(self, alpha: Alpha = 1.0, layer: str = "features") -> None:
        self.alpha = float(alpha)
        if not layer:
            raise ConfigError("`HiddenMix.layer` must be the name of a layer or 'features', got ''.")
        self.layer = layer

    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan | None:
        pairwise = self.layer == "features"
        rows = len(batch.row) if pairwise else len(batch.index)
        if rows == 0:
            return None
        return MixPlan(
            draw_partners(rows, generator),
            draw_weights(rows, self.alpha, generator),
            rows="pairs" if pairwise else "items",
            layer=self.layer,
        )
