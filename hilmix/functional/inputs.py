"""Inputs on the device: from stored bytes to the numbers a network reads."""

from torch import Tensor


def as_float(x: Tensor) -> Tensor:
    """Returns float inputs: uint8 images (R, C, H, W) as float32 in [0, 1], others unchanged."""
    return x if x.is_floating_point() else x.float().div_(255)


def normalise(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Returns ``(x - mean) / std`` per channel of images (R, C, H, W) or per feature of vectors (R, D).

    Args:
        x: float inputs.
        mean: (C,) or (D,).
        std: (C,) or (D,), positive.
    """
    shape = (1, -1, *[1] * (x.ndim - 2))
    return (x - mean.reshape(shape)) / std.reshape(shape)
