"""What every test may use. Nothing here or in any test reaches the network."""

import gc
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import settings
from PIL import Image

pytest_plugins = ["tests.helpers", "tests.hmix_answers"]
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(1)
# Autograd decides at its first backward pass whether it starts threads, which do not survive a fork to two ranks; after
# an export it counts a device more and would.
torch.ones(1, requires_grad=True).backward()
gc.disable()  # until the tests are collected: imports and rewritten tests are objects that live to the end

settings.register_profile("hilmix", deadline=None, max_examples=40, derandomize=bool(os.environ.get("CI")))
settings.load_profile("hilmix")


def pytest_collection_finish() -> None:
    """Looks for garbage less often, and never among what was imported: that took a seventh of the tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Seeds each test, and the fixtures made for it: no draw depends on which tests ran before in this process."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the global state, from which a library may draw
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that the environment variable HILMIX_DATA names; skips where there is none."""
    folder = os.environ.get("HILMIX_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real data: set HILMIX_DATA to the folder that holds it")
    return Path(folder).resolve()


@pytest.fixture(scope="module")
def blank_figures() -> Iterator[None]:
    """Figures are composed but written as one pixel: rendering takes half the time of a run of one epoch.

    For modules whose runs are not about figures; those of ``test_plotting``, of reports and of nasty names are drawn.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", _write_pixel)
        yield


@pytest.fixture(scope="module")
def no_figures() -> Iterator[None]:
    """Runs write no figures, as without the extra ``plots``: composing them takes a sixth of a short run.

    For modules that are about neither figures nor reports.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hilmix.plotting.available", lambda: False)
        patch.setattr("hilmix.plotting.explain_absence", lambda: None)
        yield


def _write_pixel(figure: object, file: Any, **_: Any) -> None:
    Image.new("RGB", (1, 1)).save(file, format="PNG")


@pytest.fixture
def run_ranks(tmp_path: Path) -> Callable[..., list[Any]]:
    """``run_ranks(function, *args, ranks=2)`` calls ``function(rank, *args)`` in gloo processes, returns the results.

    The function must stand at the top level of its test module; what it returns must be tensors or plain values.
    """

    def run(function: Callable[..., Any], *args: Any, ranks: int = 2) -> list[Any]:
        # fork: a spawned process imports torch and hilmix anew, which takes 10 s, a test's own work less than one
        mp.start_processes(_rank, (function, args, ranks, str(tmp_path)), nprocs=ranks, start_method="fork")
        return [torch.load(tmp_path / f"result-{rank}.pt") for rank in range(ranks)]

    return run


def _rank(rank: int, function: Callable[..., Any], args: tuple[Any, ...], ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous-{ranks}", rank=rank, world_size=ranks)
    try:
        torch.save(function(rank, *args), f"{folder}/result-{rank}.pt")
    finally:
        dist.destroy_process_group()
