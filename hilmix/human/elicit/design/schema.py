"""The parts of a study's manifest: data, settings, questions, stimuli, trials, batches. Immutable, strictly typed."""

from itertools import pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Task = Literal["construct", "select", "infer", "categorical", "vote"]
TASKS: tuple[Task, ...] = get_args(Task)
MIDPOINT_TASKS: tuple[Task, ...] = ("construct", "select")
"""Tasks in which a pair is shown at many weights and the participant picks one."""
NEARLY_PURE = 0.09
"""Offered weights closer than this to 0 or 1 show one image; a catch trial offers one real mix among such."""
Wording = Literal["third", "first"]
Kind = Literal["practice", "main", "catch", "repeat"]

Text = Annotated[str, StringConstraints(min_length=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
Row = Annotated[int, Field(ge=0)]
ImageName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}\.png$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Model(BaseModel):
    """Immutable, no unknown field, no conversion of types, finite numbers."""

    # forbid: a misspelt field must not be ignored in silence.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Dataset(Model):
    """Origin of the images. ``sha256`` is over the names and pixels of the images in use."""

    name: Text
    licence: str | None
    num_items: int = Field(ge=1)
    classes: tuple[Text, ...] = Field(min_length=2)
    sha256: Sha256

    @model_validator(mode="after")
    def _different_classes(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must be different names, got {list(self.classes)}")
        return self


class Settings(Model):
    """Settings that may be changed by hand before a study is served."""

    target_judgments: int = Field(default=3, ge=1)
    lease_minutes: float = Field(default=60.0, gt=0)
    check_attempts: int = Field(default=3, ge=1)
    minimum_seconds: float = Field(default=0.3, ge=0)
    keep_platform_id: Literal["no", "hash"] = "no"
    practice_feedback: bool = False


class Example(Model):
    """A picture with a worked answer, Markdown, shown below the instructions."""

    image: ImageName
    sha256: Sha256
    text: Text


class Check(Model):
    """A question of the comprehension check; ``right`` is the number of the right choice, from 0."""

    question: Text
    choices: tuple[Text, ...] = Field(min_length=2)
    right: Row

    @model_validator(mode="after")
    def _right_is_a_choice(self) -> Self:
        if self.right >= len(self.choices):
            raise ValueError(f"right must be in [0, {len(self.choices) - 1}], got {self.right}")
        return self


class Stimulus(Model):
    """Content of a trial: ``weight * image 1 + (1 - weight) * image 2``; in the midpoint tasks a pair at many.

    A single image, in the vote task, is image 1 with weight 1 and itself as image 2; in a review ``label1`` is then its
    label now, and ``suggested`` the class that is suggested instead.

    Args:
        id1: row of the data, of image 1; ``item1`` is its name, ``label1`` its class.
        id2: the same of image 2.
        weight: of image 1; None in the midpoint tasks, which offer ``weights``.
        images: one file, or one per offered weight.
        sha256: of each image's pixels, (H, W, C) uint8 in this order, whatever the compression of the file.
    """

    id: Row
    task: Task
    id1: Row
    id2: Row
    item1: str
    item2: str
    label1: Row
    label2: Row
    weight: Weight | None
    images: tuple[ImageName, ...] = Field(min_length=1)
    weights: tuple[Weight, ...] | None = Field(min_length=2)
    sha256: tuple[Sha256, ...]
    suggested: Row | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        midpoint = self.task in MIDPOINT_TASKS
        given, empty = ("weights", "weight") if midpoint else ("weight", "weights")
        if getattr(self, given) is None or getattr(self, empty) is not None:
            raise ValueError(f"task {self.task} requires {given}, and null for {empty}")
        if self.weights is not None and any(a >= b for a, b in pairwise(self.weights)):
            raise ValueError(f"weights must be different numbers in increasing order, got {list(self.weights)}")
        expected = len(self.weights or (self.weight,))
        for name in ("images", "sha256"):
            if (found := len(getattr(self, name))) != expected:
                raise ValueError(f"{name} must have {expected} entries, one per weight, got {found}")
        if self.single and not (self.task == "vote" and self.weight == 1):
            raise ValueError(
                f"id1 and id2 must differ, but for a single image in task vote with weight 1, got {self.id1} twice"
            )
        if self.suggested is not None and not self.single:
            raise ValueError(f"suggested must be null but for a single image in task vote, got {self.suggested}")
        if not self.single and self.label1 == self.label2:
            raise ValueError(
                f"label1 and label2 must differ, as images of one class are not mixed, got {self.label1} twice"
            )
        return self

    @property
    def single(self) -> bool:
        """True if this is one image rather than a mix."""
        return self.id1 == self.id2

    @property
    def right_weight(self) -> float | None:
        """The one answer that is right: weight 0 or 1, or the only real mix that is offered; None where none is."""
        if self.weights is None:
            return self.weight if self.weight in (0, 1) else None
        mixes = [w for w in self.weights if NEARLY_PURE < w < 1 - NEARLY_PURE]
        return mixes[0] if len(mixes) == 1 else None

    @property
    def right_label(self) -> int | None:
        """The class of the only image that is seen; None for a mix."""
        if self.weight not in (0, 1):
            return None
        return self.label1 if self.weight else self.label2


class Trial(Model):
    """One page. ``of`` is the trial that a repeat shows again; ``start`` the weight that is shown first (construct)."""

    id: Row
    stimulus: Row
    kind: Kind
    of: Row | None
    start: Weight | None


class Batch(Model):
    """The trials that one participant is given: practice first, then main and catch, then repeats."""

    id: Row
    task: Task
    trials: tuple[Trial, ...] = Field(min_length=1)
