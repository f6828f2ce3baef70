"""Check that validation items have what the choice of the best checkpoint needs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError
from hilmix.types import UNKNOWN

NEEDS = {
    "acc": ("target",),
    "nll": ("target",),
    "brier": ("target",),
    "ece": ("target",),
    "vote_acc": ("votes",),
    "vote_nll": ("votes",),
    "vote_brier": ("votes",),
    "vote_ece": ("votes",),
    "agreement": ("votes",),
    "annotator_auroc": ("target", "votes"),
    "worst_group_acc": ("group", "target"),
    "mean_group_acc": ("group", "target"),
}
"""Metrics that not all data allow: at least one validation item must have all that is listed."""


def check_validation(data: AnnotatedData, rows: IntArray, metrics: Sequence[str] = ()) -> None:
    """Check that the validation items have what the best checkpoint is chosen by.

    Args:
        data: all items.
        rows: (M,) of the validation items.
        metrics: by which checkpoints are chosen or a run is stopped, such as ``val/acc``.

    Raises:
        ConfigError: if no validation item has a vote or a target, or none has all that such a metric needs.
    """
    has = {
        "target": data.target[rows] != UNKNOWN,
        "votes": data.annotations.labels_per_item[rows] > 0,
        "group": data.group[rows] != UNKNOWN,
    }
    if not (has["target"] | has["votes"]).any():
        raise ConfigError(
            f"The {len(rows)} validation items of {data.name} have neither votes nor targets, so nothing can be "
            "validated on them. Give data.val_fraction (such as 0.1) to hold out training items instead."
        )
    lacking = {name: needs for name, needs in NEEDS.items() if not _any_has_all(has, needs)}
    for metric in metrics:
        name = metric.removeprefix("val/")
        if name in lacking and metric != name:
            there = [f"val/{other}" for other in ("loss", "loss_calibrated", *NEEDS) if other not in lacking]
            raise ConfigError(
                f"best_metric, or what a callback monitors, is '{metric}', but no validation item of {data.name} has "
                f"{' and '.join(lacking[name])}. Fill in what it lacks, or choose one of {there}."
            )


def _any_has_all(has: Mapping[str, NDArray[np.bool_]], needs: Sequence[str]) -> bool:
    return bool(np.logical_and.reduce([has[need] for need in needs]).any())
