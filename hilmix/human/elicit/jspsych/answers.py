"""Import of the files that jsPsych pages save into the answers of a study, where they are answers like any others."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hilmix.errors import DataError
from hilmix.human.elicit.answers.bodies import CONTROLS, Answer, Control, Number, Seconds, Select, find_problem
from hilmix.human.elicit.design.manifest import Trial
from hilmix.human.elicit.design.schema import Sha256
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve.step_context import StepContext
from hilmix.human.elicit.serve.steps import record_flags
from hilmix.human.elicit.store.database import Store
from hilmix.human.elicit.store.rows import AnswerRow

CODE = "jspsych:"
"""Before the id that jsPsych drew: with a colon it is no code that an address could have, so no page leads there."""


class _Row(BaseModel):
    """Fields that are read of any row that jsPsych saves; it adds columns of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    participant: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,64}$")]
    manifest: Sha256
    batch: Number
    started: Annotated[float, Field(ge=0, le=1e11)]
    time_elapsed: Annotated[float, Field(ge=0, le=1e11)]
    right: bool | None = None


class _Answered(_Row):
    """A row that holds an answer; ``touched`` says after how many seconds each control was last used."""

    trial: Number
    answer: Answer
    seconds: Seconds
    touched: dict[Control, Seconds] = Field(max_length=20)


def import_answers(folder: Path, files: Iterable[Path]) -> dict[str, int]:
    """Takes the participants of some files into a study, all or none; returns how many answers each of them gave.

    Args:
        folder: of the study that the pages were exported from.
        files: JSON, one participant in each line.

    Raises:
        DataError: naming file, participant and field, if a file cannot be read or is not of this study, an answer
            does not fit what its trial showed, or a participant is there already.
    """
    study = Study.open(folder)
    participants = [(file, rows) for file in files for rows in _participants(file)]
    store = Store(study.answers_file, manifest=study.sha256)
    try:
        # One job, one transaction: all participants or none.
        return store.run(
            lambda rows: dict(_import(StepContext(study, rows, time.time()), *one) for one in participants)
        )
    finally:
        store.close()


def _participants(file: Path) -> Iterator[list[_Row]]:
    """The rows of each participant of a file."""
    try:
        parsed = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read as what jsPsych saves, a list in each line: {error}.") from error
    for saved in parsed:
        if not isinstance(saved, list) or not saved or not all(isinstance(row, dict) for row in saved):
            raise DataError(f"{file} is not what jsPsych saves; expected a list of rows in each line.")
        yield [_row(file, place, row) for place, row in enumerate(saved)]


def _row(file: Path, place: int, row: dict[str, Any]) -> _Row:
    try:
        return (_Answered if "trial" in row else _Row).model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise DataError(f"{file}, row {place}: {field} is refused: {first['msg']}.") from error


def _import(context: StepContext, file: Path, rows: list[_Row]) -> tuple[str, int]:
    first, manifest = rows[0], context.study.manifest
    where = f"{file}, participant {first.participant}"
    if any(
        (row.participant, row.batch, row.manifest) != (first.participant, first.batch, first.manifest) for row in rows
    ):
        raise DataError(f"{where}: rows of several participants, batches or studies are in one line.")
    if first.manifest != context.study.sha256 or first.batch >= len(manifest.batches):
        raise DataError(f"{where}: the answers are to another study.json than that of {context.study.folder}.")
    if context.rows.find_by_code(CODE + first.participant) is not None:
        raise DataError(f"{where} is in {context.study.folder} already; leave the file out.")
    given = [row for row in rows if isinstance(row, _Answered)]
    trials = {trial.id: trial for trial in manifest.batches[first.batch].trials}
    for row in given:
        _check(context.study, trials, row, where)
    if len({row.trial for row in given}) < len(given):
        raise DataError(f"{where}: a trial was answered twice.")
    _store(context, first, given, complete=len(given) == len(trials), failed=sum(row.right is False for row in rows))
    return first.participant, len(given)


def _check(study: Study, trials: dict[int, Trial], row: _Answered, where: str) -> None:
    if row.trial not in trials:
        raise DataError(f"{where}: trial {row.trial} is not in batch {row.batch}.")
    shown = study.stimulus(row.trial)
    weights = shown.weights
    if isinstance(row.answer, Select) and weights is not None and row.answer.position < len(weights):
        # The page shuffles the mixes and does not say how: any offered weight may have stood at any place.
        weights = (row.answer.weight,) * len(weights) if row.answer.weight in weights else weights
    wrong = find_problem(row.answer, shown, weights=weights, num_classes=study.num_classes)
    if wrong is not None:
        raise DataError(f"{where}, trial {row.trial}: {wrong}")


def _store(context: StepContext, first: _Row, given: list[_Answered], *, complete: bool, failed: int) -> None:
    rows = context.rows
    rows.add_participant(code=CODE + first.participant, platform=None, now=first.started)
    participant = rows.find_by_code(CODE + first.participant)
    assert participant is not None
    for row in given:
        touched = dict.fromkeys(CONTROLS[row.answer.task], False) | dict.fromkeys(row.touched, True)
        rows.add_answer(
            AnswerRow(
                participant=participant.number,
                trial=row.trial,
                key=str(uuid.uuid4()),
                answer=row.answer.model_dump(),
                seconds=row.seconds,
                touched=touched,
                times=row.touched,
                # By the participant's clock, the only one there is.
                received=row.started + row.time_elapsed / 1000,
            )
        )
    order = tuple(row.trial for row in given)
    rows.update_participant(
        participant.number,
        phase="done" if complete else "trials" if given else "failed_check",
        attempts=failed,
        batch=first.batch,
        order=order,
        consented=first.started,
        # Rules of quality speak of whole sessions, as on the server.
        excluded=record_flags(context, participant.number, order) if complete else None,
    )
