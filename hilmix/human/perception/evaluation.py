"""Cross-validation of policies on participants, or on mixes, that they were not fitted to."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import xlogy
from torch import Tensor

from hilmix.errors import ConfigError, DataError
from hilmix.functional.agreement import explained_share
from hilmix.functional.clusters import clustered_mean
from hilmix.human.perception.base import Perception
from hilmix.human.perception.classes import ClassStrengths, LabelPairs
from hilmix.human.perception.curves import GlobalCurve, Identity
from hilmix.human.perception.judgments import FloatArray, IntArray, MixJudgments
from hilmix.human.perception.participants import ParticipantCurves
from hilmix.human.perception.table import ImageTable

Split = Literal["mix", "pair", "participant"]
Cluster = Literal["participant", "image"]
Fit = Callable[[MixJudgments], Perception]

NEAREST_END = 0.005
"""Predictions are kept so far off 0 and 1 in the deviance, which would be infinite there: half a step of the slider."""


def _table(judgments: MixJudgments) -> Perception:
    return ImageTable.fit(judgments, fallback=GlobalCurve.fit(judgments))


def _shrunk_table(judgments: MixJudgments) -> Perception:
    return ImageTable.fit(judgments, average="shrunk", fallback=ClassStrengths.fit(judgments))


POLICIES: dict[str, Fit] = {
    "identity": Identity.fit,
    "logit": GlobalCurve.fit,
    "logistic": partial(GlobalCurve.fit, kind="logistic"),
    "logistic_anchored": partial(GlobalCurve.fit, kind="logistic_anchored"),
    "logit_ordered": partial(GlobalCurve.fit, ordered=True),
    "logistic_ordered": partial(GlobalCurve.fit, kind="logistic", ordered=True),
    "class_strengths": ClassStrengths.fit,
    "label_pairs": LabelPairs.fit,
    "label_pairs_of_strengths": partial(LabelPairs.fit, towards="strengths"),
    "participants": ParticipantCurves.fit,
    "participants_ordered": partial(ParticipantCurves.fit, ordered=True),
    "image_table": _table,
    "image_table_shrunk": _shrunk_table,
}
"""The simple policies by name, each a function from judgments to the fitted policy. Tables fall back on the global
curve, shrunk ones on class strengths."""


def cross_validate(
    judgments: MixJudgments,
    policies: Mapping[str, Fit] = POLICIES,
    *,
    splits: Sequence[Split] = get_args(Split),
    folds: int = 10,
    seed: int = 0,
    cluster: Cluster = "participant",
    level: float = 0.95,
    features: Tensor | None = None,
) -> pd.DataFrame:
    """Returns how well policies predict held-out answers, one row per split and policy.

    Columns: ``split``, ``policy``, ``answers`` (M), ``groups`` (that were held out together); ``share``, ``low``,
    ``high`` (of the squared deviation of answers from the weight, see
    :func:`~hilmix.functional.agreement.explained_share`), ``ceiling``, ``of_ceiling``; ``deviance``,
    ``deviance_low``, ``deviance_high`` (mean quasi-binomial deviance of an answer). The ceiling is that of predictors
    that see the stimulus only; one that knows the participant may exceed it.

    Args:
        judgments: M judgments of mixes of two classes, repeats left out, since a participant's second answer to a mix
            is no new one.
        policies: by name, how to fit each to the judgments of the other folds.
        splits: what is held out; see :func:`find_held_out_groups`.
        folds: number of folds that the groups are assigned to.
        seed: of the assignment.
        cluster: independent units of the intervals: participants, or mixes without a common image.
        level: of the intervals.
        features: (N, D) float features of all images, by id, for policies that look.

    Raises:
        ConfigError: for an unknown split or cluster.
        DataError: for judgments that cannot be used, or fewer groups than folds.
    """
    judgments = judgments.validate()
    if cluster not in get_args(Cluster):
        names = ", ".join(get_args(Cluster))
        raise ConfigError(f"cross-validation: `cluster` must be one of {names}, got '{cluster}'.")
    # Mixes linked by common images are not independent of each other.
    clusters = judgments.participant if cluster == "participant" else find_held_out_groups(judgments, "pair")
    rows = []
    for split in splits:
        groups = find_held_out_groups(judgments, split)
        fold = _assign_folds(groups, folds, split, seed)
        for name, predicted in _predictions(judgments, policies, fold, features).items():
            score = _score(judgments, predicted, clusters, level)
            rows.append({"split": split, "policy": name, "groups": int(groups.max()) + 1} | score)
    return pd.DataFrame(rows)


def find_held_out_groups(judgments: MixJudgments, split: Split) -> IntArray:
    """Returns what must be held out together, (M,) int64 from 0.

    Args:
        judgments: M judgments.
        split: ``mix``: answers to one mix (the same images may be in training at another weight). ``pair``: mixes that
            are linked by common images, so that neither image of a held-out mix was seen in any other. ``participant``:
            answers of one participant.

    Raises:
        ConfigError: for an unknown split.
    """
    if split == "participant":
        return _codes(judgments.participant)
    sorted_images = judgments.swap_images(judgments.id1 > judgments.id2)
    if split == "mix":
        # 1 - 0.9 differs from 0.1 in the last bit, and is the same mix.
        fine = np.round(sorted_images.weight * 1e6)
        return _codes(np.column_stack([sorted_images.id1, sorted_images.id2, fine]))
    if split != "pair":
        raise ConfigError(f"cross-validation: `split` must be one of {', '.join(get_args(Split))}, got '{split}'.")
    images, at = np.unique(np.concatenate([judgments.id1, judgments.id2]), return_inverse=True)
    first, second = at.reshape(2, -1)
    linked = coo_array((np.ones(len(first)), (first, second)), shape=(len(images), len(images)))
    return _codes(connected_components(linked, directed=False)[1][first])


def deviance(answer: FloatArray, predicted: FloatArray) -> FloatArray:
    """Returns the quasi-binomial deviance of each answer, ``2 (y log(y / p) + (1 - y) log((1 - y) / (1 - p)))``.

    Args:
        answer: (M,) y in [0, 1].
        predicted: (M,) p in [0, 1], kept :data:`NEAREST_END` off the ends.
    """
    p = np.clip(predicted, NEAREST_END, 1 - NEAREST_END)
    y, z = answer, 1 - answer
    # xlogy: 0 log 0 is 0 for answers at the ends.
    found: FloatArray = 2 * (xlogy(y, y) - xlogy(y, p) + xlogy(z, z) - xlogy(z, 1 - p))
    return found


def _codes(keys: NDArray[np.generic]) -> IntArray:
    """(M,) int64 from 0, equal for equal rows of (M, ...)."""
    codes: IntArray = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return codes


def _assign_folds(groups: IntArray, folds: int, split: str, seed: int) -> IntArray:
    """(M,) fold of each judgment; groups stay whole."""
    size = int(groups.max()) + 1
    if not 2 <= folds <= size:
        raise DataError(
            f"cross-validation by {split}: `folds` must be in [2, {size}], the number of groups, got {folds}. Groups "
            "by pair are mixes that are linked by common images."
        )
    # Folds have equal numbers of groups, not of answers: groups differ in size and stay whole.
    dealt: IntArray = np.random.default_rng(seed).permutation(size) % folds
    return dealt[groups]


def _predictions(
    judgments: MixJudgments, policies: Mapping[str, Fit], fold: IntArray, features: Tensor | None
) -> dict[str, FloatArray]:
    # NaN until predicted: a judgment that no fold covers would show in the score.
    predicted = {name: np.full(len(fold), np.nan) for name in policies}
    for held in np.unique(fold):
        out = fold == held
        seen, unseen = judgments.take(~out), judgments.take(out)
        for name, fit in policies.items():
            predicted[name][out] = fit(seen).predict(unseen, features=features)
    return predicted


def _score(judgments: MixJudgments, predicted: FloatArray, clusters: IntArray, level: float) -> dict[str, float]:
    # The ceiling comes from answers to the same mix, whatever was held out.
    stimulus = find_held_out_groups(judgments, "mix")
    explained = explained_share(
        judgments.answer,
        predicted,
        judgments.weight,
        participant=clusters,
        group=stimulus,
        num_groups=int(stimulus.max()) + 1,
        level=level,
    )
    lost = clustered_mean(deviance(judgments.answer, predicted), clusters, level=level)
    spread = {"deviance": lost.mean, "deviance_low": lost.low, "deviance_high": lost.high}
    return {"answers": len(predicted)} | explained._asdict() | spread
