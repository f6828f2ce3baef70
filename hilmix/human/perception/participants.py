"""A policy with one curve per participant, shrunk towards the common curve."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from hilmix.errors import ConfigError
from hilmix.human.functional.logit_fits import shrunk_logit
from hilmix.human.functional.perception import logit_curve
from hilmix.human.functional.relabelling import ordered_curve
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.curves import GlobalCurve
from hilmix.human.perception.judgments import MixJudgments


class ParticipantCurves(Perception):
    """One logit curve per participant; mixes without a known participant use the common curve.

    By default curves are centred and participants differ in their slopes. How far a participant leans towards one end
    of the slider is no property of the images; with ``offsets`` it is applied nevertheless, to the image whose class
    has the smaller number, which is where H-Mix put it.

    Args:
        participants: names; ``Mixes.participant`` are places in this list.
        slopes: b of each.
        slope: b of any other participant.
        offsets: a of each, for the image whose class comes first; null for centred curves.
        offset: a of any other participant; 0 where there are no offsets.
    """

    slopes: Tensor
    offsets: Tensor

    def __init__(
        self,
        participants: Sequence[str],
        slopes: Sequence[float],
        slope: float,
        offsets: Sequence[float] | None = None,
        offset: float = 0.0,
    ) -> None:
        super().__init__()
        for name, values in (("slopes", slopes), ("offsets", offsets)):
            if values is not None and len(values) != len(participants):
                raise ConfigError(
                    f"perception: `{name}` must have {len(participants)} entries, one per participant, got "
                    f"{len(values)}."
                )
        if offsets is None and offset != 0:
            raise ConfigError(f"perception: `offset` must be 0 where `offsets` is null, got {offset:g}.")
        self.participants, self.ordered = tuple(map(str, participants)), offsets is not None
        # The common curve comes last: unknown participants are sent there by index, without a branch.
        self.register_buffer("slopes", torch.tensor([*slopes, slope], dtype=torch.float32))
        self.register_buffer("offsets", torch.tensor([*(offsets or [0.0] * len(slopes)), offset], dtype=torch.float32))

    @classmethod
    def fit(cls, judgments: MixJudgments, *, ordered: bool = False) -> Self:
        """Returns the curves of the participants, drawn towards that of all by empirical Bayes.

        Args:
            judgments: M judgments; in an ordered fit those of mixes within a class do not take part.
            ordered: whether participants also differ in how far they lean towards the class that comes first.

        Raises:
            DataError: for judgments that cannot be used, or that do not determine the common curve.
        """
        offset, slope = GlobalCurve.fit(judgments, ordered=ordered).curve
        judgments = judgments.validate()
        # Within a class no image comes first.
        judgments = judgments.take(judgments.label1 != judgments.label2).sort_by_class() if ordered else judgments
        x = logit(judgments.weight)
        design = np.column_stack([x, np.ones_like(x)]) if ordered else x[:, None]
        found = shrunk_logit(
            design, offset + slope * x, judgments.answer, judgments.participant, num_groups=len(judgments.participants)
        ).deviation
        offsets = (offset + found[:, 1]).tolist() if ordered else None
        return cls(list(judgments.participants), (slope + found[:, 0]).tolist(), slope, offsets, offset)

    def perceived_share(self, mixes: Mixes) -> Tensor:
        place = self._places(mixes)
        slope, offset = self.slopes[place], self.offsets[place]
        if not self.ordered:
            return logit_curve(mixes.weight, 0.0, slope)
        return ordered_curve("logit", mixes.weight, offset, slope, num_classes=mixes.label1.shape[1])

    def _places(self, mixes: Mixes) -> Tensor:
        """(R,) places among the curves, the last of which is the common curve."""
        others = len(self.participants)
        if mixes.participant is None:
            return torch.full(mixes.weight.shape, others, dtype=torch.int64, device=mixes.weight.device)
        return torch.where(mixes.participant < 0, others, mixes.participant)
