"""Invented judgments with known parameters, and one policy of each kind."""

import numpy as np
import torch
from scipy.special import expit, logit

from hilmix.human.perception import (
    ClassStrengths,
    ConfidenceSmoothing,
    GlobalCurve,
    Identity,
    ImageTable,
    LabelPairs,
    LearnedPerception,
    Mixes,
    MixFeaturePerception,
    MixJudgments,
    ParticipantCurves,
    UniformSmoothing,
)

WEIGHTS = (0.1, 0.25, 0.5, 0.75, 0.9)
K = 4
STRENGTHS = np.array([0.6, -0.2, 0.1, -0.5])
D = 5
LEARNED = [0.4, -0.3, 0.0, 0.8, -1.1]
SMALL_TABLE = ImageTable([3, 4], [9, 1], [0.25, 0.9], [0.4, 0.7], [0.5, 0.9], fallback=GlobalCurve())

POLICIES = {
    "identity": Identity(),
    "logit": GlobalCurve(),
    "probit": GlobalCurve("probit", (0.0, 0.8)),
    "logistic": GlobalCurve("logistic", (4.5, 0.5)),
    "logistic_anchored": GlobalCurve("logistic_anchored", (4.5, 0.5)),
    "logit_ordered": GlobalCurve("logit", (-0.098, 0.875), ordered=True),
    "logistic_ordered": GlobalCurve("logistic", (4.58, 0.522), ordered=True),
    "class_strengths": ClassStrengths(STRENGTHS.tolist(), 0.886),
    "label_pairs": LabelPairs((STRENGTHS[:, None] - STRENGTHS).tolist(), (0.9 + 0.1 * np.eye(K)[::-1]).tolist()),
    "participants": ParticipantCurves(["ann", "bob"], [0.5, 1.7], 0.9),
    "participants_ordered": ParticipantCurves(["ann", "bob"], [0.5, 1.7], 0.9, [0.3, -0.8], -0.1),
    "learned": LearnedPerception(STRENGTHS.tolist(), 0.9, LEARNED, 0.3, (0.1, 0.5, 1.0), LEARNED[::-1]),
    "looking": MixFeaturePerception(
        STRENGTHS.tolist(),
        0.9,
        LEARNED,
        [0.5, 1.5, -0.2, 0.8, 1.1],
        [2, 3],
        [0.1] * D,
        [1.3] * D,
        np.random.default_rng(3).normal(size=(K, D)).tolist(),
    ),
    "table": SMALL_TABLE,
    "smoothed": ConfidenceSmoothing(ClassStrengths(STRENGTHS.tolist(), 0.886)),
    "uniformly_smoothed": UniformSmoothing(GlobalCurve(), 0.2),
}
ANCHORED = [name for name in POLICIES if name not in ("logistic", "logistic_ordered", "smoothed", "uniformly_smoothed")]


def mixes(rows=12, *, seed=0, hard=False, dtype=torch.float64):
    """Random mixes with ids, participants, labels, features; two stand in :data:`SMALL_TABLE`, once turned."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randn(2, rows, K, dtype=torch.float64, generator=generator).mul(2).softmax(-1)
    if hard:
        labels = torch.eye(K, dtype=torch.float64)[labels.argmax(-1)]
    weight = torch.rand(rows, dtype=torch.float64, generator=generator)
    ids = torch.randint(0, 1000, (2, rows), generator=generator)
    weight[:2], ids[:, :2] = torch.tensor([0.25, 0.1]), torch.tensor([[3, 1], [9, 4]])
    people = torch.randint(-1, 2, (rows,), generator=generator)
    similarity = torch.randn(3, rows, D, dtype=torch.float64, generator=generator)
    return Mixes(labels[0].to(dtype), labels[1].to(dtype), weight.to(dtype), ids[0], ids[1], people, *similarity)


def judged(
    *,
    pairs=300,
    people=20,
    per_pair=3,
    seed=0,
    offset=0.0,
    slope=0.875,
    strengths=None,
    slopes=None,
    offsets=None,
    images=10_000,
    precision=8.0,
    classes=K,
):
    """Judgments whose expectation is ``s(offset + b logit w + t_c - t_d)``, classes in order, beta noise."""
    rng = np.random.default_rng(seed)
    strengths = np.zeros(classes) if strengths is None else np.asarray(strengths)
    labels = np.sort(np.array([rng.choice(classes, 2, replace=False) for _ in range(pairs)]), 1)
    ids = np.array([rng.choice(images, 2, replace=False) for _ in range(pairs)])
    shown = np.repeat(np.arange(pairs), per_pair)
    weight, who = rng.choice(WEIGHTS, pairs)[shown], rng.integers(0, people, len(shown))
    label1, label2 = labels[shown].T
    b = slope + (0 if slopes is None else np.asarray(slopes)[who])
    a = offset + (0 if offsets is None else np.asarray(offsets)[who])
    mean = expit(a + b * logit(weight) + strengths[label1] - strengths[label2])
    answer = rng.beta(precision * mean, precision * (1 - mean))
    sure = np.clip(0.6 + 0.3 * np.abs(2 * weight - 1) + 0.1 * rng.normal(size=len(shown)), 0, 1)
    names = tuple(f"p{i}" for i in range(people))
    return MixJudgments(label1, label2, weight, answer, sure, who, *ids[shown].T, classes, names)
