"""Several processes by the command line: the files of one, and one sentence where they fail."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilmix.cli import main
from hilmix.errors import DataError, RunError, find_user_error
from hilmix.terminal import refuse
from tests.helpers import QUICK
from tests.ranks.every_config import as_torchrun, small_folder
from tests.ranks.test_evaluation import FILES, differences

ROOT = Path(__file__).parents[2]
FIT = ["-c", "configs/method/hilmix.yaml", "--model.backbone", "MLP", "--trainer.max_epochs", "1"]


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID", "LOCAL_RANK"])
def test_the_first_process_alone_prints_the_line_of_an_error(variable, monkeypatch, capsys):
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for rank in range(3):
        monkeypatch.setenv(variable, str(rank))
        assert refuse(DataError("Two items.")) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in lines] == [True, False, False]
    assert all("Two items." in line for line in lines)
    assert "1" in lines[1]
    assert "2" in lines[2]


@pytest.mark.parametrize(
    "text", ["[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:1", "Connection reset by peer"]
)
def test_a_process_that_waits_for_a_failed_one_raises_no_bug(text):
    assert isinstance(find_user_error(RuntimeError(text)), RunError)
    assert find_user_error(RuntimeError("shape mismatch")) is None
    assert find_user_error(ConnectionResetError("Connection reset by peer")) is None


def on_ranks(number: int, command: str, run: Path) -> subprocess.CompletedProcess[str]:
    """A command on a run, in as many processes."""
    ranks = ["--trainer.devices", number, "--trainer.strategy", "ddp", "--trainer.accelerator", "cpu"]
    where = [command, "-c", run / "config.yaml", "--run_dir", run, "--ckpt_path", "last", *ranks]
    call = [sys.executable, "-m", "hilmix", *map(str, where)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        call,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=500)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started, which would wait for it
            raise
    return subprocess.CompletedProcess(call, process.returncode, output, errors)


@pytest.mark.slow
def test_two_processes_write_the_files_of_one(tmp_path):
    root, run, other = small_folder(tmp_path / "data"), tmp_path / "run", tmp_path / "two"
    assert main(["fit", *FIT, "--data.root", str(root), "--run_dir", str(run)]) == 0
    shutil.copytree(run, other)
    for command in ("test", "predict"):
        where = ["-c", str(run / "config.yaml"), "--run_dir", str(run), "--ckpt_path", "last"]
        assert main([command, *where]) == 0
        done = on_ranks(2, command, other)
        assert done.returncode == 0, done.stderr
    assert differences(run, other) == []
    assert {path.name for path in run.iterdir()} >= FILES


def image_folder(folder: Path) -> Path:
    """Files of 24 images for training, 6 for validation and 2 for testing."""
    rng, n = np.random.default_rng(0), 32
    (folder / "images").mkdir(parents=True)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(folder / "images" / f"i{i}.png")
    items = {"item": [f"i{i}" for i in range(n)], "path": [f"images/i{i}.png" for i in range(n)]}
    pd.DataFrame(items | {"split": ["train"] * 24 + ["val"] * 6 + ["test"] * 2}).to_csv(
        folder / "items.csv", index=False
    )
    votes = {"item": items["item"], "annotator": "ann", "label": rng.choice(["x", "y"], n)}
    pd.DataFrame(votes).to_csv(folder / "annotations.csv", index=False)
    (folder / "dataset.yaml").write_text("name: files\ninput: image\n")
    return folder


@pytest.mark.slow
def test_what_one_process_or_all_refuse_is_one_sentence(tmp_path):
    root, run = image_folder(tmp_path / "data"), tmp_path / "run"
    assert main(["fit", *FIT, "--data.root", str(root), "--run_dir", str(run)]) == 0
    few = on_ranks(3, "test", run)
    assert few.returncode == 2
    (sentence,) = (line for line in few.stderr.splitlines() if line.startswith("error: "))
    assert [part for part in ("'test'", "3", "2 items") if part not in sentence] == []
    picture = root / "images" / "i31.png"  # of the second process
    picture.write_bytes(picture.read_bytes()[:60])
    broken = on_ranks(2, "test", run)
    assert broken.returncode == 2, broken.stderr
    assert "i31.png" in broken.stderr
    assert "Traceback" not in few.stderr + broken.stderr


def printed_by_fit(rank: int, root: Path, run: Path) -> str:
    """What one of two processes writes to its standard output."""
    as_torchrun(rank, 2)
    where = ["--data.root", root, "--run_dir", run, "--default_callbacks", "false"]
    more = ["--trainer.devices", 2, "--trainer.strategy", "ddp", "--trainer.accelerator", "cpu"]
    with redirect_stdout(StringIO()) as output:
        assert main([str(part) for part in ("fit", *FIT, *where, *more, *QUICK[2:])]) == 0
    return output.getvalue()


@pytest.mark.filterwarnings("ignore")
def test_the_choices_of_fit_are_printed_once_on_two_ranks(data, tmp_path, run_ranks):
    first, second = run_ranks(printed_by_fit, data, tmp_path / "run")
    for key in ("annotators", "votes per item", "matrices"):
        lines = [[line for line in text.splitlines() if line.strip().startswith(key)] for text in (first, second)]
        assert [len(found) for found in lines] == [1, 0], key
