"""The policies compared: how the elicited mixes are labelled, or how all mixes of training are."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.human_mixup.data import Source, soft_annotations, source
from hilmix.data.dataset import Augmentation
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.human.functional.perception import two_hot
from hilmix.human.image_features import compute_statistics
from hilmix.human.perception import (
    ClassStrengths,
    ConfidenceSmoothing,
    GlobalCurve,
    Identity,
    ImageTable,
    LearnedPerception,
    Mixes,
    OffEndpoints,
    Perception,
    UniformSmoothing,
)
from hilmix.human.report.categorical import build_label_frame
from hilmix.human.study import append_mixes, label_judgments, label_mixes, mean_by_mix, render_mix
from hilmix.mix import CutMix, HumanMix, ItemMix, MixPolicy, NoMix

FloatArray = NDArray[np.float64]
UNSURE, FAR = 0.25, 0.25
"""Mixes are dropped at and below this mean confidence, or at and above this distance of mean answer and weight."""
CONTROL_SEED = 0


@dataclass(frozen=True)
class Settings:
    """Settings that are chosen on validation."""

    lr: float = 3e-3
    mixup: float = 0.2
    """alpha of mixup, and of all policies that relabel its mixes."""
    cutmix: float = 1.0
    smoothing: float = 0.1
    """Uniform share of label smoothing."""
    augment: Augmentation = "none"
    """Not chosen: both are run."""


@dataclass(frozen=True)
class Training:
    """The data and the mix policy of a run."""

    data: AnnotatedData
    mix: MixPolicy


# -- elicited mixes as further training items ------------------------------------------------------------------------


def table() -> ImageTable:
    """The mean of what people saw in each mix, and how sure they were."""
    return ImageTable.fit(source().study.to_judgments())


def smoothed() -> ConfidenceSmoothing:
    """The same, smoothed by mean confidence."""
    return ConfidenceSmoothing(table(), line=None)


def _matched(policy: Perception) -> UniformSmoothing:
    """As uniform on average as :func:`smoothed`, but all mixes alike."""
    return UniformSmoothing(policy, float(smoothed().uniform_share(_shown()).double().mean()))


def _shown() -> Mixes:
    shown = source().study.stimuli
    hot = torch.eye(10)
    return Mixes(
        hot[torch.tensor(shown.label1)],
        hot[torch.tensor(shown.label2)],
        torch.tensor(shown.weight),
        torch.tensor(shown.id1),
        torch.tensor(shown.id2),
    )


def _off_endpoints(policy: Perception) -> OffEndpoints:
    """Part of each mix is seen as neither class, as the categorical answers have it."""
    labels = build_label_frame(source().categorical)
    return OffEndpoints.fit(labels["generating_weight"], labels["hmix_off_endpoints"], policy=policy)


def _random() -> FloatArray:
    return np.eye(10)[np.random.default_rng(CONTROL_SEED).integers(0, 10, len(source().study.stimuli))]


MIX_LABELS: dict[str, Callable[[], FloatArray]] = {
    "mixup": lambda: label_mixes(source().study, Identity()),
    "human": lambda: label_mixes(source().study, table()),
    "human-smoothed": lambda: label_mixes(source().study, smoothed()),
    "human-matched": lambda: label_mixes(source().study, _matched(table())),
    "mixup-matched": lambda: label_mixes(source().study, _matched(Identity())),
    "strengths": lambda: label_mixes(source().study, ClassStrengths.fit(source().study.to_judgments())),
    "off-endpoints": lambda: label_mixes(source().study, _off_endpoints(table())),
    "uniform": lambda: np.full((len(source().study.stimuli), 10), 0.1),
    "random": _random,
}
"""One label per elicited mix, by name."""


def elicited(name: str) -> AnnotatedData:
    """The base data with the elicited mixes, labelled as the name says."""
    found = source()
    study, base = found.study, found.base
    judgments = study.judgments
    if name in MIX_LABELS:
        return append_mixes(base, study, MIX_LABELS[name]())
    if name in ("annotators", "annotators-smoothed"):
        return append_mixes(base, study, label_judgments(study, smoothed=name.endswith("smoothed")), per="judgment")
    if name == "human-per-answer":
        return append_mixes(base, study, MIX_LABELS["human"]()[judgments.stimulus], per="judgment")
    if name == "drop-unsure":
        keep = mean_by_mix(study, judgments.confidence) > UNSURE
        return append_mixes(base, study, MIX_LABELS["mixup"](), keep=keep)
    if name == "drop-far":
        keep = np.abs(mean_by_mix(study, judgments.weight) - study.stimuli.weight) < FAR
        return append_mixes(base, study, MIX_LABELS["mixup"](), keep=keep)
    if name == "categorical-100":
        mixes = found.categorical
        return append_mixes(base, mixes, mean_by_mix(mixes, label_judgments(mixes)))
    if name == "mixup-100":
        return append_mixes(base, found.categorical, label_mixes(found.categorical, Identity()))
    return topped_up(append_mixes(base, study, MIX_LABELS[name.removesuffix("-topped-up")]()), found)


def topped_up(data: AnnotatedData, found: Source) -> AnnotatedData:
    """The data with as many further mixes with the labels of mixup: random training pairs, weights as in the study."""
    rng, number = np.random.default_rng(CONTROL_SEED), len(found.study.stimuli)
    assert isinstance(data.inputs, ArrayInputs)
    assert data.split is not None
    assert data.annotations.probs is not None
    train = np.flatnonzero(data.split[: len(found.base)] == "train")
    first, second = rng.choice(train, (2, number))
    weight = rng.permutation(found.study.stimuli.weight)
    images = render_mix(data.inputs.array[first], data.inputs.array[second], weight)
    one, two = (torch.tensor(data.target[rows]) for rows in (first, second))  # hard labels, as the elicited mixes have
    labels = two_hot(one, two, torch.tensor(weight), num_classes=10).numpy()
    return replace(
        data,
        items=(*data.items, *(f"mix-{i:05d}" for i in range(number))),
        inputs=ArrayInputs(np.concatenate([data.inputs.array, images]), "image"),
        annotations=soft_annotations(np.concatenate([data.annotations.probs, labels]), data.classes),
        target=np.concatenate([data.target, np.full(number, -1)]),
        split=np.concatenate([data.split, np.full(number, "train")]),
        group=np.concatenate([data.group, np.full(number, -1)]),
    )


ELICITED = (
    "none",
    *MIX_LABELS,
    "annotators",
    "annotators-smoothed",
    "human-per-answer",
    "drop-unsure",
    "drop-far",
    "mixup-topped-up",
    "human-smoothed-topped-up",
    "categorical-100",
    "mixup-100",
)
"""Policies for the elicited mixes; ``none`` adds nothing."""

# -- all mixes of training -------------------------------------------------------------------------------------------


def learned(features: torch.Tensor) -> LearnedPerception:
    """The learned policy on some features of the images."""
    return LearnedPerception.fit(source().study.to_judgments(), features=features)


def reversed_(policy: LearnedPerception) -> LearnedPerception:
    """A control: as far from the weight as the policy, to the other side."""
    strengths, weights = (-1 * values for values in (policy.strengths, policy.image_weights))
    return LearnedPerception(strengths.tolist(), float(policy.slope), weights.tolist())


def statistics() -> torch.Tensor:
    """(N, 15) statistics of all images."""
    return compute_statistics(source().base.inputs, np.arange(len(source().base)))


def _smoothed_by_line(policy: Perception) -> ConfidenceSmoothing:
    return ConfidenceSmoothing.fit(source().study.to_judgments(), policy=policy)


def _matched_line(policy: Perception, alpha: float) -> UniformSmoothing:
    """As uniform on average over training's mixes as smoothing by the line of confidence."""
    weight = torch.from_numpy(np.random.default_rng(CONTROL_SEED).beta(alpha, alpha, 100_000))
    blank = weight[:, None]
    return UniformSmoothing.matching(_smoothed_by_line(policy), Mixes(blank, blank, weight))


