"""Simulated annotators of known behaviour, and images with decoys."""

from hilmix.data.simulation.annotators import (
    TYPICAL_MIX,
    choose_pairs,
    draw_confusion_matrices,
    draw_propensities,
    list_annotator_kinds,
    name_annotators,
    simulate_confusions,
)
from hilmix.data.simulation.brief_networks import published_network
from hilmix.data.simulation.decoy_sets import add_decoys, make_decoy_digits, make_toy_bumps
from hilmix.data.simulation.decoys import DecoyImages
from hilmix.data.simulation.digits import simulate_digits
from hilmix.data.simulation.weak_classifiers import predict_weak_labels, simulate_classifiers

__all__ = [
    "TYPICAL_MIX",
    "DecoyImages",
    "add_decoys",
    "choose_pairs",
    "draw_confusion_matrices",
    "draw_propensities",
    "list_annotator_kinds",
    "make_decoy_digits",
    "make_toy_bumps",
    "name_annotators",
    "predict_weak_labels",
    "published_network",
    "simulate_classifiers",
    "simulate_confusions",
    "simulate_digits",
]
