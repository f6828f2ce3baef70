"""R4: a penalty on bounds of the saliency of irrelevant pixels over all changes of them inside a box."""

from torch import Tensor

from hilmix.explanations.base import TrainingPass, check_setting
from hilmix.explanations.propagated import Propagated, mean_over_all


class R4(Propagated):
    """``weight * mean_i sum_j m_ij (|lower_ij| + |upper_ij|)``: :class:`RRR` for a whole box instead of a point.

    Lower and upper bound the gradient of the sum of the logits at every point of ``{x + m d : |d| <= radius}``, by
    interval propagation backwards.

    Args:
        weight: at least 0.
        radius: in standard deviations of the inputs, at least 0; 0 is twice RRR's l1 penalty.

    Raises:
        ConfigError: if one of them is negative; in :meth:`build`, if the network has a layer without bounds.

    Reference:
        Bounds of the gradient: M. Wicker, J. Heo, L. Costabello, A. Weller, Robust Explanation Constraints for Neural
        Networks, ICLR 2023.
    """

    def __init__(self, weight: float = 1.0, radius: float = 0.5) -> None:
        self.weight, self.radius = check_setting("R4: weight", weight), check_setting("R4: radius", radius)

    def term_of(self, step: TrainingPass, rows: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        change = self.radius * mask
        bounds = self.propagation.gradient_bounds(x - change, x + change)
        steepness = mask * (bounds.lower.abs() + bounds.upper.abs())
        return self.weight * mean_over_all(step, rows, steepness.flatten(1).sum(1))
