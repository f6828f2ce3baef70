"""The state of a participant and what the page shows: pure functions of the manifest and of the stored rows.

    consent -> instructions -> check -> practice -> trials -> survey -> done

A wrong check leads back to the instructions, too many end in ``failed_check``. ``full``: no batch is free.
``expired``: the lease ran out and others made up for the rest. ``practice`` and ``expired`` follow from the rest and
are not stored.
"""

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

from hilmix.human.elicit.design.manifest import Stimulus, Task, Wording
from hilmix.human.elicit.design.schema import Model
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve.assignment import find_next_trial, shuffle
from hilmix.human.elicit.store.rows import Participant

Phase = Literal[
    "consent",
    "instructions",
    "check",
    "practice",
    "trials",
    "survey",
    "done",
    "failed_check",
    "withdrawn",
    "full",
    "expired",
]
LEASED = ("instructions", "check", "trials")
"""Stored phases in which a participant holds a lease."""
TASKS_NAMING_CLASSES: tuple[Task, ...] = ("construct", "select", "infer")
"""Tasks whose page names the classes of the two images."""


class RequestError(Exception):
    """A request that cannot be granted: HTTP status and one sentence for the participant."""

    def __init__(self, status: int, message: str, *, key: str = "unknown") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.key = key
        """Of the words of the page that a browser shows instead: KEY_title and KEY_text."""


class ExampleView(Model):
    """Address of the picture, and the worked answer as sanitised HTML."""

    image: str
    text: str


class StudyView(Model):
    """The study as a participant sees it. Texts are sanitised HTML, and null in phases that do not show them."""

    name: str
    wording: Wording
    classes: tuple[str, ...]
    consent: str | None
    statements: tuple[str, ...]
    instructions: str | None
    thanks: str | None
    example: ExampleView | None
    contact: str | None
    minutes: int | None
    pay: str | None


class Progress(Model):
    """Trials answered and trials in all, of the practice or of the rest."""

    done: int
    total: int


class Question(Model):
    """A question of the check, without its answer."""

    question: str
    choices: tuple[str, ...]


class TrialView(Model):
    """A trial: catch trials and repeats look like any other.

    ``images`` are addresses, in the order to show; ``weights`` those of image 1 in the same order, as
    :func:`disguise_weights`, where the task offers some; ``labels`` the classes of image 1 and 2, where the task names
    them; ``start`` the weight to begin at; ``class_order`` the classes in the order to list, where the task asks for
    classes; ``given`` and ``suggested`` the label and the suggestion of a review.
    """

    id: int
    kind: Literal["practice", "trial"]
    images: tuple[str, ...]
    weights: tuple[float, ...] | None
    labels: tuple[int, int] | None
    start: float | None
    class_order: tuple[int, ...] | None
    given: int | None
    suggested: int | None


class State(Model):
    """All that the page needs.

    ``check`` are the questions of the comprehension check in its phase; ``attempts_left`` how often they may still be
    answered, then and, after a wrong answer, in the instructions; ``preload`` the images of the trial after this one.
    """

    phase: Phase
    task: Task | None
    study: StudyView
    check: tuple[Question, ...] | None
    attempts_left: int | None
    progress: Progress
    trial: TrialView | None
    preload: tuple[str, ...]
    completion_code: str | None
    completion_url: str | None


class ParticipantState(NamedTuple):
    """A participant, the trials answered, whether the lease was reassigned, and whether no batch is free to begin with.

    The last is known before the consent only.
    """

    participant: Participant
    answered: Collection[int]
    reassigned: bool
    none_free: bool = False


def find_phase(study: Study, current: ParticipantState) -> Phase:
    """Returns the phase."""
    participant = current.participant
    if participant.phase in LEASED and current.reassigned:
        return "expired"
    if participant.phase == "consent" and current.none_free:
        return "full"  # shown before participants read and agree in vain
    if participant.phase == "trials":
        trial = find_next_trial(participant.order, current.answered)
        return "practice" if trial is not None and study.trials[trial].kind == "practice" else "trials"
    return participant.phase  # type: ignore[return-value]


def build_state(study: Study, current: ParticipantState) -> State:
    """Returns what the page of a participant shows."""
    participant, now = current.participant, find_phase(study, current)
    batch = None if participant.batch is None else study.manifest.batches[participant.batch]
    task = None if batch is None else batch.task
    active = now in ("practice", "trials")
    rest = [trial for trial in participant.order if trial not in current.answered] if active else []
    return State(
        phase=now,
        task=task,
        study=_study_view(study, now, task, participant.code),
        check=_questions(study, task) if now == "check" and task is not None else None,
        attempts_left=_attempts_left(study, participant, now),
        progress=_progress(study, current, practice=now == "practice"),
        trial=_trial_view(study, participant, rest[0]) if rest else None,
        preload=_images(study, participant, rest[1]) if rest[1:] else (),
        # In no other phase, or it could be read without taking part.
        completion_code=study.manifest.completion_code if now == "done" else None,
        completion_url=study.manifest.completion_url if now == "done" else None,
    )


