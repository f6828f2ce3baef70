"""Tables and picture grids of a report: confused classes, wrong predictions, suspicious labels, annotators."""

import base64
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from hilmix.diagnostics.annotators import choose_annotators
from hilmix.diagnostics.evaluation import reference_column, wrong_predictions
from hilmix.diagnostics.label_errors import ranking_score
from hilmix.functional.uncertainty import wilson_interval
from hilmix.report import charts
from hilmix.report.run import Run, top_suspects

MATRIX_CLASSES = 24
"""More classes than this are shown as a list of the most confused pairs."""
WRONG, SUSPECTS, ANNOTATORS, PAIRS = 24, 100, 200, 20
"""Most wrong predictions, suspicious labels, annotators and confused pairs that are shown; the files hold all."""
FEW_LABELS = 10
MATRICES = 6
_LONG = {"target": "true class", "majority": "majority vote"}


class Picture(NamedTuple):
    """A cell of a grid."""

    item: str
    source: str
    """Data address of the picture; empty where there is none."""
    lines: list[tuple[str, str]]
    """Kind (``given``, ``model`` or ``more``) and text of each line of the caption."""
    row: dict[str, Any]
    """Values by which the grid is filtered."""


class Confusion(NamedTuple):
    """Numbers of each prediction by class."""

    rows: str
    """Meaning of the rows: the true class or the majority vote."""
    classes: list[str]
    """Empty where there are too many for a matrix."""
    cells: list[list[tuple[int, float]]]
    """Number and share of its row, row by row."""
    recall: list[str]
    """Share of each row that is right."""
    pairs: list[tuple[str, str, int, float]]
    """Reference, prediction, number and share of the reference: the most frequent errors."""


def confusion(run: Run) -> Confusion | None:
    """Returns the confusion of the evaluated items, None where nothing is known to compare with."""
    table = run.evaluation
    if table is None or table.empty:
        return None
    column = reference_column(table)
    known = table[table[column].notna()]
    if known.empty:
        return None
    # The reference first: its categories have the order of the classes of the data.
    names = list(dict.fromkeys([*_categories(known[column]), *_categories(known["predicted"])]))
    reference = pd.Categorical(known[column], categories=names).codes
    predicted = pd.Categorical(known["predicted"], categories=names).codes
    frame = pd.DataFrame({"reference": reference, "predicted": predicted})
    sizes = np.bincount(reference, minlength=len(names))
    counts = frame.value_counts().reset_index(name="number")
    wrong = counts[counts["reference"] != counts["predicted"]].head(PAIRS)
    pairs = [
        (names[row.reference], names[row.predicted], int(row.number), float(row.number / sizes[row.reference]))
        for row in wrong.itertuples(index=False)
    ]
    if len(names) > MATRIX_CLASSES:
        return Confusion(_LONG[column], [], [], [], pairs)
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    matrix[counts["reference"], counts["predicted"]] = counts["number"]
    shares = matrix / np.maximum(sizes, 1)[:, None]
    cells = [[*zip(numbers, row, strict=True)] for numbers, row in zip(matrix.tolist(), shares.tolist(), strict=True)]
    recall = [
        f"{100 * share:.0f} %" if size else "" for share, size in zip(shares.diagonal().tolist(), sizes, strict=True)
    ]
    return Confusion(_LONG[column], names, cells, recall, pairs)


def wrong_pictures(run: Run) -> tuple[list[Picture], str]:
    """Returns the most confident wrong predictions, and what they are held against."""
    if run.evaluation is None:
        return [], ""
    column = reference_column(run.evaluation)
    pictures = []
    for row in wrong_predictions(run.evaluation, WRONG).to_dict("records"):
        lines = [("model", f"predicted {row['predicted']} ({_chance(row['confidence'])})")]
        lines.append(("given", f"{_LONG[column]} {row[column]}"))
        # The vote is the same thing where it is what the predictions are held against.
        if column == "target" and isinstance(row["majority"], str):
            lines.append(("more", f"majority vote {row['majority']}"))
        pictures.append(Picture(row["item"], _source(run, row["item"]), lines, {}))
    return pictures, _LONG[column]


