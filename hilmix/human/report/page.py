"""The summary as one HTML file: figures inside, tables below them, no network."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from hilmix.files import write_atomically
from hilmix.human.report.figures import FIGURES
from hilmix.human.report.summary import REPEATS, Studies, Summary
from hilmix.names import printable

PAGE = "index.html"
ROWS = 60
"""Most rows of a table on the page; the CSV beside it has all."""
TITLES = {
    "counts": "What was collected",
    "weights": "Mean answers by weight",
    "curves": "Relabelling curves",
    "confidence": "What confidence goes with",
    "confidence_bins": "Answers and confidence by weight",
    "midpoints": "Midpoints",
    "anchoring": "Effect of the start value",
    "labels": "Labels over the classes",
    "top_classes": "Top classes",
    "class_strengths": "Class strengths",
    "label_pairs": "Pairs of classes",
    "agreement": "Agreement of participants",
    "repeats": "Repeats",
    "explained": "What explains the answers",
    "participants": "Participants",
}
"""By table, in the order of the page."""


def write_page(studies: Studies, summary: Summary, files: Sequence[Path], folder: Path) -> Path:
    """Writes ``index.html`` beside the files of a summary and returns its path.

    Args:
        studies: what was summarised.
        summary: of these studies.
        files: written ones: the figures among them go into the page, all are linked.
        folder: of the files.

    Raises:
        RunError: if the file cannot be written.
    """
    there = {file.name for file in files}
    # Two figures rest on one table; the curves are what the first of them is about.
    drawn = {"curves" if name == "relabelling.png" else table: name for name, (table, _) in FIGURES.items()}
    figures = {table: name for table, name in drawn.items() if name in there}
    parts = [_part(name, summary.tables[name], folder, figures.get(name)) for name in _ordered(summary)]
    parts += [_figure_part(name, folder) for table, name in figures.items() if table not in summary.tables]
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "pages")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.get_template("summary.html.j2").render(
        name=printable(folder.resolve().name),
        level=f"{summary.level:.0%}",
        tasks=", ".join(studies),
        notes=[printable(note) for note in summary.notes],
        repeats=REPEATS,
        parts=parts,
        files=sorted(there),
    )
    with write_atomically(folder / PAGE) as partial:
        partial.write_text(page, encoding="utf-8")
    return folder / PAGE


def _ordered(summary: Summary) -> list[str]:
    known = [name for name in TITLES if name in summary.tables]
    return [*known, *(name for name in summary.tables if name not in TITLES)]


def _part(name: str, table: pd.DataFrame, folder: Path, figure: str | None) -> dict[str, Any]:
    shown = table.head(ROWS)
    return {
        "id": name,
        "title": TITLES.get(name, name.replace("_", " ")),
        "file": f"{name}.csv",
        "columns": [(str(column).replace("_", " "), _is_number(table[column])) for column in table.columns],
        "rows": [
            [(_text(value), _is_number(table[column])) for column, value in row.items()] for _, row in shown.iterrows()
        ],
        "total": len(table),
        "figure": figure and _embed(folder / figure),
    }


def _figure_part(name: str, folder: Path) -> dict[str, Any]:
    title = name.removesuffix(".png").replace("_", " ").capitalize()
    empty: dict[str, Any] = {"columns": [], "rows": [], "total": 0, "file": name}
    return {"id": name.removesuffix(".png"), "title": title, "figure": _embed(folder / name), **empty}


def _embed(file: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _text(value: Any) -> str:
    """Three significant digits, whole numbers whole, nothing for what is missing."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"
    return "" if value is None or value is pd.NA else printable(str(value))
