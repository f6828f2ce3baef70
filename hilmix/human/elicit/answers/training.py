"""The data that a study was built from, with the answers of its participants: items and labels to train on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.answers.read import (
    Judgment,
    StudyAnswers,
    build_mix_studies,
    build_mix_study,
    format_participant_name,
    is_vote,
)
from hilmix.human.elicit.design.images import hash_data
from hilmix.human.elicit.design.manifest import Manifest, Task
from hilmix.human.study import MixStudy, append_mixes, label_judgments, split_around_mixes

TRAINABLE: tuple[Task, ...] = ("infer", "categorical", "vote")
"""Tasks whose answers are labels of what was shown; the others are about which of many mixes is half and half."""
DoubleArray = NDArray[np.float64]
# Inputs from files are decoded in parts, which bounds the memory of the float copies.
_AT_ONCE = 256


def add_answers(
    data: AnnotatedData, collected: StudyAnswers, task: Task, *, with_excluded: bool = False
) -> AnnotatedData:
    """Returns the data with the answers to one task.

    Mixes become training items with a soft label per answer (infer, categorical) or a vote per answer (vote), as
    :func:`~hilmix.human.study.append_mixes` adds them; votes on single images join the votes of those. Participants
    become annotators, called by study and number, since those of another study are other participants. Where the data
    have no split, one is drawn around the mixes.

    Args:
        data: what the study was built from.
        collected: the study's answers.
        task: one of :data:`TRAINABLE`.
        with_excluded: count participants whom the rules of quality exclude, too.

    Raises:
        DataError: if these are other data, or have features of their annotators; if the task has no answers that count
            or none that are labels; or as :func:`~hilmix.human.study.append_mixes`.
    """
    if task not in TRAINABLE:
        raise DataError(
            f"Answers to the task '{task}' say which mix is half and half and are no labels; a data folder holds those "
            f"to {', '.join(TRAINABLE)}. Export them as native or hmix."
        )
    check_data(data, collected.manifest)
    rows = [one for one in collected.counted(with_excluded=with_excluded) if one.shown.task == task]
    if not any(one.trial.kind == "main" for one in rows):
        raise DataError(f"The study has no answers to the task '{task}' that count.")
    # Before anything is built: a second export into its own output would count answers twice.
    _check_participants(data, collected.manifest, rows)
    if task != "vote":
        study = _renamed(build_mix_studies(collected, with_excluded=with_excluded)[task], collected.manifest)
        return _append_mixes(data, study, label_judgments(study))
    singles = [one for one in rows if one.shown.single and is_vote(one)]
    mixes = [one for one in rows if not one.shown.single]
    if singles:
        data = replace(data, annotations=_joined(data.annotations, collected.manifest, singles))
    return _with_vote_mixes(data, collected.manifest, mixes) if mixes else data


def annotator_name(manifest: Manifest, number: int) -> str:
    """Returns what a participant is called among the annotators of the data."""
    return f"{manifest.name}-{format_participant_name(number)}"


def check_data(data: AnnotatedData, manifest: Manifest) -> None:
    """Refuses other data than those that a study was built from.

    Raises:
        DataError: naming what differs.
    """
    dataset = manifest.dataset
    for what, found, wanted in (
        ("items", len(data), dataset.num_items),
        ("classes", ", ".join(data.classes), ", ".join(dataset.classes)),
    ):
        if found != wanted:
            raise DataError(f"{data.name}: the {what} must be {wanted}, as in the data of the study, got {found}.")
    ids = np.array([(one.id1, one.id2) for one in manifest.stimuli])
    if hash_data(data, ids) != dataset.sha256:
        raise DataError(
            f"{data.name} must have the images of '{dataset.name}', of which the study was built, in the same order, "
            "got others. Give those data."
        )


def _check_participants(data: AnnotatedData, manifest: Manifest, rows: Sequence[Judgment]) -> None:
    if data.annotator_features is not None:
        raise DataError(f"{data.name} must have no features of annotators, since participants lack them. Drop them.")
    there = {annotator_name(manifest, one.participant.number) for one in rows} & set(data.annotations.annotators)
    if there:
        raise DataError(
            f"{data.name} has the annotator '{min(there)}', a participant of this study. Give data without its answers."
        )


def _renamed(study: MixStudy, manifest: Manifest) -> MixStudy:
    return replace(study, participants=tuple(f"{manifest.name}-{name}" for name in study.participants))


def _joined(base: Annotations, manifest: Manifest, votes: Sequence[Judgment]) -> Annotations:
    """The annotations of the data and votes on items of theirs; a crowd of the data becomes one annotator."""
    participants = list(dict.fromkeys(annotator_name(manifest, one.participant.number) for one in votes))
    place = {name: base.num_annotators + row for row, name in enumerate(participants)}
    label = np.array([one.row.answer["label"] for one in votes])
    more = {
        "confidence": [one.row.answer["confidence"] for one in votes],
        "seconds": [one.row.seconds for one in votes],
    }
    columns: dict[str, Any] = {}
    for name, values in more.items():
        given = getattr(base, name)
        # NaN is "not stated" in both columns.
        columns[name] = np.concatenate([np.full(base.num_pairs, np.nan) if given is None else given, values])
    return Annotations.build(
        np.concatenate([base.item, [one.shown.id1 for one in votes]]),
        np.concatenate([base.annotator, [place[annotator_name(manifest, one.participant.number)] for one in votes]]),
        np.concatenate([base.label, label]),
        num_items=base.num_items,
        classes=base.classes,
        annotators=(*base.annotators, *participants),
        probs=None if base.probs is None else np.concatenate([base.probs, np.eye(base.num_classes)[label]]),
        **columns,
    )


def _append_mixes(data: AnnotatedData, study: MixStudy, labels: DoubleArray) -> AnnotatedData:
    data = replace(data, inputs=ArrayInputs(_pixels(data), "image"))
    if data.split is None:
        try:
            data = split_around_mixes(data, study)
        except ConfigError as error:
            raise DataError(
                f"{data.name} has no split, and none can be drawn around the mixes: {error} Give the items table a "
                "column 'split', or build the study from fewer pairs."
            ) from error
    # A mix without a judgment that counts has no label to train on.
    seen = np.bincount(study.judgments.stimulus[~study.judgments.repeat], minlength=len(study.stimuli)) > 0
    return append_mixes(data, study, labels, per="judgment", keep=seen)


def _pixels(data: AnnotatedData) -> NDArray[np.uint8]:
    """(N, H, W, C) all images, whatever files they come from."""
    if isinstance(data.inputs, ArrayInputs):
        return data.inputs.array
    parts = np.array_split(np.arange(len(data)), -(-len(data) // _AT_ONCE))
    return np.concatenate([np.moveaxis(data.inputs.fetch(part).numpy(), 1, 3) for part in parts])


def _with_vote_mixes(data: AnnotatedData, manifest: Manifest, rows: Sequence[Judgment]) -> AnnotatedData:
    # Votes as the categorical answers that they amount to: all of the mass on one class.
    rest: dict[str, Any] = {"top_percent": 100.0, "second": None, "second_percent": None, "impossible": []}
    forms = [one._replace(row=replace(one.row, answer={"top": one.row.answer["label"], **rest})) for one in rows]
    study = _renamed(build_mix_study("categorical", manifest, forms), manifest)
    sure = np.array([one.row.answer["confidence"] for one in rows])
    study = replace(study, judgments=replace(study.judgments, confidence=sure))
    labels = np.eye(study.num_classes)[[one.row.answer["label"] for one in rows]]
    found = _append_mixes(data, study, labels)
    if data.annotations.probs is not None:
        return found
    return replace(found, annotations=replace(found.annotations, probs=None))  # votes, as those of the data
