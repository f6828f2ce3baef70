"""What a request does: each function runs inside one transaction, and is refused or leads to the next state."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from typing import NamedTuple

from hilmix.human.elicit.answers import bodies as given_by
from hilmix.human.elicit.answers import quality
from hilmix.human.elicit.design.schema import Model
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve import flow
from hilmix.human.elicit.serve.assignment import choose, judgments, next_trial, still_wanted, trial_order
from hilmix.human.elicit.serve.flow import ParticipantState, Phase, RequestError, State
from hilmix.human.elicit.store.rows import AnswerRow, Participant, Rows, Survey

CODE_BYTES = 18
"""144 random bits: 24 characters."""
_CODE = re.compile(r"[A-Za-z0-9_-]{24}")
PLATFORM_IDS = ("PROLIFIC_PID", "workerId", "participant")
"""Names under which recruiting platforms hand over their id of a person; the first present counts."""
MAX_LOADS = 100


class SaveResult(Model):
    """What is stored for a trial, and what comes next."""

    trial: int
    key: str
    answer: given_by.Answer
    state: State


class At(NamedTuple):
    """What every step needs: the study, the rows of the running transaction, seconds since 1970."""

    study: Study
    rows: Rows
    now: float


def join(at: At, query: Mapping[str, str], kept: str | None = None) -> str:
    """Returns the code of a new participant, or of the one with the same platform id where those are kept.

    The latter only to a browser that has kept that code: platform ids are no secrets, and many are easily guessed.
    """
    platform = _platform(at, query)
    known = None if platform is None else at.rows.by_platform(platform)
    if known is not None:
        if kept is None or not secrets.compare_digest(kept.encode("utf-8", "replace"), known.code.encode()):
            raise RequestError(409, "You have joined before; go on with the browser and the page that you had then.")
        return known.code
    code = secrets.token_urlsafe(CODE_BYTES)
    at.rows.add_participant(code=code, platform=platform, now=at.now)
    return code


def look(at: At, code: str) -> State:
    """Returns where a participant stands. Loads of the page during the trials are noted, as they may disturb times."""
    standing = _standing(at, code)
    here = flow.phase(at.study, standing)
    if here in ("practice", "trials") and at.rows.count_events(standing.person.number, "loaded") < MAX_LOADS:
        at.rows.add_event(standing.person.number, what="loaded", now=at.now)
    return flow.state(at.study, standing)


def consent(at: At, code: str, body: given_by.Consent) -> State:
    """A participant agrees, and is given a batch."""
    person = _in_phase(at, code, "consent").person
    at.rows.change(person.number, consented=at.now)
    return _assign(at, code, person)


def new_batch(at: At, code: str, body: given_by.NewBatch) -> State:
    """A participant whose lease was reassigned, or who found none free, asks for a batch."""
    return _assign(at, code, _in_phase(at, code, "expired", "full").person)


def instructions(at: At, code: str, body: given_by.Read) -> State:
    """A participant has read the instructions."""
    person = _in_phase(at, code, "instructions").person
    _enter(at, person, "check", lease_until=_lease(at))
    return _state(at, code)


def check(at: At, code: str, body: given_by.CheckAnswers) -> State:
    """A participant answers the comprehension check; any error leads back to the instructions, too many to the end."""
    person = _in_phase(at, code, "check").person
    assert person.batch is not None
    questions = at.study.manifest.checks[at.study.manifest.batches[person.batch].task]
    if len(body.answers) != len(questions):
        raise RequestError(422, f"The check has {len(questions)} questions; {len(body.answers)} answers came.")
    for place, (said, question) in enumerate(zip(body.answers, questions, strict=True)):
        if said >= len(question.choices):
            raise RequestError(422, f"Answer {place + 1} is {said}; allowed are 0 to {len(question.choices) - 1}.")
    if all(said == question.right for said, question in zip(body.answers, questions, strict=True)):
        _enter(at, person, "trials", lease_until=_lease(at))
        return _state(at, code)
    attempts = person.attempts + 1
    at.rows.add_event(person.number, what="failed check", detail=f"attempt {attempts}: {body.answers}", now=at.now)
    if attempts >= at.study.manifest.settings.check_attempts:
        _enter(at, person, "failed_check", attempts=attempts, lease_until=None)
    else:
        _enter(at, person, "instructions", attempts=attempts, lease_until=_lease(at))
    return _state(at, code)


def answer(at: At, code: str, body: given_by.Submission) -> SaveResult:
    """Stores the answer to the trial at hand, once: the same key again changes nothing."""
    standing = _standing(at, code)
    person = standing.person
    stored = at.rows.answer(person.number, body.trial)
    if stored is None:
        _check_answer(at, standing, body)
        shown = at.study.stimulus(body.trial)
        stored = AnswerRow(
            participant=person.number,
            trial=body.trial,
            key=body.key,
            answer=flow.retold(body.answer.model_dump(), flow.told(shown), shown.weights),
            seconds=body.seconds,
            touched=body.touched,
            times=body.times,
            received=at.now,
        )
        at.rows.add_answer(stored)
        _go_on(at, person, {*standing.answered, body.trial})
    elif stored.key != body.key:
        raise RequestError(409, "This trial has been answered already, maybe in another window; load the page again.")
    # Validated again, so that the reply is what was stored and not what was sent.
    shown = at.study.stimulus(stored.trial)
    told = flow.retold(stored.answer, shown.weights, flow.told(shown))
    return SaveResult(trial=stored.trial, key=stored.key, answer=told, state=_state(at, code))  # type: ignore[arg-type]


def survey(at: At, code: str, body: given_by.SurveyAnswers) -> State:
    """A participant fills in the survey, and is done."""
    person = _in_phase(at, code, "survey").person
    at.rows.add_survey(Survey(person.number, body.clarity, body.difficulty, body.strategy, body.comments))
    _enter(at, person, "done")
    return _state(at, code)


def withdraw(at: At, code: str) -> State:
    """Deletes all rows of a participant, whatever the phase."""
    at.rows.withdraw(_person(at, code).number, at.now)
    return flow.nobody(at.study)


def image(at: At, code: str, name: str) -> str:
    """Returns the name of an image, which must belong to the participant's batch."""
    person = _person(at, code)
    if person.batch is None or name not in at.study.files[person.batch]:
        raise RequestError(404, "There is no such image among yours.")
    return name


