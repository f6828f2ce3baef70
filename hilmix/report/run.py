"""Contents of a run folder, read from its files alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.data.folder.tables import DAMAGE
from hilmix.diagnostics.annotators import rank_annotators
from hilmix.diagnostics.label_errors import find_contradicted
from hilmix.diagnostics.weights import Weights, with_weights
from hilmix.errors import RunError
from hilmix.yaml_files import load_yaml

OTHER_DATA = "on-"
"""Beginning of the folders in which a run folder keeps results on other data than the run's own."""
FIGURES = ("reliability_test.png", "reliability.png", "label_errors.png", "annotators.png", "training_curves.png")
PARTS = ("val", "test")
FILES = (
    "report.html",
    "metrics.json",
    "out_of_fold.parquet",
    "calibration.csv",
    "reliability.csv",
    "label_errors.parquet",
    "label_errors_items.parquet",
    "label_errors_detection.csv",
    "annotators.csv",
    "confusion.parquet",
    "predictions.parquet",
    "predictions_confusion.parquet",
    *FIGURES,
    "label_errors_pictures.parquet",
    *(f"evaluation_{part}{kind}.parquet" for part in PARTS for kind in ("", "_pictures")),
    "facts.json",
    "run.json",
    "config.yaml",
)


@dataclass(frozen=True)
class Run:
    """The files of a run folder; what is missing is None.

    Args:
        folder: the run folder.
        test: ``metrics.json``, if ``test`` has written it, not cross-fitting alone.
        calibration: ``calibration.csv``.
        reliability: ``reliability.csv``, the bins of the calibration.
        evaluation: ``evaluation_test.parquet``, else ``evaluation_val.parquet``: a row per evaluated item.
        pictures: file by item of what ``..._pictures.parquet`` hold.
        facts: ``facts.json``: the model, the data, and what the majority vote scores.
        starts: ``run.json``: command, date and commit of each start of the training.
        suspects: ``label_errors.parquet``.
        detection: ``label_errors_detection.csv``.
        annotators: ``annotators.parquet``, those with training labels, the least reliable first.
        confusion: ``confusion.parquet``: one row per annotator, true class and label.
        curves: everything that CSV loggers wrote, all attempts in order.
        config: text of ``config.yaml``.
    """

    folder: Path
    test: dict[str, Any] | None
    calibration: pd.DataFrame | None
    reliability: pd.DataFrame | None
    evaluation: pd.DataFrame | None
    pictures: dict[str, bytes]
    facts: dict[str, Any]
    starts: list[dict[str, Any]]
    suspects: pd.DataFrame | None
    detection: pd.DataFrame | None
    annotators: pd.DataFrame | None
    confusion: pd.DataFrame | None
    curves: pd.DataFrame | None
    config: str | None

    @property
    def split(self) -> str:
        """Split of the headline: ``test`` once the run was tested, else ``val``."""
        return "val" if self.test is None else "test"

    @property
    def facts_of_split(self) -> dict[str, Any]:
        """Sizes, agreement and the majority vote of the items of the headline; empty in runs of older versions."""
        return dict(self.facts.get("data", {}).get("splits", {}).get(self.split, {}))

    @property
    def weights(self) -> Mapping[str, Any]:
        """The weights behind the headline."""
        return self._last_validation() if self.test is None else self.test.get("weights", {})

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run; empty without ``config.yaml``."""
        return {} if self.config is None else load_yaml(self.config)

    @property
    def scored(self) -> str:
        """Description of the data and weights of the headline."""
        if self.test is None:
            return with_weights("validation items", self._last_validation())
        evaluated = self.test["evaluated"]
        judged = f"{evaluated['items_with_truth']:,} with truth" if self.test["truth"] else "no truth, judged by votes"
        what = f"{evaluated['items']:,} test items of {evaluated['data']} ({judged})"
        return with_weights(what, self.test.get("weights", {}))

    def _last_validation(self) -> Mapping[str, Any]:
        """The weights that the last logged validation has scored."""
        if self.curves is None or not {"val/loss", "epoch", "step"} <= set(self.curves.columns):
            return {}
        row = self.curves.dropna(subset=["val/loss", "epoch"]).tail(1).to_dict("records")
        # a loss is logged under the index of the last step, from 0
        return Weights("last", int(row[0]["epoch"]), int(row[0]["step"]) + 1)._asdict() if row else {}

    @property
    def headline(self) -> dict[str, float]:
        """Metrics without their stage: of the test items, else the last of the validation items."""
        if self.test is not None:
            named = {k: v for k, v in self.test.items() if k.startswith("test/")}
        else:
            known = {} if self.curves is None else {c: self.curves[c].dropna() for c in self.curves.columns}
            # Each column's own last value, as the logger writes a row per call and leaves the other columns empty.
            named = {k: float(v.iloc[-1]) for k, v in known.items() if k.startswith("val/") and len(v)}
        return {name.partition("/")[2]: float(value) for name, value in named.items()}

    @property
    def suspects_weights(self) -> dict[str, Any]:
        """The weights by which labels are suspicious."""
        return {} if self.suspects is None else dict(self.suspects.attrs.get("weights", {}))

    @property
    def suspects_by(self) -> str:
        """Origin of the predictions by which labels are suspicious."""
        found = None if self.suspects is None else self.suspects.get("predictions")
        return "in-sample" if found is None or not len(found) else str(found.iloc[0])

    @property
    def annotators_weights(self) -> dict[str, Any]:
        """The weights by which annotators are judged."""
        return {} if self.annotators is None else dict(self.annotators.attrs.get("weights", {}))

    @property
    def files(self) -> list[Path]:
        """The files that a reader may want to open."""
        return [self.folder / name for name in FILES if (self.folder / name).is_file()]


def has_results(folder: Path | str) -> bool:
    """Returns whether a folder holds anything to report; a run without callbacks and loggers leaves nothing."""
    names = ("metrics.json", "calibration.csv", "label_errors.parquet")
    return bool(_logs(Path(folder))) or any((Path(folder) / name).is_file() for name in names)


def _logs(folder: Path) -> list[Path]:
    """Returns the files of CSV loggers about the run's own data, all attempts in order."""
    found = folder.glob("**/version_*/metrics.csv")
    own = [path for path in found if not path.relative_to(folder).parts[0].startswith(OTHER_DATA)]
    # By number: version_10 comes behind version_9.
    return sorted(own, key=lambda path: int(path.parent.name.rpartition("_")[2]))


