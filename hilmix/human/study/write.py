"""Writes a study in the layout of the released files, so that whatever reads H-Mix reads any study."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilmix.errors import DataError
from hilmix.human.study.layout import (
    FIRST_PAGE,
    INFERENCES,
    LAYOUTS,
    NO_ALTERNATIVE,
    REPEAT_PREFIX,
    SOFT_LABELS,
    check_classes,
)
from hilmix.human.study.released import released_inferences, released_soft_labels
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import ClassAnswers
from hilmix.spreadsheets import csv_text

_SLIDER_DIGITS = 10  # 100 * (1 - weight) brings back the slider's number up to float noise


def write_released(study: MixStudy, folder: Path | str) -> list[Path]:
    """Writes a study under its released names and returns the files: the judgments, and what is derived from them.

    The infer task also gives the processed inferences, the categorical task the soft labels. Columns, names and
    orientation are the released ones; columns that log other things than a study holds stay empty, ``condition`` is the
    batch, and ``trial_index`` counts on from 6. Reading the file gives back the study, if its vocabularies are in the
    order in which the judgments first use them and name nothing else, if each batch is linked by common stimuli, and
    each session's trials count from 0.

    Args:
        study: any. In the midpoint tasks a stimulus is written as ``<class>_<id>_<class>_<id>``, whatever its name.
        folder: made if it is not there.

    Raises:
        DataError: if a file of that name is there, or a class has the name that stands for "no alternative".
    """
    target = Path(folder)
    layout = LAYOUTS[study.task]
    texts = {layout.file: csv_text(_trials(study), index=True)}
    if study.task == "infer":
        texts[INFERENCES] = json.dumps(released_inferences(study))
    if study.task == "categorical":
        texts[SOFT_LABELS] = json.dumps(released_soft_labels(study))
    # All names before the first write: nothing is left half written.
    if there := [name for name in texts if (target / name).exists()]:
        raise DataError(f"{target} already holds {', '.join(there)}; write into another folder.")
    target.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        # newline="": the text has its line ends, which Windows would double.
        (target / name).write_text(text, encoding="utf-8", newline="")
    return [target / name for name in texts]


def _trials(study: MixStudy) -> pd.DataFrame:
    layout, rows = LAYOUTS[study.task], study.to_frame()
    columns: dict[str, Any] = {
        "index": np.arange(len(rows)),
        "trial_type": layout.page,
        "trial_index": rows["trial"] + FIRST_PAGE,
        "subject": rows["participant"],
        "condition": rows["batch"],
        "rt": rows["seconds"].astype(np.float64) * 1000,
        "task": np.where(rows["repeat"], REPEAT_PREFIX, "") + layout.trial,
        "label1": rows["label1"],
        "label2": rows["label2"],
        "id1": rows["id1"].astype(np.float64),  # the release writes them as 2205.0
        "id2": rows["id2"].astype(np.float64),
        "mixtureCoeff": rows["generating_weight"],
        "class_pair": [f"{a}_{i}_{b}_{j}" for a, i, b, j in rows[["label1", "id1", "label2", "id2"]].to_numpy()],
        "filename": rows["stimulus"],
    }
    columns |= _answers(study, rows, columns)
    return pd.DataFrame(columns, index=rows.index).reindex(columns=layout.columns)


def _answers(study: MixStudy, rows: pd.DataFrame, columns: dict[str, Any]) -> dict[str, Any]:
    """The columns that hold the answers, or differ between the tasks."""
    if study.task == "construct":
        start = rows["start"]
        return {"final_value": rows["weight"], "start_value": start, "starting_value": start, "filename": None}
    if study.task == "select":
        return {"response": [_compact({"select": f"select{weight}"}) for weight in rows["weight"].tolist()]}
    if study.judgments.answers is not None:
        return {"response": [_compact(form) for form in _forms(study.judgments.answers, study.classes)]}
    sliders = zip(_sliders(1 - rows["weight"]), _sliders(rows["confidence"]), strict=True)  # left: all image 1
    return {
        "responses": [_compact({"mixingcoeff": factor, "confidence": sure}) for factor, sure in sliders],
        "class_pair": [f"{pair}.png" for pair in columns["class_pair"]],
    }


def _forms(answers: ClassAnswers, classes: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The page's form, one per categorical answer."""
    check_classes(classes)
    columns = answers.top, answers.top_percent, answers.second, answers.second_percent, answers.impossible
    for top, percent, second, second_percent, impossible in zip(*columns, strict=True):
        yield {
            "classSelect": f"mostProb{classes[top]}",
            "prob": str(_plain(percent)),
            "classSelect2": f"secondProb{NO_ALTERNATIVE if second < 0 else classes[second]}",
            "prob2": "" if np.isnan(second_percent) else str(_plain(second_percent)),
        } | {f"improbClassSelect{classes[k]}": "1" for k in np.flatnonzero(impossible)}


def _compact(answer: dict[str, Any]) -> str:
    """JSON as browsers write it."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _sliders(share: "pd.Series[float]") -> list[int | float]:
    """Returns positions of sliders from 0 to 100."""
    return [_plain(number) for number in (100 * share).round(_SLIDER_DIGITS)]


def _plain(number: float) -> int | float:
    """The number, without decimals if it has none."""
    return int(number) if number == int(number) else float(number)
