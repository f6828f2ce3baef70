"""RRR: a penalty on the saliency of irrelevant pixels."""

from typing import get_args

from torch import Tensor

from hilmix.errors import ConfigError
from hilmix.explanations.base import Explanation, TrainingPass, check_setting
from hilmix.functional.saliency import SaliencyNorm, input_gradient, saliency_penalty


class RRR(Explanation):
    """Right for the right reasons: ``weight * mean_i ||m_i * d(sum_k z_ik)/dx_i||``, also called Grad-Reg.

    It holds for a small neighbourhood of each input only; with :class:`PGDEx` it holds further out.

    Args:
        weight: lambda, at least 0.
        norm: ``l2``, of all inputs of a row, or ``l1``.

    Raises:
        ConfigError: for a negative weight or another norm.

    Reference:
        A. S. Ross, M. C. Hughes, F. Doshi-Velez, Right for the Right Reasons, IJCAI 2017, in the form of J. Heo et al.,
        Use Perturbations when Learning from Explanations, NeurIPS 2023. Differs from both: the mean over the batch in
        place of its sum, so a weight of theirs times their batch size is one of ours; from the former also the norm in
        place of its square, and logits in place of log-probabilities.
    """

    second_order = True

    def __init__(self, weight: float = 1.0, norm: SaliencyNorm = "l2") -> None:
        if norm not in get_args(SaliencyNorm):
            raise ConfigError(f"RRR: norm is '{norm}'; allowed are {list(get_args(SaliencyNorm))}.")
        self.weight, self.norm = check_setting("RRR: weight", weight), norm

    def term(self, step: TrainingPass) -> Tensor:
        gradient = input_gradient(step.logits, step.x)
        return self.weight * step.mean(saliency_penalty(gradient, step.mask, norm=self.norm))
