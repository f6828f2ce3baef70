"""People of known perception, and what a fit to their answers makes of it."""

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
UNEXPLAINED_SD = {"told": 0.0, "not told": 0.4}
"""By world: of strengths of images that no feature tells."""
PEOPLE_SD = 0.2
"""Of people's own slopes."""
HELD_OUT = 2000
"""Mixes of other images, on which a fit is scored."""


class World(NamedTuple):
    """What is true, of images to ask about and of as many others."""

    label: IntArray
    """(2 N,) int64."""
    features: DoubleArray
    """(2 N, 15)."""
    truth: DoubleArray
    """(1 + K + 15,): slope, strengths of classes, weights of features."""
    unexplained: DoubleArray
    """(2 N,) strengths of images that no feature tells."""
    held_out: Candidates
    """Mixes of the second half of the images."""

    @classmethod
    def of(cls, seed: int, name: str) -> Self:
        """Draws features with long tails, as those of images have, and what they do, in one of the worlds."""
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
        """(C, P) of the logit of what people see."""
        return mixes.columns(self.label, components, num_classes=len(CLASSES))

    def answers(self, mixes: Candidates, person: IntArray, seed: int) -> MixJudgments:
        """Answers of people with slopes of their own: Beta, of variance ``phi h (1 - h)`` with the phi of H-Mix.

        Args:
            mixes: M, in the order asked.
            person: (M,) int64 from 0, who is asked.
            seed: of people and of their answers; the first M are the same however many follow.
        """
        own = np.random.default_rng([seed, 1]).normal(0, PEOPLE_SD, int(person.max()) + 1)
        chance = np.random.default_rng([seed, 2]).random(len(person))
        first, second = mixes.pairs
        images = self.unexplained[first] - self.unexplained[second]
        eta = self.columns(mixes, self.features) @ self.truth + own[person] * logit(mixes.weight) + images
        share, size = expit(eta), 1 / DISPERSION - 1
        answer = beta.ppf(chance, share * size, (1 - share) * size)
        return MixJudgments(
            self.label[first],
            self.label[second],
            mixes.weight,
            answer.round(2),
            np.full(len(answer), np.nan),
            person,
            first,
            second,
            len(CLASSES),
            tuple(f"p{one}" for one in range(len(own))),
        )

    def excess(self, mean: DoubleArray, components: DoubleArray) -> float:
        """Returns ``mean h (1 - h) (fitted - true logit)^2`` on the held-out mixes: excess deviance to second order.

        True is what classes, weight and features tell; nothing could be said of the rest.
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
