"""Diagnostics as a library: clean predictions, calibration, tables of labels, items and annotators."""
