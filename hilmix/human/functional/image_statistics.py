"""Statistics of an image before anything is recognised in it: light, contrast, edges, colour."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

STATISTICS = (
    "luminance",
    "squared_luminance",
    "log_contrast",
    "log_fine_contrast",
    "log_coarse_contrast",
    "log_edges",
    "log_strongest_edge",
    "log_centre_edges",
    "log_centre_contrast",
    "log_border_contrast",
    "centre_against_border",
    "log_colourfulness",
    "saturation",
    "dark",
    "bright",
)
"""The columns of :func:`image_statistics`."""
_FLOOR = 0.01
"""Added before logarithms: 2.5 grey levels of 255, below which differences are not seen."""


def image_statistics(images: Tensor) -> Tensor:
    """Returns the statistics of each image, (N, 15) of its type: see :data:`STATISTICS`.

    Contrast is the standard deviation of luminance: in all, of what a box of 5 pixels blurs away (fine) and of what it
    leaves (coarse), in the central part (three fifths of each side) and around it. Edges are lengths of luminance
    gradients, by differences of neighbours.

    Args:
        images: (N, 3, H, W) float RGB in [0, 1], at least 5 pixels a side, at the size at which participants see them,
            since fine contrast and edges depend on it.

    Reference:
        Colourfulness: Hasler and Suesstrunk, Measuring Colourfulness in Natural Images, 2003.
    """
    red, green, blue = images.unbind(1)
    # Luma of ITU-R BT.601.
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    # replicate: zeros would put an edge around every image.
    coarse = avg_pool2d(pad(light[:, None], (2, 2, 2, 2), mode="replicate"), 5, stride=1)[:, 0]
    # Both differences at those pixels that have a neighbour below and to the right.
    down, right = light.diff(dim=1)[:, :, :-1], light.diff(dim=2)[:, :-1]
    edges = (down.square() + right.square()).sqrt()
    centre = _centre(light)
    inside, outside = light[:, centre], light[:, ~centre]
    columns = [
        light.mean((1, 2)),
        light.mean((1, 2)).square(),  # lets a linear score prefer a middle luminance
        _log(_sd(light)),
        _log(_sd(light - coarse)),
        _log(_sd(coarse)),
        _log(edges.mean((1, 2))),
        _log(edges.amax((1, 2))),
        _log(edges[:, _centre(edges)].mean(1)),
        _log(_sd(inside)),
        _log(_sd(outside)),
        (inside.mean(1) - outside.mean(1)).abs(),
        _log(_colourfulness(red - green, (red + green) / 2 - blue)),
        (images.amax(1) - images.amin(1)).mean((1, 2)),
        (light < 0.2).to(light.dtype).mean((1, 2)),
        (light > 0.8).to(light.dtype).mean((1, 2)),
    ]
    return torch.stack(columns, 1)


def _sd(values: Tensor) -> Tensor:
    # correction=0: all pixels are there, nothing is estimated from a sample.
    return values.flatten(1).std(1, correction=0)


def _log(values: Tensor) -> Tensor:
    return (values + _FLOOR).log()


def _centre(values: Tensor) -> Tensor:
    """(H, W) bool, the central part."""
    height, width = values.shape[1:]
    inside = torch.zeros(height, width, dtype=torch.bool, device=values.device)
    inside[height // 5 : height - height // 5, width // 5 : width - width // 5] = True
    return inside


def _colourfulness(red_green: Tensor, yellow_blue: Tensor) -> Tensor:
    spread = torch.hypot(_sd(red_green), _sd(yellow_blue))
    # The published metric: deviation plus 0.3 times the length of the mean.
    return spread + 0.3 * torch.hypot(red_green.mean((1, 2)), yellow_blue.mean((1, 2)))
