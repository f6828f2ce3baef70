"""The terminal shows names as they are, and is the only module that prints through rich."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import hilmix.cli
from hilmix.errors import DataError
from hilmix.names import printable
from hilmix.terminal import Grid, literal, pairs, refuse, say, terminal, warn
from tests.helpers import write_vectors
from tests.nasty import NASTY

PACKAGE = Path(__file__).parent.parent / "hilmix"
FILES = sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "terminal.py"})


def window(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True)


def plain(console: Console) -> str:
    """What was printed without rich's own colours."""
    text = console.file.getvalue()
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[33m"):
        text = text.replace(code, "")
    return text


@pytest.mark.parametrize("name", NASTY)
def test_lines_are_literal(name):
    console = window()
    say(console, name, literal((name, "bold"), " and ", name))
    warn(console, name)
    shown = printable(name)
    assert plain(console).splitlines() == [shown, f"{shown} and {shown}", f"warning: {shown}"]


@pytest.mark.parametrize("name", NASTY)
def test_cells_are_literal_and_whole_at_80_columns(name):
    console = window()
    table = Grid("class", name, "votes", right=("votes",))
    table.add_row(name, "x", "12.5 %")
    console.print(table)
    console.print(pairs({name: name}))
    lines = plain(console).splitlines()
    assert all(len(line) <= 80 for line in lines)
    squeezed = "".join("".join(lines).split())
    for part in printable(name).split():
        left = iter(squeezed)
        assert all(char in left for char in part)
    assert "12.5 %" in plain(console)
    assert "…" not in plain(console)


def test_long_names_fold_into_all_of_their_letters():
    console, name = window(40), "".join(chr(97 + i % 26) for i in range(300))
    table = Grid("class", "votes")
    table.add_row(name, "1.0 %")
    console.print(table)
    cells = [line[:32].strip() for line in plain(console).splitlines()[1:]]
    assert "".join(cell for cell in cells) == name


def test_a_pipe_gets_one_line_per_row(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Grid("class", "votes")
    table.add_row("x" * 300, "1.0 %")
    terminal().print(table)
    assert f" {'x' * 300} " in capsys.readouterr().out


def test_an_encoding_without_the_letter_prints_its_escape(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say(terminal(), "naïve 猫")
    sys.stdout.flush()
    assert raw.getvalue() == b"na\\xefve \\u732b\n"


def test_messages_of_errors_keep_their_lines_only(capsys):
    assert refuse(DataError("two\nlines of \x1b[2J[/x]")) == 2
    assert capsys.readouterr().err == "error: two\nlines of \\x1b[2J[/x]\n"


def test_nothing_else_prints_markup_or_writes_csv():
    nodes = ((path, node) for path in FILES for node in ast.walk(ast.parse(path.read_text())))
    for file, node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich"):
            allowed = {
                "box",
                "Group",
                "Live",
                "Progress",
                "BarColumn",
                "DownloadColumn",
                "TextColumn",
                "TimeRemainingColumn",
                "TransferSpeedColumn",
            }
            assert {alias.name for alias in node.names} <= allowed, f"{file}: rich is used through hilmix.terminal"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            attribute, owner = node.func.attr, node.func.value
            assert attribute != "to_csv" or file.name == "spreadsheets.py", f"{file}: csv_text writes CSV"
            if attribute == "print" and isinstance(owner, ast.Name) and owner.id == "console":
                (content,) = node.args
                assert not isinstance(content, ast.Constant | ast.JoinedStr), f"{file}: say prints text"


def run_into_closed_pipe(*args: str, both: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as ``hilmix ... | head`` does, but for that the reader is gone before it starts."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "hilmix", *args]
        stderr = writing if both else subprocess.PIPE
        more = os.environ | env
        return subprocess.run(
            command, stdout=writing, stderr=stderr, text=True, env=more, check=False, cwd=PACKAGE.parent
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", [["--help"], ["data", "list"], ["data", "check", "--help"]], ids=" ".join)
def test_a_command_whose_reader_is_gone_ends_quietly(args: list[str], unbuffered: str) -> None:
    """128 + SIGPIPE (13), as of a C program, or 0: argparse itself drops what it cannot print."""
    ended = run_into_closed_pipe(*args, PYTHONUNBUFFERED=unbuffered)
    assert ended.stderr == ""
    assert ended.returncode in (141, 0)
    assert ended.returncode == 141 or args[-1] == "--help"


def test_an_error_without_a_reader_ends_quietly() -> None:
    assert run_into_closed_pipe("report", "/nowhere", both=True).returncode == 141


def test_a_run_whose_reader_is_gone_ends_quietly(tmp_path: Path) -> None:
    """Lightning prints through a console of its own, which rich would end with 1."""
    data, quiet = write_vectors(tmp_path / "toy"), ("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    ended = run_into_closed_pipe("fit", "--data.root", str(data), "--run_dir", str(tmp_path / "run"), *quiet)
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr
    assert ended.returncode == 141


def test_a_pipe_that_is_not_the_terminals_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a worker or a connection must not end a command quietly."""

    def broken(argv: list[str]) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(hilmix.cli, "_dispatch", broken)
    with pytest.raises(BrokenPipeError):
        hilmix.cli.main(["data", "list"])
