"""Codes that stand for no name of a vocabulary. Apart from :mod:`hilmix.types`, whose tensors need torch."""

UNKNOWN = -1
"""Marks an unknown target, and an annotator that was never seen in training."""
