"""What hilmix wrote before its files moved loads, predicts the same, and is saved anew by public paths.

``make.py`` beside this file made the golden files; it is never run again.
"""

import json
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from hilmix import AnnotatedDataModule, Classifier, EMClassifier, MixPlan
from hilmix.cli import main
from hilmix.errors import RunError
from hilmix.human.perception import LearnedPerception, Mixes, Perception
from hilmix.lightning_cli.run import run
from hilmix.moved import MOVED, current_options, current_path, public_path, with_current_paths
from hilmix.parts import Part
from hilmix.trusted import leaves, trust

pytestmark = pytest.mark.usefixtures("no_figures")

HERE = Path(__file__).parent
QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
RUNS = ("annot_mix", "em", "human")
POLICIES = sorted(file.stem for file in (HERE / "policies").glob("*.json"))
PATHS = (HERE / "paths_before_move.txt").read_text().split()


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the golden files, as working directory: their paths are relative to it."""
    shutil.copytree(HERE, tmp_path / "golden", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    monkeypatch.chdir(tmp_path / "golden")
    return tmp_path / "golden"


@pytest.fixture
def own(golden: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's module, importable and trusted."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr("hilmix.trusted._packages", {"hilmix"})
    trust("own_model")
    return import_module("own_model")


def find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def class_paths(value: object) -> set[str]:
    """Everything of hilmix that a file names by its class path."""
    return {str(v) for k, v in leaves(value) if k == "class_path" and str(v).startswith("hilmix.")}


def settings_of(checkpoint: Path) -> dict[str, Any]:
    """As they lie in the file."""
    saved = torch.load(checkpoint, weights_only=True)
    return {key: saved[key] for key in ("hyper_parameters", "datamodule_hyper_parameters")}


def assert_public(value: object) -> None:
    paths = class_paths(value)
    assert paths
    assert {path: public_path(find(path)) for path in paths} == {path: path for path in paths}


def assert_predicted(table: Path, expected: Path) -> None:
    """Text equal, numbers (also those in lists) within 1e-6."""
    found, then = pd.read_parquet(table), pd.read_csv(expected)
    assert [name for name in found if name in then] == list(then)
    for name in then:
        for now, before in zip(found[name], then[name], strict=True):
            if isinstance(now, np.ndarray):
                now, before = now.tolist(), json.loads(before)
            if isinstance(now, float) and np.isnan(now):
                assert np.isnan(before), name
            elif isinstance(now, str):
                assert now == before, name
            else:
                assert now == pytest.approx(before, abs=1e-6), name


# -- class paths -----------------------------------------------------------------------------------------------------


def test_every_former_path_leads_to_its_class() -> None:
    for path in PATHS:
        found = find(current_path(path))
        assert found.__name__ == current_path(path).rpartition(".")[2], path
        if path.count(".") != 1:  # those of the root are public, too
            assert public_path(found) == current_path(path), path


def test_the_table_names_public_classes_only() -> None:
    assert not set(MOVED) & set(MOVED.values())  # one look-up is enough
    for path in MOVED.values():
        module, _, name = path.rpartition(".")
        assert name in import_module(module).__all__, path


def test_every_part_of_hilmix_is_public() -> None:
    """A new part is exported, or its path would be that of its file."""
    for module in (
        "annotators",
        "backbones",
        "data",
        "explanations",
        "group_dro",
        "human",
        "human.perception",
        "mix",
        "regularizers",
    ):
        import_module(f"hilmix.{module}")
    todo, kinds = [Part], []
    while todo:
        todo += (below := todo.pop().__subclasses__())
        kinds += [kind for kind in below if kind.__module__.startswith("hilmix.") and not kind.__name__.startswith("_")]
    assert len(kinds) > 40
    for kind in kinds:
        module, _, name = public_path(kind).rpartition(".")
        assert name in getattr(import_module(module), "__all__", ()), kind


def test_other_paths_stay_as_they_are() -> None:
    class Own(Part):
        pass

    assert public_path(Own).endswith(".test_other_paths_stay_as_they_are.<locals>.Own")
    assert Own().spec()["class_path"] == f"{Own.__module__}.{Own.__qualname__}"
    assert public_path(dict) == "builtins.dict"
    assert public_path(MixPlan) == "hilmix.types.MixPlan"
    for path in ("mine.mix.item_mix.ItemMix", "hilmix.mix.ItemMix", "hilmix.mix.item_mix", "torch.optim.Adam"):
        assert current_path(path) == path


def test_settings_and_options_get_current_paths() -> None:
    old, new = "hilmix.mix.item_mix.ItemMix", "hilmix.mix.ItemMix"
    given = {"mix": {"class_path": old, "init_args": {"alpha": 0.2}}, "all": [old, 1, None], "name": f"{old} of mine"}
    assert with_current_paths(given) == {**given, "mix": {**given["mix"], "class_path": new}, "all": [new, 1, None]}
    assert given["all"][0] == old
    assert current_options(["fit", "--data.mix", old, f"--data.mix={old}", "--a=b=c", "--x="]) == [
        "fit",
        "--data.mix",
        new,
        f"--data.mix={new}",
        "--a=b=c",
        "--x=",
    ]


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_a_checkpoint_predicts_as_it_did(name: str, golden: Path) -> None:
    """By its own settings and those of the ``config.yaml`` beside it."""
    folder = golden / "runs" / name
    assert main(["predict", "--run_dir", str(folder), "--ckpt_path", "last", *QUIET]) == 0
    assert_predicted(folder / "predictions.parquet", folder / "predictions.csv")


@pytest.mark.parametrize("name", RUNS)
def test_a_checkpoint_alone_predicts_as_it_did(name: str, golden: Path) -> None:
    (golden / "runs" / name / "config.yaml").unlink()
    path = golden / "runs" / name / "checkpoints" / "last.ckpt"
    assert main(["predict", "--run_dir", "fresh", "--ckpt_path", str(path), *QUIET]) == 0
    assert_predicted(golden / "fresh" / "predictions.parquet", golden / "runs" / name / "predictions.csv")


def test_a_classifier_refuses_the_settings_of_another_class(golden: Path) -> None:
    with pytest.raises(RunError, match=r"last\.ckpt.*Classifier.*warmup"):
        Classifier.load_from_checkpoint(golden / "runs" / "em" / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize("name", RUNS)
def test_a_checkpoint_loads_in_python(name: str, golden: Path) -> None:
    kind = EMClassifier if name == "em" else Classifier
    path = golden / "runs" / name / "checkpoints" / "last.ckpt"
    assert any(p in MOVED for p in class_paths(settings_of(path)))  # else the file would prove nothing
    model = kind.load_from_checkpoint(path).eval()
    table = pd.read_csv(golden / "runs" / name / "predictions.csv")
    probs = model(torch.from_numpy(np.load(golden / "vectors" / "inputs.npy"))).softmax(-1).detach()
    np.testing.assert_allclose(probs, table[["prob_ant", "prob_bee", "prob_cow"]], atol=1e-6)
    assert_public(dict(model.hparams))


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_is_saved_by_public_paths(name: str, golden: Path) -> None:
    """Its saved config has private paths, and the checkpoint's settings are those of the config."""
    folder = golden / "runs" / name
    assert set(MOVED) & class_paths(yaml.safe_load((folder / "config.yaml").read_text()))
    more = ["--ckpt_path", "last", "--trainer.max_epochs", "4"]
    assert main(["fit", "-c", str(folder / "config.yaml"), "--run_dir", str(folder), *more, *QUIET]) == 0
    assert_public(settings_of(folder / "checkpoints" / "last.ckpt"))
    assert_public(yaml.safe_load((folder / "config.yaml").read_text()))


