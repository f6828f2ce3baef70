"""The steps behind the requests: each runs inside one transaction, and raises or returns the next state."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping

from hilmix.human.elicit.answers import bodies, quality
from hilmix.human.elicit.design.schema import Model
from hilmix.human.elicit.design.words import fill
from hilmix.human.elicit.serve import flow
from hilmix.human.elicit.serve.assignment import (
    choose_batch,
    count_judgments,
    draw_trial_order,
    find_next_trial,
)
from hilmix.human.elicit.serve.flow import ParticipantState, RequestError, State
from hilmix.human.elicit.serve.step_context import StepContext
from hilmix.human.elicit.store.rows import AnswerRow, Participant, Survey

CODE_BYTES = 18
"""144 random bits: 24 characters."""
PLATFORM_IDS = ("PROLIFIC_PID", "workerId", "participant")
"""Names under which recruiting platforms hand over their id of a participant; the first present counts."""
# A page that reloads in a loop must not fill the file.
MAX_LOADS = 100


class Feedback(Model):
    """Feedback on a practice answer: the address of the picture, and a sentence."""

    image: str
    text: str


class SaveResult(Model):
    """Stored answer of a trial, the next state, and feedback where the trial was practice."""

    trial: int
    key: str
    answer: bodies.Answer
    state: State
    feedback: Feedback | None


def join(context: StepContext, query: Mapping[str, str], kept: str | None = None) -> str:
    """Returns the code of a new participant, or of the one with the same platform id where those are kept.

    The latter only to a browser that has kept that code: platform ids are no secrets, and many are easily guessed.
    """
    platform = _platform(context, query)
    known = None if platform is None else context.rows.find_by_platform(platform)
    if known is not None:
        # Bytes and constant time, as for tokens.
        if kept is None or not secrets.compare_digest(kept.encode("utf-8", "replace"), known.code.encode()):
            raise RequestError(
                409, "You have joined before; go on with the browser and the page that you had then.", key="joined"
            )
        return known.code
    code = secrets.token_urlsafe(CODE_BYTES)
    context.rows.add_participant(code=code, platform=platform, now=context.now)
    return code


def read_state(context: StepContext, code: str) -> State:
    """Returns the state of a participant. Loads of the page during the trials are noted, as they may disturb times."""
    current = context.read_participant_state(code)
    here = flow.find_phase(context.study, current)
    if here in ("practice", "trials") and context.rows.count_events(current.participant.number, "loaded") < MAX_LOADS:
        context.rows.add_event(current.participant.number, what="loaded", now=context.now)
    return flow.build_state(context.study, current)


def give_consent(context: StepContext, code: str, body: bodies.Consent) -> State:
    """A participant agrees, and is given a batch."""
    current = context.read_participant_state(code)
    participant = current.participant
    if participant.phase != "consent":  # which shows as full while no batch is free
        context.check_phase(current, "consent")
    context.rows.update_participant(participant.number, consented=context.now)
    return _assign(context, code, participant)


def request_batch(context: StepContext, code: str, body: bodies.NewBatch) -> State:
    """A participant whose lease was reassigned, or who found none free, asks for a batch."""
    participant = context.require_phase(code, "consent", "expired", "full").participant
    if participant.phase == "consent":  # has not agreed yet, and sees whether there is anything to agree to
        return context.build_state(code)
    return _assign(context, code, participant)


def finish_instructions(context: StepContext, code: str, body: bodies.Read) -> State:
    """A participant has read the instructions."""
    participant = context.require_phase(code, "instructions").participant
    context.enter_phase(participant, "check", lease_until=context.lease_until())
    return context.build_state(code)


def answer_check(context: StepContext, code: str, body: bodies.CheckAnswers) -> State:
    """A participant answers the comprehension check; any error leads back to the instructions, too many to the end."""
    participant = context.require_phase(code, "check").participant
    assert participant.batch is not None
    questions = context.study.manifest.checks[context.study.manifest.batches[participant.batch].task]
    if len(body.answers) != len(questions):
        raise RequestError(422, f"The check needs {len(questions)} answers, got {len(body.answers)}.")
    for place, (choice, question) in enumerate(zip(body.answers, questions, strict=True)):
        if choice >= len(question.choices):
            raise RequestError(422, f"Answer {place + 1} must be in [0, {len(question.choices) - 1}], got {choice}.")
    if all(choice == question.right for choice, question in zip(body.answers, questions, strict=True)):
        context.enter_phase(participant, "trials", lease_until=context.lease_until())
        return context.build_state(code)
    attempts = participant.attempts + 1
    context.rows.add_event(
        participant.number, what="failed check", detail=f"attempt {attempts}: {body.answers}", now=context.now
    )
    if attempts >= context.study.manifest.settings.check_attempts:
        context.enter_phase(participant, "failed_check", attempts=attempts, lease_until=None)
    else:
        context.enter_phase(participant, "instructions", attempts=attempts, lease_until=context.lease_until())
    return context.build_state(code)


def store_answer(context: StepContext, code: str, body: bodies.Submission) -> SaveResult:
    """Stores the answer to the trial at hand, once: the same key again changes nothing."""
    current = context.read_participant_state(code)
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
    return SaveResult(
        trial=stored.trial,
        key=stored.key,
        answer=shown_answer,  # type: ignore[arg-type]
        state=context.build_state(code),
        feedback=_feedback(context, code, stored),
    )


def store_survey(context: StepContext, code: str, body: bodies.SurveyAnswers) -> State:
    """A participant fills in the survey, and is done."""
    participant = context.require_phase(code, "survey").participant
    context.rows.add_survey(Survey(participant.number, body.clarity, body.difficulty, body.strategy, body.comments))
    context.enter_phase(participant, "done")
    return context.build_state(code)


def withdraw(context: StepContext, code: str) -> State:
    """Deletes all rows of a participant, whatever the phase."""
    context.rows.delete_participant(context.find_participant(code).number, context.now)
    return flow.build_withdrawn_state(context.study)


def find_image(context: StepContext, code: str, name: str) -> str:
    """Returns the name of an image, which must belong to the participant's batch."""
    participant = context.find_participant(code)
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


