"""The calling convention of annotator models."""

from abc import ABC, abstractmethod
from typing import Self

from torch import Tensor, nn

from hilmix.functional.confusion import Confusion
from hilmix.parts import Part
from hilmix.types import MixPlan


class AnnotatorModel(Part, nn.Module, ABC):
    """What an annotator is expected to say. Settings in the constructor, sizes in :meth:`build`.

    Example:
        >>> import torch
        >>> from hilmix.annotators import AnnotMixHead
        >>> model = AnnotMixHead(embed_dim=8).build(num_features=4, num_classes=3, num_annotators=5).eval()
        >>> log_said, confusion = model(torch.zeros(2, 4), torch.zeros(2, 3).log_softmax(-1), torch.tensor([0, 4]))
        >>> log_said.shape, confusion.dense().shape
        (torch.Size([2, 3]), torch.Size([2, 3, 3]))
    """

    @abstractmethod
    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        """Creates the parameters and returns the model itself.

        Args:
            num_features: D, width of the backbone's output.
            num_classes: K.
            num_annotators: A.
            num_annotator_features: F, width of the annotators' metadata, 0 if there are none; see
                :meth:`set_annotator_features`.
        """

    def set_annotator_features(self, features: Tensor) -> None:
        """Takes (A, F) float metadata of the annotators; a model without use for them ignores them."""

    @abstractmethod
    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion | None]:
        """Returns ``log_said`` (L, K) and the confusion behind it, None if labels are taken at face value.

        Args:
            features: (L, D) float, the backbone's output for the item of each pair.
            log_probs: (L, K) float, class log-probabilities for the item of each pair.
            annotator: (L,) int64 in [0, A), or -1 for an annotator never seen in training.
            plan: given if the rows are *mixed pairs*: then annotators are mixed by the same plan.
        """
