"""The commands ``fit``, ``validate``, ``test`` and ``predict``: configs, run folders, checks before the start.

Imports nothing here, so that ``hilmix --help`` does not load torch.
"""

SUBCOMMANDS = ("fit", "validate", "test", "predict")
"""Commands that train or use a model."""
