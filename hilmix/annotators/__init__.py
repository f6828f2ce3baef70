"""Annotator models: from class log-probabilities and annotator ids to label log-probabilities."""

from hilmix.annotators.annot_mix import AnnotMixHead
from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.conal import CoNAL
from hilmix.annotators.confusion_matrices import ConfusionMatrices, GeoRegW, TraceReg
from hilmix.annotators.crowd_ar import CrowdAR
from hilmix.annotators.crowd_layer import CrowdLayer
from hilmix.annotators.dawid_skene import DawidSkene
from hilmix.annotators.gce import GCE
from hilmix.annotators.label_fusion import LabelFusion
from hilmix.annotators.label_smoothing import LabelSmoothing
from hilmix.annotators.madl import MaDL
from hilmix.annotators.perfect import Perfect
from hilmix.annotators.tempered import Tempered
from hilmix.annotators.union_net import UnionNet

__all__ = [
    "GCE",
    "AnnotMixHead",
    "AnnotatorModel",
    "AnnotatorOutput",
    "CoNAL",
    "ConfusionMatrices",
    "CrowdAR",
    "CrowdLayer",
    "DawidSkene",
    "GeoRegW",
    "LabelFusion",
    "LabelSmoothing",
    "MaDL",
    "Perfect",
    "Tempered",
    "TraceReg",
    "UnionNet",
]
