"""Human judgments of mixed images: perception policies, studies, their reports, and the web study.

The core does not import this package. The public names stand in ``__init__.pyi``; each is imported on first use, as the
pages of a study need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