ALL_MIXES: dict[str, Callable[[Settings], MixPolicy]] = {
    "all-mixup": lambda s: ItemMix(s.mixup),
    "all-cutmix": lambda s: CutMix(s.cutmix),
    "all-logit": lambda s: HumanMix(GlobalCurve.fit(source().study.to_judgments()), s.mixup),
    "all-strengths": lambda s: HumanMix(ClassStrengths.fit(source().study.to_judgments()), s.mixup),
    "all-learned": lambda s: HumanMix(learned(statistics()), s.mixup, features="statistics"),
    "all-learned-reversed": lambda s: HumanMix(reversed_(learned(statistics())), s.mixup, features="statistics"),
    "all-off-endpoints": lambda s: HumanMix(_off_endpoints(Identity()), s.mixup),
    "all-mixup-smoothed": lambda s: HumanMix(_smoothed_by_line(Identity()), s.mixup),
    "all-mixup-matched": lambda s: HumanMix(_matched_line(Identity(), s.mixup), s.mixup),
    "all-learned-smoothed": lambda s: HumanMix(
        _smoothed_by_line(learned(statistics())), s.mixup, features="statistics"
    ),
}
"""Policies for every mix of training, by name; nothing is added to the base data."""


def training(name: str, settings: Settings) -> Training:
    """Returns what a policy trains on.

    Raises:
        KeyError: for an unknown name.
    """
    base = source().base
    if name in ALL_MIXES:
        return Training(base, ALL_MIXES[name](settings))
    if name == "label-smoothing":
        share = settings.smoothing
        smooth = (1 - share) * source().shares + share / 10
        return Training(replace(base, annotations=soft_annotations(smooth, base.classes)), NoMix())
    if name not in ELICITED:
        raise KeyError(name)
    return Training(base if name == "none" else elicited(name), NoMix())


POLICIES = (*ELICITED, "label-smoothing", *ALL_MIXES)
