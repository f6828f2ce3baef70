"""Progress of a study: coverage, agreement, timing and flags, for the live page and the terminal."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import numpy as np

from hilmix.errors import DataError
from hilmix.functional.agreement import intraclass_correlation
from hilmix.human.elicit.answers import quality
from hilmix.human.elicit.answers.disputed import Dispute, find_disputed
from hilmix.human.elicit.design.manifest import Manifest, Task
from hilmix.human.elicit.design.schema import Model
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import AnswerRow, Participant, Rows


class TaskStatus(Model):
    """One task. Judgments of excluded participants, practice, catch trials and repeats do not count.

    Attributes:
        stimuli: to be judged.
        complete: of these, with as many judgments as asked for.
        counts: how many stimuli have 0, 1, ... judgments; the last, as many as asked for or more.
        batches: of the task.
        complete_batches: of these, with complete stimuli only.
        judgments: given.
        wanted: asked for in all.
        median_seconds: of a judgment.
        agreement: share of pairs of judgments of the same stimulus that name the same class; categorical and vote.
        difference: mean absolute difference of the weights of such a pair; the other tasks.
        icc: share of the variance of these weights, less that of the mix where it has one, that participants have in
            common: ICC(1); None with too few judgments, or judgments that do not vary.
    """

    task: Task
    stimuli: int
    complete: int
    counts: tuple[int, ...]
    batches: int
    complete_batches: int
    judgments: int
    wanted: int
    median_seconds: float | None
    agreement: float | None
    difference: float | None
    icc: float | None


class FlagStatus(Model):
    """A rule that a participant breaks, and the numbers behind it."""

    rule: str
    detail: str


class ParticipantStatus(Model):
    """One participant, by number. ``excluded`` is the reason; ``loads`` how often the page was loaded in the trials."""

    number: int
    phase: str
    task: Task | None
    joined: float
    done: int
    total: int
    median_seconds: float | None
    loads: int
    flags: tuple[FlagStatus, ...]
    excluded: str | None


class Status(Model):
    """The whole study. Times are seconds since 1970."""

    name: str
    now: float
    tasks: tuple[TaskStatus, ...]
    phases: dict[str, int]
    withdrawn: int
    participants: tuple[ParticipantStatus, ...]
    disputed: tuple[Dispute, ...]


def read_status(folder: Path, now: float) -> Status:
    """Returns the numbers of a study folder, beside a server at work or without one.

    Raises:
        DataError: if the study is not valid, was not served yet, or the answers are to another manifest.
    """
    study = Study.open(folder)
    if not study.answers_file.is_file():
        raise DataError(f"{folder} was not served yet. Serve it: hilmix elicit serve {folder}")
    return read_rows(study.answers_file, lambda rows: compute_status(study, rows, now), manifest=study.sha256)


def compute_status(study: Study, rows: Rows, now: float) -> Status:
    """Returns the numbers of a study.

    Args:
        study: as served.
        rows: of its answers file.
        now: seconds since 1970.
    """
    participants, events = rows.read_participants(), rows.read_events()
    loads = Counter(event.participant for event in events if event.what == "loaded")
    given: dict[int, list[AnswerRow]] = defaultdict(list)
    for one in rows.read_answers():
        given[one.participant].append(one)
    counted = [one for participant in participants if participant.excluded is None for one in given[participant.number]]
    return Status(
        name=study.manifest.name,
        now=now,
        tasks=tuple(_task(study, task, counted) for task in study.manifest.tasks),
        phases=dict(Counter(participant.phase for participant in participants)),
        withdrawn=sum(event.what == "withdrew" for event in events),
        participants=tuple(_participant(study, one, given[one.number], loads[one.number]) for one in participants),
        disputed=find_disputed(study, counted),
    )


def _task(study: Study, task: Task, given: Iterable[AnswerRow]) -> TaskStatus:
    target = study.manifest.settings.target_judgments
    batches = [
        [trial for trial in batch.trials if trial.kind == "main"]
        for batch in study.manifest.batches
        if batch.task == task
    ]
    of_trial = {trial.id: trial.stimulus for main in batches for trial in main}
    answers: dict[int, list[float]] = {stimulus: [] for stimulus in of_trial.values()}
    mine = [one for one in given if one.trial in of_trial]
    for one in mine:
        answers[of_trial[one.trial]].append(quality.get_answer_value(one.answer))
    # Pairs within a mix only: different mixes need not agree.
    pairs = [pair for values in answers.values() for pair in combinations(values, 2)]
    counts = Counter(min(len(values), target) for values in answers.values())
    names = task in quality.CLASS_TASKS
    return TaskStatus(
        task=task,
        stimuli=len(answers),
        complete=counts[target],
        counts=tuple(counts[number] for number in range(target + 1)),
        batches=len(batches),
        complete_batches=sum(all(len(answers[trial.stimulus]) >= target for trial in main) for main in batches),
        judgments=len(mine),
        wanted=target * len(answers),
        median_seconds=_median(mine),
        agreement=fmean(a == b for a, b in pairs) if pairs and names else None,
        difference=fmean(abs(a - b) for a, b in pairs) if pairs and not names else None,
        icc=None if names else _icc(study.manifest, answers),
    )


def _icc(manifest: Manifest, answers: dict[int, list[float]]) -> float | None:
    shown = [(manifest.stimuli[stimulus].weight or 0.0, values) for stimulus, values in answers.items() if values]
    # Less the weight that was shown: else any study would agree, as all participants see the weights.
    beyond = [[value - weight for value in values] for weight, values in shown]
    values, group = np.concatenate([*beyond, []]), np.repeat(np.arange(len(beyond)), [len(v) for v in beyond])
    # One-way analysis of variance needs two mixes, one of them with two judgments, and variation.
    if len(beyond) < 2 or len(values) == len(beyond) or np.ptp(values) == 0:
        return None
    return intraclass_correlation(values, group, num_groups=len(beyond)).single


def _participant(study: Study, participant: Participant, given: Sequence[AnswerRow], loads: int) -> ParticipantStatus:
    judged = quality.find_answered_trials(study.manifest, study.trials, given, participant.order)
    found = quality.find_flags(judged, minimum_seconds=study.manifest.settings.minimum_seconds)
    return ParticipantStatus(
        number=participant.number,
        phase=participant.phase,
        task=None if participant.batch is None else study.manifest.batches[participant.batch].task,
        joined=participant.created,
        done=len(judged),
        total=len(participant.order),
        median_seconds=_median(given),
        loads=loads,
        flags=tuple(FlagStatus(rule=flag.rule, detail=flag.detail) for flag in found),
        excluded=participant.excluded,
    )


def _median(given: Sequence[AnswerRow]) -> float | None:
    return median(one.seconds for one in given) if given else None
