"""Exports by format. A round trip keeps every value: through files of H-Mix, tables, and training."""

import json
from pathlib import Path

import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data.folder import write_folder
from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.answers.read import read_answers
from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.settings import Design
from hilmix.human.elicit.export import FORMATS, Export, export
from hilmix.human.elicit.simulation.behaviour import Behaviour
from hilmix.human.elicit.simulation.participants import simulate_study
from hilmix.human.perception import Perception
from hilmix.human.study import read_study
from tests.human.elicit.studies import make_study, make_tasks
from tests.human.elicit.study_data import CLASSES, pictures

pytestmark = pytest.mark.usefixtures("no_figures")

N, PEOPLE, TRUTH = 150, 24, {"logit_a": -0.3, "logit_b": 0.7}


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """A folder with data, and an infer study of them that simulated people have answered, one in eight badly."""
    root = tmp_path_factory.mktemp("work")
    data = pictures(n=N)
    write_folder(data, root / "data")
    build_study(data, root / "study", Design(tasks=("infer",), pairs=40, per_batch=20, judgments=PEOPLE))
    good = Behaviour(a=TRUTH["logit_a"], b=TRUTH["logit_b"], sd=0.15)
    simulate_study(root / "study", participants=PEOPLE, behaviours=[good] * 7 + [Behaviour("straight-liner")])
    return root