def _platform(at: At, query: Mapping[str, str]) -> str | None:
    if at.study.manifest.settings.keep_platform_id == "no":
        return None
    given = next((query[name] for name in PLATFORM_IDS if query.get(name)), None)
    if given is None:
        return None
    key = bytes.fromhex(at.rows.meta("hash_key") or "")
    return hmac.new(key, given.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _person(at: At, code: str) -> Participant:
    person = at.rows.by_code(code) if _CODE.fullmatch(code) else None
    if person is None:
        raise RequestError(404, "This link is not known; after a withdrawal nothing of it is kept.")
    return person


def _standing(at: At, code: str) -> ParticipantState:
    person = _person(at, code)
    answered = at.rows.answered(person.number)
    lapsed = person.phase in flow.LEASED and person.lease_until is not None and person.lease_until <= at.now
    if not lapsed or person.batch is None:
        return ParticipantState(person, answered, given_on=False)
    batch = at.study.manifest.batches[person.batch]
    counts = judgments(at.study.manifest, at.rows.coverage(at.now))
    wanted = still_wanted(at.study.manifest, batch, counts, answered=answered)
    return ParticipantState(person, answered, given_on=not wanted)


def _in_phase(at: At, code: str, *allowed: Phase) -> ParticipantState:
    standing = _standing(at, code)
    _require(at, standing, *allowed)
    return standing


def _require(at: At, standing: ParticipantState, *allowed: Phase) -> None:
    here = flow.phase(at.study, standing)
    if here == "expired" and here not in allowed:
        raise RequestError(
            409, "Your time for these images ran out and they went to others; load the page for new ones."
        )
    if here not in allowed:
        raise RequestError(409, f"This step is not the one at hand, which is '{here}'; load the page again.")


def _state(at: At, code: str) -> State:
    return flow.state(at.study, _standing(at, code))


def _lease(at: At) -> float:
    return at.now + 60 * at.study.manifest.settings.lease_minutes


def _enter(at: At, person: Participant, phase: str, **columns: object) -> None:
    at.rows.change(person.number, phase=phase, **columns)
    at.rows.add_event(person.number, what="phase", detail=phase, now=at.now)


def _assign(at: At, code: str, person: Participant) -> State:
    """Gives out a batch. Who has done this task's check before goes on with the trials."""
    manifest = at.study.manifest
    done = [at.study.trials[trial] for trial in at.rows.answered(person.number)]
    counts = judgments(manifest, at.rows.coverage(at.now))
    batch = choose(manifest, counts, judged={trial.stimulus for trial in done if trial.kind == "main"})
    if batch is None:
        _enter(at, person, "full", batch=None, order=(), lease_until=None)
        return _state(at, code)
    checked = person.phase == "trials" and person.batch is not None
    same_task = checked and manifest.batches[person.batch or 0].task == batch.task
    order = trial_order(batch, seed=manifest.seed, participant=person.number)
    at.rows.add_event(person.number, what="lease", detail=f"batch {batch.id}", now=at.now)
    _enter(at, person, "trials" if same_task else "instructions", batch=batch.id, order=order, lease_until=_lease(at))
    return _state(at, code)


def _check_answer(at: At, standing: ParticipantState, body: given_by.Submission) -> None:
    person = standing.person
    if body.trial not in person.order:
        raise RequestError(403, "This trial is not among yours.")
    _require(at, standing, "practice", "trials")
    if body.trial != next_trial(person.order, standing.answered):
        raise RequestError(409, "Trials are answered in their order, and this one is not next; load the page again.")
    offer = flow.offered(at.study, person, body.trial)
    wrong = given_by.problem(
        body.answer,
        at.study.stimulus(body.trial),
        weights=None if offer is None else [weight for _, weight in offer],
        num_classes=at.study.num_classes,
    )
    if wrong is not None:
        raise RequestError(422, wrong)


def _go_on(at: At, person: Participant, answered: set[int]) -> None:
    """After an answer: a longer lease, or the end of the trials and with it the verdict of the quality rules."""
    if next_trial(person.order, answered) is not None:
        at.rows.change(person.number, lease_until=_lease(at))
        return
    _enter(at, person, "survey", lease_until=None, excluded=verdict(at, person.number, person.order))


def verdict(at: At, number: int, order: Collection[int]) -> str | None:
    """Notes the flags of a participant who has answered the trials of ``order``; returns what excludes them, if any."""
    judged = quality.judged(at.study.manifest, at.study.trials, at.rows.answers(number), order)
    found = quality.flags(judged, minimum_seconds=at.study.manifest.settings.minimum_seconds)
    reason = quality.exclusion(found)
    for flag in found:
        at.rows.add_event(number, what=f"flag {flag.rule}", detail=flag.detail, now=at.now)
    if reason is not None:
        at.rows.add_event(number, what="excluded", detail=reason, now=at.now)
    return reason
