"""The job scripts, with the tools of SLURM faked; the whole with real processes is marked slow."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hilmix.cli import main
from tests.helpers import QUICK
from tests.ranks.every_config import small_folder

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "experiments" / "slurm"
SMALL = ["-c", "configs/method/mv.yaml", "--model.backbone", "MLP", "--trainer.accelerator", "cpu", *QUICK]
ONE = {"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "hilmix", "SLURM_NNODES": "1", "SLURM_JOB_NODELIST": "localhost"}


@pytest.fixture(name="tools")
def fake_tools(tmp_path: Path) -> Path:
    """``srun`` writes a line per call, its arguments separated by tabs; ``scontrol`` knows one host."""
    folder = tmp_path / "tools"
    folder.mkdir()
    write_tool(folder, "srun", f'(IFS=$\'\\t\'; echo "$*" >> "{folder}/calls")')
    write_tool(folder, "scontrol", 'if [ "$1" = show ]; then echo 127.0.0.1; fi')
    write_tool(folder, "python", f'exec "{sys.executable}" "$@"')
    return folder


def write_tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{script}\n")
    (folder / name).chmod(0o755)


def job(script: str, *args: str | Path, tools: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A job as SLURM starts it, with the variables that the script's ``#SBATCH`` lines stand for."""
    environment = {**os.environ, **ONE, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_CPUS_PER_TASK": "1"} | settings
    return subprocess.run(
        ["bash", SCRIPTS / script, *map(str, args)], env=environment, capture_output=True, text=True, check=False
    )


def calls(tools: Path) -> list[list[str]]:
    file = tools / "calls"
    return [line.split("\t") for line in file.read_text().splitlines()] if file.is_file() else []


def saved_epoch(run: Path) -> int:
    """Index of the epoch in ``last.ckpt``."""
    return int(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"])


def by_srun(rank: int, commands: list[list[str]], ranks: int) -> list[int]:
    """The commands in one of the processes that srun would start."""
    given = {"PROCID": rank, "LOCALID": rank, "NODEID": 0, "NTASKS": ranks, "NTASKS_PER_NODE": ranks}
    os.environ.update(ONE | {f"SLURM_{name}": str(value) for name, value in given.items()})
    os.chdir(ROOT)
    codes = []
    for command in commands:
        assert command[0] == "hilmix"
        sys.argv = command
        codes.append(main(command[1:]))
    return codes


@pytest.mark.filterwarnings("ignore")
def test_a_job_of_two_processes_ends_with_tested_weights(tmp_path, tools, run_ranks):
    run = tmp_path / "run"
    data = small_folder(tmp_path / "data")
    done = job("fit.sbatch", run, *SMALL, "--data.root", data, tools=tools, SLURM_NTASKS_PER_NODE="2")
    assert done.returncode == 0, done.stderr
    fit, test = calls(tools)
    test += ["--trainer.accelerator", "cpu", *QUICK[2:4]]
    assert run_ranks(by_srun, [fit, test], 2) == [[0, 0], [0, 0]]
    assert saved_epoch(run) == 0
    assert int(yaml.safe_load((run / "config.yaml").read_text())["trainer"]["devices"]) == 2
    assert (run / "metrics.json").is_file()


@pytest.mark.parametrize(("restarts", "saved", "resumed"), [("0", True, True), ("0", False, False), ("1", True, False)])
@pytest.mark.parametrize("script", ["fit.sbatch", "array.sbatch"])
def test_a_job_that_is_sent_once_more_goes_on(script, restarts, saved, resumed, tmp_path, tools):
    """A requeued one finds the newest checkpoint itself, which ``last`` need not be."""
    run = tmp_path / "run"
    args: list[Any] = [run] if script == "fit.sbatch" else [ROOT / "configs/sweep/learning_rate.yaml", tmp_path]
    point = run if script == "fit.sbatch" else tmp_path / "4"
    if saved:
        (point / "checkpoints").mkdir(parents=True)
        (point / "checkpoints" / "last.ckpt").touch()
    given = {"SLURM_RESTART_COUNT": restarts, "SLURM_NTASKS_PER_NODE": "1", "SLURM_ARRAY_TASK_ID": "4"}
    done = job(script, *args, tools=tools, **given)
    assert done.returncode == 0, done.stderr
    fit, test = calls(tools)
    assert ("--ckpt_path=last" in fit) == resumed
    assert f"--run_dir={point}" in fit
    assert {"--ckpt_path=last", f"--run_dir={point}"} <= set(test)


def test_a_task_of_an_array_trains_its_point(tmp_path, tools, monkeypatch):
    sweep = tmp_path / "sweep.yaml"
    values = {"model.lr": {"values": [0.25, 0.5]}, "seed_everything": {"values": [3, 4]}}
    sweep.write_text(yaml.safe_dump({"method": "grid", "parameters": values}, sort_keys=False))
    data = small_folder(tmp_path / "data")
    more = [*SMALL, "--data.root", data]
    done = job("array.sbatch", sweep, tmp_path / "runs", *more, tools=tools, SLURM_ARRAY_TASK_ID="2")
    assert done.returncode == 0, done.stderr
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for command in calls(tools):
        assert main(command[1:] + QUICK[2:4] * (command[1] == "test")) == 0
    config = yaml.safe_load((tmp_path / "runs/2/config.yaml").read_text())
    assert config["model"]["init_args"]["lr"] == 0.5
    assert config["seed_everything"] == 3
    (tools / "calls").unlink()
    assert job("array.sbatch", sweep, tmp_path / "runs", *more, tools=tools, SLURM_ARRAY_TASK_ID="2").returncode == 0
    assert calls(tools) == []


def test_a_point_that_is_not_there_ends_the_task(tmp_path, tools):
    sweep = ROOT / "configs" / "sweep" / "learning_rate.yaml"
    done = job("array.sbatch", sweep, tmp_path, tools=tools, SLURM_ARRAY_TASK_ID="30")
    assert done.returncode == 2
    assert "[0, 29]" in done.stderr
    assert calls(tools) == []


def test_a_job_ends_where_its_training_fails(tmp_path, tools):
    write_tool(tools, "srun", f'echo "$*" >> "{tools}/calls"; exit 3')
    done = job("fit.sbatch", tmp_path / "run", tools=tools, SLURM_NTASKS_PER_NODE="1")
    assert done.returncode == 3
    assert len(calls(tools)) == 1


def torchrun_job(tmp_path: Path, tools: Path, data: Path, *more: str) -> subprocess.Popen[str]:
    """``srun`` starts the one torchrun of a node, in the environment of this interpreter."""
    write_tool(tools, "srun", 'exec "$@"')
    write_tool(tools, "torchrun", f'exec "{sys.executable}" -m torch.distributed.run "$@"')
    write_tool(tools, "scontrol", f'echo "$*" >> "{tools}/calls"; if [ "$1" = show ]; then echo 127.0.0.1; fi')
    environment = {**os.environ, **ONE, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_CPUS_PER_TASK": "2", "SLURM_GPUS_PER_NODE": "2"}
    args = [tmp_path / "run", *SMALL, "--data.root", data, *more]
    with (tmp_path / "log").open("w") as log:
        return subprocess.Popen(
            ["bash", SCRIPTS / "torchrun.sbatch", *map(str, args)], env=environment, stdout=log, stderr=log, text=True
        )


@pytest.mark.slow
def test_torchrun_trains_and_tests_on_two_processes(tmp_path, tools):
    data = small_folder(tmp_path / "data")
    assert torchrun_job(tmp_path, tools, data).wait(500) == 0, (tmp_path / "log").read_text()
    assert saved_epoch(tmp_path / "run") == 0
    assert (tmp_path / "run" / "metrics.json").is_file()


@pytest.mark.slow
def test_torchrun_saves_and_queues_again_at_the_end_of_its_time(tmp_path, tools):
    data, run = small_folder(tmp_path / "data"), tmp_path / "run"
    process = torchrun_job(tmp_path, tools, data, "--trainer.max_epochs", "100000")
    while process.poll() is None and not (run / "checkpoints" / "last.ckpt").is_file():
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(200) == 0, (tmp_path / "log").read_text()
    assert "requeue\t77" in (tools / "calls").read_text().replace(" ", "\t")
    reached = saved_epoch(run)
    shutil.copytree(run, tmp_path / "kept")
    assert torchrun_job(tmp_path, tools, data, "--trainer.max_epochs", str(reached + 2)).wait(500) == 0
    assert saved_epoch(run) == reached + 1


def test_the_job_of_kubernetes(tmp_path, tools):
    """The operator's variables, its two pods alike, and the command as its shell runs it."""
    content = yaml.safe_load((SCRIPTS / "pytorchjob.yaml").read_text())
    replicas = content["spec"]["pytorchReplicaSpecs"]
    assert replicas["Master"]["template"] == replicas["Worker"]["template"]
    (container,) = replicas["Master"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == int(content["spec"]["nprocPerNode"])
    shutil.copy(tools / "srun", tools / "torchrun")
    given = {one["name"]: one["value"] for one in container["env"]} | {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "4"}
    environment = {**os.environ, **given, "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run([*container["command"], *container["args"]], env=environment, check=True)
    fit, test = calls(tools)
    assert fit[:3] == ["-m", "hilmix", "fit"]
    assert test[:3] == ["-m", "hilmix", "test"]
    for call in (fit, test):
        assert {"--trainer.num_nodes=2", "--trainer.devices=4", "--trainer.strategy=ddp"} <= set(call)
        assert given["RUN"] in call
