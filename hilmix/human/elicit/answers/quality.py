"""Signs of careless participants: pure functions of the trials and their answers.

Flags are shown, never acted on in silence. The rules in :data:`EXCLUDING` also set ``excluded``, with the reason, when
a participant has finished: the answers stay, but no longer count towards the judgments that a study asks for.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hilmix.human.elicit.design.manifest import MIDPOINT_TASKS, Manifest, Stimulus, Task, Trial
from hilmix.human.elicit.store.rows import AnswerRow

CLASS_TASKS: tuple[Task, ...] = ("categorical", "vote")
"""Tasks whose answer is a class; that of the others is a weight."""
EXCLUDING = ("catch", "fast", "straight")
CATCH_TOLERANCE = 0.25
"""Largest distance of a weight from the known answer of a catch trial."""
# One failed catch trial may be a slip: excluded is who fails more than half of two or more.
MIN_CATCH, FAILED_CATCH = 2, 0.5
FAST_SHARE = 0.5
# In H-Mix a participant answered 1.0 in 31 of 32 construct trials (.97) and was kept.
MIN_STRAIGHT, STRAIGHT_SHARE = 10, 0.9
REPEAT_DIFFERENCE, REPEAT_OTHER_LABEL = 0.3, 0.5
UNTOUCHED_SHARE = 0.5


class AnsweredTrial(NamedTuple):
    """A trial, what it showed and what was answered."""

    trial: Trial
    shown: Stimulus
    row: AnswerRow


class Flag(NamedTuple):
    """A rule that a participant breaks, and the numbers that say so."""

    rule: str
    detail: str


def find_answered_trials(
    manifest: Manifest, trials: Mapping[int, Trial], answers: Iterable[AnswerRow], order: Collection[int]
) -> list[AnsweredTrial]:
    """Returns the answers to the trials of ``order``, each with what it showed; those of an earlier batch are left out.

    Args:
        manifest: of the study.
        trials: all trials by id.
        answers: of one participant.
        order: the participant's trials.
    """
    mine = [given for given in answers if given.trial in order]
    return [AnsweredTrial(trials[one.trial], manifest.stimuli[trials[one.trial].stimulus], one) for one in mine]


def find_flags(trials: Sequence[AnsweredTrial], *, minimum_seconds: float) -> list[Flag]:
    """Returns the rules that a participant breaks, in a fixed order; practice does not count.

    Args:
        trials: the answered trials.
        minimum_seconds: a trial answered sooner is a fast one.
    """
    # In practice participants may try the controls out.
    counted = [one for one in trials if one.trial.kind != "practice"]
    found = {
        "catch": _catch(counted),
        "fast": _fast(counted, minimum_seconds),
        "straight": _straight(counted),
        "repeats": _repeats(counted),
        "untouched": _untouched(counted),
    }
    return [Flag(rule, detail) for rule, detail in found.items() if detail is not None]


def find_exclusion_reason(found: Sequence[Flag]) -> str | None:
    """Returns why a participant is excluded, "rule: numbers" joined by semicolons; None where no flag excludes."""
    reasons = [f"{flag.rule}: {flag.detail}" for flag in found if flag.rule in EXCLUDING]
    return "; ".join(reasons) or None


def passes_catch(shown: Stimulus, answer: dict[str, Any]) -> bool:
    """Returns whether an answer agrees with the known one of a catch trial."""
    if answer["task"] in CLASS_TASKS:
        return bool(get_answer_value(answer) == shown.right_label)
    assert shown.right_weight is not None  # the manifest refuses other catch trials
    return bool(abs(get_answer_value(answer) - shown.right_weight) <= CATCH_TOLERANCE)


def get_answer_value(answer: dict[str, Any]) -> Any:
    """Returns the one number that stands for an answer: a weight or a class."""
    return answer[{"categorical": "top", "vote": "label"}.get(answer["task"], "weight")]


def _catch(trials: Sequence[AnsweredTrial]) -> str | None:
    catch = [one for one in trials if one.trial.kind == "catch"]
    failed = sum(not passes_catch(one.shown, one.row.answer) for one in catch)
    if len(catch) < MIN_CATCH or failed <= FAILED_CATCH * len(catch):
        return None
    return f"{failed} of {len(catch)} catch trials failed"


def _fast(trials: Sequence[AnsweredTrial], minimum: float) -> str | None:
    fast = sum(one.row.seconds < minimum for one in trials)
    if fast <= FAST_SHARE * len(trials):
        return None
    return f"{fast} of {len(trials)} trials took less than {minimum:g} s"


def _straight(trials: Sequence[AnsweredTrial]) -> str | None:
    main = [one for one in trials if one.trial.kind == "main"]
    if len(main) < MIN_STRAIGHT:
        return None
    usual, count = Counter(get_answer_value(one.row.answer) for one in main).most_common(1)[0]
    if usual is None:  # a review of pictures that show nothing
        return None
    # The midpoint at one half is what the pixels say, and reaching it takes steps or a search each time.
    honest = main[0].shown.task in MIDPOINT_TASKS and usual == 0.5
    if honest or count < STRAIGHT_SHARE * len(main):
        return None
    return f"{count} of {len(main)} answers are {usual:g}"


def _repeats(trials: Sequence[AnsweredTrial]) -> str | None:
    # A repeat whose original has no answer is left out.
    by_trial = {one.trial.id: get_answer_value(one.row.answer) for one in trials}
    pairs = [(by_trial[one.trial.id], by_trial[one.trial.of]) for one in trials if one.trial.of in by_trial]
    if not pairs:
        return None
    if trials[0].shown.task in CLASS_TASKS:
        other = sum(again != before for again, before in pairs)
        return (
            f"{other} of {len(pairs)} repeats named another class" if other > REPEAT_OTHER_LABEL * len(pairs) else None
        )
    mean = sum(abs(again - before) for again, before in pairs) / len(pairs)
    return f"repeats differ by {mean:.2f} on average" if mean > REPEAT_DIFFERENCE else None


def _untouched(trials: Sequence[AnsweredTrial]) -> str | None:
    untouched = sum(not all(one.row.touched.values()) for one in trials)
    if untouched <= UNTOUCHED_SHARE * len(trials):
        return None
    return f"a control was not touched in {untouched} of {len(trials)} trials"
