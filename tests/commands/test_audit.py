"""``hilmix audit``: from a folder and predictions to a review queue, and reviewed labels back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, ArrayInputs, read_folder, write_folder
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
    write_probs(workplace / "probs.csv", predictions="out-of-fold")
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
        ("--probs silent.csv", "out-of-fold, held-out"),
        ("--probs silent.csv --predictions in-sample", "in-sample"),
        ("--probs probs.csv --predictions held-out", "--predictions must be left out"),
        ("--probs probs.csv --dynamics probs.csv", "without the column label"),
        ("--reviewed toy", "annotator whom toy does not have"),
        ("--reviewed toy --reviewer eva", "--reviewer must be left out"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    place: Path, options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_probs(place / "memorised.csv", predictions="in-sample")
    write_probs(place / "silent.csv")
    pd.DataFrame({"item": ["i1", "i1", "i2"], "reviewed": ["x", "x", "w"]}).to_csv("wrong.csv", index=False)
    assert main(f"audit toy {options} -o out".split()) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (place / "out").exists()


def test_in_sample_predictions_can_be_forced(place: Path) -> None:
    write_probs(place / "memorised.csv", predictions="in-sample")
    assert main(["audit", "toy", "--probs", "memorised.csv", "--force", "-o", "out"]) == 0


def test_the_origin_of_predictions_can_be_stated(place: Path) -> None:
    write_probs(place / "silent.csv")
    assert main(["audit", "toy", "--probs", "silent.csv", "--predictions", "held-out", "-o", "out"]) == 0
    assert set(pd.read_parquet(place / "out/labels.parquet")["predictions"]) == {"held-out"}


def test_dynamics_of_a_run_join_by_item_and_label(place: Path) -> None:
    data = vector_data()
    notes, rng = data.annotations, np.random.default_rng(0)
    truth = data.target[notes.item]
    mean = np.where(notes.label == truth, 0.9, 0.1) + rng.normal(0, 0.01, len(truth))
    names = np.array(data.items)[notes.item]
    table = pd.DataFrame({"item": names, "label": np.array(data.classes)[notes.label], "confidence": mean})
    # As the callback writes it: training items alone; here in another order too.
    table[notes.item < 30].drop_duplicates(["item", "label"]).iloc[::-1].to_parquet("dynamics.parquet")
    assert main(["audit", "toy", "--probs", "probs.csv", "--dynamics", "dynamics.parquet", "-o", "out"]) == 0
    labels = pd.read_parquet(place / "out/labels.parquet")
    of = table.drop_duplicates(["item", "label"]).set_index(["item", "label"])["confidence"]
    expected = of.loc[list(zip(names, table["label"], strict=True))].to_numpy()
    np.testing.assert_allclose(labels["dynamics"], np.where(notes.item < 30, expected, np.nan))


def test_predictions_are_taken_at_the_temperature_of_their_fold(place: Path) -> None:
    table = pd.read_csv(place / "probs.csv").assign(temperature=np.where(np.arange(60) % 2, 2.0, 1.0))
    table.to_csv("probs.csv", index=False)
    assert main(["audit", "toy", "--probs", "probs.csv", "-o", "out"]) == 0
    labels = pd.read_parquet(place / "out/labels.parquet")
    right = labels[labels["prediction"] > 0.4].drop_duplicates("item").set_index("item")["prediction"]
    # sqrt(0.8) of sqrt(0.8) + 2 sqrt(0.1) at temperature 2.
    assert right["i0"] == pytest.approx(0.8)
    assert right["i1"] == pytest.approx(0.8**0.5 / (0.8**0.5 + 2 * 0.1**0.5))


def test_votes_of_participants_come_back_with_their_names(place: Path) -> None:
    """A folder to review, two more annotators on it, and their votes in the whole data."""
    assert main(["audit", "toy", "--probs", "probs.csv", "-o", "out"]) == 0
    review, file = read_folder(place / "out/review"), place / "out/review/annotations.parquet"
    votes = pd.read_parquet(file)
    extra = pd.DataFrame({"item": list(review.items[:3]), "annotator": ["study-1", "study-2", "study-1"]})
    votes = pd.concat([votes, extra.assign(label=["z", "y", "x"])])
    votes.to_parquet(file)
    assert main(["audit", "toy", "--reviewed", "out/review", "-o", "new"]) == 0
    before, after = vector_data().annotations, read_folder(place / "new").annotations
    assert after.annotators == (*before.annotators, "study-1", "study-2")
    new = after.annotator >= len(before.annotators)
    found = [(after.annotators[a], f"i{i}", "xyz"[k]) for i, a, k in zip(*_columns(after, new), strict=True)]
    assert sorted(found) == sorted(zip(extra["annotator"], extra["item"], "zyx", strict=True))
    for left, right in zip(_columns(before), _columns(after, ~new), strict=True):
        np.testing.assert_array_equal(left, right)
    log = pd.read_csv(place / "new/reviews.csv")
    assert sorted(log["reviewer"]) == ["study-1", "study-1", "study-2"]


def _columns(notes, rows=slice(None)):
    return notes.item[rows], notes.annotator[rows], notes.label[rows]


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


def test_suspicious_labels_are_shown_to_participants_and_their_votes_come_back(workplace: Path) -> None:
    rng = np.random.default_rng(0)
    n = 40
    truth, annotator = np.arange(n) % 2, np.arange(n) % 3
    label = np.where(np.arange(n) < 12, 1 - truth, truth)
    notes = Annotations.build(np.arange(n), annotator, label, num_items=n, classes=["cat", "dog"], annotators=3)
    pictures = ArrayInputs(rng.integers(0, 255, (n, 8, 8, 3)).astype(np.uint8), "image")
    data = AnnotatedData("pets", tuple(f"p{i}" for i in range(n)), pictures, notes)
    write_folder(data, workplace / "pets")
    probs = pd.DataFrame(np.eye(2)[truth] * 0.9 + 0.05, columns=["prob_cat", "prob_dog"])
    probs.insert(0, "item", list(data.items))
    probs.to_csv("probs.csv", index=False)
    assert main(["audit", "pets", "--probs", "probs.csv", "--predictions", "held-out", "-o", "out"]) == 0
    shown = pd.read_csv("out/review.csv")["item"]
    assert sorted(shown) == sorted(data.items[:12])
    assert main(["elicit", "review", "out", "-o", "study", "--judgments", "2", "--repeats", "0"]) == 0
    assert main(["elicit", "simulate", "study", "--participants", "2"]) == 0
    made = ["--format", "folder", "--data", "out/review", "--with-excluded"]
    assert main(["elicit", "export", "study", "-o", "answers", *made]) == 0
    assert main(["audit", "pets", "--reviewed", "answers", "-o", "new"]) == 0
    after, log = read_folder(workplace / "new").annotations, pd.read_csv("new/reviews.csv")
    assert len(log) == 2 * len(shown) == after.num_pairs - n
    assert log["item"].isin(shown).all()
    assert len(set(after.annotators) - set(notes.annotators)) == log["reviewer"].nunique() == 2
