"""Labels as draws from a flattened class distribution."""

from torch import Tensor

from hilmix.annotators.perfect import Perfect
from hilmix.checks import Positive
from hilmix.types import MixPlan


class Tempered(Perfect):
    """The label has probability ``softmax(s / T)``, s being the class logits: the temperature is in the training.

    Above 1, the class probabilities are more certain than the labels that they explain, so that labels may be wrong
    without the class model being unsure; 1 is :class:`~hilmix.annotators.Perfect`. The temperature that is fitted for
    calibration comes on top, and is that of the class model.

    Args:
        temperature: T > 0.

    Raises:
        ConfigError: if the temperature is not positive.

    Reference: Agarwala et al., "Temperature check: theory and practice for training models with softmax-cross-entropy
    losses", TMLR 2023. Differs from the paper: it tunes T for each network and predicts at the T of training; T = 2
    and predictions at 1, which have the same classes, are hilmix's.
    """

    def __init__(self, temperature: Positive = 2.0) -> None:
        super().__init__()
        self.temperature = float(temperature)

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, None]:
        return (log_probs / self.temperature).log_softmax(-1), None
