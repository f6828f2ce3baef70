"""RRR: a penalty on the saliency of irrelevant pixels."""

from typing import Literal

from torch import Tensor

from hilmix.checks import NonNegative
from hilmix.explanations.base import Explanation, TrainingPass
from hilmix.functional.explanation.saliency import SaliencyNorm, input_gradient, saliency_penalty

Output = Literal["logits", "log_probs"]


class RRR(Explanation):
    """Right for the right reasons: ``weight * mean_i ||m_i * d(sum_k z_ik)/dx_i||``, also called Grad-Reg.

    It holds for a small neighbourhood of each input only; with :class:`PGDEx` it holds further out.

    Args:
        weight: lambda, at least 0.
        norm: ``l2``, of all inputs of a row, or ``l1``.
        of: the gradient of the sum of the ``logits``, or of the ``log_probs``. An amount added to all logits of a row
            changes no prediction, but their gradient, so that a network can lower the former penalty without looking
            elsewhere; weights of the latter are smaller by a factor of about a hundred.

    Raises:
        ConfigError: for a negative weight, another norm or another output.

    Reference:
        A. S. Ross, M. C. Hughes, F. Doshi-Velez, Right for the Right Reasons, IJCAI 2017, in the form of J. Heo et al.,
        Use Perturbations when Learning from Explanations, NeurIPS 2023. Differs from both: the mean over the batch in
        place of its sum, so a weight of theirs times their batch size is one of ours; from the former also the norm in
        place of its square, and, unless ``of`` says otherwise, logits in place of log-probabilities.
    """

    second_order = True

    def __init__(self, weight: NonNegative = 1.0, norm: SaliencyNorm = "l2", of: Output = "logits") -> None:
        self.weight, self.norm, self.of = float(weight), norm, of

    def term(self, step: TrainingPass) -> Tensor:
        gradient = input_gradient(step.logits if self.of == "logits" else step.log_probs, step.x)
        return self.weight * step.mean(saliency_penalty(gradient, step.mask, norm=self.norm))
