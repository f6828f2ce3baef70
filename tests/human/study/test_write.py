"""Writing in the released layout: what is written reads back to the same study, invented or real."""

import csv
import json

import pytest
from hypothesis import given, strategies as st

from hilmix.errors import DataError
from hilmix.human.study import TASKS, MixStudy, read_study, released_inferences, released_soft_labels, write_released
from hilmix.human.study.layout import INFERENCES, LAYOUTS, SOFT_LABELS
from tests.human.study.same import assert_same
from tests.human.study.synthetic import CLASSES, invent

FILES = {"construct": [], "select": [], "infer": [INFERENCES], "categorical": [SOFT_LABELS]}


@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 2**32 - 1))
def test_reading_what_was_written_gives_the_study_back(tmp_path_factory, task, seed):
    study = invent(task, seed)
    folder = tmp_path_factory.mktemp("export")
    files = write_released(study, folder)
    assert [file.name for file in files] == [LAYOUTS[task].file, *FILES[task]]
    assert_same(read_study(folder, task, classes=CLASSES, num_items=50), study)


def test_sliders_finer_than_one_percent_survive(tmp_path):
    study = invent("infer", 0)
    judgments = study.judgments
    fine = MixStudy.build(
        "infer",
        classes=study.classes,
        participants=study.participants,
        num_items=study.num_items,
        stimuli={key: getattr(study.stimuli, key) for key in ("name", "id1", "id2", "label1", "label2", "weight")},
        judgments={
            key: getattr(judgments, key)
            for key in ("participant", "stimulus", "trial", "repeat", "batch", "seconds", "confidence")
        }
        | {"weight": [1 - (i % 1000) / 1000 for i in range(len(judgments))]},
    )
    write_released(fine, tmp_path)
    assert_same(read_study(tmp_path, "infer", classes=CLASSES, num_items=50), fine)


def test_the_derived_files_hold_the_derived_content(tmp_path):
    infer, categorical = invent("infer", 5), invent("categorical", 5)
    write_released(infer, tmp_path / "new" / "folder")
    write_released(categorical, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert json.loads((folder / INFERENCES).read_text()) == released_inferences(infer)
    assert json.loads((folder / SOFT_LABELS).read_text()) == released_soft_labels(categorical)


def test_nothing_is_overwritten(tmp_path):
    write_released(invent("infer", 0), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"already holds hmix_infer_mixing_factor.csv, processed"):
        write_released(invent("infer", 1), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_class_called_no_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="class is called 'No'"):
        write_released(invent("categorical", 0, classes=("No", "Yes")), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", TASKS)
def test_the_released_study_survives_writing_and_reading(tmp_path, real_data, task):
    study = read_study(real_data / "hmix", task)
    write_released(study, tmp_path)
    assert_same(read_study(tmp_path, task), study)


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_of_an_answer_is_written_as_released(tmp_path, real_data, task):
    """Cell by cell against the released table, but for float noise, condition and what a study does not hold."""
    write_released(read_study(real_data / "hmix", task), tmp_path)
    file = LAYOUTS[task].file
    with (tmp_path / file).open(newline="") as ours, (real_data / "hmix" / file).open(newline="") as theirs:
        mine, released = csv.DictReader(ours), csv.DictReader(theirs)
        assert mine.fieldnames == released.fieldnames
        rows = [row for row in released if row["task"]]
        compared = (
            "trial_type",
            "subject",
            "task",
            "label1",
            "label2",
            "mixtureCoeff",
            "id1",
            "id2",
            "class_pair",
            "filename",
            "start_value",
            "starting_value",
            "responses",
        )
        for found, expected in zip(mine, rows, strict=True):
            for column in compared:
                assert found.get(column) == expected.get(column)
            assert float(found["rt"]) == pytest.approx(float(expected["rt"]), rel=1e-7)
            if task == "select":
                assert found["response"] == expected["response"]
            if task == "categorical":
                mine_response, their_response = json.loads(found["response"]), json.loads(expected["response"])
                if their_response["classSelect2"] == "secondProbNo":
                    their_response["prob2"] = ""  # counts for nothing
                assert mine_response == their_response
            if task == "construct":
                assert float(found["final_value"]) == pytest.approx(float(expected["final_value"]), abs=1e-12)
