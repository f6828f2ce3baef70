"""Labels at face value."""

from typing import Self

from torch import Tensor

from hilmix.annotators.base import AnnotatorModel
from hilmix.types import MixPlan


class Perfect(AnnotatorModel):
    """Every annotator gives the true class: the loss is the cross-entropy with the labels as given.

    It makes no statement about annotators, so there is no posterior and no probability of being right.
    """

    @property
    def matrix_per_pair(self) -> bool:
        return False

    @property
    def structure(self) -> str:
        return "none, labels at face value"

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, None]:
        return log_probs, None