def suspicious(run: Run) -> tuple[list[Picture], str]:
    """Returns the most suspicious labels, one per item, and the name of the score that ranks them."""
    top = top_suspects(run, SUSPECTS)
    if top is None or top.empty:
        return [], ""
    score = ranking_score(top)
    pictures = []
    for row in top.to_dict("records"):
        lines = [("given", f"label {row['label']} ({_chance(row[score])})"), ("model", f"suggests {row['suggested']}")]
        more = [f"by {row['annotator']}"] if "annotator" in row else []
        if isinstance(row.get("target"), str):
            more.append(f"truth {row['target']}")
        lines += [("more", text) for text in more]
        known = {name: row.get(name) if isinstance(row.get(name), str) else "" for name in ("annotator", "target")}
        values = {"label": row["label"], "suggested": row["suggested"], **known, "score": float(row[score])}
        pictures.append(Picture(row["item"], _source(run, row["item"]), lines, values))
    return pictures, score


def annotator_rows(run: Run) -> list[dict[str, Any]]:
    """Returns names, estimated accuracy with its interval, true accuracy and flags, the least reliable first."""
    table = run.annotators
    if table is None or table.empty:
        return []
    labels, estimate = table["labels"].to_numpy(), table["estimated_accuracy"].to_numpy()
    lower, upper = wilson_interval(np.nan_to_num(estimate) * labels, labels)
    crowd = float(np.average(np.nan_to_num(estimate), weights=np.maximum(labels, 1)))
    classes = len(run.facts.get("data", {}).get("classes", {}))
    chosen = np.arange(len(table))[:ANNOTATORS]
    return [
        {
            "name": row["annotator"],
            "labels": int(row["labels"]),
            "estimate": float(row["estimated_accuracy"]),
            "lower": float(lower[i]),
            "upper": float(upper[i]),
            "truth": None if row["true_accuracy"] != row["true_accuracy"] else float(row["true_accuracy"]),
            "flags": _flags(int(row["labels"]), float(lower[i]), float(upper[i]), crowd, classes),
        }
        for i, row in zip(chosen, table.iloc[chosen].to_dict("records"), strict=True)
    ]


def annotator_matrices(run: Run) -> list[tuple[str, Markup]]:
    """Returns caption and confusion matrix of the least reliable and the most active annotators."""
    table, cells = run.annotators, run.confusion
    if table is None or cells is None or cells.empty:
        return []
    classes = [*cells["true"].cat.categories]
    if len(classes) > MATRIX_CLASSES:
        return []
    column = "prob_model" if "prob_model" in cells else "prob_posterior"
    found = []
    for place in choose_annotators(table, MATRICES):
        name, estimate = str(table.loc[place, "annotator"]), table.loc[place, "estimated_accuracy"]
        own = cells[cells["annotator"].astype(object) == table.loc[place, "annotator"]]
        matrix = np.full((len(classes), len(classes)), np.nan)
        matrix[own["true"].cat.codes, own["label"].cat.codes] = own[column]
        about = f"Confusion matrix of annotator {name}"
        found.append((f"{name} ({estimate:.0%})", charts.heatmap(matrix, classes, about)))
    return found


def _flags(labels: int, lower: float, upper: float, crowd: float, classes: int) -> list[str]:
    if labels < FEW_LABELS:
        return ["few labels"]
    flags = []
    # By the end of the interval and not by the estimate: a flag beside a name can cost that person work.
    if classes and upper < 1 / classes:
        flags.append("worse than guessing")
    elif classes and lower <= 1 / classes:
        flags.append("no better than guessing")
    elif upper < crowd:
        flags.append("below the others")
    return flags


def _categories(column: "pd.Series") -> list[str]:
    return [*column.cat.categories] if isinstance(column.dtype, pd.CategoricalDtype) else sorted(column.unique())


def _source(run: Run, item: str) -> str:
    picture = run.pictures.get(item)
    if picture is None:
        return ""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    # Inside the page: a report that is mailed or moved keeps its pictures.
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _chance(p: float) -> str:
    # 0 % would claim certainty, and so would 100 %.
    if p < 0.01:
        return "<\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%"
    return ">\N{NO-BREAK SPACE}99\N{NO-BREAK SPACE}%" if p > 0.99 else f"{100 * p:.0f}\N{NO-BREAK SPACE}%"
