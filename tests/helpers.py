"""Builders that many tests share: synthetic data, data folders, the command line in this process and in its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, ArrayInputs, write_folder

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


def parameters(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint of a run."""
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def config(run: Path) -> dict[str, Any]:
    """Return the saved config of a run."""
    return yaml.safe_load((run / "config.yaml").read_text())
