"""Annotated data in memory and in folders, and batches of them for training.

The public names stand in ``__init__.pyi``; each is imported on first use: only the data module needs Lightning, and the
commands about data do without it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
