"""``AnnotatedClassifier``: scikit-learn's own checks, every form of votes, one model in memory and saved."""

import logging
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import hilmix
from hilmix import MLP, AnnotatedClassifier
from hilmix.errors import ConfigError, DataError, RunError
from tests.helpers import vector_data

FAILED_CHECKS = {
    "check_supervised_y_2d": "a table of labels is wide votes: a column per annotator, not a column vector"
}
"""Checks of scikit-learn that do not apply, and why."""


def quick(**settings: object) -> AnnotatedClassifier:
    network = MLP([32], dropout=0.0, norm="batch")
    defaults = {"method": "mv", "backbone": network, "epochs": 8, "lr": 0.05, "device": "cpu", "random_state": 0}
    return AnnotatedClassifier(**{**defaults, **settings})


@pytest.fixture(scope="module")
def toy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors (60, 4), wide votes (60, 3) by name with None, and the true labels."""
    data = vector_data()
    names = np.array(["x", "y", "z", None], dtype=object)
    return data.inputs.array, names[data.annotations.to_dense()], names[data.target].astype(str)


@pytest.fixture(scope="module")
def fitted(toy) -> AnnotatedClassifier:
    return quick(method="hilmix-fast", batch_size=8).fit(toy[0], toy[1])


def test_the_checks_of_scikit_learn(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(quick(), expected_failed_checks=FAILED_CHECKS, on_fail=None, on_skip=None)
    other = {
        r["check_name"]: repr(r["exception"]) for r in results if r["status"] not in ("passed", "skipped", "xfail")
    }
    assert other == {}
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == set(FAILED_CHECKS)


def test_three_lines(fitted: AnnotatedClassifier, toy) -> None:
    x, _, truth = toy
    assert fitted.classes_.tolist() == ["x", "y", "z"]
    assert fitted.score(x, truth) > 0.8
    assert fitted.predict(x[:3]).tolist() == fitted.classes_[fitted.predict_proba(x[:3]).argmax(1)].tolist()
    raw = fitted.model_.predict_proba(torch.from_numpy(x)).double() ** (1 / fitted.temperature_)
    np.testing.assert_allclose(fitted.predict_proba(x), raw / raw.sum(1, keepdim=True), atol=1e-6)


def test_the_tables_of_annotators_and_issues(toy) -> None:
    """An annotator who is always wrong comes first, and so do the labels of theirs."""
    x, votes, truth = toy
    wrong = {"x": "y", "y": "z", "z": "x"}
    votes = pd.DataFrame(votes, columns=["a", "b", "c"]).assign(bad=[wrong[t] for t in truth])
    found = quick(method="hilmix-fast", epochs=12).fit(x, votes)
    assert found.annotators_["annotator"].iloc[0] == "bad"
    worst = found.label_issues_.head(10)
    assert (worst["annotator"] == "bad").mean() >= 0.8
    place = [list(votes.columns).index(who) for who in worst["annotator"]]
    assert worst["label"].tolist() == votes.to_numpy()[worst["item"], place].tolist()


@pytest.mark.parametrize("form", ["nan", "frame", "long", "annotations", "mappings"])
def test_votes_in_any_form_give_the_same_model(form: str, toy) -> None:
    """Codes of the labels as floats with NaN, and names elsewhere: the order of classes is the same."""
    x, wide, _ = toy
    frame = pd.DataFrame(wide, columns=["0", "1", "2"])
    codes = frame.replace({"x": 0, "y": 1, "z": 2}).astype(float).to_numpy()
    given = {
        "nan": codes,
        "frame": frame,
        "long": frame.reset_index(names="item").melt("item", var_name="annotator", value_name="label").dropna(),
        "annotations": vector_data(annotators=("0", "1", "2")).annotations,
        "mappings": [{who: label for who, label in row.items() if label} for row in frame.to_dict("records")],
    }[form]
    settings = {"method": "crowd-layer", "epochs": 1}
    found = quick(**settings).fit(x, given)
    assert found.classes_.tolist() == ([0.0, 1.0, 2.0] if form == "nan" else ["x", "y", "z"])
    expected = quick(**settings).fit(x, wide)
    np.testing.assert_allclose(found.predict_proba(x), expected.predict_proba(x), atol=1e-6)


def test_a_clone_and_a_pickle(fitted: AnnotatedClassifier, toy, tmp_path: Path) -> None:
    x, votes, _ = toy
    expected = fitted.predict_proba(x)
    np.testing.assert_array_equal(clone(fitted).fit(x, votes).predict_proba(x), expected)
    content = pickle.dumps(fitted)
    assert b"hilmix.modules.em" not in content, "the weights, not the module"
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(x), expected)


def test_inside_a_pipeline_and_cross_validation(toy) -> None:
    x, _, truth = toy
    scores = cross_val_score(make_pipeline(StandardScaler(), quick(epochs=4)), x, truth, cv=2)
    assert (scores > 0.5).all()


def test_the_random_states_of_the_program_stay(toy) -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before, seed = torch.get_rng_state(), os.environ.get("PL_GLOBAL_SEED")
    quick(epochs=1).fit(toy[0], toy[1])
    assert torch.equal(torch.get_rng_state(), before)
    assert os.environ.get("PL_GLOBAL_SEED") == seed


def test_the_run_that_is_kept_is_the_model(toy, tmp_path: Path) -> None:
    x, votes, _ = toy
    run = tmp_path / "run"
    found = quick(method="hilmix-fast", run_dir=run).fit(x, votes)
    loaded = hilmix.load(run)
    np.testing.assert_allclose(loaded.predict_proba(x), found.predict_proba(x), atol=1e-6)
    assert loaded.classes == ("x", "y", "z")
    with pytest.raises(RunError, match="run_dir"):
        quick(run_dir=run).fit(x, votes)


def test_images(tmp_path: Path) -> None:
    rng, truth = np.random.default_rng(0), np.arange(40) % 2
    colour = np.array([[220, 40, 40], [40, 40, 220]])
    images = (colour[truth][:, None, None] + rng.integers(-30, 30, (40, 6, 6, 3))).clip(0, 255).astype(np.uint8)
    paths = [str(tmp_path / f"{i}.png") for i in range(40)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    found = quick().fit(images, truth)
    assert found.score(images, truth) > 0.9
    assert found.classes_.dtype == truth.dtype
    for x in (paths, pd.DataFrame({"path": paths}), images / 255):
        np.testing.assert_allclose(quick().fit(x, truth).predict_proba(paths), found.predict_proba(images), atol=1e-5)
    small = quick(image_size=4, epochs=1).fit(paths, truth)
    assert small.model_.settings["input_shape"] == [3, 4, 4]
    with pytest.raises(DataError, match="255"):
        quick().fit(images.astype(float), truth)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"method": "hilmx"}, "hilmix"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"lr": -1.0}, "lr"),
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"image_size": 0}, "image_size"),
    ],
)
def test_settings_that_are_refused(settings: dict, part: str, toy) -> None:
    with pytest.raises(ConfigError, match=part):
        quick(**settings).fit(toy[0], toy[1])
