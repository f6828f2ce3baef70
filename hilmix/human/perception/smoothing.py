"""Smoothing on top of a policy: by confidence, and its control that uses no human input."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hilmix.checks import Positive, Share
from hilmix.errors import DataError
from hilmix.human.functional.perception import SMOOTHING, uniform_share
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.curves import GlobalCurve
from hilmix.human.perception.judgments import MixJudgments

HMIX_CONFIDENCE = (0.625, 0.826)
"""Confidence at the even weight and at the pure images, fitted to the infer answers of H-Mix. Not universal."""
_SHOWN = (0.5, 0.75, 0.9, 1.0)


class Smoothed(Perception, ABC):
    """Another policy of whose labels some share is spread over all classes."""

    policy: Perception

    def __init__(self, policy: Perception) -> None:
        super().__init__()
        # A configuration gives the policy as class path and arguments.
        self.policy = Perception.from_spec(policy)
        self.participants = self.policy.participants

    @abstractmethod
    def added_share(self, mixes: Mixes) -> Tensor:
        """Returns (R,) what is spread of the policy's label; what a subclass writes."""

    def perceived_share(self, mixes: Mixes) -> Tensor:
        return self.policy.perceived_share(mixes)

    def uniform_share(self, mixes: Mixes) -> Tensor:
        added, inner = self.added_share(mixes), self.policy.uniform_share(mixes)
        # Spread twice: first by the inner policy, then of what it left.
        return added + (1 - added) * inner


class ConfidenceSmoothing(Smoothed):
    """The label of another policy y, the more uniform the less sure participants are: ``S(y, w) = (1 - u) y + u / K``.

    The uniform share is ``u = c / (1 + c)`` with ``c = a b^w``, w the confidence: 98 % at 0, 83 % at .25, 33 % at .5,
    4.8 % at .75, 0.5 % at 1 for the default a and b. How sure participants are is a line in how one-sided the mix is,
    ``|2 weight - 1|``, or what the policy itself knows of the mix (:class:`~hilmix.human.perception.ImageTable`).
    Printing the policy shows the shares. Pure images are smoothed too, if little.

    Args:
        policy: whose label is smoothed; None stands for :class:`~hilmix.human.perception.GlobalCurve`, that of H-Mix,
            for any classes.
        line: confidence at the even weight and at the pure images, in [0, 1]. The default is the fit to H-Mix
            (CIFAR-10, not universal); null asks the policy.
        a: c at confidence 0.
        b: factor on c from confidence 0 to 1.

    Reference:
        Collins et al., Human-in-the-Loop Mixup, UAI 2023; a and b are those of the authors' preliminary code. Differs
        from the paper: with a line, mixes without judgments are smoothed too.
    """

    def __init__(
        self,
        policy: Perception | None = None,
        line: tuple[Share, Share] | None = HMIX_CONFIDENCE,
        a: Positive = SMOOTHING[0],
        b: Positive = SMOOTHING[1],
    ) -> None:
        super().__init__(GlobalCurve() if policy is None else policy)
        self.line, self.a, self.b = line, float(a), float(b)

    @classmethod
    def fit(
        cls, judgments: MixJudgments, *, policy: Perception, a: float = SMOOTHING[0], b: float = SMOOTHING[1]
    ) -> Self:
        """Returns the smoothing with the least-squares line of confidence, its ends kept in [0, 1].

        Args:
            judgments: M judgments; those without a confidence do not take part.
            policy: whose label is smoothed; fitted already.
            a: see the class.
            b: see the class.

        Raises:
            DataError: for judgments that cannot be used, or with confidences at fewer than two weights.
        """
        judgments = judgments.validate()
        judgments = judgments.take(~np.isnan(judgments.confidence))
        side = np.abs(2 * judgments.weight - 1)
        # Weights w and 1 - w have one distance, up to the last bits.
        if len(np.unique(side.round(9))) < 2:
            raise DataError(
                f"confidence line: {len(side)} judgments state a confidence, at fewer than two distances from the even "
                "weight, which a line needs."
            )
        slope, middle = np.polyfit(side, judgments.confidence, 1)
        ends = np.clip([middle, middle + slope], 0.0, 1.0)
        return cls(policy, (float(ends[0]), float(ends[1])), a, b)

    def confidence(self, mixes: Mixes) -> Tensor:
        """Returns (R,) how sure participants are of each mix.

        Raises:
            ConfigError: without a line, if the policy does not know.
        """
        if self.line is None:
            return self.policy.confidence(mixes)
        middle, end = self.line
        return middle + (end - middle) * (2 * mixes.weight - 1).abs()

    def added_share(self, mixes: Mixes) -> Tensor:
        return uniform_share(self.confidence(mixes), a=self.a, b=self.b)

    def extra_repr(self) -> str:
        """The uniform shares, for users."""
        if self.line is None:
            return f"a={self.a:g}, b={self.b:g}, confidence of the policy"
        weight = torch.tensor(_SHOWN)
        # The line needs weights only; labels of one class fill the fields.
        shares = self.added_share(Mixes(weight[:, None], weight[:, None], weight)).tolist()
        text = ", ".join(f"{u:.1%} at weight {w:g}" for w, u in zip(_SHOWN, shares, strict=True))
        return f"a={self.a:g}, b={self.b:g}, uniform share {text}"


class UniformSmoothing(Smoothed):
    """The label of another policy, equally uniform for all mixes: ``(1 - share) y + share / K``.

    Label smoothing; with the share of :meth:`matching`, the control that shows whether it matters *where* participants
    are unsure, or only how much is smoothed.

    Args:
        policy: whose label is smoothed.
        share: what the uniform distribution gets, in [0, 1].
    """

    def __init__(self, policy: Perception, share: Share) -> None:
        super().__init__(policy)
        self.share = float(share)

    @classmethod
    def matching(cls, smoothing: ConfidenceSmoothing, mixes: Mixes) -> Self:
        """Returns the same policy, as uniform on average as a confidence smoothing of it makes some mixes.

        Args:
            smoothing: what to match in mean strength.
            mixes: R mixes as training has them, at least one.

        Raises:
            DataError: without mixes.
        """
        if not len(mixes.weight):
            raise DataError("uniform smoothing: there are no mixes whose mean share could be matched.")
        # Means of many mixes in float64.
        total, inner = (p.uniform_share(mixes).double().mean().item() for p in (smoothing, smoothing.policy))
        # The policy brings its own uniform share; only what is missing is added.
        return cls(smoothing.policy, (total - inner) / (1 - inner) if inner < 1 else 0.0)

    def added_share(self, mixes: Mixes) -> Tensor:
        return torch.full_like(mixes.weight, self.share)

    def extra_repr(self) -> str:
        """The uniform share, for users."""
        return f"uniform share {self.share:.1%}"
