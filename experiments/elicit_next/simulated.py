"""Simulated participants of known perception, and the errors of a fit to their answers."""

from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta

from hilmix.human.elicit.design.pairs import DoubleArray, IntArray, Pairs, draw_balanced_codes, draw_pairs
from hilmix.human.elicit.design.propose import Candidates
from hilmix.human.elicit.design.settings import WEIGHTS
from hilmix.human.perception.hmix import DISPERSION, SLOPE, STRENGTHS
from hilmix.human.perception.judgments import MixJudgments

CLASSES = tuple("abcdefghij")
ITEMS = 600
"""Images to ask about, of even classes."""
FEATURES, CORRELATION = 15, 0.5
IMAGE_SD = 0.4
"""Standard deviation of the strengths of images within a class, in logits."""
UNEXPLAINED_SD = {"explained": 0.0, "partly explained": 0.4}
"""By world: standard deviation of the strengths of images that no feature explains, in logits."""
PARTICIPANT_SD = 0.2
"""Standard deviation of the slopes of participants."""
HELD_OUT = 2000
"""Mixes of other images, on which a fit is scored."""


class World(NamedTuple):
    """The true strengths of the images that are asked about, and of as many others."""

    label: IntArray
    """(2 N,) int64."""
    features: DoubleArray
    """(2 N, 15)."""
    truth: DoubleArray
    """(1 + K + 15,): slope, strengths of classes, weights of features."""
    unexplained: DoubleArray
    """(2 N,) strengths of images that no feature explains."""
    held_out: Candidates
    """Mixes of the second half of the images."""

    @classmethod
    def of(cls, seed: int, name: str) -> Self:
        """Draws features with long tails, as those of images have, and their weights, in a world."""
        rng = np.random.default_rng([seed, 0])
        place = np.arange(FEATURES)
        root = np.linalg.cholesky(CORRELATION ** np.abs(place[:, None] - place))
        scale = rng.lognormal(0, 0.3, (2 * ITEMS, 1))
        features = scale * (rng.normal(size=(2 * ITEMS, FEATURES)) @ root.T)
        weights = rng.normal(size=FEATURES)
        weights *= IMAGE_SD / (features @ weights).std()
        label = np.arange(2 * ITEMS) % len(CLASSES)
        pairs = random_mixes(np.where(np.arange(2 * ITEMS) < ITEMS, -1, label), HELD_OUT, rng)
        unexplained = UNEXPLAINED_SD[name] * rng.normal(size=2 * ITEMS)
        return cls(label, features, np.concatenate([[SLOPE], STRENGTHS, weights]), unexplained, pairs)

    def columns(self, mixes: Candidates, components: DoubleArray) -> DoubleArray:
        """(C, P) columns of the logit of the share of image 1 that participants see."""
        return mixes.columns(self.label, components, num_classes=len(CLASSES))

    def answers(self, mixes: Candidates, participant: IntArray, seed: int) -> MixJudgments:
        """Returns Beta answers of participants with own slopes, of variance ``phi h (1 - h)`` with the phi of H-Mix.

        Args:
            mixes: M, in the order asked.
            participant: (M,) int64 from 0.
            seed: of participants and their answers; the first M are the same however many follow.
        """
        own = np.random.default_rng([seed, 1]).normal(0, PARTICIPANT_SD, int(participant.max()) + 1)
        chance = np.random.default_rng([seed, 2]).random(len(participant))
        first, second = mixes.pairs
        images = self.unexplained[first] - self.unexplained[second]
        eta = self.columns(mixes, self.features) @ self.truth + own[participant] * logit(mixes.weight) + images
        share, size = expit(eta), 1 / DISPERSION - 1
        answer = beta.ppf(chance, share * size, (1 - share) * size)
        return MixJudgments(
            self.label[first],
            self.label[second],
            mixes.weight,
            answer.round(2),
            np.full(len(answer), np.nan),
            participant,
            first,
            second,
            len(CLASSES),
            tuple(f"p{one}" for one in range(len(own))),
        )

    def excess(self, mean: DoubleArray, components: DoubleArray) -> float:
        """Returns ``mean h (1 - h) (fitted - true logit)^2`` on the held-out mixes: excess deviance to second order.

        The true logit is that of classes, weight and features; the rest cannot be predicted.
        """
        true = self.columns(self.held_out, self.features) @ self.truth
        share = expit(true)
        return float(np.mean(share * (1 - share) * np.square(self.columns(self.held_out, components) @ mean - true)))

    def strength_error(self, mean: DoubleArray) -> float:
        """Returns the root mean square error of the strengths of classes, which count up to a constant."""
        wrong = mean[1 : 1 + len(CLASSES)] - self.truth[1 : 1 + len(CLASSES)]
        return float((wrong - wrong.mean()).std())


def random_mixes(label: IntArray, number: int, rng: np.random.Generator) -> Candidates:
    """Draws mixes as ``hilmix elicit build`` does: classes, images and weights balanced, either image first."""
    pairs = draw_pairs(label, number, classes=CLASSES, rng=rng)
    weight = np.array(WEIGHTS)[
        draw_balanced_codes(label[pairs.first] * len(CLASSES) + label[pairs.second], len(WEIGHTS), rng)
    ]
    flip = rng.random(number) < 0.5
    first, second = np.where(flip, pairs.second, pairs.first), np.where(flip, pairs.first, pairs.second)
    return Candidates(Pairs(first, second), weight, np.arange(number))
