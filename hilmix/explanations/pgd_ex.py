"""PGD-Ex: the labels must survive the worst change of irrelevant pixels that gradient ascent finds."""

import torch
from torch import Tensor

from hilmix.checks import NonNegative, PositiveInt
from hilmix.explanations.base import Explanation, TrainingPass
from hilmix.functional.explanation.adversarial import pgd
from hilmix.functional.explanation.saliency import SCALE


class PGDEx(Explanation):
    """``weight`` times the loss at the worst inputs found inside ``{x + m d : |d| <= radius}``.

    The attack starts from the input and goes ``steps`` times by ``radius / steps`` along the sign of the loss's
    gradient. The network is in evaluation mode meanwhile, so that the attack neither moves the running statistics of
    batch norm nor meets another dropout at every step. Explained rows alone are attacked; where a hidden layer is
    mixed, all go through the network.

    Args:
        radius: epsilon, in standard deviations of the inputs, at least 0.
        steps: of the attack, at least 1; each costs a forward and a backward pass.
        weight: at least 0; 1 counts attacked and clean inputs alike.

    Raises:
        ConfigError: if one of them is out of range.

    Reference: Use Perturbations when Learning from Explanations, NeurIPS 2023 ("PGD-Ex"). Differs from the paper:
    evaluation mode; the attack is on the loss of whatever is trained, annotators and mixed labels included.
    """

    # The published code defines neither radius nor steps of its runs, so 1 and 7 are ours.
    def __init__(self, radius: NonNegative = 1.0, steps: PositiveInt = 7, weight: NonNegative = 1.0) -> None:
        self.radius, self.weight = float(radius), float(weight)
        self.steps = steps

    def term(self, step: TrainingPass) -> Tensor:
        return self.weight * step.data_loss(self.attacked(step))

    def attacked(self, step: TrainingPass) -> Tensor:
        """Returns the worst inputs found, (R, ...), without a gradient."""
        x, rows = step.x.detach(), step.explained_rows
        if not len(rows):
            return x
        if step.rows_mixed:
            rows = torch.arange(len(x), device=x.device)

        def loss(other: Tensor) -> Tensor:  # scaled, else the gradient of sure rows is 0 under fp16, and they stay put
            return SCALE * (step.data_loss(other) if step.rows_mixed else step.data_loss_at(rows, other))

        size = self.radius / self.steps
        with step.evaluating():
            moved = pgd(
                loss,
                x[rows],
                radius=self.radius,
                step=size,
                steps=self.steps,
                mask=step.mask[rows],
                # Standardised inputs have no range of their own.
                low=None,
                high=None,
            )
        return x.index_copy(0, rows, moved)
