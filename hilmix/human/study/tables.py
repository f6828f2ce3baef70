"""The two tables of a study, stimuli and judgments. Columns are aligned, checked, read-only."""

from collections.abc import Collection, Mapping
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
"""Tasks in which a pair of images is shown at many weights and the participant picks one."""
DoubleArray = NDArray[np.float64]
T = TypeVar("T")
_ANY = np.iinfo(np.int64).max
_ANSWER: dict[Task, tuple[str, ...]] = {
    "construct": ("weight", "start"),
    "select": ("weight",),
    "infer": ("weight", "confidence"),
    "categorical": ("top", "top_percent", "second", "second_percent", "impossible"),
}
_OPTIONAL = ("seconds", "repeat", "batch")


@dataclass(frozen=True, eq=False)
class Stimuli:
    """S stimuli: the mix ``weight * image 1 + (1 - weight) * image 2``; in the midpoint tasks, the pair.

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
        repeat: (L,) bool, a trial shown once more at the end of the session, to see how steady the participant is. A
            pair may also come twice by accident of the design; such judgments are not flagged.
        trial: (L,) int64 from 0, order within the session.
        batch: (L,) int64 from 0, which list of trials the participant was given, counted over all collection waves.
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


def build_stimuli_table(task: Task, columns: Mapping[str, Any], *, num_classes: int, num_items: int) -> Stimuli:
    """Returns the checked table; see :meth:`~hilmix.human.study.study.MixStudy.build`."""
    pairs = task in MIDPOINT_TASKS
    _check_columns("stimuli", columns, ("name", "id1", "id2", "label1", "label2", *(() if pairs else ("weight",))))
    name = check_different_names(columns["name"], "stimuli name")
    shown = Stimuli(
        name=name,
        id1=whole_numbers(columns["id1"], "stimuli id1", num_items),
        id2=whole_numbers(columns["id2"], "stimuli id2", num_items),
        label1=whole_numbers(columns["label1"], "stimuli label1", num_classes),
        label2=whole_numbers(columns["label2"], "stimuli label2", num_classes),
        weight=np.full(len(name), np.nan) if pairs else _bounded(columns["weight"], "stimuli weight", 1.0),
    )
    _check_lengths("stimuli", shown, len(name))
    return frozen(shown)


def build_judgments_table(
    task: Task, columns: Mapping[str, Any], *, num_participants: int, num_stimuli: int, num_classes: int
) -> Judgments:
    """Returns the checked table; see :meth:`~hilmix.human.study.study.MixStudy.build`."""
    _check_columns("judgments", columns, ("participant", "stimulus", "trial", *_ANSWER[task]), _OPTIONAL)
    rows = len(columns["participant"])
    empty = np.full(rows, np.nan)
    judgments = Judgments(
        participant=whole_numbers(columns["participant"], "judgments participant", num_participants),
        stimulus=whole_numbers(columns["stimulus"], "judgments stimulus", num_stimuli),
        weight=empty if task == "categorical" else _bounded(columns["weight"], "judgments weight", 1.0),
        # A copy, or two columns would share memory.
        confidence=_bounded(columns["confidence"], "judgments confidence", 1.0) if task == "infer" else empty.copy(),
        seconds=bounded_numbers(columns.get("seconds", empty), "judgments seconds", np.inf),
        repeat=np.array(columns.get("repeat", np.zeros(rows)), dtype=bool),
        trial=whole_numbers(columns["trial"], "judgments trial", _ANY),
        batch=whole_numbers(columns.get("batch", np.zeros(rows)), "judgments batch", _ANY),
        start=_bounded(columns["start"], "judgments start", 1.0) if task == "construct" else None,
        answers=_answers(columns, rows, num_classes) if task == "categorical" else None,
    )
    _check_lengths("judgments", judgments, rows)
    twice = pd.MultiIndex.from_arrays([judgments.participant, judgments.trial]).duplicated()
    if twice.any():
        raise DataError(
            f"judgments trial, row {int(twice.argmax())}: must differ from other trials of the participant, got "
            f"{judgments.trial[int(twice.argmax())]} again."
        )
    return frozen(judgments)


def _answers(columns: Mapping[str, Any], rows: int, num_classes: int) -> ClassAnswers:
    second = np.asarray(columns["second"])
    # -1 means no alternative and lies outside the range that is checked.
    known = whole_numbers(np.where(second == -1, 0, second), "judgments second", num_classes)
    typed = _bounded(columns["second_percent"], "judgments second_percent", 100.0, optional=True)
    impossible = np.array(columns["impossible"], dtype=bool)
    if impossible.shape != (rows, num_classes):
        raise DataError(f"judgments impossible must have the shape {(rows, num_classes)}, got {impossible.shape}.")
    if len(typed) != len(second):
        raise DataError(f"judgments second_percent must have {len(second)} rows, as second has, got {len(typed)}.")
    return ClassAnswers(
        top=whole_numbers(columns["top"], "judgments top", num_classes),
        top_percent=_bounded(columns["top_percent"], "judgments top_percent", 100.0),
        second=np.where(second == -1, -1, known),
        second_percent=np.where(second == -1, np.nan, typed),
        impossible=impossible,
    )


def _bounded(values: ArrayLike, name: str, top: float, *, optional: bool = False) -> DoubleArray:
    """(L,) float64 in [0, top], where ``optional`` also NaN."""
    bounded_numbers(values, name, top)  # in float32, which would not give back what was typed
    numbers = np.array(values, dtype=np.float64).reshape(-1)
    empty = np.flatnonzero(np.isnan(numbers))
    if len(empty) and not optional:
        raise DataError(f"{name}, row {empty[0]}: must be in [0, {top}], got an empty cell.")
    return numbers


def check_different_names(values: Any, what: str) -> tuple[str, ...]:
    """Returns the names as text.

    Raises:
        DataError: if one is there twice.
    """
    names = pd.Index(list(map(str, values)))
    if names.has_duplicates:
        raise DataError(f"{what}: '{names[names.duplicated()][0]}' occurs more than once.")
    return tuple(names)


def _check_columns(
    table: str, columns: Mapping[str, Any], required: Collection[str], optional: Collection[str] = ()
) -> None:
    if missing := [name for name in required if name not in columns]:
        raise DataError(f"{table} lack the column(s) {missing}; found {list(columns)}.")
    if unknown := [name for name in columns if name not in (*required, *optional)]:
        raise DataError(f"{table} have the column(s) {unknown}; this task allows {[*required, *optional]}.")


def _check_lengths(table: str, part: Any, rows: int) -> None:
    for name, values in _columns(part).items():
        if is_dataclass(values):
            _check_lengths(table, values, rows)
        elif len(values) != rows:
            raise DataError(f"{table} {name} must have {rows} rows, got {len(values)}.")


def _columns(part: Any) -> dict[str, Any]:
    """The columns that a table has, by name."""
    return {f.name: getattr(part, f.name) for f in fields(part) if getattr(part, f.name) is not None}


def frozen(part: T) -> T:
    """The same table, its arrays read-only."""
    for values in _columns(part).values():
        if is_dataclass(values):
            frozen(values)
        elif isinstance(values, np.ndarray):
            # A frozen dataclass protects its fields, not the content of its arrays.
            values.setflags(write=False)
    return part


def take_rows(part: T, keep: NDArray[np.bool_]) -> T:
    """The same judgments, or answers, without the other rows."""
    cut = {name: take_rows(v, keep) if is_dataclass(v) else v[keep] for name, v in _columns(part).items()}
    # Indexing makes new arrays, which are writable again.
    return frozen(replace(part, **cut))  # type: ignore[type-var]
