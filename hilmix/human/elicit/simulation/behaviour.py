"""Answers of simulated participants: pure functions of the trial and of a generator.

A careful one perceives a mix of weight w as s(a + b logit w), the relabelling curve with which hilmix describes
participants. Answers scatter around it by a Beta distribution, which keeps the mean, so that fits find a and b again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hilmix.errors import ConfigError
from hilmix.human.elicit.answers.quality import CLASS_TASKS
from hilmix.human.elicit.design.schema import Kind, Stimulus

Name = Literal["logit", "straight-liner", "fast", "fails-catch", "random", "untouched"]
NAMES: tuple[Name, ...] = get_args(Name)
_PARAMETERS = ("a", "b", "sd")
# Near the median of an infer trial in H-Mix (8.5 s); and below the default of minimum_seconds (.3).
_SECONDS, _FAST_SECONDS = 8.0, 0.1
_SPREAD = 0.4
"""Standard deviation of the logarithm of the seconds."""


@dataclass(frozen=True)
class Behaviour:
    """Parameters of a simulated participant's answers.

    ``logit`` answers with care. Four others differ from it in one thing: ``fast`` takes a tenth of a second,
    ``fails-catch`` answers catch trials the wrong way round, ``untouched`` touches no control, ``random`` does not
    look. ``straight-liner`` gives the same answer to everything.

    Args:
        name: one of these.
        a: offset of the perceived weight, in logits; above 0 image 1 is seen more.
        b: slope of the perceived weight, in logits.
        sd: standard deviation of answers about a mix that is perceived as half and half; less for others.

    Raises:
        ConfigError: naming what was given and what is allowed.
    """

    name: Name = "logit"
    a: float = -0.1
    b: float = 0.875
    sd: float = 0.1

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ConfigError(f"`name` must be one of {', '.join(NAMES)}, got '{self.name}'.")
        if not math.isfinite(self.a):
            raise ConfigError(f"`a` must be finite, got {self.a}.")
        if not (self.b > 0 and math.isfinite(self.b)):
            raise ConfigError(f"`b` must be > 0 and finite, got {self.b}.")
        if not 0 <= self.sd < 0.5:
            raise ConfigError(f"`sd` must be in [0, 0.5), got {self.sd}.")

    @classmethod
    def parse(cls, text: str) -> "Behaviour":
        """Returns what ``NAME`` or ``NAME:a=-0.1,b=0.875,sd=0.1`` says, parts of which may be left out.

        Raises:
            ConfigError: for anything else.
        """
        name, _, given = text.partition(":")
        values: dict[str, float] = {}
        for part in given.split(",") if given else ():
            key, _, number = part.partition("=")
            try:
                values[key] = float(number)
            except ValueError:
                key = ""
            if key not in _PARAMETERS:
                raise ConfigError(f"A behaviour must be NAME or NAME:a=NUMBER,b=NUMBER,sd=NUMBER, got '{text}'.")
        return cls(name, **values)  # type: ignore[arg-type]

    def perceived_weight(self, weight: float) -> float:
        """Returns how much of image 1 is seen on average in a mix of this weight, in [0, 1]."""
        return weight if weight in (0, 1) else _sigmoid(self.a + self.b * _logit(weight))


def draw_seconds(behaviour: Behaviour, rng: np.random.Generator) -> float:
    """Returns how long an answer takes."""
    usual = _FAST_SECONDS if behaviour.name == "fast" else _SECONDS
    return round(float(usual * rng.lognormal(0, _SPREAD)), 3)


def draw_answer(
    behaviour: Behaviour,
    shown: Stimulus,
    kind: Kind,
    *,
    offered: Sequence[float] | None,
    num_classes: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Returns an answer as the page would send it.

    Args:
        behaviour: of the participant.
        shown: the stimulus.
        kind: of the trial.
        offered: weights in the order on the page, in the midpoint tasks.
        num_classes: K.
        rng: of this participant and trial.
    """
    if shown.task in CLASS_TASKS:
        return _class_answer(behaviour, shown, kind, num_classes, rng)
    if offered is None:
        seen = _seen(behaviour, shown, kind, rng)
        return {"task": shown.task, "weight": seen, "confidence": _confidence(behaviour, seen)}
    weight = _midpoint(behaviour, shown, kind, offered, rng)
    place = {"position": list(offered).index(weight)} if shown.task == "select" else {}
    return {"task": shown.task, "weight": weight} | place


