"""Simulated participants, who answer a study over HTTP."""
