"""Many run folders as one table: a row per run, or the mean and standard deviation over seeds."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from hilmix.errors import ConfigError, RunError
from hilmix.report.run import OTHER_DATA, read_curves, read_file
from hilmix.yaml_files import load_yaml

IGNORED = (
    "run_dir",
    "trainer.logger",
    "trainer.callbacks",
    "trainer.plugins",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
)
"""Settings of every run's own, or without influence on its result: runs that differ in nothing else are repetitions."""


class Collection(NamedTuple):
    """Runs as a table, and the meaning of its columns."""

    table: pd.DataFrame
    """A row per run, sorted by folder: ``run``; ``state`` (``tested``, ``epoch 7 of 50`` without ``metrics.json``,
    ``no result``); every setting in which the runs differ; ``weights``, ``epoch`` and ``step`` of the checkpoint;
    ``items``; every metric, of test items under its name in ``metrics.json``, else ``val/...`` of the last
    validation."""
    settings: tuple[str, ...]
    """The columns that hold settings."""
    metrics: tuple[str, ...]
    """The columns that hold metrics."""
    unreadable: tuple[str, ...]
    """A sentence about every run folder that cannot be read, and is left out."""


def find_runs(folder: Path) -> Iterator[Path]:
    """Yields the run folders in a folder, at any depth; what lies inside a run is its own."""
    for here, folders, files in os.walk(folder):
        path = Path(here)
        # one that ended before its first results counts, too: its job must be sent again
        if "config.yaml" in files and ("metrics.json" in files or {"csv", "checkpoints"} & set(folders)):
            folders.clear()
            yield path
        else:
            folders[:] = sorted(name for name in folders if not name.startswith(OTHER_DATA))


def collect_runs(folders: Sequence[Path | str]) -> Collection:
    """Reads settings and metrics of every run in some folders.

    Args:
        folders: run folders, or folders that hold some at any depth.

    Returns:
        The table. A run that cannot be read is named beside it.

    Raises:
        RunError: if a folder is missing, or no run is found that can be read.
    """
    if missing := [str(folder) for folder in folders if not Path(folder).is_dir()]:
        raise RunError(f"`folders` must exist, got {missing}.")
    # By the resolved path: `runs` and `runs/a` find the same run twice, which would weigh double in a mean.
    found = sorted({run.resolve(): run for folder in folders for run in find_runs(Path(folder))}.values())
    rows, settings, unreadable = [], [], []
    for run in found:
        try:
            given = _settings(run)
            rows.append(_result(run, given))
            settings.append(given)
        except RunError as error:
            unreadable.append(str(error))
    if not rows:
        raise RunError(
            "\n".join([f"No run that can be read is in {[str(folder) for folder in folders]}.", *unreadable])
        )
    return _joined(pd.DataFrame(rows), pd.DataFrame(settings), tuple(unreadable))


def average_runs(collection: Collection, over: str = "seed_everything") -> pd.DataFrame:
    """Averages runs that differ in one setting alone.

    Args:
        collection: of :func:`collect_runs`.
        over: name of that setting.

    Returns:
        A row per group of runs: the other settings in which runs differ, ``runs`` (their number), and of each metric
        its mean and, as ``METRIC std``, its standard deviation (n - 1; NaN for one run). Runs without the metric of
        the others (not tested yet) make a mean NaN, never one of fewer runs than ``runs`` says.

    Raises:
        ConfigError: if the runs do not differ in that setting.
    """
    if over not in collection.settings:
        known = ", ".join(collection.settings) or "none"
        raise ConfigError(f"`over` must be a setting in which the runs differ ({known}), got '{over}'.")
    others = [name for name in collection.settings if name != over]
    # runs of one group may still be in different states, which must not be averaged silently
    # dropna=False: a setting that only some runs have is empty in the others, and they are a group of their own.
    groups = collection.table.groupby(others or (lambda _: 0), dropna=False, sort=True)
    columns: dict[str, Any] = {"runs": groups.size()}
    for metric in collection.metrics:
        # A mean over the seeds that happen to have finished would be compared with one over all of them.
        whole = groups[metric].count() == groups.size()
        columns[metric] = groups[metric].mean().where(whole)
        columns[f"{metric} std"] = groups[metric].std().where(whole)
    return pd.DataFrame(columns).reset_index(drop=not others)


def _settings(run: Path) -> dict[str, Any]:
    file = run / "config.yaml"
    try:
        config = load_yaml(read_file(file, lambda path: path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise RunError(f"Cannot read {file}: {' '.join(str(error).split())}. Remove the folder.") from error
    if not isinstance(config, dict):
        raise RunError(f"Cannot read {file}: it must be a mapping of settings. Remove the folder.")
    return dict(_flat(config))


def _flat(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        key = f"{above}{name}"
        if key in IGNORED:
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{key}.")
        else:
            # cells must be hashable to be compared and grouped
            yield key, json.dumps(value, default=str) if isinstance(value, dict | list) else value


def _result(run: Path, settings: dict[str, Any]) -> dict[str, Any]:
    test = read_file(run / "metrics.json", lambda path: json.loads(path.read_text())) or {}
    if "evaluated" in test:
        metrics = {name: value for name, value in test.items() if name.startswith("test/")}
        return {"run": str(run), "state": "tested", **_weights(test), "items": test["evaluated"]["items"], **metrics}
    curves = read_curves(run)
    validated = curves.dropna(subset=["val/loss"]) if curves is not None and "val/loss" in curves else pd.DataFrame()
    if validated.empty:
        return {"run": str(run), "state": "no result"}
    last = validated.iloc[-1]
    epoch = int(last["epoch"])
    metrics = {name: value for name, value in last.dropna().items() if str(name).startswith("val/")}
    state = f"epoch {epoch + 1} of {settings.get('trainer.max_epochs')}"
    return {"run": str(run), "state": state, "weights": "last", "epoch": epoch, **metrics}


def _weights(test: dict[str, Any]) -> dict[str, Any]:
    weights = test.get("weights", {})
    return {"weights": weights.get("checkpoint"), "epoch": weights.get("epoch"), "step": weights.get("step")}


def _joined(results: pd.DataFrame, settings: pd.DataFrame, unreadable: tuple[str, ...]) -> Collection:
    # A run has a hundred settings, and one that is the same everywhere explains no difference.
    several = [name for name in settings.columns if settings[name].nunique(dropna=False) > 1]
    metrics = sorted(name for name in results.columns if str(name).startswith(("test/", "val/")))
    facts = [name for name in ("weights", "epoch", "step", "items") if name in results]
    table = pd.concat([results[["run", "state"]], settings[several].convert_dtypes(), results[facts + metrics]], axis=1)
    # Nullable: a single run without a result would turn all epochs into floats.
    whole = {name: "Int64" for name in ("epoch", "step", "items") if name in facts}
    return Collection(table.astype(whole), tuple(several), tuple(metrics), unreadable)
