"""Check that validation items have what the choice of the best checkpoint needs."""

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError
from hilmix.types import UNKNOWN


def check_validation(data: AnnotatedData, rows: IntArray, metric: str | None = None) -> None:
    """Check that the validation items have what the best checkpoint is chosen by.

    Args:
        data: all items.
        rows: of the validation items.
        metric: by which it is chosen; one of groups has ``group`` in its name.

    Raises:
        ConfigError: if no validation item has a vote or a target, or, for such a metric, both a group and a target.
    """
    if (data.target[rows] == UNKNOWN).all() and not data.annotations.labels_per_item[rows].any():
        raise ConfigError(
            f"The {len(rows)} validation items of {data.name} have neither votes nor targets, so nothing can be "
            "validated on them. Give data.val_fraction (such as 0.1) to hold out training items instead."
        )
    if metric is None or "group" not in metric:
        return
    if not data.groups or not (data.target[rows][data.group[rows] != UNKNOWN] != UNKNOWN).any():
        raise ConfigError(
            f"best_metric is '{metric}', but no validation item of {data.name} has both a group and a target. "
            "Fill in the columns 'group' and 'target' of the items table, or set best_metric to val/acc (val/agreement "
            "where no target is known)."
        )
