"""The steps behind the requests: each runs inside one transaction, and raises or returns the next state."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from typing import NamedTuple

from hilmix.human.elicit.answers import bodies, quality
from hilmix.human.elicit.design.schema import Model
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve import flow
from hilmix.human.elicit.serve.assignment import (
    choose_batch,
    count_judgments,
    draw_trial_order,
    find_next_trial,
    needs_judgments,
)
from hilmix.human.elicit.serve.flow import ParticipantState, Phase, RequestError, State
from hilmix.human.elicit.store.rows import AnswerRow, Participant, Rows, Survey

CODE_BYTES = 18
"""144 random bits: 24 characters."""
_CODE = re.compile(r"[A-Za-z0-9_-]{24}")
PLATFORM_IDS = ("PROLIFIC_PID", "workerId", "participant")
"""Names under which recruiting platforms hand over their id of a participant; the first present counts."""
# A page that reloads in a loop must not fill the file.
MAX_LOADS = 100


class SaveResult(Model):
    """Stored answer of a trial, and the next state."""

    trial: int
    key: str
    answer: bodies.Answer
    state: State


class StepContext(NamedTuple):
    """Context of a step: the study, the rows of the running transaction, seconds since 1970."""

    study: Study
    rows: Rows
    now: float


def join(context: StepContext, query: Mapping[str, str], kept: str | None = None) -> str:
    """Returns the code of a new participant, or of the one with the same platform id where those are kept.

    The latter only to a browser that has kept that code: platform ids are no secrets, and many are easily guessed.
    """
    platform = _platform(context, query)
    known = None if platform is None else context.rows.find_by_platform(platform)
    if known is not None:
        # Bytes and constant time, as for tokens.
        if kept is None or not secrets.compare_digest(kept.encode("utf-8", "replace"), known.code.encode()):
            raise RequestError(409, "You have joined before; go on with the browser and the page that you had then.")
        return known.code
    code = secrets.token_urlsafe(CODE_BYTES)
    context.rows.add_participant(code=code, platform=platform, now=context.now)
    return code


def read_state(context: StepContext, code: str) -> State:
    """Returns the state of a participant. Loads of the page during the trials are noted, as they may disturb times."""
    current = _participant_state(context, code)
    here = flow.find_phase(context.study, current)
    if here in ("practice", "trials") and context.rows.count_events(current.participant.number, "loaded") < MAX_LOADS:
        context.rows.add_event(current.participant.number, what="loaded", now=context.now)
    return flow.build_state(context.study, current)


def give_consent(context: StepContext, code: str, body: bodies.Consent) -> State:
    """A participant agrees, and is given a batch."""
    participant = _in_phase(context, code, "consent").participant
    context.rows.update_participant(participant.number, consented=context.now)
    return _assign(context, code, participant)


def request_batch(context: StepContext, code: str, body: bodies.NewBatch) -> State:
    """A participant whose lease was reassigned, or who found none free, asks for a batch."""
    return _assign(context, code, _in_phase(context, code, "expired", "full").participant)


def finish_instructions(context: StepContext, code: str, body: bodies.Read) -> State:
    """A participant has read the instructions."""
    participant = _in_phase(context, code, "instructions").participant
    _enter(context, participant, "check", lease_until=_lease(context))
    return _state(context, code)


def answer_check(context: StepContext, code: str, body: bodies.CheckAnswers) -> State:
    """A participant answers the comprehension check; any error leads back to the instructions, too many to the end."""
    participant = _in_phase(context, code, "check").participant
    assert participant.batch is not None
    questions = context.study.manifest.checks[context.study.manifest.batches[participant.batch].task]
    if len(body.answers) != len(questions):
        raise RequestError(422, f"The check needs {len(questions)} answers, got {len(body.answers)}.")
    for place, (choice, question) in enumerate(zip(body.answers, questions, strict=True)):
        if choice >= len(question.choices):
            raise RequestError(422, f"Answer {place + 1} must be in [0, {len(question.choices) - 1}], got {choice}.")
    if all(choice == question.right for choice, question in zip(body.answers, questions, strict=True)):
        _enter(context, participant, "trials", lease_until=_lease(context))
        return _state(context, code)
    attempts = participant.attempts + 1
    context.rows.add_event(
        participant.number, what="failed check", detail=f"attempt {attempts}: {body.answers}", now=context.now
    )
    if attempts >= context.study.manifest.settings.check_attempts:
        _enter(context, participant, "failed_check", attempts=attempts, lease_until=None)
    else:
        _enter(context, participant, "instructions", attempts=attempts, lease_until=_lease(context))
    return _state(context, code)


def store_answer(context: StepContext, code: str, body: bodies.Submission) -> SaveResult:
    """Stores the answer to the trial at hand, once: the same key again changes nothing."""
    current = _participant_state(context, code)
    participant = current.participant
    stored = context.rows.find_answer(participant.number, body.trial)
    if stored is None:
        _check_answer(context, current, body)
        shown = context.study.stimulus(body.trial)
        stored = AnswerRow(
            participant=participant.number,
            trial=body.trial,
            key=body.key,
            answer=flow.convert_weight(body.answer.model_dump(), flow.disguise_weights(shown), shown.weights),
            seconds=body.seconds,
            touched=body.touched,
            times=body.times,
            received=context.now,
        )
        context.rows.add_answer(stored)
        _go_on(context, participant, {*current.answered, body.trial})
    # The page repeats a lost request under the same key; another key is another window.
    elif stored.key != body.key:
        raise RequestError(409, "This trial has been answered already, maybe in another window; load the page again.")
    # Validated again, so that the reply is what was stored and not what was sent.
    shown = context.study.stimulus(stored.trial)
    shown_answer = flow.convert_weight(stored.answer, shown.weights, flow.disguise_weights(shown))
    return SaveResult(trial=stored.trial, key=stored.key, answer=shown_answer, state=_state(context, code))  # type: ignore[arg-type]


def store_survey(context: StepContext, code: str, body: bodies.SurveyAnswers) -> State:
    """A participant fills in the survey, and is done."""
    participant = _in_phase(context, code, "survey").participant
    context.rows.add_survey(Survey(participant.number, body.clarity, body.difficulty, body.strategy, body.comments))
    _enter(context, participant, "done")
    return _state(context, code)


def withdraw(context: StepContext, code: str) -> State:
    """Deletes all rows of a participant, whatever the phase."""
    context.rows.delete_participant(_find_participant(context, code).number, context.now)
    return flow.build_withdrawn_state(context.study)


def find_image(context: StepContext, code: str, name: str) -> str:
    """Returns the name of an image, which must belong to the participant's batch."""
    participant = _find_participant(context, code)
    if participant.batch is None or name not in context.study.files[participant.batch]:
        raise RequestError(404, "There is no such image among yours.")
    return name