def test_the_simulated_parameters_come_back_through_the_files_of_h_mix(mine, tmp_path, capsys):
    """Build, serve, simulate, export, summarise: the whole way of a study."""
    assert main(["elicit", "export", str(mine / "study"), "-o", str(tmp_path / "hmix"), "--format", "hmix"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert {file.name for file in (tmp_path / "hmix").iterdir()} == {
        "hmix_infer_mixing_factor.csv",
        "processed_hmix_inferences.json",
    }
    assert "p008 (straight: 20 of 20 answers are 1); p016 (" in printed
    command = printed.partition("Read it: hilmix ")[2].split()
    assert main([*command, "-o", str(tmp_path / "report")]) == 0
    capsys.readouterr()
    found = pd.read_csv(tmp_path / "report" / "summary.csv")
    curve = found[(found["table"] == "curves") & (found["group"] == "likelihood")].set_index("quantity")
    for name, value in TRUTH.items():
        assert curve.loc[name, "low"] < value < curve.loc[name, "high"]
        assert curve.loc[name, "high"] - curve.loc[name, "low"] < 0.25, "and that says something"
    assert main(["hmix", "summary", str(mine / "study"), "-o", str(tmp_path / "direct")]) == 0
    assert "left out: p008 (straight: 20 of 20 answers are 1)" in capsys.readouterr().out
    # Simulated participants are exactly as confident as their answer is one-sided: the rest is rounding.
    direct = pd.read_csv(tmp_path / "direct" / "summary.csv")
    pd.testing.assert_frame_equal(*(rows[rows["table"] != "confidence"] for rows in (direct, found)))


def test_the_file_of_h_mix_holds_the_study(mine, tmp_path):
    export(Export(mine / "study", tmp_path / "hmix", "hmix", with_excluded=True))
    again = read_study(tmp_path / "hmix", "infer", classes=CLASSES, num_items=N).to_frame()
    study = read_answers(mine / "study", with_excluded=True)["infer"].to_frame()
    study["batch"] = pd.factorize(study["batch"])[0]
    pd.testing.assert_frame_equal(again, study, rtol=1e-6)
    row = pd.read_csv(tmp_path / "hmix" / "hmix_infer_mixing_factor.csv").iloc[0]
    assert json.loads(row["responses"])["mixingcoeff"] == pytest.approx(100 * (1 - study["weight"][0]))


def test_a_policy_is_fitted_to_the_study_directly(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["hmix", "fit", str(mine / "study"), "--policy", "logit", "-o", "policy.json"]) == 0
    assert "left out: p008" in capsys.readouterr().out
    fitted = Perception.load("policy.json").spec()["init_args"]
    assert fitted["parameters"][1] == pytest.approx(TRUTH["logit_b"], abs=0.15), (
        "its offset is 0, so that order counts not"
    )
    mixes = ["hmix", "mixes", str(mine / "study"), "--data", str(mine / "data"), "--policy", "image_table", "-o", "out"]
    assert main(mixes) == 0
    assert main(["hmix", "summary", str(mine / "study"), "--num-items", "5"]) == 2
    assert "leave --classes, --num-items out" in capsys.readouterr().err


def test_straight_into_fit(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = ["elicit", "export", str(mine / "study"), "-o", "relabelled", "--format", "folder", "--data"]
    assert main([*argv, str(mine / "data")]) == 0
    command = " ".join(capsys.readouterr().out.split()).partition("Train on it: hilmix ")[2].split()
    quick = ["max_epochs=1", "limit_train_batches=2", "accelerator=cpu", "log_every_n_steps=1"]
    assert main([*command, "--run_dir", "run", *(f"--trainer.{setting}" for setting in quick)]) == 0
    assert Path("run/checkpoints/last.ckpt").is_file()


def test_native_tables_with_the_manifest(mine, tmp_path):
    export(Export(mine / "study", tmp_path / "out"))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "judgments.parquet",
        "participants.parquet",
        "stimuli.parquet",
        "study.json",
    }
    judgments = pd.read_parquet(tmp_path / "out" / "judgments.parquet")
    people = pd.read_parquet(tmp_path / "out" / "participants.parquet")
    assert (len(people), people["excluded"].notna().sum()) == (PEOPLE, 3)
    assert len(judgments) == 21 * (2 + 20 + 2 + 2)
    assert (tmp_path / "out" / "study.json").read_bytes() == (mine / "study" / "study.json").read_bytes()


def test_studies_of_several_tasks(tmp_path):
    folder = make_tasks(tmp_path / "s", ["vote", "categorical", "construct"], target_judgments=1)
    simulate_study(folder, participants=3, behaviours=[Behaviour()])
    notes = export(Export(folder, tmp_path / "hmix", "hmix")).notes
    assert "Votes are left out" in notes[0]
    assert {file.name for file in (tmp_path / "hmix").iterdir()} == {
        "hmix_construct_midpoint.csv",
        "hmix_categorical_soft_labels.csv",
        "hmix_individ_soft_labels.json",
    }
    with pytest.raises(ConfigError, match=r"task.*categorical, vote"):
        export(Export(folder, tmp_path / "out", "folder", data=tmp_path))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format": "xml"}, ConfigError, "`format` must be one of native, folder, hmix, jspsych, got 'xml'"),
        ({"format": "folder"}, ConfigError, "`data` must be the data folder"),
        ({"data": Path()}, ConfigError, "`data` must be None"),
        ({"task": "infer"}, ConfigError, "`task` must be None"),
        ({"format": "jspsych", "with_excluded": True}, ConfigError, "`with_excluded` must be False"),
        ({"out": Path("/")}, DataError, "'/' exists already"),
        ({"study": Path("none")}, DataError, "Cannot read none/study.json"),
    ],
)
def test_impossible_options_are_refused(mine, tmp_path, change, error, message):
    with pytest.raises(error) as refused:
        export(Export(**({"study": mine / "study", "out": tmp_path / "out"} | change)))
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "jspsych"])
def test_no_answers_yet(form, tmp_path):
    folder, data = make_study(tmp_path / "s"), tmp_path if form == "folder" else None
    with pytest.raises(DataError, match="has no answers yet"):
        export(Export(folder, tmp_path / "out", form, data=data))


def test_tasks_that_a_format_cannot_hold(mine, tmp_path):
    for task, form, message in (
        ("vote", "hmix", "no answers that count to the tasks of H-Mix"),
        ("select", "folder", "Answers to the task 'select' say which mix is half and half and are no labels"),
    ):
        folder = make_study(tmp_path / task, task)
        simulate_study(folder, participants=1, behaviours=[Behaviour()])
        with pytest.raises(DataError, match=message):
            export(Export(folder, tmp_path / "out", form, data=mine / "data" if form == "folder" else None))
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(mine, tmp_path):
    (tmp_path / "file").touch()
    for form in ("native", "folder"):
        with pytest.raises(DataError, match=r"Cannot write .*Choose a writable folder"):
            export(Export(mine / "study", tmp_path / "file" / "out", form, mine / "data" if form == "folder" else None))
