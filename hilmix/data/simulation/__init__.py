"""Simulated annotators of known behaviour, and images with decoys."""

from hilmix.data.simulation.annotators import (
    TYPICAL_MIX,
    annotator_kinds,
    annotator_names,
    beta_propensities,
    choose_pairs,
    confusion_matrices,
    simulate_confusions,
)
from hilmix.data.simulation.decoy_sets import decoy_digits, toy_bumps, with_decoys
from hilmix.data.simulation.decoys import DecoyImages
from hilmix.data.simulation.digits import digits
from hilmix.data.simulation.weak_classifiers import classifier_labels, simulate_classifiers

__all__ = [
    "TYPICAL_MIX",
    "DecoyImages",
    "annotator_kinds",
    "annotator_names",
    "beta_propensities",
    "choose_pairs",
    "classifier_labels",
    "confusion_matrices",
    "decoy_digits",
    "digits",
    "simulate_classifiers",
    "simulate_confusions",
    "toy_bumps",
    "with_decoys",
]
