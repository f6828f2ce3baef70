"""The terminal: the only place that prints through rich, so that names are shown as they are, whole and harmless.

rich reads markup in text (``[/x]`` raises, ``[small]`` vanishes), cuts cells at the width of the window and passes
control sequences on. Everything that is printed here is literal: see :func:`~hilmix.names.printable`.
"""

import os
import re
import select
import sys
from collections.abc import Iterable
from io import TextIOWrapper, UnsupportedOperation
from typing import Any, TextIO

from rich.console import Console as Console, RenderableType as RenderableType
from rich.table import Table
from rich.text import Text

from hilmix.faults import Fault
from hilmix.names import printable

_UNLIMITED = 10_000
"""Columns of an output that is no window, such as a pipe: one line of text stays one line there."""
_WORKER = re.compile(r"Caught (\w+) in DataLoader worker process \d+\.\nOriginal Traceback")
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Variables in which torchrun, SLURM and Lightning keep the rank of this process."""


def terminal(*, stderr: bool = False) -> Console:
    """Returns the console of a command; characters that its encoding lacks are printed as escapes."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNLIMITED
    return console


def leave_closed_pipe() -> bool:
    """Sends further output nowhere where the reader of stdout or stderr is gone.

    Returns:
        Whether one of them is; otherwise a BrokenPipeError is not of the terminal.
    """
    closed = [stream for stream in (sys.stdout, sys.stderr) if _lacks_reader(stream)]
    for stream in closed:  # what is left in their buffers would raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(closed)


def _lacks_reader(stream: "TextIO | None") -> bool:
    if stream is None:
        return False
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except UnsupportedOperation:  # not a file, as in tests and notebooks
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def literal(*parts: "object | tuple[object, str]") -> Text:
    """Returns one line of text.

    Args:
        parts: names and other text, or pairs of these and a style such as ``bold``.
    """
    pairs = [part if isinstance(part, tuple) else (part, "") for part in parts]
    return Text.assemble(*((printable(text), style) for text, style in pairs), overflow="fold")


def say(console: Console, *lines: "str | Text") -> None:
    """Prints lines, each as it is; longer ones are left to the terminal to wrap."""
    for line in lines:
        console.print(line if isinstance(line, Text) else literal(line), soft_wrap=True)


def warn(console: Console, text: str, *, title: str = "warning:") -> None:
    """Prints a line with a coloured title."""
    say(console, literal((title, "yellow"), " ", text))


def say_notes(console: Console, notes: Iterable[Fault]) -> None:
    """Prints what a user should know about data that were read, one line each."""
    for note in notes:
        warn(console, note.sentence(), title=note.title)


def refuse(error: Exception) -> int:
    """Prints the one message of an error of input on stderr and returns the exit code, 2.

    Of several processes that raise the same error, the first prints the line that begins with ``error:``.
    """
    rank = int(next((os.environ[name] for name in _RANKS if name in os.environ), "0"))
    start = f"[rank: {rank}] error: " if rank else "error: "
    print(start + "\n".join(map(printable, _message(error).split("\n"))), file=sys.stderr)
    return 2


def _message(error: Exception) -> str:
    """The text of an error, without the traceback that a process of PyTorch's data loader puts around it."""
    text = str(error)
    if (worker := _WORKER.match(text)) is None:
        return text
    return re.split(rf"^(?:[\w.]+\.)?{worker[1]}: ", text, flags=re.MULTILINE)[-1].strip()


class Grid(Table):
    """A table whose headers and cells are literal and fold where the window is too narrow.

    Args:
        headers: of the columns; further ones by ``add_column``.
        right: headers of columns that hold numbers.
        settings: of rich's table; by default no lines are drawn.
    """

    def __init__(self, *headers: str, right: "tuple[str, ...]" = (), **settings: Any) -> None:
        super().__init__(**({"box": None, "header_style": "bold"} | settings))
        for header in headers:
            self.add_column(header, justify="right" if header in right else "left")

    def add_column(self, header: RenderableType = "", footer: RenderableType = "", **settings: Any) -> None:
        super().add_column(_cell(header), _cell(footer), **({"overflow": "fold"} | settings))

    def add_row(self, *cells: "RenderableType | None", **settings: Any) -> None:
        super().add_row(*map(_cell, cells), **settings)


def pairs(rows: "dict[str, str] | list[tuple[str, str]]") -> Grid:
    """Returns a table of keys and values without a header."""
    grid = Grid("", "", show_header=False)
    for key, value in rows.items() if isinstance(rows, dict) else rows:
        grid.add_row(key, value)
    return grid


def _cell(content: "RenderableType | None") -> RenderableType:
    return literal("" if content is None else content) if content is None or isinstance(content, str) else content
