"""The folder of a run: which checkpoint is meant, whether the folder is free, whether a run may go on in it."""

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningModule

from hilmix.callbacks.last_checkpoint import LAST, PREVIOUS
from hilmix.errors import HilmixError, RunError
from hilmix.integrity import check_intact, named_module, read_checkpoint
from hilmix.trusted import check_class_paths, find_class

log = logging.getLogger(__name__)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
"""Errors of a full or protected disk."""


def find_checkpoint(run_dir: Path, given: str, *, resume: bool = False) -> Path:
    """Returns the checkpoint file that ``last``, ``best`` or a path names.

    Args:
        run_dir: the run folder.
        given: what was asked for.
        resume: whether training goes on from it: where ``last`` is damaged, from the one before it.

    Raises:
        RunError: if there is none, with a list of those that the run folder has, or if it is damaged.
    """
    path = run_dir / "checkpoints" / f"{given}.ckpt" if given in ("last", "best") else Path(given)
    if not path.is_file():
        have = sorted(p.name for p in (run_dir / "checkpoints").glob("*.ckpt"))
        raise RunError(
            f"--ckpt_path {given}: there is no file {path}. "
            + (f"{run_dir / 'checkpoints'} has {have}." if have else f"{run_dir} has no checkpoints (check --run_dir).")
        )
    try:
        check_intact(path)
    except RunError as damaged:
        previous = path.with_name(PREVIOUS)
        if not (resume and given == "last" and previous.is_file()):
            raise
        check_intact(previous)
        log.warning("%s Training goes on from the one before it, %s.", damaged, previous)
        return previous
    return path


def separate_last_checkpoint(trainer: Any) -> None:
    """Changes trainer settings so that the last checkpoint is saved apart from the best; a trial run saves none.

    Configs saved by older versions ask Lightning's ``ModelCheckpoint`` for it (``save_last``), which beside a monitor
    saves the last checkpoint only when it has found a new best one.

    Args:
        trainer: the settings of the trainer, as parsed; changed in place.
    """
    callbacks = trainer.callbacks
    if not isinstance(callbacks, list):
        return
    if trainer.fast_dev_run:
        trainer.callbacks = [c for c in callbacks if not c.class_path.endswith((".ModelCheckpoint", ".LastCheckpoint"))]
        trainer.enable_checkpointing = False
        return
    for best in [c for c in callbacks if c.class_path.endswith(".ModelCheckpoint") and c.init_args.get("save_last")]:
        best.init_args.save_last = False
        if not any(c.class_path.endswith(".LastCheckpoint") for c in callbacks):
            every = Namespace(every_n_train_steps=best.init_args.get("every_n_train_steps") or None)
            callbacks.append(Namespace(class_path="hilmix.callbacks.LastCheckpoint", init_args=every))
            # Without it LastCheckpoint would also keep a model that has diverged.
            callbacks.append(Namespace(class_path="hilmix.callbacks.FiniteLoss"))


def requeued_checkpoint(run_dir: Path) -> str | None:
    """Returns ``last`` or a file: where a job that SLURM has started again goes on, None for the first start.

    That is the newest of what Lightning saved at the requeue signal and the last checkpoint: a job that is ended
    without that signal leaves the latter alone.
    """
    if os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        return None
    found = [*run_dir.glob("hpc_ckpt_*.ckpt"), *(run_dir / "checkpoints").glob(LAST)]
    newest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    return None if newest is None else "last" if newest.name == LAST else str(newest)


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Says in a sentence what is wrong with a checkpoint that cannot be read inside the block.

    Raises:
        RunError: naming the file.
    """
    try:
        yield
    except UnpicklingError as error:
        raise RunError(
            f"{path} holds more than tensors and plain values, or is no checkpoint. hilmix runs no code that a "
            "checkpoint brings; save it anew with plain hyperparameters."
        ) from error
    except (EOFError, LookupError, RuntimeError) as error:
        if isinstance(error, HilmixError):
            raise
        raise RunError(f"{path} cannot be read as a checkpoint of hilmix: {' '.join(str(error).split())}") from error


def check_checkpoint(path: str) -> dict[str, Any]:
    """Refuses a checkpoint whose hyperparameters name classes of strangers; whatever class loads it, imports nothing.

    Returns:
        The hyperparameters of the model.

    Raises:
        ConfigError: naming the class path and the remedy.
    """
    checkpoint = read_checkpoint(path)
    check_class_paths(checkpoint.get("hyper_parameters"), where=path)
    return dict(checkpoint.get("hyper_parameters") or {})


def evaluated_class(path: str, chosen: type[LightningModule]) -> type[LightningModule]:
    """Returns the class by which a checkpoint is loaded: the one that it names.

    A class of the user's own, chosen by the config or an option, comes before it: it may have moved since, or extend
    the one that was trained.

    Args:
        path: of the checkpoint.
        chosen: class of the model in the config; the default one where there is none.

    Raises:
        ConfigError: for a class of a package that is not trusted, or that is no LightningModule.
    """
    named = named_module(read_checkpoint(path))
    if named is None or chosen.__module__.partition(".")[0] != "hilmix":
        return chosen
    return find_class(named, LightningModule)


def rebuilt_from(trained: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that must replace those in a checkpoint whose model jsonargparse rebuilds, else none.

    It would follow the class paths in the file, where those of hilmix may be former ones.

    Args:
        trained: what :func:`check_checkpoint` returned.
    """
    if trained.get("_instantiator") is None:  # all others look up the parts of hilmix by `Part.from_spec`
        return {}
    return {key: value for key, value in trained.items() if key == "_class_path" or isinstance(value, (dict, list))}


def refuse_data_folder(run_dir: Path) -> None:
    """Refuses a data folder as the folder of a run, whose reports have tables of the same names.

    Raises:
        RunError: with the remedy.
    """
    tables = [f"{table}.{kind}" for table in ("items", "annotations") for kind in ("csv", "parquet")]
    if found := [name for name in ("dataset.yaml", *tables) if (run_dir / name).exists()]:
        raise RunError(
            f"The run folder {run_dir} is a data folder (it holds {', '.join(found)}), whose tables the reports of a "
            "run would overwrite. Choose another --run_dir."
        )


def refuse_taken(run_dir: Path) -> None:
    """Refuses a folder that holds a run or data already, without writing anything.

    Raises:
        RunError: with the remedy.
    """
    refuse_data_folder(run_dir)
    requeued = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"  # Lightning goes on from its own hpc_ckpt
    # Lightning restores an hpc_ckpt that lies in the folder, whichever run has left it.
    if not requeued and [*(run_dir / "checkpoints").glob("*.ckpt"), *run_dir.glob("hpc_ckpt_*.ckpt")]:
        raise RunError(
            f"The run folder {run_dir} already holds a run. Choose another --run_dir, go on with it by "
            "--ckpt_path last, or replace it by --overwrite."
        )


def claim_run_dir(run_dir: Path, *, fresh: bool) -> None:
    """Makes sure that the run folder can be written and is no data folder; for a fresh run, that it holds no other.

    Raises:
        RunError: with the remedy.
    """
    refuse_data_folder(run_dir)
    if fresh:
        refuse_taken(run_dir)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # Tried, not asked for: permissions say nothing of a full disk, and an empty file takes no room on it.
        probe = run_dir / f".write-probe-{os.getpid()}"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise RunError(f"The run folder {run_dir} cannot be written: {error}. Choose another --run_dir.") from error
