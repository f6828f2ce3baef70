"""Mix policies: each draws a :class:`~hilmix.types.MixPlan` for a batch and mixes its inputs as the plan says."""

import importlib
from typing import Any

from hilmix.mix.annot_mix import AnnotMix
from hilmix.mix.base import MixPolicy, NoMix
from hilmix.mix.cutmix import CutMix
from hilmix.mix.hidden_mix import HiddenMix
from hilmix.mix.item_mix import ItemMix

__all__ = ["AnnotMix", "CutMix", "HiddenMix", "ItemMix", "MixPolicy", "NoMix"]


def __getattr__(name: str) -> Any:
    # An alias of hilmix.human.HumanMix, loaded on first use: this package does not import the human wing.
    if name != "HumanMix":
        raise AttributeError(f"module 'hilmix.mix' has no attribute '{name}'")
    return getattr(importlib.import_module("hilmix.human"), name)
