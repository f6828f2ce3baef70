"""The learned policy as fitted to H-Mix, ready to use: numbers, no data."""

from hilmix.human.perception.learned import LearnedPerception

STRENGTHS = (-0.1588, 0.1842, 0.002749, -0.1434, -0.1387, 0.02407, -0.04362, 0.1823, -0.002968, 0.09403)
SLOPE = 0.9499
IMAGE_WEIGHTS = (
    0.1072,
    0.1343,
    -0.02216,
    0.2086,
    0.04122,
    0.1316,
    0.1238,
    0.2449,
    -0.04049,
    -0.05605,
    0.6297,
    0.1427,
    0.5354,
    -0.05763,
    -0.0273,
)
DISPERSION = 0.2652
CONFIDENCE = (0.378, -0.3742, 1.798)
CONFIDENCE_WEIGHTS = (
    0.2204,
    0.1612,
    -0.007739,
    0.1992,
    0.03364,
    -0.08316,
    0.03886,
    -0.1406,
    -0.01829,
    -0.03803,
    0.1463,
    0.07751,
    -0.2529,
    -0.08753,
    0.04039,
)


class HMixPerception(LearnedPerception):
    """:class:`LearnedPerception` fitted to the infer answers of H-Mix (repeats left out): CIFAR-10, 32 pixels a side.

    Its features are those of :func:`~hilmix.human.functional.image_statistics.image_statistics`: sharp, detailed,
    saturated images show through. On images that it has not seen it explains 30 % of what can be explained of how
    participants deviate from the weight (``experiments/perception``). Not for other classes or sizes: fit a policy to
    judgments of yours, or take a curve of the weight.

    Example:
        >>> import torch
        >>> from hilmix.human.functional.image_statistics import image_statistics
        >>> from hilmix.human.perception import Mixes
        >>> grey, noise = (image_statistics(x) for x in (torch.full((1, 3, 32, 32), 0.5), torch.rand(1, 3, 32, 32)))
        >>> cat = torch.eye(10)[3:4]
        >>> HMixPerception().mean_share(Mixes(cat, cat, torch.tensor([0.5]), features1=noise, features2=grey)) > 0.5
        tensor([True])
    """

    def __init__(self) -> None:
        super().__init__(STRENGTHS, SLOPE, IMAGE_WEIGHTS, DISPERSION, CONFIDENCE, CONFIDENCE_WEIGHTS)
