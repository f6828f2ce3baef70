"""CDEP: a penalty on the part of the logits that irrelevant pixels carry."""

from torch import Tensor

from hilmix.checks import NonNegative
from hilmix.explanations.base import TrainingPass
from hilmix.explanations.propagated import PropagatedExplanation, mean_over_all


class CDEP(PropagatedExplanation):
    """``weight * mean_i mean_k softmax([beta_ik, gamma_ik])[0]``, by contextual decomposition.

    The logits of row i are ``beta_i + gamma_i``, the parts that the marked and the other inputs carry. Rows without a
    mask count 0. What is marked is a part only where it is not 0: black pixels carry nothing, so standardised inputs
    matter.

    As published, it asks for a beta far below gamma, not for a beta of 0, and a constant added to all logits can lower
    it without changing a prediction.

    Args:
        weight: lambda, at least 0.

    Raises:
        ConfigError: if it is negative; in :meth:`build`, if the network has a layer without a rule.

    Reference:
        L. Rieger, C. Singh, W. J. Murdoch, B. Yu, Interpretations are Useful, ICML 2020, as in their code for image
        data. Differs from its use in "Use Perturbations when Learning from Explanations", NeurIPS 2023, whose code
        penalises the part of the *unmarked* inputs, in the first two logits only.
    """

    def __init__(self, weight: NonNegative = 1.0) -> None:
        self.weight = float(weight)

    def term_of(self, step: TrainingPass, rows: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        beta, gamma = self.propagation.decompose(mask * x, (1 - mask) * x)
        share = (beta - gamma).sigmoid()  # the softmax of two
        return self.weight * mean_over_all(step, rows, share.mean(1))
