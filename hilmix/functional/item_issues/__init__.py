"""Issues of items rather than labels: outliers, duplicates, order, imbalance, weak groups, shortcuts, bad images.

Scores lie in [0, 1] and are low where an item is suspicious.
"""

from hilmix.functional.item_issues.duplicates import DuplicateSets, exact_duplicates, find_leaks, near_duplicates
from hilmix.functional.item_issues.groups import (
    Association,
    GroupQuality,
    group_quality,
    label_association,
    quantile_bins,
    rare_classes,
)
from hilmix.functional.item_issues.images import THRESHOLDS, ImageProperties, image_properties, odd_sizes
from hilmix.functional.item_issues.neighbors import Neighbors, OrderTest, order_test
from hilmix.functional.item_issues.outliers import Outliers, gaussian_outliers, knn_outliers

__all__ = [
    "THRESHOLDS",
    "Association",
    "DuplicateSets",
    "GroupQuality",
    "ImageProperties",
    "Neighbors",
    "OrderTest",
    "Outliers",
    "exact_duplicates",
    "find_leaks",
    "gaussian_outliers",
    "group_quality",
    "image_properties",
    "knn_outliers",
    "label_association",
    "near_duplicates",
    "odd_sizes",
    "order_test",
    "quantile_bins",
    "rare_classes",
]
