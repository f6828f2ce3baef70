"""Builders that many tests share: data and data folders, trainers, the command line in this process or in its own."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, DistributedSampler

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.types import Batch

ROOT = Path(__file__).parents[1]
QUIET = ["--trainer.enable_progress_bar", "false"]
QUICK = ["--trainer.max_epochs", "1", *QUIET, "--trainer.enable_model_summary", "false"]
QUICK += ["--trainer.log_every_n_steps", "1"]


def vector_data(*, target: bool = True, seed: int = 0, annotators: tuple[str, ...] = ("a", "b", "c")) -> AnnotatedData:
    """60 vectors of three separable classes with two labels each, four of five true; 30, 15, 15 per split."""
    rng = np.random.default_rng(seed)
    n, k = 60, 3
    truth = np.arange(n) % k
    votes = [
        (i, a, truth[i] if rng.random() < 0.8 else rng.integers(k)) for i in range(n) for a in rng.permutation(3)[:2]
    ]
    item, annotator, label = np.array(votes).T
    return AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs((rng.normal(size=(n, 4)) + 3 * np.eye(k, 4)[truth]).astype(np.float32), "vector"),
        annotations=Annotations.build(
            item, annotator, label, num_items=n, classes=["x", "y", "z"], annotators=annotators
        ),
        target=truth if target else np.full(n, -1),
        split=np.array(["train"] * 30 + ["val"] * 15 + ["test"] * 15),
    )


def write_vectors(folder: Path, **settings: Any) -> Path:
    """Write :func:`vector_data` as a data folder; return the folder."""
    return write_folder(vector_data(**settings), folder)


@pytest.fixture(name="data", scope="module")
def vectors_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of :func:`write_vectors`, for tests that leave it as it is; modules of other data define their own."""
    return write_vectors(tmp_path_factory.mktemp("data") / "toy")


def in_memory(data: AnnotatedData, **settings: Any) -> AnnotatedDataModule:
    """Return a data module that serves these data without a folder, in batches of 8 items."""
    return AnnotatedDataModule(data, **{"batch_size": 8, **settings})


def annotator_inputs(pairs: int, classes: int, width: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return what an annotator model reads of each pair: features (L, D) and class log-probabilities (L, K).

    Args:
        pairs: L.
        classes: K.
        width: D.
        scale: of the class logits.
    """
    g = torch.Generator().manual_seed(1)
    return torch.randn(pairs, width, generator=g), (scale * torch.randn(pairs, classes, generator=g)).log_softmax(-1)


# -- training without the command line -------------------------------------------------------------------------------


def quiet_trainer(folder: Path, devices: int = 1, **options: Any) -> Trainer:
    """Return a trainer of two epochs on the CPU that prints, logs and saves nothing.

    Args:
        folder: its root.
        devices: number of processes, started by forking.
        **options: further arguments of the trainer, or others in place of these.
    """
    names = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    settings = dict.fromkeys(names, False) | {
        "accelerator": "cpu",
        "devices": devices,
        "strategy": "ddp_fork" if devices > 1 else "auto",
        "max_epochs": 2,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    return Trainer(**settings | options)


class GivenBatches(LightningDataModule):
    """Hands out given batches, one after the other or one per rank."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Batch]:
        ranks = {"num_replicas": self.trainer.world_size, "rank": self.trainer.global_rank}
        sampler = DistributedSampler(self.batches, shuffle=False, **ranks)
        return DataLoader(self.batches, batch_size=1, sampler=sampler, collate_fn=lambda b: b[0])


class FreezeBatchNorm(Callback):
    """Normalises by running statistics in training: those of a batch would differ between ranks."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()


# -- the command line ------------------------------------------------------------------------------------------------


def fit(data: Path | str, run: Path, *more: str | Path) -> int:
    """Train one epoch in this process; return the exit code."""
    # later options win, so that a test can ask for more than one epoch
    return main([str(a) for a in ("fit", "--data.root", data, "--run_dir", run, *QUICK, *more)])


def shell(*args: str | Path, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, "-m", "hilmix", *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


def forked(*args: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``python -m hilmix`` in a copy of this process, which has imported all that takes a new one seconds."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        command, streams = [str(arg) for arg in args], (output.fileno(), errors.fileno())
        process = multiprocessing.get_context("fork").Process(target=_run_module, args=(command, cwd, streams))
        process.start()
        process.join(240)
        assert process.exitcode is not None, f"{command} has not ended"
        for stream in (output, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(command, process.exitcode, output.read(), errors.read())


def _run_module(command: list[str], cwd: Path, streams: tuple[int, int]) -> None:
    os.chdir(cwd)
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}  # of the ranks that it starts
    for stream, number in zip(streams, (1, 2), strict=True):
        os.dup2(stream, number)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115  # until it ends
    sys.argv[1:] = command
    runpy.run_module("hilmix", run_name="__main__", alter_sys=True)


def parameters(run: Path, name: str = "last") -> dict[str, Tensor]:
    """Return the weights of a checkpoint of a run."""
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def config(run: Path) -> dict[str, Any]:
    """Return the saved config of a run."""
    return yaml.safe_load((run / "config.yaml").read_text())


class PeakMemory(TorchDispatchMode):
    """The most bytes that the tensors made inside hold at one time; views share the memory of their base."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: dict[int, int] = {}
        self.held: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in (value for value in tree_leaves(out) if isinstance(value, Tensor)):
            place = tensor.untyped_storage().data_ptr()
            self.held[place] = tensor.untyped_storage().nbytes()
            self.tensors[place] = self.tensors.get(place, 0) + 1
            weakref.finalize(tensor, self._let_go, place)
        self.peak = max(self.peak, sum(self.held.values()))
        return out

    def _let_go(self, place: int) -> None:
        self.tensors[place] -= 1
        if not self.tensors[place]:
            del self.held[place]
