"""LightningModules: wiring only."""

from hilmix.modules.classifier import Classifier

__all__ = ["Classifier"]
