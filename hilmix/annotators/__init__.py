"""Annotator models: from class log-probabilities and who is asked, to the log-probability of what is said."""

from hilmix.annotators.annot_mix import AnnotMixHead
from hilmix.annotators.base import AnnotatorModel, Said
from hilmix.annotators.perfect import Perfect

__all__ = ["AnnotMixHead", "AnnotatorModel", "Perfect", "Said"]
