"""The answers of a study as a source of labels: studies of mixes, and votes. Beside a server at work, or without one.

Example:
    >>> infer = read_answers("studies/mine")["infer"].without_repeats()  # doctest: +SKIP
    >>> ImageTable.fit(infer.to_judgments())  # any perception policy  # doctest: +SKIP
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.errors import DataError
from hilmix.human import study as hmix
from hilmix.human.elicit.design.manifest import ANSWERS, Manifest, Stimulus, Task, Trial, hash_manifest, read_manifest
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import AnswerRow, Participant, Survey
from hilmix.human.study import MixStudy

COUNTED = ("main", "repeat")
"""Kinds of trials that are asked for the sake of their answers; practice and catch trials are not."""


class Judgment(NamedTuple):
    """An answer, its participant, trial and stimulus; ``place`` counts the answers of the participant from 0."""

    participant: Participant
    batch: int
    trial: Trial
    shown: Stimulus
    row: AnswerRow
    place: int


@dataclass(frozen=True)
class StudyAnswers:
    """All that a study folder holds, by participant and in the order received."""

    manifest: Manifest
    participants: tuple[Participant, ...]
    surveys: tuple[Survey, ...]
    judgments: tuple[Judgment, ...]

    def counted(self, *, with_excluded: bool) -> list[Judgment]:
        """The answers to main trials and their repeats, those of excluded participants only where asked for."""
        return [
            one
            for one in self.judgments
            if one.trial.kind in COUNTED and (with_excluded or one.participant.excluded is None)
        ]

    @property
    def excluded(self) -> dict[str, str]:
        """Participants whom the rules of quality exclude, by name, with the reason."""
        return {
            format_participant_name(one.number): one.excluded for one in self.participants if one.excluded is not None
        }


def format_participant_name(number: int) -> str:
    """Returns the name of a participant outside the server: it reveals neither code nor platform."""
    return f"p{number:03d}"


def format_mix_name(manifest: Manifest, shown: Stimulus) -> str:
    """Returns a name of what was shown, as the released files name it."""
    one, two = (manifest.dataset.classes[label] for label in (shown.label1, shown.label2))
    pair = f"{one}_{shown.id1}_{two}_{shown.id2}"
    # repr: the shortest text that reads back as the same weight.
    return pair if shown.weight is None else f"mixed_{shown.weight!r}_{pair}.png"


def collect_answers(folder: Path | str) -> StudyAnswers:
    """Reads a study folder with its answers, in one state.

    Raises:
        DataError: if the manifest is not valid, there are no answers yet, or the answers are to another manifest.
    """
    folder = Path(folder)
    manifest, file = read_manifest(folder), folder / ANSWERS
    if not file.is_file():
        raise DataError(_no_answers(folder))
    participants, surveys, answers = read_rows(
        file,
        # One job, so one transaction: a server may write between two.
        lambda rows: (rows.read_participants(), rows.read_surveys(), rows.read_answers()),
        manifest=hash_manifest(folder),
    )
    if not answers:
        raise DataError(_no_answers(folder))
    return build_answers(manifest, participants, surveys, answers)


def build_answers(
    manifest: Manifest, participants: Sequence[Participant], surveys: Sequence[Survey], answers: Sequence[AnswerRow]
) -> StudyAnswers:
    """Returns the rows of an answers file as the answers of its study."""
    return StudyAnswers(
        manifest, tuple(participants), tuple(surveys), tuple(_judgments(manifest, participants, answers))
    )


def read_answers(folder: Path | str, *, with_excluded: bool = False) -> dict[hmix.Task, MixStudy]:
    """Returns the answers about mixes, one study per task that has answers, in the order of :data:`hmix.TASKS`.

    Practice and catch trials are left out, repeats flagged. Only what was judged is in a study; participants are called
    by number. Weights are those of image 1, and ids rows of the data that the study was built from.

    Args:
        folder: of the study, with ``study.json`` and ``answers.sqlite``.
        with_excluded: count participants whom the rules of quality exclude, too; :attr:`StudyAnswers.excluded` names
            them.

    Raises:
        DataError: if there are no such answers, or as :func:`collect_answers`.
    """
    studies = build_mix_studies(collect_answers(folder), with_excluded=with_excluded)
    if not studies:
        raise DataError(
            f"{folder} holds no answers about weights or classes of mixes that count; excluded participants, practice "
            "and catch trials do not. Votes are read by hilmix.human.elicit.answers.read.read_votes."
        )
    return studies


def build_mix_studies(collected: StudyAnswers, *, with_excluded: bool = False) -> dict[hmix.Task, MixStudy]:
    """Returns what :func:`read_answers` does, of answers that are read already; empty where there are none."""
    counted = collected.counted(with_excluded=with_excluded)
    rows = {task: [one for one in counted if one.shown.task == task] for task in hmix.TASKS}
    return {task: build_mix_study(task, collected.manifest, mine) for task, mine in rows.items() if mine}


def read_votes(folder: Path | str, *, with_excluded: bool = False) -> Annotations:
    """Returns the votes as annotations, with confidence and seconds; practice, catch trials and repeats are left out.

    The first N items are those of the data that the study was built from, voted on as single images; those of
    :func:`find_vote_mixes` follow.

    Args:
        folder: of the study, with ``study.json`` and ``answers.sqlite``.
        with_excluded: count participants whom the rules of quality exclude, too.

    Raises:
        DataError: if there are no votes, or as :func:`collect_answers`.
    """
    votes = build_vote_annotations(collect_answers(folder), with_excluded=with_excluded)
    if not votes.num_pairs:
        raise DataError(f"{folder} holds no votes that count; other tasks are read by read_answers.")
    return votes


def build_vote_annotations(collected: StudyAnswers, *, with_excluded: bool = False) -> Annotations:
    """Returns what :func:`read_votes` does, of answers that are read already; maybe empty."""
    counted = collected.counted(with_excluded=with_excluded)
    votes = [one for one in counted if is_vote(one)]
    manifest = collected.manifest
    place = {format_mix_name(manifest, shown): row for row, shown in enumerate(find_vote_mixes(manifest))}
    size = manifest.dataset.num_items
    participant, participants = _participants(votes)
    return Annotations.build(
        [one.shown.id1 if one.shown.single else size + place[format_mix_name(manifest, one.shown)] for one in votes],
        participant,
        [one.row.answer["label"] for one in votes],
        num_items=size + len(place),
        classes=manifest.dataset.classes,
        annotators=participants,
        confidence=[one.row.answer["confidence"] for one in votes],
        seconds=[one.row.seconds for one in votes],
    )


def is_vote(one: Judgment) -> bool:
    """Returns whether an answer to a main trial names a class; in a review it may be that none can be made out."""
    return one.shown.task == "vote" and one.trial.kind == "main" and one.row.answer["label"] is not None


def find_vote_mixes(manifest: Manifest) -> tuple[Stimulus, ...]:
    """Returns the different mixes, not single images, that main trials of the task vote show."""
    main = (
        trial for batch in manifest.batches if batch.task == "vote" for trial in batch.trials if trial.kind == "main"
    )
    shown = (manifest.stimuli[trial.stimulus] for trial in main)
    # By name: several batches or trials may show the same mix.
    return tuple({format_mix_name(manifest, one): one for one in shown if not one.single}.values())


def _no_answers(folder: Path) -> str:
    return (
        f"{folder} has no answers yet. Serve it: hilmix elicit serve {folder}; or try it out: hilmix elicit simulate "
        f"{folder}"
    )


def _judgments(manifest: Manifest, participants: Sequence[Participant], answers: Sequence[AnswerRow]) -> list[Judgment]:
    by_number = {one.number: one for one in participants}
    trials = {trial.id: (batch.id, trial) for batch in manifest.batches for trial in batch.trials}
    order = {(one.number, trial): place for one in participants for place, trial in enumerate(one.order)}

    def order_of(given: AnswerRow) -> tuple[int, float, int]:
        # Times may tie, as with imported answers; the order of the trials decides then.
        return given.participant, given.received, order.get((given.participant, given.trial), -1)

    out: list[Judgment] = []
    for given in sorted(answers, key=order_of):
        participant, (batch, trial) = by_number[given.participant], trials[given.trial]
        place = out[-1].place + 1 if out and out[-1].participant is participant else 0
        out.append(Judgment(participant, batch, trial, manifest.stimuli[trial.stimulus], given, place))
    return out


def build_mix_study(task: hmix.Task, manifest: Manifest, rows: Sequence[Judgment]) -> MixStudy:
    """Returns these answers to one task as a study; vocabularies in the order of their first use."""
    stimulus, names = _distinct([format_mix_name(manifest, one.shown) for one in rows])
    shown = [rows[at].shown for at in np.unique(stimulus, return_index=True)[1]]
    stimuli: dict[str, Any] = {"name": names}
    for column in ("id1", "id2", "label1", "label2", *(() if task in hmix.MIDPOINT_TASKS else ("weight",))):
        stimuli[column] = [getattr(one, column) for one in shown]
    participant, participants = _participants(rows)
    judgments: dict[str, Any] = {
        "participant": participant,
        "stimulus": stimulus,
        "seconds": [one.row.seconds for one in rows],
        "repeat": [one.trial.kind == "repeat" for one in rows],
        "trial": pd.Series(participant).groupby(participant).cumcount(),
        "batch": [one.batch for one in rows],
    }
    return MixStudy.build(
        task,
        classes=manifest.dataset.classes,
        participants=participants,
        num_items=manifest.dataset.num_items,
        stimuli=stimuli,
        judgments=judgments | _answer_columns(task, rows, len(manifest.dataset.classes)),
    )


def _answer_columns(task: Task, rows: Sequence[Judgment], num_classes: int) -> dict[str, Any]:
    """The columns of the answers."""
    answers = [one.row.answer for one in rows]
    if task == "categorical":
        return _forms(answers, num_classes)
    columns: dict[str, Any] = {"weight": [one["weight"] for one in answers]}
    if task == "infer":
        columns["confidence"] = [one["confidence"] for one in answers]
    if task == "construct":
        columns["start"] = [one.trial.start for one in rows]
    return columns


def _forms(answers: Sequence[Mapping[str, Any]], num_classes: int) -> dict[str, Any]:
    impossible = np.zeros((len(answers), num_classes), dtype=bool)
    for row, answer in enumerate(answers):
        impossible[row, answer["impossible"]] = True
    return {
        "top": [one["top"] for one in answers],
        "top_percent": [one["top_percent"] for one in answers],
        "second": [-1 if one["second"] is None else one["second"] for one in answers],
        "second_percent": [np.nan if one["second_percent"] is None else one["second_percent"] for one in answers],
        "impossible": impossible,
    }


def _participants(rows: Sequence[Judgment]) -> tuple[NDArray[np.int64], list[str]]:
    return _distinct([format_participant_name(one.participant.number) for one in rows])


def _distinct(names: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """(L,) the number of each name, and the names in the order of their first use."""
    # An object array: NumPy text would drop trailing zero characters of names.
    number, different = pd.factorize(np.asarray(names, dtype=object))
    return number.astype(np.int64), [str(name) for name in different]
