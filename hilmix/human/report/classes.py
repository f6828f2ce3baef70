"""Tables of class strengths and label pairs."""

import numpy as np
import pandas as pd

from hilmix.columns import IntArray
from hilmix.errors import DataError
from hilmix.functional.clusters import clustered_mean
from hilmix.human.functional.strengths import ClassStrengths, class_strengths, shrunk_means
from hilmix.human.report.frame import COLUMNS, build_answer_frame, build_estimates
from hilmix.human.study import MixStudy


def fit_strengths(study: MixStudy, *, level: float = 0.95) -> tuple[IntArray, ClassStrengths]:
    """Returns the classes that were mixed with another one, as codes in ascending order, and their strengths.

    Raises:
        DataError: if no chain of mixes joins them all, or no two classes were mixed.
    """
    frame = build_answer_frame(study)
    frame = frame[frame["label1"] != frame["label2"]]
    if frame.empty:
        raise DataError("class strengths: every mix is of two images of one class; needed are mixes of two classes.")
    used, codes = np.unique(frame[["label1", "label2"]], return_inverse=True)
    # The inverse is flat or not, by the version of NumPy.
    first, second = codes.reshape(-1, 2).T
    try:
        strengths = class_strengths(
            frame["deviation"], first, second, participant=frame["participant"], num_classes=len(used), level=level
        )
    except DataError as error:
        names = ", ".join(study.classes[k] for k in used)
        raise DataError(f"{error} They are, from 0: {names}.") from error
    return used, strengths


def compute_strength_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the ``strength`` of each class that was mixed with another one, the class as group; ``n`` counts answers
    to mixes that contain it.

    Raises:
        DataError: as :func:`fit_strengths`.
    """
    used, found = fit_strengths(study, level=level)
    frame = build_answer_frame(study)
    frame = frame[frame["label1"] != frame["label2"]]
    n = np.bincount(frame[["label1", "label2"]].to_numpy().ravel(), minlength=study.num_classes)
    rows = [
        ("strength", study.classes[k], *values, n[k])
        for k, *values in zip(used, found.strength, found.low, found.high, strict=True)
    ]
    return build_estimates(study, rows)


def build_pair_frame(study: MixStudy, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the answers to mixes of two classes with three more columns.

    ``pair`` is ``class1 * K + class2``, the classes in their order. ``sign`` is -1 where image 1 is of the later class,
    so that deviations have to change sign. ``shrunk`` is the pair's empirical-Bayes mean deviation towards ``class1``.

    Raises:
        DataError: for fewer than two pairs of classes, or if none has two answers.
    """
    frame = frame[frame["label1"] != frame["label2"]]
    first, second = frame["label1"].to_numpy(), frame["label2"].to_numpy()
    pair = np.minimum(first, second) * study.num_classes + np.maximum(first, second)
    sign = 1 - 2 * (first > second).astype(np.int64)
    if not 2 <= len(np.unique(pair)) < len(frame):
        raise DataError(
            f"label pairs: {len(frame)} answers to mixes of two classes, in {len(np.unique(pair))} pairs; "
            "needed are two pairs, and one of them with two answers."
        )
    shrunk = shrunk_means(sign * frame["deviation"].to_numpy(), pair, num_groups=study.num_classes**2).shrunk
    return frame.assign(pair=pair, sign=sign, shrunk=shrunk[pair])


def compute_pair_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the mean ``deviation`` of each pair of different classes, positive towards ``class1``, and as ``shrunk``
    its empirical-Bayes mean.

    Raises:
        DataError: as :func:`build_pair_frame`.
    """
    frame = build_pair_frame(study, build_answer_frame(study))
    frame["towards"] = frame["sign"] * frame["deviation"]
    rows = []
    for code, part in frame.groupby("pair"):
        first, second = (study.classes[k] for k in divmod(code, study.num_classes))
        found = clustered_mean(part["towards"], part["participant"], level=level)
        rows.append(
            (
                study.task,
                "deviation",
                f"{first} / {second}",
                found.mean,
                found.low,
                found.high,
                found.answers,
                part["shrunk"].iloc[0],
                first,
                second,
                found.clusters,
            )
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, "shrunk", "class1", "class2", "participants"])