def _platform(context: StepContext, query: Mapping[str, str]) -> str | None:
    if context.study.manifest.settings.keep_platform_id == "no":
        return None
    given = next((query[name] for name in PLATFORM_IDS if query.get(name)), None)
    if given is None:
        return None
    key = bytes.fromhex(context.rows.read_meta("hash_key") or "")
    # Keyed: platform ids are short, and a plain hash could be undone by trying all.
    return hmac.new(key, given.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _find_participant(context: StepContext, code: str) -> Participant:
    # The pattern first: codes of imported participants do not match, so no page leads to them.
    participant = context.rows.find_by_code(code) if _CODE.fullmatch(code) else None
    if participant is None:
        raise RequestError(404, "This link is not known; after a withdrawal nothing of it is kept.")
    return participant


def _participant_state(context: StepContext, code: str) -> ParticipantState:
    participant = _find_participant(context, code)
    answered = context.rows.read_answered_trials(participant.number)
    lapsed = (
        participant.phase in flow.LEASED
        and participant.lease_until is not None
        # Until now itself: read_coverage counts leases that end later.
        and participant.lease_until <= context.now
    )
    if not lapsed or participant.batch is None:
        return ParticipantState(participant, answered, reassigned=False)
    batch = context.study.manifest.batches[participant.batch]
    counts = count_judgments(context.study.manifest, context.rows.read_coverage(context.now))
    wanted = needs_judgments(context.study.manifest, batch, counts, answered=answered)
    # A lapsed lease alone ends nothing: a participant who returns goes on while the rest is still wanted.
    return ParticipantState(participant, answered, reassigned=not wanted)


def _in_phase(context: StepContext, code: str, *allowed: Phase) -> ParticipantState:
    current = _participant_state(context, code)
    _require(context, current, *allowed)
    return current


def _require(context: StepContext, current: ParticipantState, *allowed: Phase) -> None:
    here = flow.find_phase(context.study, current)
    if here == "expired" and here not in allowed:
        raise RequestError(
            409, "Your time for these images ran out and they went to others; load the page for new ones."
        )
    if here not in allowed:
        raise RequestError(409, f"This step is not the one at hand, which is '{here}'; load the page again.")


def _state(context: StepContext, code: str) -> State:
    return flow.build_state(context.study, _participant_state(context, code))


def _lease(context: StepContext) -> float:
    return context.now + 60 * context.study.manifest.settings.lease_minutes


def _enter(context: StepContext, participant: Participant, phase: str, **columns: object) -> None:
    context.rows.update_participant(participant.number, phase=phase, **columns)
    context.rows.add_event(participant.number, what="phase", detail=phase, now=context.now)


def _assign(context: StepContext, code: str, participant: Participant) -> State:
    """Assigns a batch; a participant who passed the check of its task before goes on with the trials."""
    manifest = context.study.manifest
    done = [context.study.trials[trial] for trial in context.rows.read_answered_trials(participant.number)]
    counts = count_judgments(manifest, context.rows.read_coverage(context.now))
    # A second judgment by the same participant would count as one of another: no batch with a mix that they know.
    batch = choose_batch(manifest, counts, judged={trial.stimulus for trial in done if trial.kind == "main"})
    if batch is None:
        _enter(context, participant, "full", batch=None, order=(), lease_until=None)
        return _state(context, code)
    checked = participant.phase == "trials" and participant.batch is not None
    same_task = checked and manifest.batches[participant.batch or 0].task == batch.task
    order = draw_trial_order(batch, seed=manifest.seed, participant=participant.number)
    context.rows.add_event(participant.number, what="lease", detail=f"batch {batch.id}", now=context.now)
    _enter(
        context,
        participant,
        "trials" if same_task else "instructions",
        batch=batch.id,
        order=order,
        lease_until=_lease(context),
    )
    return _state(context, code)


def _check_answer(context: StepContext, current: ParticipantState, body: bodies.Submission) -> None:
    participant = current.participant
    if body.trial not in participant.order:
        raise RequestError(403, "This trial is not among yours.")
    _require(context, current, "practice", "trials")
    if body.trial != find_next_trial(participant.order, current.answered):
        raise RequestError(409, "Trials are answered in their order, and this one is not next; load the page again.")
    offer = flow.find_offered_images(context.study, participant, body.trial)
    wrong = bodies.find_problem(
        body.answer,
        context.study.stimulus(body.trial),
        weights=None if offer is None else [weight for _, weight in offer],
        num_classes=context.study.num_classes,
    )
    if wrong is not None:
        raise RequestError(422, wrong)


def _go_on(context: StepContext, participant: Participant, answered: set[int]) -> None:
    """After an answer: a longer lease, or the end of the trials and with it the verdict of the quality rules."""
    if find_next_trial(participant.order, answered) is not None:
        context.rows.update_participant(participant.number, lease_until=_lease(context))
        return
    _enter(
        context,
        participant,
        "survey",
        lease_until=None,
        excluded=record_flags(context, participant.number, participant.order),
    )


def record_flags(context: StepContext, number: int, order: Collection[int]) -> str | None:
    """Notes the flags of a participant who has answered the trials of ``order``; returns what excludes them, if any."""
    judged = quality.find_answered_trials(
        context.study.manifest, context.study.trials, context.rows.read_answers(number), order
    )
    found = quality.find_flags(judged, minimum_seconds=context.study.manifest.settings.minimum_seconds)
    reason = quality.find_exclusion_reason(found)
    for flag in found:
        context.rows.add_event(number, what=f"flag {flag.rule}", detail=flag.detail, now=context.now)
    if reason is not None:
        context.rows.add_event(number, what="excluded", detail=reason, now=context.now)
    return reason
