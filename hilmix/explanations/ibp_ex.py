"""IBP-Ex: the labels must survive every change of irrelevant pixels inside a box, by interval bounds."""

from torch import Tensor

from hilmix.checks import NonNegative, Share
from hilmix.errors import ConfigError
from hilmix.explanations.base import TrainingPass
from hilmix.explanations.propagated import PropagatedExplanation
from hilmix.functional.explanation.intervals import worst_log_probs


class IBPEx(PropagatedExplanation):
    """Turns the data loss into ``a * loss + (1 - a) * loss in the worst case over {x + m d : |d| <= radius}``.

    The worst case takes the lower bound of each class's log-probability, by interval propagation: an annotator model
    gets the bounds in place of the log-probabilities. Bounds grow wide with depth, so a radius that suits an MLP may be
    far too large for a ResNet.

    Over the run the radius rises in a straight line from ``radius_start`` to ``radius``, and ``a`` falls from ``alpha``
    to ``alpha / 2``: with ``alpha`` 1 it starts as the plain loss.

    Args:
        radius: at the end of the run, in standard deviations of the inputs, at least 0.
        radius_start: at its start, at least 0.
        alpha: in [0, 1].

    Raises:
        ConfigError: if one of them is out of range; in :meth:`build`, if the network has a layer without bounds; in
            training, if the run has no end.

    Reference:
        J. Heo et al., Use Perturbations when Learning from Explanations, NeurIPS 2023 ("IBP-Ex"). Differs from the
        published code: there the radius ends at ``radius_start + radius``, and both schedules go by epochs, not steps;
        the worst case of every label and not of the true class only, so annotators and mixed labels count as in the
        plain loss; rows without a mask keep the plain loss in its place, where theirs are left out of the mean.
    """

    # alpha is 1 in nearly every published run; the radius is the smallest that was tried there on Decoy-MNIST.
    def __init__(self, radius: NonNegative = 1.0, radius_start: NonNegative = 0.0, alpha: Share = 1.0) -> None:
        self.radius = float(radius)
        self.radius_start = float(radius_start)
        self.alpha = float(alpha)

    def term_of(self, step: TrainingPass, rows: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        if step.progress is None:
            raise ConfigError(
                "IBPEx: its radius follows the run, whose length must be known, got a run without an end. Set "
                "trainer.max_epochs or max_steps, or give `loss` the `progress` in a loop of your own."
            )
        change = (self.radius_start + step.progress * (self.radius - self.radius_start)) * mask
        worst = worst_log_probs(self.propagation.bounds(x - change, x + change))
        log_probs = step.log_probs.index_copy(0, rows, worst.to(step.log_probs.dtype))
        alpha = self.alpha * (1 - step.progress / 2)
        # A difference, as the step has the plain loss already: together they are a * loss + (1 - a) * worst case.
        return (1 - alpha) * (step.data_loss_of(log_probs) - step.data_loss_of(step.log_probs))
