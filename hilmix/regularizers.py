"""Penalties on the class probabilities of a whole batch, equal on one process and on many."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce

from hilmix.checks import NonNegative, Share
from hilmix.errors import ConfigError
from hilmix.functional.calibration import sum_dtype
from hilmix.functional.losses import negative_log_volume
from hilmix.functional.precision import at_least_float32
from hilmix.parts import Part

__all__ = ["EntropyPenalty", "PriorPenalty", "Regularizer", "VolumePenalty"]


class Regularizer(Part, ABC):
    """A penalty that is a function of the mean, over the rows of all ranks, of some statistics of each row.

    This form is what makes it exact under data parallelism: the sums are reduced with their gradients, so that every
    rank holds the penalty of the whole batch, and the gradient that DDP averages is that of one process.
    """

    def __init__(self, weight: float) -> None:
        self.weight = float(weight)

    def penalty(self, log_probs: Tensor) -> Tensor:
        """Returns the weighted penalty, a float scalar; zero if no rank has rows. Every rank must call it.

        Args:
            log_probs: (R, K) log-probabilities of the classes; R may differ between ranks and be 0. The penalty has
                their type, but float32 for half precision.
        """
        log_probs = at_least_float32(log_probs)
        with torch.autocast(log_probs.device.type, enabled=False):  # products would be rounded to half precision
            sums = self.sum_statistics(log_probs)
        total = torch.cat([sums, sums.new_full((1,), len(log_probs))])
        if dist.is_available() and dist.is_initialized():
            # The differentiable collective; dist.all_reduce would cut the gradient.
            total = all_reduce(total)  # type: ignore[no-untyped-call]
        mean, count = total[:-1] / total[-1].clamp_min(1), total[-1]
        # A factor, not a branch: reading the count on the host would stall the device in every step.
        return (self.weight * self.of_mean(mean) * (count > 0)).to(log_probs.dtype)

    @abstractmethod
    def sum_statistics(self, log_probs: Tensor) -> Tensor:
        """(S,) statistics of each row, summed over the rows."""

    @abstractmethod
    def of_mean(self, mean: Tensor) -> Tensor:
        """The penalty, a scalar, finite also for zeros, from the (S,) mean statistics."""


class EntropyPenalty(Regularizer):
    """The mean entropy of the class probabilities, in nats.

    Args:
        weight: positive asks for confident predictions, negative for unconfident ones.

    Reference:
        Positive: D. Tanaka et al., Joint Optimization Framework for Learning with Noisy Labels, CVPR 2018, equation
        13 (their beta). Negative: G. Pereyra et al., Regularizing Neural Networks by Penalizing Confident Output
        Distributions, ICLR workshop 2017 (their beta is ``-weight``).
    """

    def __init__(self, weight: float) -> None:
        super().__init__(weight)

    def sum_statistics(self, log_probs: Tensor) -> Tensor:
        finite = log_probs.clamp_min(torch.finfo(log_probs.dtype).min)  # 0 * -inf is NaN, also in the gradient
        return -(log_probs.exp() * finite).sum().reshape(1)

    def of_mean(self, mean: Tensor) -> Tensor:
        return mean[0]


class PriorPenalty(Regularizer):
    """The divergence KL(prior || mean prediction): keeps the classes from collapsing into a few.

    Args:
        weight: strength, at least 0.
        prior: K class probabilities of sum 1; uniform by default.

    Raises:
        ConfigError: if the prior is no distribution, or, when first used, if it has not K entries.

    Reference:
        D. Tanaka et al., Joint Optimization Framework for Learning with Noisy Labels, CVPR 2018, equation 12 (their
        alpha). Differs from the paper: under mixing the mean is that of the mixed rows.
    """

    def __init__(self, weight: NonNegative, prior: Sequence[Share] | None = None) -> None:
        super().__init__(weight)
        if prior is not None and abs(sum(prior) - 1) > 1e-6:
            raise ConfigError(f"`PriorPenalty.prior` must sum to 1, got {list(prior)}.")
        self.prior = prior

    def sum_statistics(self, log_probs: Tensor) -> Tensor:
        return log_probs.exp().sum(0)

    def of_mean(self, mean: Tensor) -> Tensor:
        prior = torch.full_like(mean, 1 / len(mean)) if self.prior is None else mean.new_tensor(self.prior)
        if len(prior) != len(mean):
            raise ConfigError(f"PriorPenalty: prior has {len(prior)} entries, the model {len(mean)} classes.")
        # A class whose mean prediction underflows would make the penalty infinite and its gradient NaN.
        tiny = torch.finfo(mean.dtype).tiny
        return (torch.xlogy(prior, prior) - prior * mean.clamp_min(tiny).log()).sum()


class VolumePenalty(Regularizer):
    """Asks the class probabilities P (R, K) of a batch to span a large volume: ``-log det(P'P / R)``.

    It is smallest if the batch holds a confident prediction of every class in equal numbers, and large if classes
    merge. With :class:`~hilmix.annotators.ConfusionMatrices` it is geo-reg-f.

    Args:
        weight: lambda, at least 0.

    Raises:
        ConfigError: if the weight is negative or not finite.

    Reference:
        S. Ibrahim, T. Nguyen and X. Fu, Deep Learning From Crowdsourced Labels: Coupled Cross-Entropy Minimization,
        Identifiability, and Regularization, ICLR 2023, GeoCrowdNet(F). Differs from the paper: the mean in place of
        the sum P'P, so the value differs by the constant ``weight * K log R``; a small ridge keeps it finite for
        fewer rows than classes, where the reference code drops the term.
    """

    def __init__(self, weight: NonNegative = 1e-3) -> None:
        super().__init__(weight)

    def sum_statistics(self, log_probs: Tensor) -> Tensor:
        # float64: rounding in float32 would make of a zero eigenvalue one as large as the ridge.
        probs = log_probs.exp().to(sum_dtype(log_probs.device))
        return (probs.t() @ probs).flatten()

    def of_mean(self, mean: Tensor) -> Tensor:
        return negative_log_volume(mean.reshape(math.isqrt(len(mean)), -1))