def test_a_users_config_works_without_a_word(golden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = (golden / "given" / "annot_mix.yaml").read_text()
    assert "callbacks.label_errors.LabelErrors" in given
    options = ["--data.mix", "hilmix.mix.item_mix.ItemMix", "--data.mix.alpha=0.3", "--trainer.max_epochs=1"]
    options += ["--model.annotator_model=hilmix.annotators.annot_mix.AnnotMixHead"]
    assert main(["fit", "-c", "given/annot_mix.yaml", "--run_dir", "fresh", *options, *QUIET]) == 0
    saved = yaml.safe_load((golden / "fresh" / "config.yaml").read_text())
    assert saved["data"]["init_args"]["mix"] == {"class_path": "hilmix.mix.ItemMix", "init_args": {"alpha": 0.3}}
    assert saved["model"]["init_args"]["annotator_model"]["class_path"] == "hilmix.annotators.AnnotMixHead"
    assert_public(saved)
    shown = "".join(capsys.readouterr())
    assert "hilmix.callbacks.label_errors" not in shown
    assert "deprecat" not in shown.lower()


@pytest.mark.parametrize("file", ["last.ckpt", "rebuilt.ckpt"])
def test_a_users_own_model_with_parts_of_hilmix(file: str, own: Any, golden: Path) -> None:
    """Lightning rebuilds the model of ``rebuilt.ckpt`` by jsonargparse, which knows nothing of moves."""
    path = golden / "runs" / "own" / "checkpoints" / file
    expected = pd.read_csv(golden / "runs" / "own" / "predictions.csv").to_numpy()
    given = ["-c", "runs/own/config.yaml", "--trust", "own_model", "--trainer.accelerator", "cpu"]
    model = run(["test", "--run_dir", "fresh", "--ckpt_path", str(path), *given, *QUIET]).model
    logits = model(torch.from_numpy(np.load(golden / "vectors" / "inputs.npy"))).detach()
    assert isinstance(model, own.OwnModel)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert_public(dict(model.hparams))


# -- other files -----------------------------------------------------------------------------------------------------


def test_the_state_of_a_data_module(golden: Path) -> None:
    data = AnnotatedDataModule(root="vectors", batch_size=5)
    data.load_state_dict(torch.load(golden / "data_module_state.pt", weights_only=True))
    data.setup("test")
    assert data.split.tolist() == ["train"] * 12 + ["val"] * 6 + ["test"] * 6
    assert data.annotator_ids.tolist() == [0, 1, 2]
    assert data.data.annotations.classes == ("ant", "bee", "cow")


@pytest.mark.parametrize("name", POLICIES)
def test_a_saved_policy_labels_as_it_did(name: str, golden: Path) -> None:
    policy = Perception.load(golden / "policies" / f"{name}.json")
    width = len(policy.image_weights) if isinstance(policy, LearnedPerception) else 5
    table = pd.read_csv(golden / "policies" / "expected.csv")
    expected = [json.loads(label) for label in table["label"][table["policy"] == name]]
    np.testing.assert_allclose(policy(mixes(len(expected[0]), width)).double(), expected, atol=1e-6)
    policy.save(golden / "again.json")
    assert_public(json.loads((golden / "again.json").read_text()))
    assert Perception.load(golden / "again.json").spec() == policy.spec()


def mixes(num_classes: int, width: int) -> Mixes:
    """The same as in ``make.py``."""
    rng = np.random.default_rng(1)
    label = torch.eye(num_classes)
    features = [torch.tensor(rng.normal(size=(4, width)), dtype=torch.float32) for _ in range(3)]
    return Mixes(
        label[[0, 1, 2, 0]],
        label[[1, 2, 0, 2]],
        torch.tensor([0.25, 0.5, 0.75, 0.4]),
        torch.tensor([0, 1, 2, 0]),
        torch.tensor([1, 2, 3, 2]),
        torch.tensor([0, 1, -1, 0]),
        *features,
    )


def test_every_policy_is_among_the_golden_files() -> None:
    saved = {json.loads((HERE / "policies" / f"{name}.json").read_text())["class_path"] for name in POLICIES}
    policies = {path for path in PATHS if path.startswith("hilmix.perception.") and path.count(".") == 2}
    abstract = {f"hilmix.perception.{name}" for name in ("Perception", "SavedPerception", "Smoothed")}
    assert {current_path(path) for path in saved} >= {current_path(path) for path in policies - abstract}


def test_a_study_exports_as_it_did(golden: Path) -> None:
    pytest.importorskip("starlette")
    assert main(["elicit", "export", "study", "-o", "again", "--with-excluded"]) == 0
    for file in sorted((golden / "study_export").glob("*.csv")):
        pd.read_parquet(golden / "again" / f"{file.stem}.parquet").to_csv(golden / file.name, index=False)
        pd.testing.assert_frame_equal(pd.read_csv(golden / file.name), pd.read_csv(file), atol=1e-6)
    assert (golden / "again" / "study.json").read_text() == (golden / "study_export" / "study.json").read_text()


def test_the_golden_files_stay_small() -> None:
    files = [file for file in HERE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert sum(file.stat().st_size for file in files) < 310_000
