"""The commands that train or use a model, from ``fit`` to ``predict``: configs, run folders, checks at the start.

Imports nothing here, so that ``hilmix --help`` does not load torch.
"""

SUBCOMMANDS = ("fit", "crossfit", "validate", "test", "predict")
"""Commands that train or use a model."""
TRAINING = ("fit", "crossfit")
"""Those that train one, and take the same options."""
