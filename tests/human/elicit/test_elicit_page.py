"""docs/elicit.md: its commands and code run, and its tables are complete."""

import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from hilmix.cli import main
from hilmix.commands import elicit_serve
from hilmix.data.folder import write_folder
from hilmix.human.elicit.design.manifest import TASKS, Manifest, Settings
from hilmix.human.elicit.export import FORMATS
from hilmix.human.elicit.serve.steps import PLATFORM_IDS
from hilmix.human.elicit.simulation.behaviour import NAMES
from hilmix.human.elicit.simulation.participants import run_server
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.study_data import pictures

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "elicit.md").read_text()
QUICK = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.log_every_n_steps=1"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


class Reader:
    """A reader who runs the commands of the page. ``serve`` returns at once and serves on until the end."""

    def __init__(self, running: ExitStack) -> None:
        self.running = running
        self.link = ""

    def serve(self, studies, *, listener):
        listener.close()
        (one,) = studies.values()
        self.link = self.running.enter_context(run_server(one.folder))
        assert one.tokens.study in self.link

    def do(self, program: str, *arguments: str) -> None:
        arguments = tuple(self.link if one == "LINK" else one for one in arguments)
        if program == "cp":
            shutil.copytree(*arguments[1:])
        elif program == "rm":
            for file in Path().glob(arguments[1]):
                file.unlink()
        elif program == "python":
            at = [str(DOCS.parent / one) if one.startswith("docs/") else one for one in arguments]
            subprocess.run([sys.executable, *at], check=True)
        elif program == "hilmix":
            more = QUICK if arguments[0] == "fit" else ["--port", free_port()] if arguments[1] == "serve" else []
            assert main([*arguments, *more]) == 0, arguments


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def test_the_commands_and_the_code_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(pictures(), "data/mine")
    (tmp_path / "consent.md").write_text(blocks("markdown")[0])
    (tmp_path / "infer.md").write_text("Look.")
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert [command[1:3] for command in commands].count(["elicit", "build"]) == 5
    with ExitStack() as running:
        reader = Reader(running)
        monkeypatch.setattr(elicit_serve, "serve", reader.serve)
        for command in commands:
            reader.do(*command)
    assert read_rows(Path("backup.sqlite"), Rows.read_participants) == []
    for code in blocks("python"):
        exec(compile(code, "elicit.md", "exec"), {})


def test_pictures_are_there_and_links_lead_somewhere():
    shown = re.findall(r"!\[.+?\]\((images/elicit-[a-z]+\.png)\)", PAGE)
    assert sorted(shown) == sorted(f"images/{file.name}" for file in (DOCS / "images").glob("elicit-*.png"))
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in PAGE.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#(.+?)\)", PAGE)) <= headings


@pytest.mark.parametrize(
    "name", [*TASKS, *Manifest.model_fields, *Settings.model_fields, *NAMES, *FORMATS, *PLATFORM_IDS]
)
def test_names_are_described(name):
    assert f"`{name}`" in PAGE
