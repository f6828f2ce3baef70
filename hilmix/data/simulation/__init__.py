"""Simulated data: annotators of known behaviour, weak classifiers, decoys in images."""
