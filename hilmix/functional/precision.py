"""The precision in which probabilities are computed."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Returns a half-precision tensor in float32, others as they are: float64 stays float64.

    Args:
        x: (...) float.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
