"""The calling convention of annotator models."""

import inspect
from abc import ABCMeta, abstractmethod
from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from hilmix.checks import NonNegativeInt, PositiveInt, check_value
from hilmix.errors import ConfigError
from hilmix.functional.confusion import Confusion, label_posterior
from hilmix.functional.losses import annotation_nll
from hilmix.parts import Part
from hilmix.types import Batch, MixPlan

_SIZES = ("num_features", "num_classes", "num_annotators", "num_annotator_features")


class AnnotatorOutput(NamedTuple):
    """Output of an annotator model for S rows, beside the annotators that the rows belong to.

    S = L, one row per pair; under a plan over items S = 2L: first the own rows, then the partner rows.
    """

    label_log_probs: Tensor
    """(S, K) float, log p(annotator says k | input)."""
    confusion: Confusion | None
    """Of the S rows; None if labels are taken at face value."""
    log_probs: Tensor
    """(S, K) float, the class log-probabilities of its input."""
    annotator: Tensor
    """(S,) int64, -1 unknown."""


class _TakesSizes(ABCMeta):
    """Lets the sizes of :meth:`AnnotatorModel.build` stand among the arguments of the constructor, which then builds.

    They are no settings: configs, checkpoints and the help of the command line know the constructor's own alone.
    """

    def __call__(cls, *args: Any, **settings: Any) -> Any:
        sizes = {name: settings.pop(name) for name in _SIZES if name in settings}
        model = super().__call__(*args, **settings)
        if not sizes:
            return model
        if missing := [name for name in _SIZES[:3] if name not in sizes]:
            given = ", ".join(sizes)
            raise ConfigError(f"`{missing[0]}` must be given with {given}: a model is built with all sizes or none.")
        for name, value in sizes.items():
            check_value(f"{cls.__name__}.{name}", value, NonNegativeInt if name == _SIZES[3] else PositiveInt)
        return model.build(**sizes)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The signature of the constructor, which :meth:`__call__` would hide."""
        own = inspect.signature(cls.__init__)  # type: ignore[misc]  # cls is a class, not an instance
        return own.replace(parameters=[*own.parameters.values()][1:])


class AnnotatorModel(Part, nn.Module, metaclass=_TakesSizes):
    """Base: probabilities of annotators' labels, given the class. Settings in the constructor, sizes in :meth:`build`,
    or in the constructor too: ``CrowdLayer(num_classes=5, num_annotators=40, num_features=128)`` builds at once.

    Example:
        >>> import torch
        >>> from hilmix.annotators import AnnotMixHead
        >>> model = AnnotMixHead(embed_dim=8, num_features=4, num_classes=3, num_annotators=5).eval()
        >>> log_probs, confusion = model(torch.zeros(2, 4), torch.zeros(2, 3).log_softmax(-1), torch.tensor([0, 4]))
        >>> log_probs.shape, confusion.dense().shape
        (torch.Size([2, 3]), torch.Size([2, 3, 3]))
    """

    @property
    def matrix_per_pair(self) -> bool:
        """True if an evaluation forms a matrix (K, K) for each pair, so that pairs must come in chunks."""
        return True

    @property
    def structure(self) -> str:
        """Form of the confusion matrices of a built model, in a few words."""
        return type(self).__name__

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
        """Returns ``label_log_probs`` (L, K) and the confusion behind it, None if labels are taken at face value.

        Args:
            features: (L, D) float, the backbone's output for the item of each pair.
            log_probs: (L, K) float, class log-probabilities for the item of each pair.
            annotator: (L,) int64 in [0, A), or -1 for an annotator never seen in training.
            plan: given if the rows are *mixed pairs*: then annotators are mixed by the same plan.
        """

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Returns (L,) the training loss of each pair of a batch.

        Default: the negative log-likelihood of each answer, weighted as the mix plan says. A model with another loss
        per answer hands :func:`~hilmix.functional.losses.annotation_nll` its own (S, K) scores of the K answers.
        """
        return annotation_nll(output.label_log_probs, batch.label, batch.probs, batch.row, batch.plan)

    def penalty(self) -> Tensor | float:
        """Returns what the model's parameters add to the mean loss of a step; by default nothing."""
        return 0.0

    def posterior(self, log_probs: Tensor, log_likelihood: Tensor, row: Tensor) -> Tensor:
        """Returns (B, K) p(true class | input, labels): by default all labels are independent given the class.

        Args:
            log_probs: (B, K) float class log-probabilities.
            log_likelihood: (L, K) float log p(label of the pair | true class c).
            row: (L,) int64 item row of each pair.
        """
        return label_posterior(log_probs, log_likelihood, row)
