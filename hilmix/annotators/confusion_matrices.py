"""One confusion matrix per annotator, learned with the classifier; alone, and with the penalties that identify it."""

from typing import Self

import torch
from torch import Tensor

from hilmix.annotators.base import AnnotatorModel
from hilmix.annotators.matrices import diagonal_matrices, gather_annotators, needs_matrices
from hilmix.checks import NonNegative
from hilmix.functional.calibration import sum_dtype
from hilmix.functional.confusion import Confusion, DenseConfusion
from hilmix.functional.confusion_tables import SoftmaxTable
from hilmix.functional.losses import negative_log_volume
from hilmix.functional.precision import at_least_float32
from hilmix.types import MixPlan


class ConfusionMatrices(AnnotatorModel):
    """Annotator a says k with probability ``(p C_a)[k]``, p being the class probabilities.

        C_a = row-softmax(T_a),   T_a = ``diagonal`` on the diagonal, ``off_diagonal`` elsewhere at the start
        loss = -sum log (p C_a)[z] over the pairs

    Without a penalty the pair of classifier and matrices is not unique. With
    :class:`~hilmix.regularizers.VolumePenalty` on the batch it is geo-reg-f; :class:`GeoRegW` and :class:`TraceReg`
    bring a penalty on the matrices. An annotator never seen in training gets the mean T.

    Args:
        diagonal: initial T on the diagonal.
        off_diagonal: initial T elsewhere.

    Raises:
        ConfigError: if an initial value is not finite.

    Reference: Ibrahim, Nguyen and Fu, "Deep Learning From Crowdsourced Labels: Coupled Cross-Entropy Minimization,
    Identifiability, and Regularization", ICLR 2023, the coupled cross-entropy (CCEM).
    """

    def __init__(self, diagonal: float = 1.0, off_diagonal: float = 0.0) -> None:
        super().__init__()
        self.diagonal, self.off_diagonal = float(diagonal), float(off_diagonal)

    @property
    def matrix_per_pair(self) -> bool:
        return False

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        # Logits, not probabilities: rows stay distributions whatever step an optimizer takes.
        self.logits = diagonal_matrices(num_annotators, num_classes, self.diagonal, self.off_diagonal)
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion]:
        confusion: Confusion = SoftmaxTable(self.logits, annotator)
        if needs_matrices(self.logits, plan):
            confusion = DenseConfusion(gather_annotators(self.logits, annotator, plan).log_softmax(-1))
        return confusion.log_marginal(log_probs), confusion


class TraceReg(ConfusionMatrices):
    """Confusion matrices with a penalty on their trace: ``weight * mean_a trace(C_a)``.

    The penalty pushes the diagonals *down*: of all matrices that explain the answers it asks for the noisiest, which
    leaves the clean distribution to the classifier.

    Args:
        weight: lambda, at least 0.
        diagonal: initial T on the diagonal.
        off_diagonal: initial T elsewhere; 1 and -5 make a diagonal of 0.98 for 10 classes.

    Raises:
        ConfigError: if the weight is negative or a value is not finite.

    Reference: Tanno et al., "Learning From Noisy Labels By Regularized Estimation Of Annotator Confusion", CVPR 2019,
    the regularised loss with the trace norm. Differs from the paper: the mean over annotators in place of the sum.
    """

    # 0.01, 1 and -5 are the values of the annot-mix study (Herde et al., ECAI 2024).
    def __init__(self, weight: NonNegative = 0.01, diagonal: float = 1.0, off_diagonal: float = -5.0) -> None:
        super().__init__(diagonal, off_diagonal)
        self.weight = float(weight)

    def penalty(self) -> Tensor:
        # The mean, not the sum: a weight then suits any number of annotators.
        rows = at_least_float32(self.logits).softmax(-1)
        return self.weight * rows.diagonal(dim1=1, dim2=2).sum(-1).mean()


class GeoRegW(ConfusionMatrices):
    """Confusion matrices with a penalty that asks for a large volume: ``-weight * log det(mean_a C_a C_a')``.

    Args:
        weight: lambda, at least 0.
        diagonal: initial T on the diagonal.
        off_diagonal: initial T elsewhere.

    Raises:
        ConfigError: if the weight is negative or a value is not finite.

    Reference: Ibrahim, Nguyen and Fu, "Deep Learning From Crowdsourced Labels: Coupled Cross-Entropy Minimization,
    Identifiability, and Regularization", ICLR 2023, GeoCrowdNet(W). The paper has W'W, W being all C_a' stacked to
    (A K, K); that is the sum over annotators of C_a C_a', so the value differs by the constant ``weight * K log A``.
    Differs from the paper: a small ridge keeps the logarithm finite where the matrices have equal rows.
    """

    # 1e-3 and the identity are the values of the annot-mix study (Herde et al., ECAI 2024).
    def __init__(self, weight: NonNegative = 1e-3, diagonal: float = 1.0, off_diagonal: float = 0.0) -> None:
        super().__init__(diagonal, off_diagonal)
        self.weight = float(weight)

    def penalty(self) -> Tensor:
        probs = at_least_float32(self.logits).softmax(-1)
        rows = probs.transpose(0, 1).flatten(1)  # (K, A K): the labels of all annotators given class c
        with torch.autocast(rows.device.type, enabled=False):  # the product would be rounded to half precision
            exact = rows.to(sum_dtype(rows.device))
            gram = exact @ exact.t() / len(self.logits)
        return self.weight * negative_log_volume(gram).to(rows.dtype)
