"""Tables of the labels of the categorical task: their entropy, and the mass off both endpoints."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import entropy

from hilmix.errors import DataError
from hilmix.functional.clusters import clustered_mean
from hilmix.human.functional.judgments import clamp_cifar10s, clamp_hmix
from hilmix.human.report.frame import ALL, build_answer_frame, build_estimates, compute_means, drop_repeated_answers
from hilmix.human.study import MixStudy
from hilmix.human.study.released import find_empty_answers
from hilmix.human.study.tables import ClassAnswers, take_rows

RULES: Mapping[str, Callable[..., NDArray[np.float64]]] = {"hmix": clamp_hmix, "cifar10s": clamp_cifar10s}
"""The two published ways to make a distribution of an answer; quantities carry their names."""
MEASURES = ("entropy", "off_endpoints", "image1", "image2", "endpoint_share")


def get_class_answers(study: MixStudy) -> ClassAnswers:
    """The raw answers of the categorical task.

    Raises:
        DataError: for another task.
    """
    if study.judgments.answers is None:
        raise DataError(f"Categorical labels need a study of the task 'categorical'; this one is '{study.task}'.")
    return study.judgments.answers


def build_label_frame(study: MixStudy) -> pd.DataFrame:
    """Returns the judgments, repeats included, with ``top`` and measures of their labels under both :data:`RULES`.

    Per rule ``<rule>_entropy`` (nats), ``_image1`` and ``_image2`` (mass on the two classes that were mixed),
    ``_off_endpoints`` (on all others) and ``_endpoint_share`` (image 1 of both; NaN where neither has any). Beside them
    ``mixup_entropy`` of the label with the generating weight. Answers from which no label follows are left out.

    Args:
        study: of the categorical task.

    Raises:
        DataError: for another task.
    """
    answers = get_class_answers(study)
    usable = ~find_empty_answers(answers)
    frame = build_answer_frame(study, repeats=True)[usable].reset_index(drop=True)
    kept = take_rows(answers, usable)
    given = frame["generating_weight"].to_numpy()
    mixup = entropy(np.stack([given, 1 - given]), axis=0)
    frame = frame.assign(top=kept.top, mixup_entropy=np.where(frame["label1"] == frame["label2"], 0.0, mixup))
    for name, rule in RULES.items():
        labels = rule(kept.top, kept.top_percent, kept.second, kept.second_percent, impossible=kept.impossible)
        frame = frame.assign(**{f"{name}_{key}": values for key, values in _measures(frame, labels).items()})
    return frame


def _measures(frame: pd.DataFrame, labels: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    rows = np.arange(len(frame))
    first, second = labels[rows, frame["label1"]], labels[rows, frame["label2"]]
    second = np.where(frame["label1"] == frame["label2"], 0.0, second)  # one class takes part once
    both = first + second
    share = np.divide(first, both, out=np.full(len(frame), np.nan), where=both > 0)
    # maximum: 1 - both may be -1e-17
    return dict(zip(MEASURES, (entropy(labels, axis=1), np.maximum(1 - both, 0), first, second, share), strict=True))


def compute_label_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the means of the measures of :func:`build_label_frame`, in all and by generating weight.

    Raises:
        DataError: as :func:`build_label_frame`.
    """
    frame = build_label_frame(study)
    quantities = ["mixup_entropy", *(f"{rule}_{measure}" for rule in RULES for measure in MEASURES)]
    return compute_means(study, frame[~frame["repeat"]], quantities, "generating_weight", level=level)


def compute_top_class_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns how often the top class was mixed in, and how often two participants name the same.

    ``n`` counts answers, then pairs of participants.

    Raises:
        DataError: as :func:`build_label_frame`.
    """
    frame = build_label_frame(study)
    frame = frame[~frame["repeat"]]
    mixed = (frame["top"] == frame["label1"]) | (frame["top"] == frame["label2"])
    found = clustered_mean(mixed, frame["participant"], level=level)
    once = drop_repeated_answers(frame)
    judged = once.groupby("stimulus").size()
    alike = once.groupby(["stimulus", "top"]).size()
    pairs, agreed = (int((n * (n - 1)).sum()) // 2 for n in (judged, alike))
    rows = [
        ("top_is_endpoint", ALL, found.mean, found.low, found.high, found.answers),
        ("top_shared_by_two", ALL, agreed / pairs if pairs else np.nan, np.nan, np.nan, pairs),
    ]
    return build_estimates(study, rows)
