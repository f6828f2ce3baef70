"""From data to a study folder: pairs, weights, pictures, batches, texts. The same seed gives the same study."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

import hilmix
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.design import texts
from hilmix.human.elicit.design.chosen import ChosenMixes
from hilmix.human.elicit.design.images import Mix, check_images, hash_data, write_images
from hilmix.human.elicit.design.items import check_showable, find_usable_labels
from hilmix.human.elicit.design.manifest import IMAGES, Manifest, find_statements, read_manifest, write_manifest
from hilmix.human.elicit.design.pairs import DoubleArray, IntArray
from hilmix.human.elicit.design.schema import (
    MIDPOINT_TASKS,
    Batch,
    Dataset,
    Example,
    Kind,
    Settings,
    Stimulus,
    Task,
    Trial,
)
from hilmix.human.elicit.design.settings import Design, StudyMixes, assign_batches, draw_mixes, draw_trial_ids
from hilmix.human.elicit.design.words import read_language, take_page_words
from hilmix.types import UNKNOWN

OFFERED = tuple(i / 10 for i in range(11))
"""Weights of the midpoint tasks."""
CATCH_OFFERED = (0.0, 0.02, 0.04, 0.06, 0.08, 0.5, 0.92, 0.94, 0.96, 0.98, 1.0)
"""Weights of their catch trials: one real mix among images that show one class."""

EXAMPLE_WEIGHT = 0.7
_EXAMPLE_WEIGHTS: dict[Task, float] = {"construct": 0.5, "select": 0.5}


class OwnTexts(NamedTuple):
    """Texts of a study's own, Markdown, instead of those of :mod:`hilmix.human.elicit.design.texts`."""

    consent: str | None = None
    instructions: Mapping[Task, str] = {}
    completion_code: str | None = None
    completion_url: str | None = None
    language: str = "en"
    words: Mapping[str, str] | None = None
    """Complete messages of another language, as :func:`hilmix.human.elicit.design.words.read_words` gives them."""
    contact: str | None = None
    minutes: int | None = None
    pay: str | None = None

    @property
    def messages(self) -> Mapping[str, str]:
        """The words of the study: its own, or those shipped in its language."""
        return self.words or read_language(self.language)


class _Shown(NamedTuple):
    """A stimulus before its pictures are written."""

    id: int
    task: Task
    first: int
    second: int
    weights: tuple[float, ...]

    @property
    def mixes(self) -> list[Mix]:
        return [Mix(self.first, self.second, weight) for weight in self.weights]


def build_study(
    data: AnnotatedData,
    folder: Path | str,
    design: Design,
    *,
    probs: DoubleArray | None = None,
    own: OwnTexts | None = None,
    chosen: ChosenMixes | None = None,
) -> Manifest:
    """Writes a study folder atomically, reads it back, and returns its manifest.

    Args:
        data: images with targets or votes; where they have a split, the training items are shown.
        folder: to be made; its name is the name of the study.
        design: how many of what.
        probs: optional (N, K) float64 class probabilities, NaN where not predicted, as
            :func:`hilmix.human.elicit.design.items.read_probs` gives them: the pairs are those the model is least sure
            about.
        own: texts of the study's own.
        chosen: the mixes to show, ``design.pairs`` of them, instead of drawn ones.

    Raises:
        DataError: if the data cannot be shown or are too few, the folder is there, or the consent asks for nothing.
    """
    folder, own = Path(folder), own or OwnTexts()
    if own.consent is not None and not find_statements(own.consent):
        raise DataError("The consent has no statement to agree to; write at least one as a line '- [ ] I agree ...'.")
    check_showable(data)
    label = find_usable_labels(data)
    drawn = draw_mixes(design, label, probs, classes=data.classes, chosen=chosen)
    with whole_study(folder) as partial:
        stimuli = _write_stimuli(data, label, _shown(design, drawn), partial / IMAGES, design.seed)
        examples = _write_examples(data, label, design, drawn, own, partial / IMAGES)
        write_manifest(_manifest(data, design, drawn, stimuli, own, name=folder.name, examples=examples), partial)
    return read_manifest(folder)


