"""Pure mathematics on tensors. The public functions stand in ``__init__.pyi``; each is imported on first use."""

import lazy_loader

from hilmix.moved import former_names

_import_on_first_use, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = former_names(
    __name__,
    {"label_scores": "label_quality_scores", "rank_suspects": "rank_label_errors"},
    otherwise=_import_on_first_use,
)
