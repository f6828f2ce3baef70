"""Calibrated classifiers from the votes of many imperfect annotators."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Loaded on first use, so that `import hilmix` and `hilmix --help` do not wait for torch.
_LAZY = {
    "AnnotatedData": "hilmix.data",
    "AnnotatedDataModule": "hilmix.data",
    "Annotations": "hilmix.annotations",
    "AnnotMix": "hilmix.mix",
    "AnnotMixHead": "hilmix.annotators",
    "Batch": "hilmix.types",
    "Classifier": "hilmix.modules",
    "DawidSkene": "hilmix.annotators",
    "EMClassifier": "hilmix.modules",
    "HiddenMix": "hilmix.mix",
    "ItemMix": "hilmix.mix",
    "MixPlan": "hilmix.types",
    "StepOutput": "hilmix.types",
    "read_folder": "hilmix.data",
    "trust": "hilmix.trusted",
    "write_folder": "hilmix.data",
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hilmix' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
