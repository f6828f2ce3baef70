"""``hilmix hmix summary`` as a user types it."""

import json

import numpy as np
import pandas as pd
import pytest

from hilmix import plotting
from hilmix.cli import main
from hilmix.human.study import write_released
from hilmix.human.study.layout import LAYOUTS
from tests.commands.human import words
from tests.human.report import simulated
from tests.human.study.synthetic import infer_row

OWN = ["--classes", *simulated.CLASSES]


pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "mine"
    for study in (simulated.infer(), simulated.construct(), simulated.categorical()):
        write_released(study, folder)
    return folder


def refused(argv: list[str], capsys) -> str:
    assert main(["hmix", "summary", *argv]) == 2
    return words(capsys.readouterr().err)


def test_what_was_simulated_comes_back_through_files(mine, workplace, capsys, monkeypatch):
    monkeypatch.setattr("hilmix.plotting.available", lambda: False)  # the next test draws
    assert main(["hmix", "summary", str(mine), "-o", "out/report", *OWN, "--level", "0.999"]) == 0
    long = pd.read_csv("out/report/summary.csv").set_index(["table", "study", "quantity", "group"])
    assert list(long) == ["value", "low", "high", "n"]
    truth = {
        ("curves", "infer", "logit_a", "likelihood"): simulated.CURVE[0],
        ("curves", "infer", "logit_b", "likelihood"): simulated.CURVE[1],
        ("anchoring", "construct", "anchoring", "all"): simulated.ANCHORING,
        ("confidence", "infer", "joint_slope", "one_sidedness"): simulated.CONFIDENCE[1],
        **{
            ("class_strengths", "infer", "strength", name): strength
            for name, strength in zip(simulated.CLASSES, simulated.STRENGTH, strict=True)
        },
    }
    for key, value in truth.items():
        assert long.loc[key, "low"] < value < long.loc[key, "high"], key
    out = words(capsys.readouterr().out)
    assert "shown once more" in out
    assert "Intervals: 99.9 %" in out
    assert "2,400 120" in out
    assert "Relabelling curves" in out
    assert "none left out" in out


def test_the_files_agree_with_each_other(mine, workplace, capsys):
    assert main(["hmix", "summary", str(mine), "-o", "report", *OWN]) == 0
    messages = words(capsys.readouterr().out).split("Written to report: ")[1].split(", ")
    assert sorted(messages) == sorted(file.name for file in (workplace / "report").iterdir())
    content = json.loads((workplace / "report" / "summary.json").read_text(), parse_constant=pytest.fail)
    assert content["level"] == 0.95
    assert content["notes"] == []
    for name, rows in content["tables"].items():
        table = pd.read_csv(f"report/{name}.csv", keep_default_na=name != "participants")
        assert len(table) == len(rows)
        assert list(table) == list(rows[0])
    assert content["tables"]["curves"][0]["quantity"] == "logit_a"
    assert np.isclose(pd.read_csv("report/curves.csv")["value"][0], content["tables"]["curves"][0]["value"])
    pictures = {name for name in messages if name.endswith(".png")}
    if plotting.available():
        assert pictures == {
            "relabelling.png",
            "confidence.png",
            "midpoints.png",
            "reliability.png",
            "class_strengths.png",
            "label_pairs.png",
            "labels.png",
        }


@pytest.mark.parametrize("study", [simulated.construct(), simulated.categorical()])
def test_one_study_alone_is_enough(workplace, capsys, study):
    write_released(study, "alone")
    assert main(["hmix", "summary", "alone", *OWN]) == 0
    out = capsys.readouterr().out
    assert study.task in out
    assert "infer" not in out
    assert "Written" not in out
    assert [file.name for file in workplace.iterdir()] == ["alone"]


def test_without_matplotlib_there_are_tables(mine, workplace, monkeypatch, caplog):
    monkeypatch.setattr(plotting, "available", lambda: False)
    plotting.explain_absence.cache_clear()
    assert main(["hmix", "summary", str(mine), "-o", "report", *OWN]) == 0
    assert "hilmix[plots]" in caplog.text
    assert {file.suffix for file in (workplace / "report").iterdir()} == {".csv", ".html", ".json"}


