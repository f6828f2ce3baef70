"""All tables about the studies of a folder, and the files that hold them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilmix.errors import DataError
from hilmix.files import write_atomically, write_table
from hilmix.human.functional.curve_fits import PARAMETERS
from hilmix.human.report.agreement import (
    PREDICTORS,
    WEIGHT_PREDICTORS,
    compute_agreement_table,
    compute_ceiling_table,
    compute_explained_table,
    compute_repeat_table,
)
from hilmix.human.report.answers import (
    CRITERIA,
    compute_anchoring_table,
    compute_curve_table,
    compute_midpoint_table,
    compute_weight_table,
)
from hilmix.human.report.categorical import RULES, build_label_frame, compute_label_table, compute_top_class_table
from hilmix.human.report.classes import compute_pair_table, compute_strength_table
from hilmix.human.report.confidence import compute_confidence_table, confidence_bins
from hilmix.human.report.frame import COLUMNS, build_answer_frame
from hilmix.human.report.participants import compute_count_table, compute_participant_table
from hilmix.human.study import MIDPOINT_TASKS, TASKS, MixStudy, Task, read_study
from hilmix.human.study.layout import CLASSES, LAYOUTS, NUM_ITEMS, ORIGIN

Studies = dict[Task, MixStudy]
Part = tuple[str, str, Callable[[], pd.DataFrame]]
"""Name of the table, description of the part, function that computes it."""
REPEATS = (
    "Trials shown once more at the end of a session count in reliability and in the table of participants, nowhere "
    "else."
)
COUNTED = ("counts", "participants")
"""Tables that are not of the common form."""


@dataclass(frozen=True)
class Summary:
    """Result of :func:`summarize_studies`.

    Args:
        tables: by name; those without a row are missing.
        notes: what could not be computed, and why.
        level: of all intervals.
    """

    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...]
    level: float

    def long(self) -> pd.DataFrame:
        """All estimates in one table: ``table`` and the columns of :data:`~hilmix.human.report.frame.COLUMNS`."""
        parts = [
            frame[list(COLUMNS)].assign(table=name)[["table", *COLUMNS]]
            for name, frame in self.tables.items()
            if name not in COUNTED
        ]
        return pd.concat(parts, ignore_index=True)


def read_studies(folder: Path | str, *, classes: Sequence[str] = CLASSES, num_items: int = NUM_ITEMS) -> Studies:
    """Returns the studies of a folder, at least one of the four; see :func:`~hilmix.human.study.read_study`.

    Raises:
        DataError: if there is no such folder, none of the files is in it, or one of them is not as it should be.
    """
    place = Path(folder)
    if not place.is_dir():
        raise DataError(f"There is no folder {place}; point it at a copy of {ORIGIN}, or at an exported study.")
    there = [task for task in TASKS if (place / LAYOUTS[task].file).is_file()]
    if not there:
        names = ", ".join(layout.file for layout in LAYOUTS.values())
        raise DataError(f"{place} has none of {names}; point it at a copy of {ORIGIN}, or at an exported study.")
    studies = {task: read_study(place, task, classes=classes, num_items=num_items) for task in there}
    for task, study in studies.items():
        # Most tables leave repeats out, and nothing would be left.
        if study.judgments.repeat.all():
            raise DataError(f"{place / LAYOUTS[task].file}: every trial is flagged as shown once more; none is left.")
    return studies


def summarize_studies(studies: Studies, *, level: float = 0.95) -> Summary:
    """Returns every table that the studies give.

    Args:
        studies: any of the four, by task.
        level: of the intervals.
    """
    frames: dict[str, list[pd.DataFrame]] = {}
    missing: dict[tuple[str, str], list[str]] = {}
    for study in studies.values():
        for name, what, make in _parts(study, level):
            try:
                part = make()
            # One table that the answers cannot support must not cost the others.
            except DataError as error:
                missing.setdefault((study.task, str(error)), []).append(what)
            else:
                frames.setdefault(name, []).extend([part] if len(part) else [])
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items() if parts}
    notes = tuple(f"{task}, {', '.join(whats)}: {error}" for (task, error), whats in missing.items())
    return Summary(tables, notes, level)


def _parts(study: MixStudy, level: float) -> Iterator[Part]:
    yield "counts", "counts", partial(compute_count_table, study)
    yield "participants", "participants", partial(compute_participant_table, study)
    yield "weights", "means", partial(compute_weight_table, study, level=level)
    if study.task == "infer":
        yield from _infer_parts(study, level)
    if study.task in MIDPOINT_TASKS:
        yield "midpoints", "midpoints", partial(compute_midpoint_table, study, level=level)
    if study.task == "construct":
        yield "anchoring", "effect of the start value", partial(compute_anchoring_table, study, level=level)
    if study.task == "categorical":
        yield "labels", "labels", partial(compute_label_table, study, level=level)
        yield "top_classes", "top classes", partial(compute_top_class_table, study, level=level)
    else:
        yield "class_strengths", "class strengths", partial(compute_strength_table, study, level=level)
        yield "label_pairs", "label pairs", partial(compute_pair_table, study, level=level)
        yield "explained", "noise ceiling", partial(compute_ceiling_table, study)
        for predictor in PREDICTORS:
            if study.task == "infer" or predictor not in WEIGHT_PREDICTORS:
                make = partial(compute_explained_table, study, predictor, level=level)
                yield "explained", f"share explained by {predictor}", make
    yield from _reliability_parts(study, level)


def _infer_parts(study: MixStudy, level: float) -> Iterator[Part]:
    for kind in PARAMETERS:
        for criterion in CRITERIA:
            make = partial(compute_curve_table, study, kind, criterion, level=level)
            yield "curves", f"{kind} curve by {criterion}", make
    yield "confidence", "what confidence goes with", partial(compute_confidence_table, study, level=level)
    yield "confidence_bins", "confidence by bins", partial(confidence_bins, study, level=level)


def _reliability_parts(study: MixStudy, level: float) -> Iterator[Part]:
    if study.task == "categorical":
        frame = build_label_frame(study)
        measures = [f"{rule}_{measure}" for rule in RULES for measure in ("entropy", "off_endpoints", "image1")]
    else:
        frame = build_answer_frame(study, repeats=True)
        measures = ["answer", "deviation", "confidence"] if study.task == "infer" else ["answer"]
    for measure in measures:
        yield (
            "agreement",
            f"agreement on {measure}",
            partial(compute_agreement_table, study, frame, measure, level=level),
        )
        if measure != "deviation":  # of a repeat, it is that of the answer
            yield "repeats", f"repeats of {measure}", partial(compute_repeat_table, study, frame, measure, level=level)


def write_summary(summary: Summary, folder: Path) -> list[Path]:
    """Writes ``summary.json``, ``summary.csv`` with all estimates, and one CSV per table; returns the files.

    Args:
        summary: what to write.
        folder: made if it is not there.

    Raises:
        RunError: if a file cannot be written.
    """
    files = [folder / "summary.json", folder / "summary.csv"]
    with write_atomically(files[0]) as partial_file:
        partial_file.write_text(json.dumps(_content(summary), indent=1) + "\n", encoding="utf-8")
    write_table(summary.long(), files[1])
    for name, table in summary.tables.items():
        files.append(folder / f"{name}.csv")
        write_table(table, files[-1])
    return files


def _content(summary: Summary) -> dict[str, Any]:
    """The summary as JSON; cells that are empty or not finite as null."""
    rows = {}
    for name, table in summary.tables.items():
        known = table.notna() & ~table.isin([np.inf, -np.inf])
        # Only object columns can hold None; JSON has no NaN.
        rows[name] = table.astype(object).where(known, None).to_dict("records")
    return {"level": summary.level, "repeats": REPEATS, "notes": list(summary.notes), "tables": rows}
