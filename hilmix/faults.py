"""Faults of a data folder: all of them, grouped, and one error that carries the list."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import numpy as np

from hilmix.errors import DataError

ROWS_SHOWN = 5
_FAULTS_SHOWN = 3
_LIKELY_MISTAKES = (
    "similar-names",
    "no-common-class",
    "no-annotations",
    "silent-annotators",
    "unannotated-split",
    "unused-classes",
    "missing-image",
)


@dataclass(frozen=True)
class Fault:
    """One kind of mistake in one place of a data folder, or, as a note, what a user should know about it.

    Args:
        kind: short stable name of the kind, such as ``empty`` or ``unknown-name``.
        file: the file, or the folder where no file of it is meant.
        where: column or key; empty where the whole file is meant.
        found: what was found, the first cases of it.
        expected: what must be; empty where ``found`` says it.
        remedy: what to do.
        rows: the first rows concerned, from 0 below the header; empty where rows do not apply.
        count: how often it was found, at least 1.
    """

    kind: str
    file: str
    where: str = ""
    found: str = ""
    expected: str = ""
    remedy: str = ""
    rows: tuple[int, ...] = ()
    count: int = 1

    def sentence(self) -> str:
        """File, column, first row and count; what was found and what must be; the remedy."""
        place = self.file + (f", column '{self.where}'" if self.rows and self.where else "")
        place += f", '{self.where}'" * bool(self.where and not self.rows)
        if self.rows:
            place += f", row{'s' * (self.count > 1)} {', '.join(map(str, self.rows))}"
            place += f" and {self.count - len(self.rows):,} more" * (self.count > len(self.rows))
        text = f"{place}: {self.found}" + (f"; expected {self.expected}" * bool(self.expected))
        return text + "." * (not text.endswith(".")) + f" {self.remedy}" * bool(self.remedy)

    @property
    def title(self) -> str:
        """First word of the printed line: ``warning:`` for a likely mistake, ``note:`` for what was understood."""
        return "warning:" if self.kind in _LIKELY_MISTAKES else "note:"

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self) | {"rows": list(self.rows)}


def group_faults(cases: Iterable[tuple[str, str, int]], file: Path | str, where: str = "") -> list[Fault]:
    """Returns one fault for each kind, with the text of its first case and the rows of all.

    Args:
        cases: kind, text and row of each.
        file: that the rows are of.
        where: column.
    """
    rows: dict[str, list[int]] = {}
    first: dict[str, str] = {}
    for kind, text, row in cases:
        rows.setdefault(kind, []).append(row)
        first.setdefault(kind, text)
    return [_made(kind, file, where, found=first[kind], rows=rows[kind]) for kind in rows]


class FaultyDataError(DataError):
    """A data folder with faults; its text shows the first few and the number of the others.

    Args:
        root: the folder.
        faults: all of them, at least one.
        notes: what else a user should know.
    """

    def __init__(self, root: Path | str, faults: Sequence[Fault], notes: Sequence[Fault] = ()) -> None:
        self.root, self.faults, self.notes = str(root), tuple(faults), tuple(notes)
        shown = [fault.sentence() for fault in self.faults[:_FAULTS_SHOWN]]
        if len(self.faults) == 1:
            super().__init__(shown[0])
            return
        lines = [f"{self.root} has {len(self.faults)} kinds of faults:", *(f"  - {text}" for text in shown)]
        if hidden := len(self.faults) - len(shown):
            more = f"; hilmix data check {self.root} lists them all" * Path(self.root).is_dir()
            lines.append(f"  and {hidden} more{more}.")
        super().__init__("\n".join(lines))


class Details(TypedDict, total=False):
    """Keyword arguments of :meth:`Findings.fault` and :meth:`Findings.note`."""

    found: Required[str]
    expected: str
    remedy: str
    rows: Iterable[int] | np.ndarray
    count: int | None


class Findings:
    """Collects faults and notes while a folder is read, so that reading need not stop at the first.

    Example:
        >>> found = Findings()
        >>> found.fault("empty", "items.csv", "item", found="no name", remedy="Fill it in.", rows=[2, 7])
        >>> [fault.count for fault in found.faults], bool(found.notes)
        ([2], False)
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.notes: list[Fault] = []

    def fault(self, kind: str, file: Path | str, where: str = "", **details: Unpack[Details]) -> None:
        """Adds a fault; arguments as of :class:`Fault`, ``rows`` all rows concerned, ``count`` by default of these."""
        self.faults.append(_made(kind, file, where, **details))

    def note(self, kind: str, file: Path | str, where: str = "", **details: Unpack[Details]) -> None:
        """Adds a note, which refuses nothing; arguments as of :meth:`fault`."""
        self.notes.append(_made(kind, file, where, **details))

    @contextmanager
    def catch(self, kind: str, file: Path | str, where: str = "") -> Iterator[None]:
        """Turns a DataError that is raised inside into faults, so that what follows is examined too."""
        try:
            yield
        except FaultyDataError as error:
            # One by one, and not as one text: what was found deeper keeps its own file, column and rows.
            self.faults += error.faults
            self.notes += error.notes
        except DataError as error:
            text = str(error).removeprefix(f"{file}: ").removeprefix(f"{file}, ")
            self.fault(kind, file, where, found=text)

    def raise_if_any(self, root: Path | str) -> None:
        """Refuses the folder if anything is wrong with it.

        Args:
            root: the folder, for the message.

        Raises:
            FaultyDataError: with every fault found so far, if there is one.
        """
        if self.faults:
            raise FaultyDataError(root, self.faults, self.notes)


def _made(
    kind: str,
    file: Path | str,
    where: str,
    *,
    found: str,
    expected: str = "",
    remedy: str = "",
    rows: Iterable[int] | np.ndarray = (),
    count: int | None = None,
) -> Fault:
    listed = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64)
    # The first few alone: a column of a million faults would make a message, and a JSON, of a million numbers.
    first = tuple(int(row) for row in listed[:ROWS_SHOWN])
    return Fault(
        kind, str(file), where, found, expected, remedy, first, max(1, len(listed)) if count is None else count
    )
