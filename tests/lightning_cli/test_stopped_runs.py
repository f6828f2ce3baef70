"""How a run ends: by a signal, by divergence, by a scheduler."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hilmix.cli import main
from hilmix.integrity import check_intact
from hilmix.modules import Classifier
from tests.callbacks.test_last_checkpoint import FIRST_IS_BEST, logged_epoch, saved
from tests.helpers import QUIET, ROOT, fit, parameters

pytestmark = pytest.mark.usefixtures("no_figures")

CONSTANT = ["--model.schedule", "constant", "--data.batch_size", "2"]  # 15 steps an epoch
EPOCHS = ["--trainer.max_epochs", "3", *FIRST_IS_BEST, *CONSTANT]


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stops."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    assert fit(data, run, *EPOCHS) == 0
    return run


def signalling(where: str, call: int, number: int) -> None:
    """Lets this process send itself a signal in one of its steps of training or of validation."""
    real, calls = getattr(Classifier, f"{where}_step"), []

    def step(self: Classifier, *args: object) -> object:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return real(self, *args)

    setattr(Classifier, f"{where}_step", step)


def child(data: Path, run: Path, where: str, call: int, number: int, more: list[str]) -> None:
    for stream in (1, 2):
        os.dup2(os.open(run.parent / f"{run.name}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
    signalling(where, call, number)
    try:
        code = fit(data, run, "--trainer.max_epochs", "8", *FIRST_IS_BEST, *CONSTANT, *more)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    os._exit(code)


def stopped(data: Path, run: Path, number: int, *, where: str = "training", call: int = 20, more: tuple = ()) -> int:
    """Returns the exit code of a run to which a signal is sent in step 5 of its second epoch."""
    process = multiprocessing.get_context("fork").Process(target=child, args=(data, run, where, call, number, more))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_saves_the_step_and_the_run_goes_on_exactly(
    number: int, code: int, straight: Path, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert stopped(data, run, number) == code
    last = saved(run)
    assert (last["epoch"], last["global_step"]) == (1, 20)
    assert fit(data, run, *EPOCHS, "--ckpt_path", "last") == 0
    assert saved(run)["epoch"] == saved(straight)["epoch"] == 2
    for name, value in parameters(straight).items():
        assert torch.equal(parameters(run)[name], value), name


def test_a_signal_in_validation_ends_the_run_behind_it(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert stopped(data, run, signal.SIGTERM, where="validation", call=11) == 143  # of 8 batches each
    assert (saved(run)["epoch"], saved(run)["global_step"]) == (1, 30)
    assert logged_epoch(run) == 1


def test_a_signal_behind_accumulated_gradients_waits_for_the_step(data: Path, tmp_path: Path) -> None:
    run, more = tmp_path / "run", ("--trainer.accumulate_grad_batches", "4")
    assert stopped(data, run, signal.SIGTERM, more=more) == 143
    batches = saved(run)["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"]
    assert batches == 8
    assert saved(run)["global_step"] == 4 + 2


@pytest.mark.parametrize("precise", [True, False])
def test_a_diverged_run_keeps_the_last_finite_model(
    precise: bool, data: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    """The loss of step 10, the first of the fourth epoch, is NaN; so are the weights behind it."""
    steps = []
    real = Classifier.training_step

    def step(self: Classifier, batch: object, batch_idx: int) -> dict:
        steps.append(1)
        result = real(self, batch, batch_idx)  # type: ignore[arg-type]
        if len(steps) == 10:
            if precise:
                result["loss"] = result["loss"] * float("nan")
            else:  # a finite loss with gradients that are not
                result["loss"] = result["loss"] + (self.head.weight * 0).sqrt().sum()
        return result

    monkeypatch.setattr(Classifier, "training_step", step)
    assert fit(data, tmp_path, "--trainer.max_epochs", "6", "--data.batch_size", "10") == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert "not finite since step " + ("10" if precise else "11") in error[0]
    assert str(tmp_path / "checkpoints" / "last.ckpt") in error[0]
    for name in ("last.ckpt", "best.ckpt", "last.previous.ckpt"):
        assert saved(tmp_path, name)["epoch"] <= 2
        assert all(value.isfinite().all() for value in saved(tmp_path, name)["state_dict"].values())
    assert saved(tmp_path)["epoch"] == 2


def test_a_far_too_large_learning_rate(data: Path, tmp_path: Path, capsys) -> None:
    assert fit(data, tmp_path, "--trainer.max_epochs", "20", "--model.lr", "1e30", "--model.optimizer", "SGD") == 2
    assert "not finite since step" in capsys.readouterr().err
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        assert all(v.isfinite().all() for v in torch.load(path, weights_only=True)["state_dict"].values())


def test_weights_that_are_not_finite_behind_the_last_step_are_not_saved(
    data: Path, tmp_path: Path, monkeypatch
) -> None:
    """The loss of the last step is finite, its gradients are not."""
    real = Classifier.training_step

    def step(self: Classifier, batch: object, batch_idx: int) -> dict:
        result = real(self, batch, batch_idx)  # type: ignore[arg-type]
        result["loss"] = result["loss"] + (self.head.weight * 0).sqrt().sum()
        return result

    monkeypatch.setattr(Classifier, "training_step", step)
    assert fit(data, tmp_path) == 2
    assert not list((tmp_path / "checkpoints").glob("*.ckpt"))


def test_a_requeued_job_goes_on_from_the_newest_checkpoint(data: Path, tmp_path: Path, monkeypatch) -> None:
    """SLURM starts the same command again; without its requeue signal there is only ``last``."""
    assert fit(data, tmp_path, "--trainer.max_epochs", "2", *FIRST_IS_BEST) == 0
    first = saved(tmp_path)["global_step"]
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert fit(data, tmp_path, "--trainer.max_epochs", "3", *FIRST_IS_BEST) == 0
    assert saved(tmp_path)["epoch"] == 2
    assert saved(tmp_path)["global_step"] == first * 3 // 2
    assert logged_epoch(tmp_path) == 2
    assert "0" not in {line.split(",")[0] for line in (tmp_path / "csv/version_1/metrics.csv").read_text().split()[1:2]}


def test_lightnings_requeue_signal_still_saves(data: Path, tmp_path: Path, monkeypatch) -> None:
    """SIGUSR1 under SLURM: Lightning's own checkpoint is written and ``scontrol requeue`` is called."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/requeued\n')
    (tools / "scontrol").chmod(0o755)
    for name, value in {
        "SLURM_NTASKS": "1",
        "SLURM_JOB_ID": "77",
        "SLURM_JOB_NAME": "job",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NTASKS_PER_NODE": "1",
        "PATH": f"{tools}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    run = tmp_path / "run"
    assert stopped(data, run, signal.SIGUSR1) == 0, (tmp_path / "run.log").read_text()
    assert (tmp_path / "requeued").read_text().split() == ["requeue", "77"]
    assert [saved(run, f"../{path.name}")["global_step"] for path in run.glob("hpc_ckpt_*.ckpt")] == [19]
    assert saved(run)["epoch"] == 7


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_an_evaluation(number: int, code: int, data: Path, tmp_path: Path, monkeypatch) -> None:
    """Lightning ends with 0 and 1."""
    assert fit(data, tmp_path) == 0
    real = Classifier.test_step

    def step(self: Classifier, *args: object) -> object:
        os.kill(os.getpid(), number)
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "test_step", step)
    test = [
        "test",
        "--data.root",
        str(data),
        "--run_dir",
        str(tmp_path),
        "--ckpt_path",
        "last",
        "--data.batch_size",
        "2",
    ]
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored
    try:
        with pytest.raises(SystemExit) as stopped:
            main([*test, *QUIET, "--data.batch_size", "2"])
    finally:
        for each, handler in before.items():  # Lightning leaves SIGINT ignored
            signal.signal(each, handler)
    assert stopped.value.code == code
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.slow
def test_a_signal_to_one_of_two_ranks_stops_both_at_the_same_step(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ranks = ["--trainer.strategy", "ddp", "--trainer.accelerator", "cpu", "--trainer.devices", "2"]
    command = [sys.executable, "-m", "hilmix", "fit", "--data.root", data, "--run_dir", run, *ranks]
    command += ["--trainer.max_epochs", "4000", *CONSTANT, *FIRST_IS_BEST, *QUIET]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen([str(part) for part in command], env=environment, stdout=log, stderr=log)
    while process.poll() is None and not (run / "checkpoints" / "last.previous.ckpt").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) in (143, -signal.SIGTERM), (tmp_path / "log").read_text()
    last = saved(run)
    assert last["epoch"] >= 1
    assert last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"] > 0
    check_intact(run / "checkpoints" / "last.ckpt")
    more = ["--trainer.max_epochs", str(last["epoch"] + 2), *CONSTANT, *FIRST_IS_BEST, "--ckpt_path", "last"]
    assert fit(data, run, *more) == 0
