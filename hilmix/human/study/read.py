"""Reads the released files of H-Mix, or any study in the same layout, in one orientation: the weight of image 1."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hilmix.columns import IntArray
from hilmix.errors import DataError
from hilmix.human.study.layout import CLASSES, LAYOUTS, NO_ALTERNATIVE, NUM_ITEMS, REPEAT_PREFIX, check_classes
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import MIDPOINT_TASKS, TASKS, Task
from hilmix.human.study.trials import TrialTable

_NOISE_DIGITS = 9  # key steps add up to 0.6000000000000001; any step that a study may use is coarser than this


def read_hmix(folder: Path | str) -> dict[Task, MixStudy]:
    """Returns the four released studies by task; see :func:`read_study`."""
    return {task: read_study(folder, task) for task in TASKS}


def read_study(
    folder: Path | str, task: Task, *, classes: Sequence[str] = CLASSES, num_items: int = NUM_ITEMS
) -> MixStudy:
    """Returns one study: its trials, repeats included and flagged, other pages of the sessions left out.

    Participants, stimuli and batches are numbered in the order in which they first appear.

    Args:
        folder: holds the file under its released name.
        task: one of ``construct``, ``select``, ``infer``, ``categorical``.
        classes: K names, as the file spells them.
        num_items: size of the set of images; ids must lie below it.

    Raises:
        DataError: naming file, row, column, what was found and what is allowed.

    Reference:
        Collins et al.: Human-in-the-Loop Mixup, UAI 2023.
    """
    if task not in TASKS:
        raise DataError(f"`task` must be one of {', '.join(TASKS)}, got '{task}'.")
    table = TrialTable(Path(folder), LAYOUTS[task])
    # factorize numbers by first appearance; unique would sort.
    participant, names = pd.factorize(table["subject"])
    columns, read = (_pairs, "class_pair") if task in MIDPOINT_TASKS else (_mixes, "filename")
    shown = columns(table, classes, num_items)
    stimulus, first = _distinct(table, read, shown)
    page = pd.Series(table.numbers("trial_index", np.inf, whole=True))
    table.refuse(
        pd.DataFrame({"participant": participant, "page": page}).duplicated(),
        "trial_index",
        "a page once per participant; is a session in the file twice?",
    )
    judgments = _ANSWERS[task](table, classes) | {
        "participant": participant,
        "stimulus": stimulus,
        # jsPsych logs milliseconds.
        "seconds": table.numbers("rt", np.inf, optional=True) / 1000,
        "repeat": table["task"].str.startswith(REPEAT_PREFIX),
        "trial": page.groupby(participant).rank(method="first") - 1,  # pages before the first trial vary
        "batch": _batches(participant, stimulus, table["condition"]),
    }
    return MixStudy.build(
        task,
        classes=classes,
        participants=list(names),
        num_items=num_items,
        stimuli={name: np.asarray(values)[first] for name, values in shown.items()},
        judgments=judgments,
    )


def _mixes(table: TrialTable, classes: Sequence[str], num_items: int) -> dict[str, Any]:
    """Per row, what was shown where the file says it in columns."""
    table.refuse(table["filename"] == "", "filename", "the name of the mix")
    return {
        "name": table["filename"],
        "id1": table.ids("id1", num_items),
        "id2": table.ids("id2", num_items),
        "label1": table.codes("label1", classes),
        "label2": table.codes("label2", classes),
        "weight": table.numbers("mixtureCoeff", 1),
    }


def _pairs(table: TrialTable, classes: Sequence[str], num_items: int) -> dict[str, Any]:
    """Per row, what was shown where the file says it in a name such as ``Bird_9624_Deer_9585``."""
    # Class names may hold characters that mean something in a pattern.
    known = "|".join(map(re.escape, classes))
    allowed = f"<class>_<id>_<class>_<id> with the classes {', '.join(classes)}"
    # Without named classes a class called "bus_2" could not be distinguished from an id.
    label1, id1, label2, id2 = table.matches("class_pair", rf"({known})_(\d+)_({known})_(\d+)", allowed).T.to_numpy()
    return {
        "name": table["class_pair"],
        "id1": table.ids("class_pair", num_items, texts=id1),
        "id2": table.ids("class_pair", num_items, texts=id2),
        "label1": table.codes("class_pair", classes, texts=label1),
        "label2": table.codes("class_pair", classes, texts=label2),
    }


def _distinct(table: TrialTable, column: str, shown: dict[str, Any]) -> tuple[IntArray, IntArray]:
    """(L,) the stimulus of each row, and (S,) the first row of each stimulus, all of whose rows must agree."""
    stimulus, _ = pd.factorize(shown["name"])
    # Codes ascend by first appearance, so sorting them keeps the order of the file.
    first = np.unique(stimulus, return_index=True)[1]
    for values in shown.values():
        cells = np.asarray(values)
        table.refuse(cells != cells[first][stimulus], column, "the ids, labels and weight that it has further up")
    return stimulus, first


def _batches(participant: IntArray, stimulus: IntArray, condition: "pd.Series[str]") -> IntArray:
    """(L,) int64: sessions of one condition that are linked by what they saw.

    Conditions alone are not enough, since collection waves with other stimuli use the same numbers; nor are stimuli
    alone, since batches of pairs overlap. Links instead of equal sets keep an unfinished session in its batch.
    """
    shown = pd.factorize(pd.MultiIndex.from_arrays([condition, stimulus]))[0]
    size = (int(participant.max(initial=-1)) + 1, int(shown.max(initial=-1)) + 1)
    # Bipartite: participants, and behind them the (condition, stimulus) pairs they saw.
    graph = coo_array((np.ones(len(shown)), (participant, shown + size[0])), shape=(sum(size), sum(size)))
    batches: IntArray = pd.factorize(connected_components(graph, directed=False)[1][participant])[0]
    return batches


def _constructed(table: TrialTable, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "weight": table.numbers("final_value", 1).round(_NOISE_DIGITS),
        "start": table.numbers("start_value", 1).round(_NOISE_DIGITS),
    }


def _selected(table: TrialTable, classes: Sequence[str]) -> dict[str, Any]:
    chosen = [str(answer["select"]).removeprefix("select") for answer in table.parsed("response", ["select"])]
    return {"weight": table.numbers("response", 1, texts=chosen)}


def _inferred(table: TrialTable, classes: Sequence[str]) -> dict[str, Any]:
    responses = table.parsed("responses", ["mixingcoeff", "confidence"])
    slider = table.numbers("responses", 100, texts=[answer["mixingcoeff"] for answer in responses])
    confidence = table.numbers("responses", 100, texts=[answer["confidence"] for answer in responses])
    return {"weight": 1 - slider / 100, "confidence": confidence / 100}  # the slider's left end is all image 1


def _categorised(table: TrialTable, classes: Sequence[str]) -> dict[str, Any]:
    check_classes(classes)
    responses = table.parsed("response", ["classSelect", "prob", "classSelect2", "prob2"])
    # The page stored the ids of its radio buttons.
    top = [str(answer["classSelect"]).removeprefix("mostProb") for answer in responses]
    second = [str(answer["classSelect2"]).removeprefix("secondProb") for answer in responses]
    ticked = [[key for key in answer if key.startswith("improbClassSelect")] for answer in responses]
    keys = [f"improbClassSelect{name}" for name in classes]
    table.refuse(
        [not set(row) <= set(keys) for row in ticked],
        "response",
        f"improbClassSelect with the classes {', '.join(classes)}",
    )
    return {
        "top": table.codes("response", classes, texts=top),
        "top_percent": table.numbers("response", 100, texts=[answer["prob"] for answer in responses]),
        # "No" is place 0, which becomes -1.
        "second": table.codes("response", (NO_ALTERNATIVE, *classes), texts=second) - 1,
        "second_percent": table.numbers(
            "response", 100, texts=[answer["prob2"] for answer in responses], optional=True
        ),
        "impossible": np.array([[key in row for key in keys] for row in ticked], dtype=bool),
    }


_ANSWERS = {"construct": _constructed, "select": _selected, "infer": _inferred, "categorical": _categorised}