def _seen(behaviour: Behaviour, shown: Stimulus, kind: Kind, rng: np.random.Generator) -> float:
    """The weight of image 1 in the eyes of a participant, in whole percents."""
    assert shown.weight is not None
    if behaviour.name == "straight-liner":
        return 1.0
    if behaviour.name == "random":
        return round(float(rng.random()), 2)
    if behaviour.name == "fails-catch" and kind == "catch":
        return 1.0 - shown.weight
    # The slider has whole percents.
    return round(_scattered(behaviour, behaviour.perceived_weight(shown.weight), rng), 2)


def _midpoint(
    behaviour: Behaviour, shown: Stimulus, kind: Kind, offered: Sequence[float], rng: np.random.Generator
) -> float:
    """The offered weight that looks half and half to a participant."""
    if behaviour.name == "straight-liner" or (behaviour.name == "fails-catch" and kind == "catch"):
        return max(offered)
    if behaviour.name == "random":
        # Sorted: the draw must not depend on the order on the page.
        return float(rng.choice(np.sort(offered)))
    if kind == "catch" and shown.right_weight is not None:
        return shown.right_weight  # the one mix among single images cannot be mistaken
    looks_half = _scattered(behaviour, 0.5, rng)
    # The perceived weight inverted, kept off 0 and 1, where the logit is infinite.
    half = _sigmoid((_logit(min(max(looks_half, 0.001), 0.999)) - behaviour.a) / behaviour.b)
    # Ties to the smaller weight, so that the order on the page does not decide.
    return min(offered, key=lambda weight: (abs(weight - half), weight))


def _class_answer(
    behaviour: Behaviour, shown: Stimulus, kind: Kind, num_classes: int, rng: np.random.Generator
) -> dict[str, Any]:
    if behaviour.name == "straight-liner":
        seen = {0: 1.0}
    elif behaviour.name == "random":
        seen = {int(rng.integers(num_classes)): 1.0}
    elif shown.single:
        seen = {shown.label1: 1.0}
    else:
        weight = _seen(behaviour, shown, kind, rng)
        seen = {shown.label1: weight, shown.label2: round(1 - weight, 2)}
    if shown.task == "vote":
        labels, share = list(seen), list(seen.values())
        label = labels[int(rng.choice(len(labels), p=share))]
        return {"task": "vote", "label": label, "confidence": _confidence(behaviour, seen[label])}
    ordered = sorted(seen, key=lambda label: -seen[label])
    second = ordered[1] if len(ordered) > 1 and seen[ordered[1]] > 0 else None
    return {
        "task": "categorical",
        "top": ordered[0],
        "top_percent": round(100 * seen[ordered[0]]),
        "second": second,
        "second_percent": None if second is None else round(100 * seen[second]),
        "impossible": [label for label in range(num_classes) if label not in (ordered[0], second)],
    }


def _confidence(behaviour: Behaviour, seen: float) -> float:
    """The more one-sided, the surer, as participants are."""
    return 0.5 if behaviour.name in ("straight-liner", "random") else round(0.5 + abs(seen - 0.5), 2)


def _scattered(behaviour: Behaviour, mean: float, rng: np.random.Generator) -> float:
    """A Beta distribution whose standard deviation at one half is ``sd``, and less towards 0 and 1."""
    if mean in (0, 1) or behaviour.sd == 0:
        return mean
    # Beta(m n, (1 - m) n) has variance m (1 - m) / (n + 1): sd^2 at m = .5.
    size = 1 / (4 * behaviour.sd**2) - 1
    return float(rng.beta(mean * size, (1 - mean) * size))


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
