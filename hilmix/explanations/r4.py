"""R4: a penalty on bounds of the saliency of irrelevant pixels over all changes of them inside a box."""

import torch
from torch import Tensor

from hilmix.checks import NonNegative
from hilmix.explanations.base import TrainingPass
from hilmix.explanations.propagated import PropagatedExplanation
from hilmix.functional.explanation.intervals import Interval, log_prob_bounds, monotone


class R4(PropagatedExplanation):
    """``weight * mean_i sum_j m_ij (|lower_ij| + |upper_ij|)``: saliency penalised over a whole box instead of a point.

    Lower and upper bound the gradient of the data loss at every point of ``{x + m d : |d| <= radius}``, by interval
    propagation there and back. Bounds grow wide with depth, and this penalty with them: in a fresh ResNet of 10 layers
    it is 10,000 times larger at a radius of 0.001 than at 0, and a weight that suits an MLP can make training diverge.

    Args:
        weight: at least 0.
        radius: in standard deviations of the inputs, at least 0.

    Raises:
        ConfigError: if one of them is negative; in :meth:`build`, if the network has a layer without bounds.

    Reference:
        M. Wicker, J. Heo, L. Costabello, A. Weller, Robust Explanation Constraints for Neural Networks, ICLR 2023, for
        the bounds; the penalty as in the code that calls it R4. Differs from that code: the sum over the inputs of a
        row in place of their mean, so a weight of theirs is to be divided by their number; of an annotator model, the
        gradient with respect to the log-probabilities is held at its value for ``x``, which changes nothing where
        labels are taken at face value.
    """

    # The radius is that of the published runs on Decoy-MNIST.
    def __init__(self, weight: NonNegative = 1e-4, radius: NonNegative = 0.5) -> None:
        self.weight, self.radius = float(weight), float(radius)

    def term_of(self, step: TrainingPass, rows: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        label = soft_labels(step)[rows]

        def loss_gradient(logits: Interval) -> Interval:
            probs = monotone(log_prob_bounds(logits), torch.exp)
            # The gradient of -sum(q log softmax(z)) in z, which rises with every probability.
            return monotone(probs, lambda p: label.sum(1, keepdim=True) * p - label)

        change = self.radius * mask
        bounds = self.propagation.gradient_bounds(x - change, x + change, start=loss_gradient)
        return self.weight * (mask * (bounds.lower.abs() + bounds.upper.abs())).sum()


def soft_labels(step: TrainingPass) -> Tensor:
    """Returns (R, K) float32 ``q`` from 0 on for which the data loss is ``-sum(q * log_probs)``, near these.

    For labels at face value, a one-hot row over R: the sum over the rows is the mean that the loss takes.

    Args:
        step: of R rows.
    """
    log_probs = step.log_probs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(step.data_loss_of(log_probs), log_probs)
    return -gradient
