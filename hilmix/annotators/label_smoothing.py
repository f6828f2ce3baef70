"""Labels that are believed less than fully."""

import torch
from torch import Tensor

from hilmix.annotators.base import AnnotatorOutput
from hilmix.annotators.perfect import Perfect
from hilmix.checks import Rate
from hilmix.functional.losses import annotation_nll
from hilmix.types import Batch


class LabelSmoothing(Perfect):
    """Cross-entropy with ``(1 - share) one_hot(z) + share / K`` in place of the label z.

    Args:
        share: of the target that is spread evenly over the K classes, in [0, 1).

    Raises:
        ConfigError: if the share is not in [0, 1).

    Reference: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7, with
    its share of 0.1; Lukasik et al., "Does label smoothing mitigate label noise?", ICML 2020, for its use on noisy
    labels.
    """

    def __init__(self, share: Rate = 0.1) -> None:
        super().__init__()
        self.share = float(share)

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Returns the loss of each of the L pairs; soft answers and mixed rows are smoothed too."""
        log_probs = output.label_log_probs
        scores = torch.lerp(log_probs, log_probs.mean(1, keepdim=True), self.share)
        return annotation_nll(scores, batch.label, batch.probs, batch.row, batch.plan)
