"""Batch norm where a batch has no statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def running_statistics(module: nn.Module, active: bool) -> Iterator[None]:
    """While active, batch norm uses its running statistics: those of fewer than two rows mean nothing."""
    # _BatchNorm is private, but the only base of all kinds; norms that the user froze are no longer in training.
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training] if active else []
    # That of several ranks counts the rows of all, and all of them must take part.
    norms = [m for m in norms if not isinstance(m, nn.SyncBatchNorm)]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
