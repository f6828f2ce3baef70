"""The model that learns from annotators: a plain module, and its LightningModules."""

from hilmix.modules.classifier import Classifier
from hilmix.modules.em import EMClassifier
from hilmix.modules.model import CrowdModel

__all__ = ["Classifier", "CrowdModel", "EMClassifier"]
