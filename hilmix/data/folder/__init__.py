"""The data folder: reading, writing, checking, cleaning, and importing class folders.

The public names stand in ``__init__.pyi``; each is imported on first use: masks need torch, and labels do without it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
