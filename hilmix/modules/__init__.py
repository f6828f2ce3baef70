"""LightningModules: wiring only."""

from hilmix.modules.classifier import Classifier
from hilmix.modules.em import EMClassifier

__all__ = ["Classifier", "EMClassifier"]
