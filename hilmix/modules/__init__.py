"""The model that learns from annotators: a plain module, and its LightningModules."""

from hilmix.modules.ccc import CCCClassifier
from hilmix.modules.classifier import Classifier
from hilmix.modules.crossfit import CrossFitClassifier
from hilmix.modules.elr import ELRClassifier
from hilmix.modules.em import EMClassifier
from hilmix.modules.folds import FoldNetworks
from hilmix.modules.model import CrowdModel

__all__ = [
    "CCCClassifier",
    "Classifier",
    "CrossFitClassifier",
    "CrowdModel",
    "ELRClassifier",
    "EMClassifier",
    "FoldNetworks",
]
