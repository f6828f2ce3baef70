"""One study of mixed images: what was shown, and what each person said about it. Participants stay apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.columns import FloatArray, IntArray, bounded_numbers, whole_numbers
from hilmix.errors import DataError

Task = Literal["construct", "select", "infer", "categorical"]
TASKS: tuple[Task, ...] = get_args(Task)
MIDPOINT_TASKS: tuple[Task, ...] = ("construct", "select")
"""Tasks in which a pair of images is shown at many weights and the person picks one."""
DoubleArray = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Stimuli:
    """What was shown, S rows: the mix ``weight * image 1 + (1 - weight) * image 2``; in the midpoint tasks, the pair.

    Args:
        name: S different names.
        id1: (S,) int64 in [0, num_items), the item that image 1 is.
        id2: (S,) int64, the same of image 2.
        label1: (S,) int64 in [0, K), the class of image 1.
        label2: (S,) int64, the same of image 2.
        weight: (S,) float64 in [0, 1], the generating weight of image 1; NaN in the midpoint tasks.
    """

    name: tuple[str, ...]
    id1: IntArray
    id2: IntArray
    label1: IntArray
    label2: IntArray
    weight: DoubleArray

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True, eq=False)
class ClassAnswers:
    """The raw answers of the categorical task, one row per judgment.

    Nothing is mended: percents need not add up, ``second`` may equal ``top``, a named class may be ticked impossible.

    Args:
        top: (L,) int64 in [0, K), the most probable class.
        top_percent: (L,) float64 in [0, 100].
        second: (L,) int64, the alternative; -1 for "no alternative".
        second_percent: (L,) float64 in [0, 100]; NaN where none was typed or there is no alternative.
        impossible: (L, K) bool, the classes ticked as impossible.
    """

    top: IntArray
    top_percent: DoubleArray
    second: IntArray
    second_percent: DoubleArray
    impossible: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judgments:
    """One row per answer, L rows, in the order of the file.

    Args:
        participant: (L,) int64 in [0, P).
        stimulus: (L,) int64 in [0, S).
        weight: (L,) float64 in [0, 1], the answer as weight of image 1; NaN in the categorical task. Where sliders
            start in the middle, 0.5 with confidence 0.5 may be an answer or a page that was never touched.
        confidence: (L,) float64 in [0, 1]; stated in the infer task, NaN in the others.
        seconds: (L,) float32, time on the page, NaN where not measured.
        repeat: (L,) bool, a trial shown once more at the end of the session, to see how steady the person is. A pair
            may also come twice by accident of the design; such judgments are not flagged.
        trial: (L,) int64 from 0, order within the session.
        batch: (L,) int64 from 0, the sessions with equal trials, over all collection waves.
        start: (L,) float64 in [0, 1], the weight that was shown first; construct task only.
        answers: categorical task only.
    """

    participant: IntArray
    stimulus: IntArray
    weight: DoubleArray
    confidence: DoubleArray
    seconds: FloatArray
    repeat: NDArray[np.bool_]
    trial: IntArray
    batch: IntArray
    start: DoubleArray | None = None
    answers: ClassAnswers | None = None

    def __len__(self) -> int:
        return len(self.participant)


@dataclass(frozen=True, eq=False)
class MixStudy:
    """One study of mixed images, immutable; :meth:`build` checks, the bare constructor trusts.

    Args:
        task: what people were asked. ``construct``: move the weight until both classes are equally present. ``select``:
            choose that weight among pictures. ``infer``: name the weight of a mix. ``categorical``: name its classes.
        classes: K class names.
        participants: P participant names.
        num_items: size of the set of images that ``id1`` and ``id2`` point into.
        stimuli: S rows.
        judgments: L rows.
    """

    task: Task
    classes: tuple[str, ...]
    participants: tuple[str, ...]
    num_items: int
    stimuli: Stimuli
    judgments: Judgments

    @classmethod
    def build(
        cls,
        task: Task,
        *,
        classes: Sequence[str],
        participants: Sequence[str],
        num_items: int,
        stimuli: Mapping[str, ArrayLike],
        judgments: Mapping[str, Any],
    ) -> "MixStudy":
        """Returns the checked study.

        Args:
            task: one of :data:`TASKS`.
            classes: K names.
            participants: P names.
            num_items: size of the set of images.
            stimuli: columns of :class:`Stimuli`; ``weight`` may be left out in the midpoint tasks.
            judgments: columns of :class:`Judgments`, and those of :class:`ClassAnswers` beside them; what the task
                does not ask, and ``seconds``, ``repeat`` and ``batch``, may be left out.

        Raises:
            DataError: naming the column, the first bad row and what is allowed.
        """
        if task not in TASKS:
            raise DataError(f"task is '{task}'; allowed are {', '.join(TASKS)}.")
        shown = _stimuli(task, stimuli, len(classes), num_items)
        said = _judgments(task, judgments, len(participants), len(shown), len(classes))
        names, people = tuple(map(str, classes)), tuple(map(str, participants))
        return cls(task, names, people, num_items, _frozen(shown), _frozen(said))

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    def without_repeats(self) -> "MixStudy":
        """The study without the trials that were flagged as shown once more; vocabularies and stimuli stay."""
        return replace(self, judgments=_rows(self.judgments, ~self.judgments.repeat))

    def to_frame(self) -> pd.DataFrame:
        """One row per judgment: the columns of :class:`Judgments` and :class:`Stimuli`, classes, participants and
        stimuli by name, the weight of the mix that was shown as ``generating_weight``; without ``answers``.
        """
        said, shown = self.judgments, self.stimuli
        names, at = np.asarray(self.classes, dtype=object), said.stimulus
        frame = pd.DataFrame(
            {
                "participant": np.asarray(self.participants, dtype=object)[said.participant],
                "stimulus": np.asarray(shown.name, dtype=object)[at],
                "id1": shown.id1[at],
                "id2": shown.id2[at],
                "label1": names[shown.label1[at]],
                "label2": names[shown.label2[at]],
                "generating_weight": shown.weight[at],
                "weight": said.weight,
                "confidence": said.confidence,
                "seconds": said.seconds,
                "repeat": said.repeat,
                "trial": said.trial,
                "batch": said.batch,
            }
        )
        return frame if said.start is None else frame.assign(start=said.start)


def _stimuli(task: Task, columns: Mapping[str, Any], num_classes: int, num_items: int) -> Stimuli:
    name = tuple(map(str, columns["name"]))
    if len(set(name)) < len(name):
        raise DataError(f"stimuli name: '{pd.Index(name)[pd.Index(name).duplicated()][0]}' is there twice.")
    pairs = task in MIDPOINT_TASKS
    shown = Stimuli(
        name=name,
        id1=whole_numbers(columns["id1"], "stimuli id1", num_items),
        id2=whole_numbers(columns["id2"], "stimuli id2", num_items),
        label1=whole_numbers(columns["label1"], "stimuli label1", num_classes),
        label2=whole_numbers(columns["label2"], "stimuli label2", num_classes),
        weight=np.full(len(name), np.nan) if pairs else _bounded(columns["weight"], "stimuli weight", 1.0),
    )
    _check_lengths("stimuli", shown, len(name))
    return shown


def _judgments(task: Task, columns: Mapping[str, Any], people: int, num_stimuli: int, num_classes: int) -> Judgments:
    rows = len(columns["participant"])
    silent = np.full(rows, np.nan)
    said = Judgments(
        participant=whole_numbers(columns["participant"], "judgments participant", people),
        stimulus=whole_numbers(columns["stimulus"], "judgments stimulus", num_stimuli),
        weight=silent if task == "categorical" else _bounded(columns["weight"], "judgments weight", 1.0),
        confidence=_bounded(columns["confidence"], "judgments confidence", 1.0) if task == "infer" else silent.copy(),
        seconds=bounded_numbers(columns.get("seconds", silent), "judgments seconds", np.inf),
        repeat=np.array(columns.get("repeat", np.zeros(rows)), dtype=bool),
        trial=whole_numbers(columns["trial"], "judgments trial", _ANY),
        batch=whole_numbers(columns.get("batch", np.zeros(rows)), "judgments batch", _ANY),
        start=_bounded(columns["start"], "judgments start", 1.0) if task == "construct" else None,
        answers=_answers(columns, num_classes) if task == "categorical" else None,
    )
    _check_lengths("judgments", said, rows)
    twice = pd.MultiIndex.from_arrays([said.participant, said.trial]).duplicated()
    if twice.any():
        raise DataError(f"judgments trial, row {int(twice.argmax())}: the participant has this trial twice.")
    return said


def _answers(columns: Mapping[str, Any], num_classes: int) -> ClassAnswers:
    second = whole_numbers(np.asarray(columns["second"]) + 1, "judgments second + 1", num_classes + 1) - 1
    typed = _bounded(columns["second_percent"], "judgments second_percent", 100.0, optional=True)
    return ClassAnswers(
        top=whole_numbers(columns["top"], "judgments top", num_classes),
        top_percent=_bounded(columns["top_percent"], "judgments top_percent", 100.0),
        second=second,
        second_percent=np.where(second < 0, np.nan, typed),
        impossible=np.array(columns["impossible"], dtype=bool).reshape(-1, num_classes),
    )


_ANY = np.iinfo(np.int64).max


def _bounded(values: ArrayLike, name: str, top: float, *, optional: bool = False) -> DoubleArray:
    """(L,) float64 in [0, top], where ``optional`` also NaN."""
    bounded_numbers(values, name, top)  # in float32, which would not give back what was typed
    numbers = np.array(values, dtype=np.float64).reshape(-1)
    empty = np.flatnonzero(np.isnan(numbers))
    if len(empty) and not optional:
        raise DataError(f"{name}, row {empty[0]}: it is empty; allowed are 0 to {top}.")
    return numbers


def _check_lengths(table: str, part: Any, rows: int) -> None:
    for name, values in _columns(part).items():
        if is_dataclass(values):
            _check_lengths(table, values, rows)
        elif len(values) != rows:
            raise DataError(f"{table} {name} has {len(values)} rows; expected {rows}.")


def _columns(part: Any) -> dict[str, Any]:
    """The columns that a table has, by name."""
    return {f.name: getattr(part, f.name) for f in fields(part) if getattr(part, f.name) is not None}


def _frozen(part: T) -> T:
    """The same table, its arrays read-only."""
    for values in _columns(part).values():
        if is_dataclass(values):
            _frozen(values)
        elif isinstance(values, np.ndarray):
            values.setflags(write=False)
    return part


def _rows(part: T, keep: NDArray[np.bool_]) -> T:
    """The same table with some of its rows."""
    cut = {name: _rows(v, keep) if is_dataclass(v) else v[keep] for name, v in _columns(part).items()}
    return _frozen(replace(part, **cut))  # type: ignore[type-var]
