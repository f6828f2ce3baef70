"""``hilmix elicit status`` as a user types it."""

import pytest
from rich.console import Console

from hilmix.cli import main
from hilmix.commands import elicit_status
from hilmix.human.elicit.answers.status import read_status
from tests.commands.human import words
from tests.human.elicit.studies import make_study, make_tasks


@pytest.fixture(autouse=True)
def study(workplace):
    make_study(workplace / "s", mains=10, target_judgments=3)


def test_the_numbers_are_shown_with_who_is_excluded_and_why(workplace, capsys):
    argv = ["--participants", "6", "--behaviour", "logit", "--behaviour", "straight-liner", "--seed", "5"]
    assert main(["elicit", "simulate", "s", *argv]) == 0
    capsys.readouterr()
    assert main(["elicit", "status", "s"]) == 0
    message = words(capsys.readouterr().out)
    numbers = read_status(workplace / "s", 0.0)
    (task,) = numbers.tasks
    assert "Participants: 6 done" in message
    assert f"{task.judgments} of {task.wanted}" in message
    assert f"{task.complete} of {task.stimuli}" in message
    assert f"ICC {task.icc:.2f}, differ by {task.difference:.2f}" in message
    assert f"{task.median_seconds:.1f}" in message
    assert "p002 done" in message
    assert "straight: 10 of 10 answers are 1" in message
    assert "p001" not in message, "who has no flag is not listed"


def test_no_participant_yet_and_classes(workplace):
    make_tasks(workplace / "v", ["vote"])
    console = Console(width=200, record=True)
    assert main(["elicit", "simulate", "v", "--participants", "2"]) == 0
    console.print(elicit_status.render(read_status(workplace / "v", 0.0)))
    message = console.export_text()
    assert "same class" in message
    assert main(["elicit", "status", "s"]) == 2


def test_watching_looks_again_until_interrupted(workplace, monkeypatch, capsys):
    assert main(["elicit", "simulate", "s", "--participants", "1", "--seed", "5"]) == 0
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(elicit_status.time, "sleep", sleep)
    assert main(["elicit", "status", "s", "--watch"]) == 0
    assert looks == [5.0] * 3
    messages = words(capsys.readouterr().out)
    assert "Participants: 1 done" in messages
    assert "No participant is flagged." in messages
