"""Human judgments of mixed images: perception policies, studies, their reports, and the web study.

The core does not import this package.
"""

import importlib
from typing import Any

__all__ = ["HumanMix"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the pages of a study do not need torch.
    if name not in __all__:
        raise AttributeError(f"module 'hilmix.human' has no attribute '{name}'")
    return getattr(importlib.import_module("hilmix.human.human_mix"), name)
