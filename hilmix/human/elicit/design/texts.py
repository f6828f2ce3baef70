"""Default texts of a study in its language: consent, instructions, comprehension check, worked example, thanks."""

import math
from collections.abc import Mapping, Sequence

from hilmix.human.elicit.design.schema import Check, Task, Wording
from hilmix.human.elicit.design.words import fill, read_language

Words = Mapping[str, str]
REVIEW = "review"
"""Kind of a vote study that shows labels and suggestions; others are called by their task."""
_SECONDS = {"construct": 15, "select": 15, "infer": 12, "categorical": 25, "vote": 8, REVIEW: 10}
_AROUND = 3
"""Minutes for consent, instructions, questions and survey."""


def estimate_minutes(tasks: Sequence[str], *, trials: int) -> int:
    """Returns about how many minutes a session takes, of the slowest of the tasks.

    Args:
        tasks: one or more, or :data:`REVIEW`.
        trials: pictures of a session.
    """
    return _AROUND + math.ceil(trials * max(_SECONDS[task] for task in tasks) / 60)


def build_consent(
    wording: Wording, *, trials: int, minutes: int, contact: str | None = None, words: Words | None = None
) -> str:
    """Returns the consent, whose last three lines are the statements to agree to."""
    words = words or read_language("en")
    return fill(
        words["text.consent"],
        view=words[f"text.view.{wording}"],
        trials=trials,
        minutes=minutes,
        contact=contact or words["text.sender"],
    )


def build_instructions(
    task: Task, wording: Wording, *, trials: int, practice: int, review: bool = False, words: Words | None = None
) -> str:
    """Returns what to do; ``trials`` counts the practice."""
    words = words or read_language("en")
    some = "text.practice_one" if practice == 1 else "text.practice_some"
    first = fill(words[some], practice=practice) if practice else ""
    head = fill(words["text.head"], trials=trials, practice=first)
    return f"{head}\n{fill(words[f'text.{_kind(task, review)}'], who=words[f'text.who.{wording}'])}"


def build_checks(
    task: Task, wording: Wording, *, review: bool = False, words: Words | None = None
) -> tuple[Check, ...]:
    """Returns three questions: what the task is, how to answer, whose view is asked for."""
    words, kind = words or read_language("en"), _kind(task, review)
    other: Wording = "first" if wording == "third" else "third"

    def check(about: str, answer: str, wrong: str, *, right: int) -> Check:
        choices = [words[wrong], words["check.unknown"]]
        choices.insert(right, words[answer])
        return Check(question=words[about], choices=tuple(choices), right=right)

    return (
        check("check.what", f"check.what.{kind}", f"check.not_what.{kind}", right=0),
        check("check.how", f"check.how.{kind}", f"check.not_how.{kind}", right=1),
        check("check.whose", f"check.whose.{wording}", f"check.whose.{other}", right=int(wording == "third")),
    )


def build_example(task: Task, weight: float, one: str, two: str, *, words: Words | None = None) -> str:
    """Returns the worked answer to a mix of ``weight`` of class ``one``, or to a single image of it."""
    share = round(100 * weight)
    return fill((words or read_language("en"))[f"example.{task}"], one=one, two=two, share=share, rest=100 - share)


def _kind(task: Task, review: bool) -> str:
    return REVIEW if review else task