@contextmanager
def whole_study(folder: Path) -> Iterator[Path]:
    """A study folder that bears its name only when it is complete and was read back.

    Raises:
        DataError: if the folder is there, or cannot be written.
    """
    if folder.exists():
        raise DataError(f"'{folder}' exists already. Remove it, or choose another folder.")
    # Hidden, beside the target so that rename stays in one file system, and named by process against two builds at
    # once.
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / IMAGES).mkdir(parents=True)
        yield partial
        # What was written, not what was meant, before the folder bears its name.
        check_images(read_manifest(partial), partial)
        partial.rename(folder)
    except OSError as error:
        raise DataError(f"Cannot write {folder}: {error.strerror or error}. Choose a writable folder.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _shown(design: Design, drawn: StudyMixes) -> list[_Shown]:
    """Every stimulus; those of a task follow each other in the order of the draw: main, practice, catch."""
    known, number = design.pairs + design.practice, count()
    out = []
    for task in design.tasks:
        for row, (a, b, weight) in enumerate(zip(*drawn.pairs, drawn.weight, strict=True)):
            offered: tuple[float, ...] = (float(weight),)
            if task in MIDPOINT_TASKS:
                offered = OFFERED if row < known else CATCH_OFFERED
            out.append(_Shown(next(number), task, int(a), int(b), offered))
    return out


def _write_stimuli(
    data: AnnotatedData, label: IntArray, shown: Sequence[_Shown], folder: Path, seed: int
) -> tuple[Stimulus, ...]:
    written = write_images(data, (mix for stimulus in shown for mix in stimulus.mixes), folder, seed=seed)

    def stimulus(s: _Shown) -> Stimulus:
        pictures, midpoint = [written[mix] for mix in s.mixes], s.task in MIDPOINT_TASKS
        return Stimulus(
            id=s.id,
            task=s.task,
            id1=s.first,
            id2=s.second,
            item1=data.items[s.first],
            item2=data.items[s.second],
            label1=int(label[s.first]),
            label2=int(label[s.second]),
            weight=None if midpoint else s.weights[0],
            weights=s.weights if midpoint else None,
            images=tuple(picture.name for picture in pictures),
            sha256=tuple(picture.sha256 for picture in pictures),
        )

    return tuple(map(stimulus, shown))


def _write_examples(
    data: AnnotatedData, label: IntArray, design: Design, drawn: StudyMixes, own: OwnTexts, folder: Path
) -> dict[Task, Example]:
    """An example of each task: images that no trial shows where there are any, else those of the practice."""
    free = label.copy()
    free[np.concatenate(drawn.pairs)] = UNKNOWN
    rows = np.flatnonzero(free >= 0)
    rest = rows[free[rows] != free[rows[:1]]] if len(rows) else rows
    if not len(rest):
        if not design.practice:
            return {}
        rows, rest = (one[design.pairs : design.pairs + 1] for one in drawn.pairs)
    first, second = int(rows[0]), int(rest[0])
    mixes = {
        task: Mix(first, first if design.single_images else second, _EXAMPLE_WEIGHTS.get(task, EXAMPLE_WEIGHT))
        for task in design.tasks
    }
    if design.single_images:
        mixes = {task: mix._replace(weight=1.0) for task, mix in mixes.items()}
    written = write_images(data, mixes.values(), folder, seed=design.seed)
    names = [data.classes[label[row]] for row in (first, second)]
    return {
        task: Example(
            image=written[mix].name,
            sha256=written[mix].sha256,
            text=texts.build_example(task, mix.weight, *map(escape, names), words=own.messages),
        )
        for task, mix in mixes.items()
    }


def _manifest(
    data: AnnotatedData,
    design: Design,
    drawn: StudyMixes,
    stimuli: tuple[Stimulus, ...],
    own: OwnTexts,
    *,
    name: str,
    examples: dict[Task, Example],
) -> Manifest:
    words = own.messages
    minutes = own.minutes or texts.estimate_minutes(design.tasks, trials=design.trials)
    instructions = {
        task: texts.build_instructions(
            task, design.wording, trials=design.trials, practice=design.practice, words=words
        )
        for task in design.tasks
    }
    dataset = Dataset(
        name=data.name,
        licence=data.licence,
        num_items=len(data),
        classes=data.classes,
        sha256=hash_data(data, np.concatenate(drawn.pairs)),
    )
    return Manifest(
        name=name,
        seed=design.seed,
        hilmix=hilmix.__version__,
        dataset=dataset,
        wording=design.wording,
        consent=own.consent
        or texts.build_consent(design.wording, trials=design.trials, minutes=minutes, contact=own.contact, words=words),
        instructions=instructions | dict(own.instructions),
        thanks=words["text.thanks"],
        completion_code=own.completion_code,
        settings=Settings(target_judgments=design.judgments, practice_feedback=True),
        checks={task: texts.build_checks(task, design.wording, words=words) for task in design.tasks},
        stimuli=stimuli,
        batches=_batches(design, drawn, stimuli),
        language=own.language,
        words=take_page_words(words),
        contact=own.contact,
        minutes=minutes,
        pay=own.pay,
        completion_url=own.completion_url,
        examples=examples,
    )


def escape(name: str) -> str:
    """Returns a name as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&.-])", r"\\\1", name)


def _batches(design: Design, drawn: StudyMixes, stimuli: tuple[Stimulus, ...]) -> tuple[Batch, ...]:
    batches: list[Batch] = []
    number = iter(draw_trial_ids(design))
    for place, task in enumerate(design.tasks):
        offset = place * len(drawn.weight)
        for main in assign_batches(design, drawn, task):
            trials = _trials(design, (offset + main).tolist(), offset + design.pairs, stimuli, number)
            batches.append(Batch(id=len(batches), task=task, trials=trials))
    return tuple(batches)


def _trials(
    design: Design, main: list[int], others: int, stimuli: tuple[Stimulus, ...], number: Iterator[int]
) -> tuple[Trial, ...]:
    """The trials of one batch; ``others`` is the first stimulus for practice, which those of the catch trials follow.

    Repeats show main trials again that lie evenly in the batch.
    """
    catch = others + design.practice

    def trials(kind: Kind, shown: Sequence[int]) -> list[Trial]:
        return [
            Trial(id=next(number), stimulus=s, kind=kind, of=None, start=_start(stimuli[s], row))
            for row, s in enumerate(shown)
        ]

    first = trials("practice", range(others, catch))
    body = trials("main", main)
    known = trials("catch", range(catch, catch + design.catch))
    # Evenly spread, ends left out.
    again = [body[(r + 1) * len(body) // (design.repeats + 1)] for r in range(design.repeats)]
    last = [Trial(id=next(number), stimulus=t.stimulus, kind="repeat", of=t.id, start=t.start) for t in again]
    return (*first, *body, *known, *last)


def _start(shown: Stimulus, row: int) -> float | None:
    """Task construct: in turn the second and the second to last weight, as .1 and .9 in H-Mix."""
    if shown.task != "construct" or shown.weights is None:
        return None
    return shown.weights[-2] if row % 2 else shown.weights[1]