def read_curves(folder: Path) -> pd.DataFrame | None:
    """Returns everything that CSV loggers wrote about the run's own data, all attempts in order; None without a log.

    Raises:
        RunError: if a log is damaged.
    """
    logs = _logs(folder)
    return pd.concat([read_file(path, pd.read_csv) for path in logs], ignore_index=True) if logs else None


def read_run(folder: Path | str) -> Run:
    """Reads a run folder.

    Raises:
        RunError: if it is missing, holds no run, or a file of it cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"There is no run folder at '{folder}'. Give the folder that a run wrote.")
    metrics = folder / "metrics.json"
    test = read_file(metrics, _test_results)
    evaluated = folder / f"evaluation_{'val' if test is None else 'test'}.parquet"
    run = Run(
        folder=folder,
        test=test,
        # Nullable, as rows of older versions name neither; as floats, epoch 3 would read 3.0.
        calibration=read_file(
            folder / "calibration.csv", lambda p: pd.read_csv(p, dtype={"epoch": "Int64", "step": "Int64"})
        ),
        reliability=read_file(folder / "reliability.csv", pd.read_csv),
        evaluation=read_file(evaluated, pd.read_parquet),
        pictures=_pictures(evaluated.with_name(f"{evaluated.stem}_pictures.parquet"))
        | _pictures(folder / "label_errors_pictures.parquet"),
        facts=read_file(folder / "facts.json", _json) or {},
        starts=read_file(folder / "run.json", _json) or [],
        suspects=read_file(folder / "label_errors.parquet", pd.read_parquet),
        detection=read_file(folder / "label_errors_detection.csv", pd.read_csv),
        annotators=read_file(folder / "annotators.parquet", lambda p: rank_annotators(pd.read_parquet(p))),
        confusion=read_file(folder / "confusion.parquet", pd.read_parquet),
        curves=read_curves(folder),
        config=read_file(folder / "config.yaml", Path.read_text),
    )
    # After reading: a damaged file is the more useful message.
    if not has_results(folder):
        raise RunError(f"'{folder}' holds no results of a run (no metrics.json, calibration.csv or metrics.csv).")
    return run


def _test_results(path: Path) -> dict[str, Any] | None:
    found: dict[str, Any] = json.loads(path.read_text())
    # Cross-fitting writes a metrics.json without test items, which is no result of `test`.
    return found if "evaluated" in found else None


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _pictures(path: Path) -> dict[str, bytes]:
    table = read_file(path, pd.read_parquet)
    return {} if table is None else dict(zip(table["item"], table["picture"], strict=True))


def read_file(path: Path, reader: Any) -> Any:
    """Returns what a reader finds in a file, None where there is no file.

    Raises:
        RunError: if it is damaged.
    """
    if not path.is_file():
        return None
    try:
        return reader(path)
    except DAMAGE as error:
        raise RunError(f"Cannot read {path}: {error}. Remove it, or run the command that wrote it again.") from error


def temperature_row(run: Run) -> tuple[pd.Series, pd.Series] | None:
    """Returns the class model's (or, without truth, the votes') calibration before and after the temperature."""
    table = run.calibration
    if table is None or table.empty:
        return None
    # What is tested counts; a run without `test` has only the validation items that the fit itself used.
    table = table[table["split"] == ("test" if (table["split"] == "test").any() else "val")]
    # Votes stand in only where no true class is known.
    for what in ("class", "vote"):
        stages = table[table["what"] == what].set_index("stage")
        if {"before", "after"} <= set(stages.index):
            return stages.loc["before"], stages.loc["after"]
    return None


def top_suspects(run: Run, number: int) -> pd.DataFrame | None:
    """Returns the most suspicious labels that the model contradicts, one per item."""
    return None if run.suspects is None else find_contradicted(run.suspects).head(number)