def test_what_cannot_be_computed_is_reported(workplace, capsys):
    """One person, one mix."""
    (workplace / "tiny").mkdir()
    pd.DataFrame([infer_row()]).to_csv("tiny/hmix_infer_mixing_factor.csv")
    assert main(["hmix", "summary", "tiny", "-o", "report"]) == 0
    out = words(capsys.readouterr().out)
    assert all(name in out for name in ("not computed: infer", "logit curve by likelihood", "two weights"))
    assert "Seen weight of image 1" in out
    assert len(json.loads((workplace / "report" / "summary.json").read_text())["notes"]) >= 3


def test_what_is_not_there_is_named(workplace, capsys):
    assert "no folder nowhere" in refused(["nowhere"], capsys)
    (workplace / "empty").mkdir()
    error = refused(["empty"], capsys)
    assert all(layout.file in error for layout in LAYOUTS.values())
    pd.DataFrame([infer_row()]).drop(columns="responses").to_csv("empty/hmix_infer_mixing_factor.csv")
    error = refused(["empty"], capsys)
    assert "hmix_infer_mixing_factor.csv lacks the column(s) ['responses']" in error


def test_trials_that_are_all_repeats_are_refused(workplace, capsys):
    (workplace / "odd").mkdir()
    pd.DataFrame([infer_row(task="rerun_rate_mixture")]).to_csv("odd/hmix_infer_mixing_factor.csv")
    assert "every trial is flagged as shown once more" in refused(["odd"], capsys)


def test_classes_must_be_those_of_the_files(mine, capsys):
    assert "with the classes Airplane, Automobile" in refused([str(mine)], capsys)
    assert "with the classes ant, bee, cow, got" in refused([str(mine), *OWN[:-1]], capsys)


def test_a_folder_in_use_is_left_alone(mine, workplace, capsys):
    (workplace / "report").mkdir()
    (workplace / "report" / "notes.txt").write_text("mine")
    for out in ("report", "report/notes.txt", str(mine)):
        error = refused([str(mine), *OWN, "-o", out], capsys)
        assert error.startswith(f"error: '{out}' exists already")
    assert [file.name for file in (workplace / "report").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--level", "95", "`--level` must be in (0, 1), got 95.0"),
        ("--num-items", "0", "`--num-items` must be >= 1, got 0"),
        ("--num-items", "5", "must be a whole number from 0 to 4"),
    ],
)
def test_bad_options_are_refused(mine, capsys, option, value, message):
    assert message in refused([str(mine), *OWN, option, value], capsys)


def test_help_shows_files_and_examples(capsys):
    with pytest.raises(SystemExit):
        main(["hmix", "summary", "--help"])
    out = capsys.readouterr().out
    assert all(layout.file in out for layout in LAYOUTS.values())
    assert "hilmix hmix summary data/h_mix -o reports/h_mix" in out
    with pytest.raises(SystemExit):
        main(["hmix"])


REMEDY = " Correct the row or take it out."
BAD = {
    "a missing column": ({"mixtureCoeff": None}, "lacks the column(s) ['mixtureCoeff']; found", "Add them under these"),
    "an unknown label": ({"label1": "Brid"}, "row 1, column 'label1': must be one of Airplane", "got 'Brid'.", REMEDY),
    "a factor outside": ({"slider": 126}, "row 1, column 'responses': ", '100, got \'{"mixingcoeff": 126', REMEDY),
    "an image outside": ({"id2": 10_000}, "row 1, column 'id2': ", "since num_items is 10000, got '10000", REMEDY),
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_cell_gives_file_row_and_remedy(workplace, capsys, case):
    cells, *messages = BAD[case]
    rows = pd.DataFrame([infer_row(), infer_row(name="other", trial_index=7, **cells)])
    (workplace / "bad").mkdir()
    rows.drop(columns=[name for name, value in cells.items() if value is None]).to_csv(
        "bad/hmix_infer_mixing_factor.csv"
    )
    error = refused(["bad"], capsys)
    assert error.startswith("error: bad/hmix_infer_mixing_factor.csv")
    assert all(text in error for text in messages)