def build_withdrawn_state(study: Study) -> State:
    """Returns the state of a participant who has withdrawn."""
    return State(
        phase="withdrawn",
        task=None,
        study=_study_view(study, "withdrawn", None, ""),
        check=None,
        attempts_left=None,
        progress=Progress(done=0, total=0),
        trial=None,
        preload=(),
        completion_code=None,
        completion_url=None,
    )


def find_offered_images(study: Study, participant: Participant, trial: int) -> list[tuple[str, float]] | None:
    """Returns the offered images of a trial with their :func:`disguise_weights`, in the order of the page, or None."""
    shown = study.stimulus(trial)
    if shown.weights is None:
        return None
    pairs = list(zip(shown.images, disguise_weights(shown) or (), strict=True))
    if shown.task == "construct":
        return pairs  # the manifest has them by rising weight
    # Drawn from participant and trial: a reload shows the same order.
    return shuffle(pairs, seed=study.manifest.seed, salt=f"offer/{participant.number}/{trial}")


def disguise_weights(shown: Stimulus) -> tuple[float, ...] | None:
    """Returns the weights of the offered mixes as pages show them, evenly spaced; None where none are offered.

    The real ones are so in main trials only, and would give a catch trial away.
    """
    if shown.weights is None:
        return None
    last = len(shown.weights) - 1
    return tuple(place / last for place in range(last + 1))


def convert_weight(
    answer: dict[str, Any], one: tuple[float, ...] | None, other: tuple[float, ...] | None
) -> dict[str, Any]:
    """Returns an answer with its weight in ``one`` replaced by that at the same place of ``other``, if any."""
    if one is None or other is None:
        return answer
    return answer | {"weight": other[one.index(answer["weight"])]}


def _study_view(study: Study, now: Phase, task: Task | None, code: str) -> StudyView:
    manifest = study.manifest
    example = manifest.examples.get(task) if now == "instructions" and task is not None else None
    reading = task is not None and now in ("instructions", "check", "practice", "trials")
    return StudyView(
        name=study.manifest.name,
        wording=study.manifest.wording,
        classes=study.manifest.dataset.classes,
        consent=study.consent if now == "consent" else None,
        statements=study.statements if now == "consent" else (),
        instructions=study.instructions[task] if reading and task is not None else None,
        thanks=study.thanks if now == "done" else None,
        example=None
        if example is None or task is None
        else ExampleView(image=build_address(code, example.image), text=study.examples[task]),
        contact=manifest.contact,
        minutes=manifest.minutes,
        pay=manifest.pay,
    )


def _questions(study: Study, task: Task) -> tuple[Question, ...]:
    return tuple(Question(question=one.question, choices=one.choices) for one in study.manifest.checks[task])


def _attempts_left(study: Study, participant: Participant, now: Phase) -> int | None:
    shown = now == "check" or (now == "instructions" and participant.attempts > 0)
    return study.manifest.settings.check_attempts - participant.attempts if shown else None


def _progress(study: Study, current: ParticipantState, *, practice: bool) -> Progress:
    counted = [trial for trial in current.participant.order if (study.trials[trial].kind == "practice") == practice]
    return Progress(done=sum(trial in current.answered for trial in counted), total=len(counted))


def _trial_view(study: Study, participant: Participant, trial: int) -> TrialView:
    shown, offer, start = (
        study.stimulus(trial),
        find_offered_images(study, participant, trial),
        study.trials[trial].start,
    )
    classes = range(study.num_classes)
    return TrialView(
        id=trial,
        kind="practice" if study.trials[trial].kind == "practice" else "trial",
        images=_images(study, participant, trial),
        weights=None if offer is None else tuple(weight for _, weight in offer),
        labels=(shown.label1, shown.label2) if shown.task in TASKS_NAMING_CLASSES else None,
        start=None
        if start is None
        else convert_weight({"weight": start}, shown.weights, disguise_weights(shown))["weight"],
        class_order=None
        if shown.task in TASKS_NAMING_CLASSES
        # Once per participant, as in H-Mix.
        else tuple(shuffle(classes, seed=study.manifest.seed, salt=f"classes/{participant.number}")),
        given=None if shown.suggested is None else shown.label1,
        suggested=shown.suggested,
    )


def _images(study: Study, participant: Participant, trial: int) -> tuple[str, ...]:
    offer = find_offered_images(study, participant, trial)
    names = study.stimulus(trial).images if offer is None else [name for name, _ in offer]
    return tuple(build_address(participant.code, name) for name in names)


def build_address(code: str, name: str) -> str:
    """Returns the address of an image for a participant."""
    return f"/api/p/{code}/images/{name}"