def _assign(context: StepContext, code: str, participant: Participant) -> State:
    """Assigns a batch; a participant who passed the check of its task before goes on with the trials."""
    manifest = context.study.manifest
    done = [context.study.trials[trial] for trial in context.rows.read_answered_trials(participant.number)]
    counts = count_judgments(manifest, context.rows.read_coverage(context.now))
    # A second judgment by the same participant would count as one of another: no batch with a mix that they know.
    batch = choose_batch(manifest, counts, judged={trial.stimulus for trial in done if trial.kind == "main"})
    if batch is None:
        context.enter_phase(participant, "full", batch=None, order=(), lease_until=None)
        return context.build_state(code)
    checked = participant.phase == "trials" and participant.batch is not None
    same_task = checked and manifest.batches[participant.batch or 0].task == batch.task
    order = draw_trial_order(batch, seed=manifest.seed, participant=participant.number)
    context.rows.add_event(participant.number, what="lease", detail=f"batch {batch.id}", now=context.now)
    context.enter_phase(
        participant,
        "trials" if same_task else "instructions",
        batch=batch.id,
        order=order,
        lease_until=context.lease_until(),
    )
    return context.build_state(code)


def _check_answer(context: StepContext, current: ParticipantState, body: bodies.Submission) -> None:
    participant = current.participant
    if body.trial not in participant.order:
        raise RequestError(403, "This trial is not among yours.")
    context.check_phase(current, "practice", "trials")
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


def _feedback(context: StepContext, code: str, given: AnswerRow) -> Feedback | None:
    """Feedback on a practice answer, where the study gives any."""
    manifest, shown = context.study.manifest, context.study.stimulus(given.trial)
    if not manifest.settings.practice_feedback or context.study.trials[given.trial].kind != "practice":
        return None
    one, two = (manifest.dataset.classes[label] for label in (shown.label1, shown.label2))
    if shown.single:
        return Feedback(
            image=flow.build_address(code, shown.images[0]), text=fill(manifest.page_words["feedback_label"], one=one)
        )
    # Of the midpoint tasks, the mix that was chosen.
    key, weight, image = "feedback_mix", shown.weight, shown.images[0]
    if shown.weights is not None:
        key, weight = "feedback_midpoint", given.answer["weight"]
        image = shown.images[shown.weights.index(given.answer["weight"])]
    share = round(100 * (weight or 0.0))
    text = fill(manifest.page_words[key], share=share, rest=100 - share, one=one, two=two)
    return Feedback(image=flow.build_address(code, image), text=text)


def _go_on(context: StepContext, participant: Participant, answered: set[int]) -> None:
    """After an answer: a longer lease, or the end of the trials and with it the verdict of the quality rules."""
    if find_next_trial(participant.order, answered) is not None:
        context.rows.update_participant(participant.number, lease_until=context.lease_until())
        return
    context.enter_phase(
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
