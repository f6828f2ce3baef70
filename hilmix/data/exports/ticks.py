"""Answers of MTurk that are ticked: a column of true and false for each choice, such as ``Answer.kind.cat``."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.data.exports.answers import refuse_several
from hilmix.data.exports.export import ExportSettings
from hilmix.faults import Findings

_PREFIX = "answer."


def join_ticks(frame: pd.DataFrame, file: Path, settings: ExportSettings, found: Findings) -> pd.DataFrame:
    """Return a table with one column of labels per question in place of one column per choice.

    ``Answer.kind.cat`` and ``Answer.kind.dog`` become ``Answer.kind``; ``Answer.cat.on`` and ``Answer.dog.on`` become
    ``Answer``. Columns count as choices if all their cells are true, false or empty, and a question has two or more.

    Args:
        frame: rows of assignments.
        file: of the export, for messages.
        settings: ``columns.label`` names the question where there are several; ``several`` what several ticks mean.
        found: collects a fault of several ticks, and a note on rows without one, which are left out.
    """
    questions = _find_questions(frame)
    given = settings.columns.label
    asked = [name for name in questions if given in (None, name)]
    if not asked:
        return frame
    choices = questions[asked[0]]
    # the other columns of ticks can be no label, and their questions may be named
    rest = frame.drop(columns=[header for headers in questions.values() for header in headers])
    if len(asked) > 1:
        return rest.assign(**dict.fromkeys(asked, ""))
    ticked = np.column_stack([_as_text(frame[header]) == "true" for header in choices])
    names = np.array(list(choices.values()), dtype=object)
    number = ticked.sum(axis=1)
    refuse_several([names[row].tolist() for row in ticked[number > 1]], settings.several, file, found)
    if skipped := int((number == 0).sum()):
        found.note("abstention", file, found=f"{skipped:,} answer(s) have no tick: no label", count=skipped)
    row, choice = np.nonzero(ticked)
    return rest.iloc[row].assign(**{asked[0]: names[choice]}).reset_index(drop=True)


def _find_questions(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Header and choice of each column of ticks, by question."""
    questions: dict[str, dict[str, str]] = {}
    for header in frame.columns:
        if not header.lower().startswith(_PREFIX) or not np.isin(_as_text(frame[header]), ("true", "false", "")).all():
            continue
        question, _, choice = header.rpartition(".")
        if choice == "on" and question.lower().startswith(_PREFIX):  # a checkbox, which is named by its choice
            question, _, choice = question.rpartition(".")
        questions.setdefault(question, {})[header] = choice
    return {question: choices for question, choices in questions.items() if len(choices) > 1}


def _as_text(cells: "pd.Series[object]") -> NDArray[np.str_]:
    text: NDArray[np.str_] = cells.fillna("").astype(str).str.strip().str.lower().to_numpy(dtype=str)
    return text
