"""Calibrated classifiers from the votes of many imperfect annotators.

The public names stand in ``__init__.pyi``; each is imported on first use, so that ``import hilmix`` loads no torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]
