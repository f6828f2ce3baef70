"""Next mixes of a data set to collect judgments of: the most informative ones, or those a model is least sure about."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.answers.read import read_answers
from hilmix.human.elicit.answers.training import check_data
from hilmix.human.elicit.design.chosen import ChosenMixes
from hilmix.human.elicit.design.items import check_showable, find_usable_labels, read_probs
from hilmix.human.elicit.design.manifest import Manifest, read_manifest
from hilmix.human.elicit.design.pairs import DoubleArray, IntArray, Pairs, draw_balanced_codes, find_least_sure_pairs
from hilmix.human.elicit.design.propose import Belief, compute_excess_after, draw_candidates, propose
from hilmix.human.elicit.design.settings import WEIGHTS
from hilmix.human.image_features import compute_statistics
from hilmix.human.perception.judgments import MixJudgments
from hilmix.human.perception.learned import COMPONENTS, RegressionColumns

POOL = 2000
"""Pairs among which the most telling are looked for."""


class NextMixes(NamedTuple):
    """Mixes to ask about, what speaks for each, and what is expected of all."""

    chosen: ChosenMixes
    score: DoubleArray
    """(n,): how much a judgment makes the expected deviance smaller; or how far a model confuses the images."""
    label: IntArray
    """(N,) class of each image."""
    note: str


def find_next_by_perception(study: Path, data: AnnotatedData, number: int, *, seed: int) -> NextMixes:
    """Returns the mixes whose judgments are expected to improve the fit of perception the most.

    The fit is that of classes and image statistics to the ``infer`` answers so far; see
    :func:`~hilmix.human.elicit.design.propose.propose`. Candidates are balanced pairs of images that the study does not
    show, at the weights of :data:`~hilmix.human.elicit.design.settings.WEIGHTS`.

    Args:
        study: folder, with answers.
        data: that it was built from.
        number: n.
        seed: of the draw of candidates.

    Raises:
        DataError: if these are other data, there are no such answers, or too few pairs.
    """
    manifest, label = _check_study(study, data)
    answers = read_answers(study)
    if "infer" not in answers:
        raise DataError(
            f"{study} must have answers to the task 'infer', to which perception is fitted, got {', '.join(answers)}. "
            "find_next_by_model needs none."
        )
    judgments = answers["infer"].without_repeats().to_judgments()
    candidates = draw_candidates(label, POOL, _shown(manifest), weights=WEIGHTS, classes=data.classes, seed=seed)
    pairs = len(candidates.weight) // len(WEIGHTS)
    if pairs < number:
        raise DataError(
            f"The data '{data.name}' give {pairs} balanced pairs that the study does not show, but {number} are "
            "needed. Lower `number`."
        )
    # Statistics of these images only: of a large data set few are judged or candidates.
    used = np.unique(np.concatenate([judgments.id1, judgments.id2, *candidates.pairs]))
    belief, components = fit_belief(judgments, compute_statistics(data.inputs, used), used)
    columns = candidates.columns(label, components, num_classes=len(data.classes))
    found = propose(belief, columns, candidates.weight, candidates.pair, number)
    # Rows of candidates come pair by pair with every weight, so these are different pairs, weights in turn.
    chance = np.random.default_rng(seed).permutation(pairs)[:number] * len(WEIGHTS)
    chance += np.arange(number) % len(WEIGHTS)
    left = [found.before - found.gain.sum(), compute_excess_after(belief, columns, candidates.weight, chance)]
    proposed, drawn = (1 - value / found.before for value in left)
    note = (
        f"One judgment of each is expected to remove {proposed:.0%} of the deviance that judgments can still remove; "
        f"one of each of as many random mixes, {drawn:.0%}."
    )
    return NextMixes(candidates.chosen(found.rows), found.gain, label, note)


def find_next_by_model(study: Path, data: AnnotatedData, number: int, *, predictions: Path, seed: int) -> NextMixes:
    """Returns mixes of images that a model takes most for each other's class, and that the study does not show.

    Args:
        study: folder; answers are not needed.
        data: that it was built from.
        number: n.
        predictions: ``predictions.parquet`` of a run.
        seed: of the weights, which are those of :data:`~hilmix.human.elicit.design.settings.WEIGHTS`.

    Raises:
        DataError: if these are other data, the predictions cannot be used, or there are too few pairs.
    """
    manifest, label = _check_study(study, data)
    probs = read_probs(predictions, data)
    free = np.where(np.isnan(probs).any(axis=1), -1, label)
    free[np.concatenate(_shown(manifest))] = -1
    pairs, rng = find_least_sure_pairs(free, probs, number, classes=data.classes), np.random.default_rng(seed)
    weight = np.array(WEIGHTS)[draw_balanced_codes(np.zeros(number, dtype=np.int64), len(WEIGHTS), rng)]
    score = probs[pairs.first, label[pairs.second]] + probs[pairs.second, label[pairs.first]]
    note = "score is the sum of the probabilities that the model gives each image of the other's class."
    return NextMixes(ChosenMixes(pairs, weight), score, label, note)


def fit_belief(judgments: MixJudgments, features: Tensor, used: IntArray) -> tuple[Belief, DoubleArray]:
    """Returns the belief after the judgments, and (N, Q) the components of the images, 0 for those not used.

    Args:
        judgments: answers.
        features: (N, D) of images, by id.
        used: rows of images with features.
    """
    shown = RegressionColumns.build(judgments, features, None, COMPONENTS)
    components = np.zeros((len(features), shown.components.basis.shape[1]))
    components[used] = shown.components(features[torch.from_numpy(used)].double().numpy())
    return Belief.fit(shown), components


def _check_study(study: Path, data: AnnotatedData) -> tuple[Manifest, IntArray]:
    manifest = read_manifest(study)
    check_showable(data)
    check_data(data, manifest)
    return manifest, find_usable_labels(data)


def _shown(manifest: Manifest) -> Pairs:
    rows = np.array([(one.id1, one.id2) for one in manifest.stimuli], dtype=np.int64)
    return Pairs(rows[:, 0], rows[:, 1])
