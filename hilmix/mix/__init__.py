"""Mix policies: each draws a :class:`~hilmix.types.MixPlan` for a batch and mixes its inputs as the plan says."""

from hilmix.mix.annot_mix import AnnotMix
from hilmix.mix.base import MixPolicy, NoMix
from hilmix.mix.cutmix import CutMix
from hilmix.mix.hidden_mix import HiddenMix
from hilmix.mix.human_mix import HumanMix
from hilmix.mix.item_mix import ItemMix

__all__ = ["AnnotMix", "CutMix", "HiddenMix", "HumanMix", "ItemMix", "MixPolicy", "NoMix"]
