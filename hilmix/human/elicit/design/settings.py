"""The design of a study, and the draws that follow from it: pairs, weights, batches."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hilmix.errors import ConfigError
from hilmix.human.elicit.design.chosen import ChosenMixes
from hilmix.human.elicit.design.pairs import (
    DoubleArray,
    IntArray,
    Pairs,
    draw_balanced_codes,
    draw_images,
    draw_pairs,
    find_least_sure_images,
    find_least_sure_pairs,
)
from hilmix.human.elicit.design.schema import MIDPOINT_TASKS, TASKS, Task, Wording

WEIGHTS = (0.1, 0.25, 0.5, 0.75, 0.9)
PER_BATCH = 30
_PAIRS, _BATCHES, _NUMBERS = 0, 1, 2  # streams of random numbers
# Drawn weights have no grid; batches balance them by fifths of the range.
_FIFTHS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, kw_only=True)
class Design:
    """Numbers and settings of a study. Every participant gets one batch of one task.

    Args:
        tasks: one or more; all are about the same pairs, and where they have one, with the same weight.
        pairs: number of mixes of each task, each of another pair of images; in the tasks ``construct`` and ``select``
            each stands for a pair at eleven weights.
        weights: grid of weights, each as often as any other up to one. ``(1.0,)``, in the task ``vote`` alone, shows
            single images.
        beta: weights drawn from Beta(beta, beta) instead of the grid.
        per_batch: mixes in a batch, a divisor of ``pairs``.
        repeats: mixes of the batch that are shown once more at the end.
        catch: pictures with a known answer, in every batch.
        practice: pictures at the beginning of every batch, whose answers do not count.
        judgments: wanted for each mix.
        wording: ``third`` asks what 100 participants would say, ``first`` what the participant sees.
        seed: of all draws, of the file names and of the ids of trials.

    Raises:
        ConfigError: naming the setting, what must hold and what was found.
    """

    tasks: tuple[Task, ...]
    pairs: int
    weights: tuple[float, ...] = WEIGHTS
    beta: float | None = None
    per_batch: int = PER_BATCH
    repeats: int = 2
    catch: int = 2
    practice: int = 2
    judgments: int = 3
    wording: Wording = "third"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) < len(self.tasks) or not set(self.tasks) <= set(TASKS):
            raise ConfigError(f"`tasks` must be some of {', '.join(TASKS)}, each once, got {list(self.tasks)}.")
        least = {"pairs": 1, "per_batch": 1, "repeats": 0, "catch": 0, "practice": 0, "judgments": 1, "seed": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ConfigError(f"`{name}` must be >= {smallest}, got {getattr(self, name)}.")
        self._check_weights()
        if self.pairs % self.per_batch:
            below = self.pairs - self.pairs % self.per_batch
            near = " or ".join(str(n) for n in (below, below + self.per_batch) if n)
            raise ConfigError(
                f"`pairs` must be a multiple of `per_batch`, {self.per_batch}, got {self.pairs}. Take {near} pairs, or "
                f"another `per_batch`."
            )
        if self.repeats > self.per_batch:
            raise ConfigError(f"`repeats` must be <= `per_batch`, {self.per_batch}, got {self.repeats}.")

    def _check_weights(self) -> None:
        if self.beta is not None and not (self.beta > 0 and math.isfinite(self.beta)):
            raise ConfigError(f"`beta` must be > 0 and finite, got {self.beta:g}.")
        if not self.weights or len(set(self.weights)) < len(self.weights):
            raise ConfigError(f"`weights` must be one or more different numbers, got {list(self.weights)}.")
        for weight in self.weights:
            if not 0 <= weight <= 1:
                raise ConfigError(f"`weights` must be in [0, 1], got {weight:g}.")
        if self.beta is None and set(self.weights) <= {0.0, 1.0} and not self.single_images:
            raise ConfigError(
                f"`weights` must have one between 0 and 1, got {list(self.weights)}. Weight 1 alone, in task vote "
                "alone, shows single images."
            )

    @property
    def single_images(self) -> bool:
        """True if images are shown as they are."""
        return self.beta is None and self.weights == (1.0,) and self.tasks == ("vote",)

    @property
    def trials(self) -> int:
        """Pictures that each participant sees."""
        return self.practice + self.per_batch + self.catch + self.repeats


class StudyMixes(NamedTuple):
    """Mixes of a study: ``design.pairs`` main ones, then those for practice, then those of the catch trials."""

    pairs: Pairs
    weight: DoubleArray
    """(P + practice + catch,) float64, of image 1; 0 and 1 in turn for the catch trials."""
    group: IntArray
    """(P,) int64 of the main mixes: which weight of the grid, or which fifth of the range."""
    couple: IntArray
    """(P,) int64 of the main mixes: which two classes, whatever their order."""


def draw_mixes(
    design: Design,
    label: IntArray,
    probs: DoubleArray | None,
    *,
    classes: tuple[str, ...],
    chosen: ChosenMixes | None = None,
) -> StudyMixes:
    """Draws pairs and weights.

    Args:
        design: what is wanted.
        label: (N,) int64 class of each image, -1 for images that must not be used.
        probs: optional (N, K) float64, NaN where not predicted: the main pairs are those a model is least sure about.
        classes: K names.
        chosen: optional ``design.pairs`` mixes that are shown as they are; practice and catch trials show other images.

    Raises:
        DataError: if there are not enough images.
    """
    rng = np.random.default_rng([design.seed, _PAIRS])
    pairs, k = _pairs(design, label, probs, classes, rng, chosen), len(classes)
    a, b = label[pairs.first], label[pairs.second]
    couple = np.minimum(a, b) * k + np.maximum(a, b)
    weight, group = _weights(design, couple, rng)
    if not design.single_images:
        # draw_pairs puts the smaller class first. Turned in half of the mixes of each weight, no class is tied to one
        # end of the slider.
        flip = draw_balanced_codes(group, 2, rng).astype(bool)
        if chosen is not None:
            flip[: design.pairs] = False
            weight[: design.pairs], group[: design.pairs] = chosen.weight, np.digitize(chosen.weight, _FIFTHS)
        pairs = Pairs(np.where(flip, pairs.second, pairs.first), np.where(flip, pairs.first, pairs.second))
        weight[len(weight) - design.catch :] = np.arange(design.catch) % 2
    return StudyMixes(pairs, weight, group[: design.pairs], couple[: design.pairs])


def assign_batches(design: Design, drawn: StudyMixes, task: Task) -> list[IntArray]:
    """Returns the main mixes of each batch, in random order: batches of one size, each with all weights and classes.

    Each weight, or in the midpoint tasks each pair of classes, is in each batch as often as in any other up to one.
    """
    # A stream of its own: the pairs do not change with the batches.
    rng = np.random.default_rng([design.seed, _BATCHES, TASKS.index(task)])
    # Weight before pair of classes: draw_balanced_codes is even in the leading part of a code as well.
    weights = 0 if task in MIDPOINT_TASKS else drawn.group
    number = design.pairs // design.per_batch
    batch = draw_balanced_codes(weights * (drawn.couple.max() + 1) + drawn.couple, number, rng)
    return [rng.permutation(np.flatnonzero(batch == b)) for b in range(number)]


def draw_trial_ids(design: Design) -> list[int]:
    """Returns the ids of all trials in the order of the manifest, shuffled: an id reveals no kind to a participant."""
    total = design.trials * len(design.tasks) * (design.pairs // design.per_batch)
    numbers: list[int] = np.random.default_rng([design.seed, _NUMBERS]).permutation(total).tolist()
    return numbers


def _pairs(
    design: Design,
    label: IntArray,
    probs: DoubleArray | None,
    classes: tuple[str, ...],
    rng: np.random.Generator,
    chosen: ChosenMixes | None,
) -> Pairs:
    extra, balanced = design.practice + design.catch, draw_images if design.single_images else draw_pairs
    if chosen is not None:
        free = label.copy()
        free[np.concatenate(chosen.pairs)] = -1
        others = balanced(free, extra, classes=classes, rng=rng)
        return Pairs(*(np.concatenate(parts) for parts in zip(chosen.pairs, others, strict=True)))
    if probs is None:
        return balanced(label, design.pairs + extra, classes=classes, rng=rng)
    # Drawn first and set aside below: no image of practice or catch trials is in a main mix.
    others = balanced(label, extra, classes=classes, rng=rng)
    free = np.where(np.isnan(probs).any(axis=1), -1, label)
    free[np.concatenate(others)] = -1
    if design.single_images:
        main = find_least_sure_images(free, probs, design.pairs)
    else:
        main = find_least_sure_pairs(free, probs, design.pairs, classes=classes)
    return Pairs(*(np.concatenate(parts) for parts in zip(main, others, strict=True)))


def _weights(design: Design, couple: IntArray, rng: np.random.Generator) -> tuple[DoubleArray, IntArray]:
    """The weight of each mix, and the number of its group of weights; main mixes and the others apart."""
    if design.beta is not None:
        weight = rng.beta(design.beta, design.beta, size=len(couple))
        return weight, np.digitize(weight, _FIFTHS)
    # Apart: practice and catch trials must not take the balance from main mixes.
    main, others = (draw_balanced_codes(part, len(design.weights), rng) for part in np.split(couple, [design.pairs]))
    group = np.concatenate([main, others])
    return np.array(design.weights, dtype=np.float64)[group], group
