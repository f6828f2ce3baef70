"""Which classes people see more of than was mixed in: strengths, and label pairs."""

import numpy as np
import pandas as pd

from hilmix.columns import IntArray
from hilmix.data.hmix import MixStudy
from hilmix.errors import DataError
from hilmix.functional.clusters import clustered_mean
from hilmix.functional.strengths import ClassStrengths, class_strengths, shrunk_means
from hilmix.report.hmix.frame import COLUMNS, answer_frame, estimates


def fitted_strengths(study: MixStudy, *, level: float = 0.95) -> tuple[IntArray, ClassStrengths]:
    """Returns the classes that were mixed with another one, as codes in ascending order, and their strengths.

    Raises:
        DataError: if no chain of mixes joins them all, or no two classes were mixed.
    """
    frame = answer_frame(study)
    frame = frame[frame["label1"] != frame["label2"]]
    if frame.empty:
        raise DataError("class strengths: every mix is of two images of one class; needed are mixes of two classes.")
    used, codes = np.unique(frame[["label1", "label2"]], return_inverse=True)
    first, second = codes.reshape(-1, 2).T
    try:
        strengths = class_strengths(
            frame["deviation"], first, second, participant=frame["participant"], num_classes=len(used), level=level
        )
    except DataError as error:
        names = ", ".join(study.classes[k] for k in used)
        raise DataError(f"{error} They are, from 0: {names}.") from error
    return used, strengths


def strength_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the ``strength`` of each class that was mixed with another one, the class as group; ``n`` counts answers
    to mixes that contain it.

    Raises:
        DataError: as :func:`fitted_strengths`.
    """
    used, found = fitted_strengths(study, level=level)
    frame = answer_frame(study)
    frame = frame[frame["label1"] != frame["label2"]]
    n = np.bincount(frame[["label1", "label2"]].to_numpy().ravel(), minlength=study.num_classes)
    rows = [("strength", study.classes[k], *values, n[k])
            for k, *values in zip(used, found.strength, found.low, found.high, strict=True)]  # fmt: skip
    return estimates(study, rows)


def pair_codes(study: MixStudy, frame: pd.DataFrame) -> tuple["pd.Series[int]", "pd.Series[int]"]:
    """Returns for each row the pair of classes in their order, ``class1 * K + class2``, and -1 where image 1 is of the
    later class, so that deviations have to change sign."""
    low, high = frame[["label1", "label2"]].min(axis=1), frame[["label1", "label2"]].max(axis=1)
    return low * study.num_classes + high, 1 - 2 * (frame["label1"] > frame["label2"]).astype(int)


def pair_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the mean ``deviation`` of each pair of different classes, positive towards ``class1``, and as ``shrunk``
    its empirical-Bayes mean.

    Raises:
        DataError: as :func:`~hilmix.functional.strengths.shrunk_means`.
    """
    frame = answer_frame(study)
    frame = frame[frame["label1"] != frame["label2"]]
    pair, sign = pair_codes(study, frame)
    frame = frame.assign(pair=pair, towards=sign * frame["deviation"])
    shrunk = shrunk_means(frame["towards"], pair.to_numpy(), num_groups=study.num_classes**2).shrunk
    rows = []
    for code, part in frame.groupby("pair"):
        first, second = (study.classes[k] for k in divmod(code, study.num_classes))
        found = clustered_mean(part["towards"], part["participant"], level=level)
        rows.append((study.task, "deviation", f"{first} / {second}", found.mean, found.low, found.high, found.answers,
                     shrunk[code], first, second, found.clusters))  # fmt: skip
    return pd.DataFrame(rows, columns=[*COLUMNS, "shrunk", "class1", "class2", "people"])
