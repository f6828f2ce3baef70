"""``hilmix audit``: from a folder and predictions to a review queue, and reviewed labels back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data import read_folder
from tests.helpers import vector_data, write_vectors


def write_probs(file: Path, **columns: str) -> Path:
    data = vector_data()
    table = pd.DataFrame(np.eye(3)[data.target] * 0.7 + 0.1, columns=[f"prob_{c}" for c in data.classes])
    table.insert(0, "item", list(data.items))
    table.assign(**columns).to_csv(file, index=False)
    return file


@pytest.fixture
def place(workplace: Path) -> Path:
    write_vectors(workplace / "toy")
    write_probs(workplace / "probs.csv")
    return workplace


def test_an_audit_writes_issues_and_a_folder_to_review(place: Path) -> None:
    np.save("features.npy", vector_data().inputs.fetch(np.arange(60)).numpy())
    assert main(["audit", "toy", "--probs", "probs.csv", "--features", "features.npy", "-o", "out"]) == 0
    labels, issues = pd.read_parquet(place / "out/labels.parquet"), pd.read_csv(place / "out/issues.csv")
    data = vector_data()
    assert len(labels) == data.annotations.num_pairs
    truth = dict(zip(data.items, np.array(data.classes)[data.target], strict=True))
    # Every view knows the truth here.
    assert (issues["label"] != issues["item"].map(truth)).all()
    assert len(issues) == (labels["label"].astype(str) != labels["item"].map(truth)).sum()
    review = pd.read_csv(place / "out/review.csv")
    assert read_folder(place / "out/review").items == tuple(review["item"])


@pytest.mark.parametrize("reviewer", [None, "eva"])
def test_reviewed_labels_become_targets_or_votes(place: Path, reviewer: str | None) -> None:
    pd.DataFrame({"item": ["i3", "i4"], "reviewed": ["z", ""]}).to_csv("review.csv", index=False)
    name = [] if reviewer is None else ["--reviewer", reviewer]
    assert main(["audit", "toy", "--reviewed", "review.csv", "-o", "new", *name]) == 0
    before, after = vector_data(), read_folder(place / "new")
    expected = before.target.copy()
    if reviewer is None:
        expected[3] = 2
        assert after.annotations.num_pairs == before.annotations.num_pairs
    else:
        notes = after.annotations
        mine = notes.annotator == notes.annotators.index("eva")
        assert (notes.item[mine].tolist(), notes.label[mine].tolist()) == ([3], [2])
    np.testing.assert_array_equal(after.target, expected)
    assert pd.read_csv(place / "new/reviews.csv")["reviewer"].unique().tolist() == [reviewer or "target"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "exactly one of --run, --probs and --reviewed, got 0"),
        ("--run empty", "hilmix crossfit"),
        ("--probs memorised.csv", "in-sample"),
        ("--reviewed wrong.csv", "'w' is none of the classes x, y, z; item 'i1' is reviewed twice"),
        ("--probs missing.csv", "There is no file 'missing.csv'"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    place: Path, options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_probs(place / "memorised.csv", predictions="in-sample")
    pd.DataFrame({"item": ["i1", "i1", "i2"], "reviewed": ["x", "x", "w"]}).to_csv("wrong.csv", index=False)
    assert main(f"audit toy {options} -o out".split()) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (place / "out").exists()


def test_in_sample_predictions_can_be_forced(place: Path) -> None:
    write_probs(place / "memorised.csv", predictions="in-sample")
    assert main(["audit", "toy", "--probs", "memorised.csv", "--force", "-o", "out"]) == 0


def test_a_cross_fitted_run_gives_the_predictions_and_how_they_were_made(place: Path) -> None:
    (place / "run").mkdir()
    table = pd.read_csv(place / "probs.csv").iloc[::-1]
    made = np.where(vector_data().split == "train", "out-of-fold", "held-out")
    table["predictions"] = pd.Categorical(made[::-1])
    table.iloc[1:].to_parquet(place / "run/out_of_fold.parquet")  # the last item has no prediction
    assert main(["audit", "toy", "--run", "run", "-o", "out"]) == 0
    labels = pd.read_parquet(place / "out/labels.parquet").drop_duplicates("item").set_index("item")
    assert labels.loc["i0", "predictions"] == "out-of-fold"
    assert labels.loc["i58", "predictions"] == "held-out"
    assert pd.isna(labels.loc["i59", "predictions"])
    assert labels.loc["i1", "prediction"] == pytest.approx(0.8 if labels.loc["i1", "label"] == "y" else 0.1)
