"""annot-mix: mixup over (instance, annotator, label) triples, exact per pair."""

import numpy as np
import torch

from hilmix.checks import PositiveInt
from hilmix.functional.mixing import Alpha, draw_partners, draw_weights
from hilmix.mix.base import MixPolicy
from hilmix.types import Batch, MixPlan


class AnnotMix(MixPolicy):
    """Every labelled pair of the batch becomes a row of its own and is mixed with a random other pair.

    One weight per pair, Beta(alpha, alpha), serves input, annotator embedding and label alike. The backbone runs on
    L pairs in place of B items: with three labels per item a step costs about three times as much
    (:class:`~hilmix.mix.ItemMix` and :class:`~hilmix.mix.HiddenMix` avoid that).

    Args:
        alpha: parameter of the Beta distribution, 1 in the paper.
        max_pairs_per_item: if given, at most so many randomly drawn pairs of each item take part in a step, for
            data with dozens of labels per item.

    Reference: Herde, Luehrs, Huseljic, Sick, "annot-mix: Learning with Noisy Class Labels from Multiple Annotators
    via a Mixup Extension", ECAI 2024. Differs from the paper: weights and partners are functions of (seed, batch
    counter, rank), so that ranks differ and a resumed run repeats them.
    """

    def __init__(self, alpha: Alpha = 1.0, max_pairs_per_item: PositiveInt | None = None) -> None:
        self.alpha = float(alpha)
        self.max_pairs_per_item = max_pairs_per_item

    def limit(self, batch: Batch, generator: np.random.Generator) -> Batch:
        if self.max_pairs_per_item is None:
            return batch
        # rank of a random key within its item: sort by key, then stably by item
        # A permutation as keys, since random numbers could tie.
        key = torch.from_numpy(generator.permutation(len(batch.row))).to(batch.row.device)
        order = key.argsort()
        order = order[batch.row[order].argsort(stable=True)]
        count = torch.bincount(batch.row, minlength=len(batch.index))
        rank = torch.arange(len(order), device=order.device) - (count.cumsum(0) - count)[batch.row[order]]
        # Sorted back, so that pairs lie in the order of their items as before.
        keep = order[rank < self.max_pairs_per_item].sort().values
        return batch._replace(
            row=batch.row[keep],
            annotator=batch.annotator[keep],
            label=batch.label[keep],
            probs=None if batch.probs is None else batch.probs[keep],
            confidence=None if batch.confidence is None else batch.confidence[keep],
        )

    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan | None:
        pairs = len(batch.row)
        if pairs == 0:
            return None
        return MixPlan(draw_partners(pairs, generator), draw_weights(pairs, self.alpha, generator), rows="pairs")
