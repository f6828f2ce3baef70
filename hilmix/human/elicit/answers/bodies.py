"""Strict models of the bodies that participants send, and checks of answers against their stimuli."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from hilmix.human.elicit.design.manifest import Stimulus, Task
from hilmix.human.elicit.design.schema import Model

CONTROLS: dict[Task, tuple[str, ...]] = {
    "construct": ("step",),
    "select": ("choice",),
    "infer": ("mix", "confidence"),
    "categorical": ("top", "top_percent", "second"),
    "vote": ("label", "confidence"),
}
"""Those that ``touched`` always lists; a page may have others, which may be left out."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
# Bounds keep any body within what SQLite and Parquet columns hold.
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
Score = Annotated[int, Field(ge=1, le=10)]
Seconds = Annotated[float, Field(ge=0, le=1e7)]
FreeText = Annotated[str, StringConstraints(max_length=5000)]
Control = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
# A UUID, which the page makes itself.
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


def _yes(value: bool) -> bool:
    if not value:
        raise ValueError("it must be true")
    return value


Yes = Annotated[bool, AfterValidator(_yes), WithJsonSchema({"type": "boolean", "const": True})]
"""Strictly true; Literal[True] would take 1 as well."""


class Construct(Model):
    """The mix where a participant stopped stepping."""

    task: Literal["construct"]
    weight: Fraction


class Select(Model):
    """The mix chosen among shuffled ones, and at which place it stood, from 0."""

    task: Literal["select"]
    weight: Fraction
    position: Number


class Infer(Model):
    """Share of image 1 that the participant sees, and their confidence."""

    task: Literal["infer"]
    weight: Fraction
    confidence: Fraction


class Categorical(Model):
    """Percents of the likeliest class and of an alternative, and classes that cannot be. Percents need not add up."""

    task: Literal["categorical"]
    top: Number
    top_percent: Percent
    second: Number | None
    second_percent: Percent | None
    # Bounded before validation looks for duplicates.
    impossible: list[Number] = Field(max_length=1000)

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> "Categorical":
        if (self.second is None) != (self.second_percent is None):
            raise ValueError("second and second_percent must both be given or both be null")
        if self.second == self.top:
            raise ValueError("second must differ from top")
        if self.top_percent + (self.second_percent or 0) > 100:
            raise ValueError("top_percent and second_percent must be <= 100 together")
        if len(set(self.impossible)) < len(self.impossible):
            raise ValueError("impossible must name each class once")
        if {self.top, self.second} & set(self.impossible):
            raise ValueError("impossible must not name top or second")
        return self


class Vote(Model):
    """One class, and how sure the participant is; None where a review finds that the picture does not show any."""

    task: Literal["vote"]
    label: Number | None
    confidence: Fraction


Answer = Annotated[Construct | Select | Infer | Categorical | Vote, Field(discriminator="task")]


class Submission(Model):
    """An answer to a trial. ``key`` is made by the page and stays the same when it sends again.

    Attributes:
        seconds: from the picture's being shown to the answer.
        touched: of each control whether it was used; one that may be left out is there only if it was.
        times: after how many seconds each control was used last, and, as ``NAME_first``, first: ``mix_first`` is how
            long a participant looked before moving the slider ``mix``. Simulated participants give no first times.
    """

    key: Key
    trial: Number
    answer: Answer
    seconds: Seconds
    touched: dict[Control, bool] = Field(max_length=20)
    times: dict[Control, Seconds] = Field(max_length=20)


class Consent(Model):
    """Consent of a participant to every statement."""

    accepted: Yes


class Read(Model):
    """Confirmation that a participant has read the instructions."""

    read: Yes


class CheckAnswers(Model):
    """The choices, from 0, to the questions of the comprehension check, in their order."""

    answers: list[Number] = Field(max_length=100)


class NewBatch(Model):
    """Request of a participant for trials, after a lease was reassigned or none was free."""

    wanted: Yes


class SurveyAnswers(Model):
    """The closing survey; everything may stay empty."""

    clarity: Score | None
    difficulty: Score | None
    strategy: FreeText
    comments: FreeText


def find_problem(answer: Answer, shown: Stimulus, *, weights: Sequence[float] | None, num_classes: int) -> str | None:
    """Returns why an answer does not fit its stimulus; None where it fits.

    Args:
        answer: well-formed.
        shown: the stimulus of the trial.
        weights: those offered, in the order on the page; None in tasks that offer none.
        num_classes: K.
    """
    if answer.task != shown.task:
        return f"The answer is of task {answer.task}; the trial is of task {shown.task}."
    if isinstance(answer, Construct) and answer.weight not in (weights or ()):
        return f"The weight must be one of {[round(w, 6) for w in weights or ()]}, got {answer.weight:g}."
    # A dict, as the position may lie beyond the offered mixes.
    if isinstance(answer, Select) and answer.weight != dict(enumerate(weights or ())).get(answer.position):
        return "The weight is not the one that was shown at that position."
    if isinstance(answer, Categorical | Vote):
        if isinstance(answer, Vote) and answer.label is None and shown.suggested is None:
            return "The label must be a class; only a review takes none."
        # No class counts as class 0, which always exists.
        named = (
            [answer.label or 0] if isinstance(answer, Vote) else [answer.top, answer.second or 0, *answer.impossible]
        )
        if max(named) >= num_classes:
            return f"Classes must be in [0, {num_classes - 1}], got {max(named)}."
    return None
