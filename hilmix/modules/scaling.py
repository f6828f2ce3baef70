"""Scaling of a classifier's inputs: by one deviation for all features, or by that of each."""

import logging
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from hilmix.functional.inputs import UNITS, is_constant, unit_ratio

log = logging.getLogger(__name__)
Standardize = Literal["auto", "global", "feature", "none"]


class Scaling(NamedTuple):
    """Mean and deviation by which inputs are standardised."""

    chosen: Standardize
    """``global`` or ``feature``."""
    mean: Tensor
    """(C,) or (D,)."""
    std: Tensor
    """The same, positive; 1 for a constant, which so stays a constant."""


def scaling_of(datamodule: Any, standardize: Standardize, *, vectors: bool) -> Scaling:
    """Returns the scaling of the training inputs of a data module.

    Args:
        datamodule: has ``input_statistics()``, and for ``auto`` may have ``input_activity()``.
        standardize: ``global``, ``feature``, or ``auto`` for either by :func:`~hilmix.functional.inputs.unit_ratio`.
        vectors: whether inputs are vectors; images are scaled per channel in any case.
    """
    mean, std = datamodule.input_statistics()
    chosen = _chosen(datamodule, mean, std) if standardize == "auto" and vectors else standardize
    if vectors and chosen == "global":
        # Total variance: that within features plus that of their means, which needs the divisor D.
        spread = (std.square().mean() + mean.var(correction=0)).sqrt()
        mean, std = mean.mean().expand_as(mean), spread.expand_as(std)
    return Scaling(chosen, mean, torch.where(is_constant(mean, std), 1.0, std))


def _chosen(datamodule: Any, mean: Tensor, std: Tensor) -> Standardize:
    activity = getattr(datamodule, "input_activity", None)
    ratio = unit_ratio(mean, std, torch.ones_like(mean) if activity is None else activity())
    chosen: Standardize = "feature" if ratio > UNITS else "global"
    how = "each feature by its own mean and deviation" if chosen == "feature" else "all features by one deviation"
    log.info(
        "standardize auto: %s ('%s'), as the widest feature reaches %.3g times the deviation of the narrowest "
        "(different units above %g).",
        how,
        chosen,
        ratio,
        UNITS,
    )
    return chosen
