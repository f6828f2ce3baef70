"""The manifest, ``study.json``: what a study shows, in which batches, with which texts. Read, checked, written."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from hilmix.errors import DataError
from hilmix.human.elicit.design.schema import (
    MIDPOINT_TASKS,
    TASKS,
    Batch,
    Check,
    Dataset,
    Example,
    Kind,
    Model,
    Row,
    Settings,
    Stimulus,
    Task,
    Text,
    Trial,
    Wording,
)
from hilmix.human.elicit.design.words import (
    LANGUAGE,
    LANGUAGES,
    find_direction,
    find_faults,
    read_language,
    take_page_words,
)

__all__ = [
    "ANSWERS",
    "IMAGES",
    "MANIFEST",
    "MIDPOINT_TASKS",
    "TASKS",
    "Batch",
    "Check",
    "Dataset",
    "Example",
    "Kind",
    "Manifest",
    "Settings",
    "Stimulus",
    "Task",
    "Trial",
    "Wording",
    "find_statements",
    "hash_manifest",
    "read_manifest",
    "write_manifest",
]

MANIFEST, IMAGES, ANSWERS = "study.json", "images", "answers.sqlite"
"""Contents of a study folder; the last is made when it is served."""
_STATEMENT = re.compile(r"^[-*] \[ \] +(.+)$", re.MULTILINE)
_ORDER: dict[Kind, int] = {"practice": 0, "main": 1, "catch": 1, "repeat": 2}


class Manifest(Model):
    """A whole study. Texts are Markdown."""

    format: Literal["hilmix elicit"] = "hilmix elicit"
    version: Literal[1] = 1
    name: Text
    seed: Row
    hilmix: str
    dataset: Dataset
    wording: Wording
    consent: Text
    instructions: dict[Task, Text]
    thanks: Text
    completion_code: Text | None
    settings: Settings
    checks: dict[Task, tuple[Check, ...]]
    stimuli: tuple[Stimulus, ...] = Field(min_length=1)
    batches: tuple[Batch, ...] = Field(min_length=1)
    language: Annotated[str, StringConstraints(pattern=LANGUAGE)] = "en"
    words: dict[str, Text] = {}
    contact: Text | None = None
    minutes: int | None = Field(default=None, ge=1)
    pay: Text | None = None
    completion_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=2000)] | None = None
    examples: dict[Task, Example] = {}

    @model_validator(mode="after")
    def _parts_refer_to_each_other(self) -> Self:
        # The first only: later ones often follow from it.
        for problem in _problems(self):
            raise ValueError(problem)
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the batches, each once, in their usual order."""
        there = {batch.task for batch in self.batches}
        return tuple(task for task in TASKS if task in there)

    @property
    def page_words(self) -> dict[str, str]:
        """Everything that the pages say by themselves: shipped words of the language, and those of the study."""
        shipped = take_page_words(read_language(self.language)) if self.language in LANGUAGES else {}
        return shipped | self.words

    @property
    def direction(self) -> str:
        """``rtl`` where the language is written from right to left, else ``ltr``."""
        return find_direction(self.language)

    @property
    def statements(self) -> tuple[str, ...]:
        """Statements that a participant must tick: the lines ``- [ ] ...`` of the consent."""
        return find_statements(self.consent)

    @property
    def consent_text(self) -> str:
        """The consent without the statements."""
        return _STATEMENT.sub("", self.consent).strip()


def find_statements(consent: str) -> tuple[str, ...]:
    """Returns the lines ``- [ ] ...`` of a consent, without their marks."""
    return tuple(_STATEMENT.findall(consent))


