"""``hilmix elicit simulate`` and ``hilmix elicit export`` as a user types them."""

import pytest

from hilmix.cli import main
from hilmix.human.elicit.answers.read import collect_answers
from hilmix.human.elicit.simulation.participants import run_server
from tests.commands.human import words
from tests.human.elicit.studies import make_study


@pytest.fixture(autouse=True)
def study(workplace):
    make_study(workplace / "s", mains=10, target_judgments=3)


def refused(capsys, *argv: str) -> str:
    assert main(["elicit", *argv]) == 2
    messages = capsys.readouterr().err
    assert messages.startswith("error: ")
    assert messages.count("\n") == 1
    return messages


def test_a_folder_then_its_export(workplace, capsys):
    argv = ["--participants", "7", "--behaviour", "logit:a=0.2,sd=0.05", "--behaviour", "straight-liner", "--seed", "5"]
    assert main(["elicit", "simulate", "s", *argv]) == 0
    messages = words(capsys.readouterr().out)
    # two batches for three participants each; excluded ones do not count, so there is room for the seventh
    assert all(number in messages for number in ("7 simulated participants", "98 answers", "7 done"))
    assert "hilmix elicit export s " in messages
    assert main(["elicit", "export", "s", "-o", "out"]) == 0
    messages = words(capsys.readouterr().out)
    assert all(part in messages for part in ("`with_excluded`", "p002 (straight: 10 of 10 answers are 1)", "p004"))
    assert (workplace / "out" / "judgments.parquet").is_file()
    assert main(["elicit", "export", "s", "-o", "all", "--with-excluded"]) == 0
    assert "Left out" not in capsys.readouterr().out
    assert "s has participants already" in refused(capsys, "simulate", "s")
    assert "'out' exists already" in refused(capsys, "export", "s", "-o", "out")
    assert "`format` must be one of native, folder" in refused(capsys, "export", "s", "-o", "o", "--format", "csv")


def test_a_link(workplace, capsys):
    with run_server(workplace / "s") as link:
        assert main(["elicit", "simulate", link, "--study", "s", "--participants", "2"]) == 0
    assert "2 simulated participants gave 28 answers" in words(capsys.readouterr().out)
    assert len(collect_answers(workplace / "s").participants) == 2


def test_the_former_name_of_the_number_warns(workplace, capsys):
    assert main(["elicit", "simulate", "s", "--people", "1"]) == 0
    printed = words(capsys.readouterr().out)
    assert all(flag in printed for flag in ("--people", "--participants"))
    assert len(collect_answers(workplace / "s").participants) == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["http://localhost:1/join/x"], "--study must name the folder"),
        (["s", "--study", "s"], "--study must be left out for a folder"),
        (["http://localhost:1/status/x", "--study", "s"], "http://HOST/join/TOKEN, got 'http://localhost:1/status/x'"),
        (["http://127.0.0.1:1/join/x", "--study", "s"], "The study does not answer"),
        (["nowhere"], "Cannot read nowhere/study.json"),
        (["s", "--participants", "0"], "`participants` must be >= 1, got 0"),
        (["s", "--behaviour", "lazy"], "`name` must be one of logit, straight-liner, fast, fails-catch"),
    ],
)
def test_one_sentence_with_the_remedy(argv, message, capsys):
    assert message in refused(capsys, "simulate", *argv)


def test_no_answers_yet(capsys):
    assert "s has no answers yet" in refused(capsys, "export", "s", "-o", "o")
    assert main(["hmix", "summary", "s"]) == 2
    assert "has no answers yet" in capsys.readouterr().err
