import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data.folder import write_folder
from hilmix.human.elicit.design.images import check_images
from hilmix.human.elicit.design.manifest import read_manifest
from tests.commands.human import words
from tests.human.elicit.study_data import CLASSES, N, pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_folder(pictures(), tmp_path_factory.mktemp("data") / "pictures"))


def build(data: str, out: Path, *more: str) -> int:
    return main(["elicit", "build", data, "-o", str(out), "--task", "infer", *more])


def test_a_study_with_every_option(data, tmp_path, capsys):
    (tmp_path / "consent.md").write_text("Please.\n\n- [ ] I agree.\n")
    (tmp_path / "do.md").write_text("Look.")
    table = pd.DataFrame(np.full((N, 3), 1 / 3), columns=[f"prob_{c}" for c in CLASSES])
    table.assign(item=[f"i{i}" for i in range(N)]).to_parquet(tmp_path / "predictions.parquet")
    code = build(
        data,
        tmp_path / "s",
        "--task",
        "select",
        "--pairs",
        "12",
        "--beta",
        "0.4",
        "--per-batch",
        "4",
        "--repeats",
        "1",
        "--catch",
        "3",
        "--practice",
        "0",
        "--judgments",
        "5",
        "--wording",
        "first",
        "--seed",
        "7",
        "--least-sure",
        str(tmp_path / "predictions.parquet"),
        "--consent",
        str(tmp_path / "consent.md"),
        "--instructions",
        f"select={tmp_path / 'do.md'}",
        "--completion-code",
        "C0DE",
    )
    assert code == 0
    messages = words(capsys.readouterr().out)
    assert "6 batches of 8 pictures (0 for practice, 4 mixes, 3 with a known answer, 1 repeats)" in messages
    assert "for 30 participants to give 5 judgments of each mix" in messages
    study = read_manifest(tmp_path / "s")
    check_images(study, tmp_path / "s")
    assert (study.seed, study.wording, study.completion_code, study.name) == (7, "first", "C0DE", "s")
    assert study.statements == ("I agree.",)
    assert study.instructions["select"] == "Look."
    assert study.settings.target_judgments == 5


def test_without_options_few_pairs_are_one_batch_of_the_grid(data, tmp_path, capsys):
    assert build(data, tmp_path / "s", "--pairs", "10") == 0
    study = read_manifest(tmp_path / "s")
    assert len(study.batches) == 1
    main_mixes = [study.stimuli[t.stimulus].weight for t in study.batches[0].trials if t.kind == "main"]
    assert sorted(main_mixes) == [0.1, 0.1, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.9, 0.9]
    assert build(data, tmp_path / "s", "--pairs", "10") == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--pairs", "0"], "`pairs` must be >= 1, got 0"),
        (["--pairs", "50"], "got 50. Take 30 or 60 pairs"),
        (["--pairs", "10", "--weights", ".5", "2"], "`weights` must be in [0, 1], got 2"),
        (["--pairs", "3000", "--per-batch", "30"], "Lower `design.pairs`"),
        (["--pairs", "10", "--task", "infer"], "got ['infer', 'infer']"),
        (["--pairs", "10", "--least-sure", "items.csv"], "Cannot read items.csv"),
        (["--pairs", "10", "--consent", "none.md"], "Cannot read none.md"),
        (["--pairs", "10", "--consent", "empty.md"], "empty.md is empty"),
        (
            ["--pairs", "10", "--consent", "text.md"],
            "text.md has no statement to agree to; write at least one as a line",
        ),
        (
            ["--pairs", "10", "--instructions", "text.md"],
            "`--instructions` must be TASK=FILE.md, once for each of ['infer'], got 'text.md'",
        ),
        (
            ["--pairs", "10", "--instructions", "vote=text.md"],
            "got 'vote=text.md'",
        ),
    ],
)
def test_errors_are_one_sentence_with_the_remedy(data, tmp_path, capsys, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.md").write_text("\n")
    (tmp_path / "text.md").write_text("Please.")
    assert build(data, tmp_path / "s", *more) == 2
    messages = capsys.readouterr().err
    assert messages.startswith("error: ")
    assert message in messages
    assert messages.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_weights_and_beta_exclude_each_other(data, tmp_path, capsys):
    with pytest.raises(SystemExit):
        build(data, tmp_path / "s", "--pairs", "10", "--weights", ".5", "--beta", "1")
    assert "not allowed with argument --weights" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "shown"), [([], "ACTION"), (["sing"], "invalid choice: 'sing'")])
def test_there_must_be_an_action(argv, shown, capsys):
    with pytest.raises(SystemExit):
        main(["elicit", *argv])
    assert shown in capsys.readouterr().err


def test_help_of_an_action(capsys):
    with pytest.raises(SystemExit):
        main(["elicit", "build", "--help"])
    messages = capsys.readouterr().out
    assert "--least-sure FILE" in messages
    assert "Draw mixes of a data folder" in messages


def test_without_the_extra_help_works_and_actions_say_what_is_missing():
    code = (
        "import sys\nfor name in ('pydantic', 'fastapi', 'uvicorn'): sys.modules[name] = None\n"
        "from hilmix.cli import main\n"
        "code = main(['elicit', 'build', 'data', '-o', 'out'])\n"
        "try: main(['elicit', '--help'])\nexcept SystemExit as end: sys.exit(code + end.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 2
    assert done.stderr == "error: hilmix elicit needs further packages: pip install 'hilmix[elicit]'\n"
    assert "build" in done.stdout