def _problems(study: Manifest) -> Iterator[str]:
    """Yields the contradictions between fields."""
    if not study.statements:
        yield "consent has no statement to agree to; write at least one as a line '- [ ] I agree ...'"
    for task in study.tasks:
        for name in ("instructions", "checks"):
            if not getattr(study, name).get(task):
                yield f"{name}.{task} is missing or empty; there are batches of this task"
    yield from _word_problems(study)
    for place, shown in enumerate(study.stimuli):
        where, num_items, k = f"stimuli[{place}]", study.dataset.num_items, len(study.dataset.classes)
        if shown.id != place:
            yield f"{where}.id must be {place}, its place in the list, got {shown.id}"
        for name, size in (("id1", num_items), ("id2", num_items), ("label1", k), ("label2", k)):
            if getattr(shown, name) >= size:
                yield f"{where}.{name} must be in [0, {size - 1}], got {getattr(shown, name)}"
        if shown.suggested is not None and shown.suggested >= k:
            yield f"{where}.suggested must be in [0, {k - 1}], got {shown.suggested}"
    seen: set[int] = set()
    for place, batch in enumerate(study.batches):
        if batch.id != place:
            yield f"batches[{place}].id must be {place}, its place in the list, got {batch.id}"
        earlier: dict[int, Trial] = {}
        for row, trial in enumerate(batch.trials):
            where = f"batches[{place}].trials[{row}]"
            if trial.id in seen:
                yield f"{where}.id must differ from those of earlier trials, got {trial.id}"
            if row and _ORDER[batch.trials[row - 1].kind] > _ORDER[trial.kind]:
                yield f"{where}.kind is {trial.kind} after {batch.trials[row - 1].kind}; practice first, repeats last"
            yield from _trial_problems(study, batch.task, trial, earlier, where)
            seen.add(trial.id)
            earlier[trial.id] = trial


def _word_problems(study: Manifest) -> Iterator[str]:
    for fault in find_faults(study.words, complete=False):
        yield f"words: {fault}"
    for key in take_page_words(read_language("en")):
        if key not in study.page_words:
            yield f"words.{key} is missing; hilmix has no words of its own in the language '{study.language}'"


def _trial_problems(study: Manifest, task: Task, trial: Trial, earlier: dict[int, Trial], where: str) -> Iterator[str]:
    if trial.stimulus >= len(study.stimuli):
        yield f"{where}.stimulus must be in [0, {len(study.stimuli) - 1}], got {trial.stimulus}"
        return
    shown = study.stimuli[trial.stimulus]
    if shown.task != task:
        yield f"{where}.stimulus must be of task {task}, as the batch is, got one of task {shown.task}"
    if trial.kind == "catch" and shown.right_weight is None:
        yield f"{where}.kind is catch, but stimulus {shown.id} has no known answer (weight 0 or 1, or one real mix)"
    original = None if trial.of is None else earlier.get(trial.of)
    shows_it_again = original is not None and original.kind == "main" and original.stimulus == trial.stimulus
    if trial.kind == "repeat" and not shows_it_again:
        yield f"{where}.of must be a main trial of the batch with the same stimulus, got {trial.of}"
    if trial.kind != "repeat" and trial.of is not None:
        yield f"{where}.of must be null, as only repeats have it, got {trial.of}"
    if (task == "construct") != (trial.start is not None):
        yield f"{where}.start must be a number in task construct, null in the others, got {trial.start}"
    elif trial.start is not None and trial.start not in (shown.weights or ()):
        yield f"{where}.start must be one of the weights {list(shown.weights or ())}, got {trial.start}"


def read_manifest(folder: Path | str) -> Manifest:
    """Reads and checks ``study.json``.

    Args:
        folder: of the study.

    Raises:
        DataError: one sentence that names the file, the field, what was found and what is allowed.
    """
    file = Path(folder) / MANIFEST
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"Cannot read {file}: {error.strerror}. Give the folder of a study, or make one with hilmix elicit build."
        ) from error
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{file}: {_describe(error)}.") from error


def write_manifest(study: Manifest, folder: Path | str) -> Path:
    """Writes ``study.json``, indented for editing by hand; returns the file."""
    file = Path(folder) / MANIFEST
    file.write_text(study.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return file


def hash_manifest(folder: Path | str) -> str:
    """Returns the hash of the bytes of ``study.json``, by which answers know their study."""
    # Bytes, not content: any edit after serving counts.
    return hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest()


def _describe(error: ValidationError) -> str:
    """The first problem: field, what was found, what is allowed."""
    first = error.errors(include_url=False)[0]
    where, kind = _path(first["loc"]), first["type"]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if kind == "json_invalid":
        return f"it is not valid JSON: {first['ctx']['error']}"
    if kind == "value_error":
        return (f"{where}: " if where else "") + str(first["ctx"]["error"]) + more
    if kind == "missing":
        return f"{where} is missing{more}"
    if kind == "extra_forbidden":
        return f"{where} is not a field of a study; remove it, or correct its name{more}"
    # pydantic begins with "Input should".
    rule = re.sub(r"^\w+ should", "must", first["msg"])
    return f"{where} {rule}, got {_shown(first['input'])}{more}"


def _path(loc: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
