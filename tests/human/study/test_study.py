"""The study itself: what it refuses, what it leaves alone."""

import numpy as np
import pytest

from hilmix.errors import DataError
from hilmix.human.study import TASKS, MixStudy
from tests.human.study.same import assert_same
from tests.human.study.synthetic import invent

STIMULI = {"name": ["m"], "id1": [1], "id2": [2], "label1": [0], "label2": [1], "weight": [0.25]}
JUDGMENTS = {"participant": [0, 0], "stimulus": [0, 0], "trial": [0, 1], "weight": [0.5, 0.6], "confidence": [1, 0.2]}
ANSWERS = {
    "participant": [0],
    "stimulus": [0],
    "trial": [0],
    "top": [0],
    "top_percent": [60.0],
    "second": [1],
    "second_percent": [20.0],
    "impossible": [[False, True]],
}


def build(task="infer", *, stimuli=STIMULI, judgments=JUDGMENTS, **vocabularies):
    names = {"classes": ("a", "b"), "participants": ("u",), "num_items": 3} | vocabularies
    return MixStudy.build(task, stimuli=stimuli, judgments=judgments, **names)


def test_what_may_be_left_out_is_filled_in():
    judgments = build().judgments
    assert np.isnan(judgments.seconds).all()
    assert (judgments.repeat.tolist(), judgments.batch.tolist()) == ([False, False], [0, 0])
    assert judgments.start is judgments.answers is None


def test_the_arrays_are_copies():
    weight = np.array([0.25])
    study = build(stimuli=STIMULI | {"weight": weight})
    weight[0] = 0.9
    assert study.stimuli.weight.tolist() == [0.25]


@pytest.mark.parametrize("task", TASKS)
def test_without_repeats_takes_the_flagged_rows_out_and_nothing_else(task):
    study = invent(task, 3)
    assert study.judgments.repeat.any()
    found = study.without_repeats()
    assert_same(found.stimuli, study.stimuli)
    assert found.participants == study.participants
    kept = study.to_frame()[~study.judgments.repeat].reset_index(drop=True)
    assert found.to_frame().equals(kept)
    if task == "categorical":
        np.testing.assert_array_equal(
            found.judgments.answers.impossible, study.judgments.answers.impossible[~study.judgments.repeat]
        )


def test_the_frame_has_one_named_row_per_judgment():
    row = build().to_frame().iloc[1]
    assert row[["participant", "stimulus", "label1", "label2", "id1", "id2"]].tolist() == ["u", "m", "a", "b", 1, 2]
    assert row[["generating_weight", "weight", "confidence", "trial"]].tolist() == [0.25, 0.6, 0.2, 1]
    assert "start" not in row
    assert "start" in invent("construct", 0).to_frame()


def test_it_introduces_itself_in_one_line():
    assert repr(build()) == "MixStudy(infer: 2 judgments of 1 stimuli by 1 participants, 2 classes)"


BROKEN = {
    "an unknown task": ({"task": "rate"}, "task.*construct.*rate"),
    "a class twice": ({"classes": ("a", "a")}, "classes: 'a' occurs more than once"),
    "a participant twice": ({"participants": ("u", "u")}, "participants: 'u' occurs more than once"),
    "a name twice": ({"stimuli": {k: v * 2 for k, v in STIMULI.items()}}, "stimuli name: 'm' occurs more than once"),
    "a missing column": ({"stimuli": {"name": ["m"]}}, r"stimuli lack the column\(s\) \['id1'"),
    "a weight of a pair": ({"task": "select"}, r"have the column\(s\) \['weight'\]; this task allows"),
    "a misspelt column": ({"judgments": JUDGMENTS | {"repeats": [0, 0]}}, r"column\(s\) \['repeats'\]"),
    "an id outside": ({"num_items": 2}, "id2\\[0\\].*got 2"),
    "a label outside": ({"stimuli": STIMULI | {"label1": [2]}}, "label1\\[0\\].*got 2"),
    "a weight outside": ({"stimuli": STIMULI | {"weight": [1.5]}}, "weight\\[0\\].*1\\.5"),
    "no weight": ({"judgments": JUDGMENTS | {"weight": [0.5, np.nan]}}, "weight, row 1: .*empty"),
    "no confidence": ({"judgments": JUDGMENTS | {"confidence": [np.nan, 1]}}, "confidence, row 0: .*empty"),
    "a participant outside": ({"judgments": JUDGMENTS | {"participant": [0, 1]}}, "participant\\[1\\].*got 1"),
    "a trial twice": ({"judgments": JUDGMENTS | {"trial": [4, 4]}}, "trial, row 1: .*got 4"),
    "a short column": ({"judgments": JUDGMENTS | {"trial": [4]}}, "judgments trial must have 2 rows, got 1"),
    "a second outside": ({"task": "categorical", "judgments": ANSWERS | {"second": [2]}}, "second\\[0\\].*got 2"),
    "a second below": ({"task": "categorical", "judgments": ANSWERS | {"second": [-2]}}, "second\\[0\\].*got -2"),
    "a percent outside": ({"task": "categorical", "judgments": ANSWERS | {"top_percent": [101]}}, "percent.*got 101"),
    "ticks of other classes": (
        {"task": "categorical", "judgments": ANSWERS | {"impossible": [[True]]}},
        r"shape \(1, 2\), got \(1, 1\)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_columns_give_one_error(case):
    change, message = BROKEN[case]
    with pytest.raises(DataError, match=message):
        build(**change)


def test_a_percent_without_an_alternative_is_dropped():
    study = build("categorical", judgments=ANSWERS | {"second": [-1]})
    assert np.isnan(study.judgments.answers.second_percent).all()
