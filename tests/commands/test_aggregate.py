"""``hilmix aggregate`` as a user types it."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hilmix.cli import main
from hilmix.data.folder import read_labels
from hilmix.functional.aggregation import AGGREGATORS, aggregate

pytestmark = pytest.mark.usefixtures("workplace")


def write(root, *, target=True, identity=""):
    """Ten items without inputs: the last has no votes, item 8 is a tie, ann and bob are right, cyd guesses."""
    root.mkdir()
    items = pd.DataFrame({"item": [f"photo {i}" for i in range(10)], "path": "absent.png"})
    if target:
        items["target"] = ["cat", "dog"] * 4 + ["cat", None]
    items.to_csv(root / "items.csv", index=False)
    votes = [(i, who, i % 2) for i in range(8) for who in ("ann", "bob")] + [(i, "cyd", i < 4) for i in range(8)]
    votes += [(8, "ann", 0), (8, "bob", 1)]
    rows = [(f"photo {i}", who, ("cat", "dog")[code]) for i, who, code in votes]
    pd.DataFrame(rows, columns=["item", "annotator", "label"]).to_csv(root / "annotations.csv", index=False)
    (root / "dataset.yaml").write_text(f"name: tiny\ninput: image\n{identity}")
    return root


@pytest.fixture
def folder(workplace):
    return write(workplace / "mine")


def words(capsys):
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("method", AGGREGATORS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_method_writes_every_item_with_its_distribution(folder, method, suffix):
    assert main(["aggregate", str(folder), "--method", method, "-o", f"out/labels.{suffix}", "--seed", "3"]) == 0
    read = pd.read_csv if suffix == "csv" else pd.read_parquet
    table = read(f"out/labels.{suffix}")
    assert list(table) == ["item", "label", "prob_cat", "prob_dog", "votes", "confidence", "entropy"]
    assert table["item"].tolist() == [f"photo {i}" for i in range(10)]
    assert table["label"][:8].tolist() == ["cat", "dog"] * 4
    assert table["label"][8] in ("cat", "dog")
    assert table["label"].isna().tolist() == [False] * 9 + [True]
    assert table["votes"].tolist() == [3] * 8 + [2, 0]
    expected = aggregate(method, read_labels(folder).annotations, seed=3).posterior
    np.testing.assert_allclose(table[["prob_cat", "prob_dog"]], expected, atol=1e-12)
    np.testing.assert_allclose(table["confidence"], expected.max(1))
    p = np.clip(expected, 1e-300, 1)
    np.testing.assert_allclose(table["entropy"], -(p * np.log(p)).sum(1), atol=1e-12)
    assert [f.name for f in (folder.parent / "out").iterdir()] == [f"labels.{suffix}"]


def test_the_summary_has_items_accuracy_rounds_and_the_least_trusted(folder, capsys):
    assert main(["aggregate", str(folder), "-o", "labels.csv"]) == 0
    out = words(capsys)
    assert "method ensemble" in out
    assert "10, 26 labels in 2 classes; 1 without votes have an empty label" in out
    assert re.search(r"rounds \d+, converged", out)
    assert re.search(r"accuracy (100.0|88.9) % of the 9 items", out)
    assert re.search(r"least trusted cyd 0\.\d\d \(8 labels\)", out)
    assert "written labels.csv" in out


@pytest.mark.parametrize("method", ["majority", "soft", "dawid-skene"])
def test_ties_are_reported_and_follow_the_seed(workplace, method, capsys):
    """ann and bob are alike, so that no method can prefer one of them."""
    folder, labels = write(workplace / "tied"), set()
    for seed in range(12):
        assert main(["aggregate", str(folder), "--method", method, "-o", "labels.csv", "--seed", str(seed)]) == 0
        assert f"ties 1, drawn with seed {seed}" in words(capsys)
        labels.add(pd.read_csv("labels.csv")["label"][8])
    assert labels == {"cat", "dog"}


def test_without_targets_or_identities_they_are_not_mentioned(workplace, capsys):
    folder = write(workplace / "crowd", target=False, identity="identity: exchangeable\n")
    assert main(["aggregate", str(folder), "--method", "mace", "-o", "labels.csv"]) == 0
    out = words(capsys)
    assert "accuracy" not in out
    assert "least trusted" not in out
    assert "identities unknown" in out


def test_soft_answers_are_aggregated(workplace):
    folder = write(workplace / "soft")
    pd.DataFrame(
        {"item": ["photo 0", "photo 0"], "annotator": ["ann", "bob"], "prob_cat": [0.9, 0.7], "prob_dog": [0.1, 0.3]}
    ).to_csv(folder / "annotations.csv", index=False)
    assert main(["aggregate", str(folder), "--method", "soft", "-o", "labels.csv"]) == 0
    assert pd.read_csv("labels.csv")["prob_cat"][0] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--method", "ds", "-o", "x.csv"], r"`--method` .*majority.*got 'ds'"),
        (["-o", "x.txt"], r"`-o` .*\.csv.*got 'x\.txt'"),
        (["-o", "blocked/x.csv"], r"Cannot write blocked/x\.csv: .* writable folder"),
        (["--seed", "-1", "-o", "x.csv"], "`--seed` must be >= 0, got -1"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(folder, capsys, options, sentence):
    (folder.parent / "blocked").write_text("a file where a folder should be")
    assert main(["aggregate", str(folder), *options]) == 2
    error = capsys.readouterr().err
    assert re.search(sentence, error)
    assert error.count("\n") == 1
    assert not (folder.parent / "x.csv").exists()


def test_a_missing_folder_and_three_classes_for_kos_are_refused(workplace, capsys):
    assert main(["aggregate", "nowhere", "-o", "x.csv"]) == 2
    assert "There is no data folder at 'nowhere'" in capsys.readouterr().err
    folder = write(workplace / "mine", target=False)
    (folder / "dataset.yaml").write_text("name: tiny\ninput: image\nclasses: [cat, dog, cow]\n")
    assert main(["aggregate", str(folder), "--method", "kos", "-o", "x.csv"]) == 2
    assert "KOS: `num_classes` must be 2, got 3." in capsys.readouterr().err


def write_gold(rows, column="label"):
    pd.DataFrame(rows, columns=["item", column]).to_csv("gold.csv", index=False)


@pytest.mark.parametrize("column", ["label", "target"])
def test_gold_items_are_their_class_and_turn_the_crowd_around(folder, capsys, column):
    """By seven known items cyd is always right where she agrees with them, ann and bob never."""
    write_gold(
        [(f"photo {i}", ("cat", "dog")[i < 4]) for i in range(7)] + [("photo 9", "dog"), ("photo 8", None)], column
    )
    assert main(["aggregate", str(folder), "--gold", "gold.csv", "--method", "one-coin", "-o", "labels.csv"]) == 0
    out, table = words(capsys), pd.read_csv("labels.csv")
    assert table["label"][:7].tolist() == ["dog"] * 4 + ["cat"] * 3
    assert (table["label"][9], table["votes"][9], table["prob_dog"][9]) == ("dog", 0, 1.0)
    # ann and bob, right in half of the known items, say dog; cyd, always right, says cat
    assert table["label"][7] == "cat"
    assert "gold items 8, left out of the accuracy" in out
    assert "of the 2 items" in out


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("photo 0", "cow")], r"row 0: 'cow' is unknown"),
        ([("photo 77", "cat")], r"row 0: 'photo 77' is unknown"),
        ([("photo 0", "cat"), ("photo 0", "dog")], r"row 1: the item has a row above"),
        ([("photo 0", None)], "no row has a class"),
    ],
)
def test_gold_items_that_do_not_fit_are_refused(folder, capsys, rows, sentence):
    write_gold(rows)
    assert main(["aggregate", str(folder), "--gold", "gold.csv", "-o", "x.csv"]) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (folder.parent / "x.csv").exists()


def test_gold_files_without_the_columns_or_at_all_are_refused(folder, capsys):
    pd.DataFrame({"item": ["photo 0"], "class": ["cat"]}).to_csv("gold.csv", index=False)
    assert main(["aggregate", str(folder), "--gold", "gold.csv", "-o", "x.csv"]) == 2
    assert "'label'" in capsys.readouterr().err
    assert main(["aggregate", str(folder), "--gold", "absent.csv", "-o", "x.csv"]) == 2
    assert "absent.csv" in capsys.readouterr().err


def test_help_explains_every_method(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["aggregate", "--help"])
    out = capsys.readouterr().out
    assert all(f"  {method} " in out for method in AGGREGATORS)


def test_repeats_are_noted_and_the_last_counts(folder, capsys):
    with (folder / "annotations.csv").open("a") as file:
        file.write("photo 9,cyd,dog\nphoto 9,cyd,cat\n")
    assert main(["aggregate", str(folder), "--method", "majority", "-o", "labels.csv"]) == 0
    assert re.search(r"note: .*'last'", words(capsys))
    table = pd.read_csv("labels.csv")
    assert (table["label"].iloc[9], table["votes"].iloc[9]) == ("cat", 1)


@pytest.mark.parametrize("method", AGGREGATORS)
def test_a_table_without_votes_has_no_classes(workplace, method, capsys):
    folder = write(workplace / "mine")
    pd.DataFrame(columns=["item", "annotator", "label"]).to_csv(folder / "annotations.csv", index=False)
    (folder / "items.csv").write_text("item,path\nphoto,absent.png\n")
    assert main(["aggregate", str(folder), "--method", method, "-o", "labels.csv"]) == 2
    assert capsys.readouterr().err.count("error: ") == 1
    assert not (workplace / "labels.csv").exists()


@pytest.mark.parametrize(("rule", "label"), [("abstain", None), ("first", "cat")])
def test_ties_follow_the_rule(workplace, rule, label, capsys):
    folder = write(workplace / "tied")
    assert main(["aggregate", str(folder), "--method", "majority", "-o", "labels.jsonl", "--ties", rule]) == 0
    assert "ties 1, " in words(capsys)
    labels = [json.loads(line)["label"] for line in (workplace / "labels.jsonl").read_text().splitlines()]
    assert labels == [*["cat", "dog"] * 4, label, None]


def test_annotators_are_judged_and_flagged(workplace, capsys):
    """Nine images: eve always errs, sam labels all alike, zoe three only."""
    truth = ["cat", "dog", "cow"] * 10
    wrong = {"cat": "dog", "dog": "cow", "cow": "cat"}
    rows = [(i, who, label) for i, label in enumerate(truth) for who in ("ann", "bob", "cyd")]
    rows += [(i, "eve", wrong[label]) for i, label in enumerate(truth)] + [(i, "sam", "cat") for i in range(30)]
    rows += [(i, "zoe", truth[i]) for i in range(3)]
    pd.DataFrame(rows, columns=["task", "worker", "label"]).to_csv("votes.csv", index=False)
    options = ["--method", "dawid-skene", "--annotators", "annotators.csv"]  # its posterior is sure, that of BWA is not
    assert main(["aggregate", "votes.csv", "-o", "labels.csv", *options]) == 0
    out = words(capsys)
    for text in ("spammer 1: 'sam'", "adversarial 1: 'eve'", "few 1: 'zoe'", "written annotators.csv"):
        assert text in out, text
    table = pd.read_csv("annotators.csv", index_col="annotator")
    assert table["flags"].fillna("").to_dict() == {
        **dict.fromkeys(["ann", "bob", "cyd"], ""),
        "eve": "adversarial",
        "sam": "spammer",
        "zoe": "few",
    }
    assert table.loc["ann", "skill"] > 0.99
    assert table.loc["eve", ["labels", "skill_low"]].tolist() == pytest.approx([30, 0], abs=1e-3)
    assert table.loc["ann", "skill_low"] == pytest.approx(stats.beta(30.5, 0.5).ppf(0.025), abs=1e-3)  # all right
    assert (table.loc["eve", "worst_class"], table.loc["eve", "worst_label"]) in wrong.items()
    # of 30 pairs each with bob, cyd, eve and sam, and three with zoe
    assert table.loc["ann", "agreement"] == pytest.approx((30 + 30 + 0 + 10 + 3) / 123)


def test_known_class_shares_decide_where_votes_are_even(workplace, capsys):
    """Two annotators of equal skill disagree on item t: the more frequent class is the more likely one."""
    rows = [(f"i{i}", who, ("cat", "dog")[i % 2]) for i in range(20) for who in ("ann", "bob")]
    rows += [("t", "ann", "cat"), ("t", "bob", "dog")]
    pd.DataFrame(rows, columns=["item", "annotator", "label"]).to_csv("votes.csv", index=False)
    command = ["aggregate", "votes.csv", "--method", "zencrowd", "-o", "labels.csv"]
    for prior, expected in (["dog=0.1", "cat=0.9"], 0.9), (["uniform"], 0.5), (["dog=8", "cat=2"], 0.2):
        assert main([*command, "--class_prior", *prior]) == 0
        assert pd.read_csv("labels.csv", index_col="item").loc["t", "prob_cat"] == pytest.approx(expected)
    for prior, sentence in ((["cat=1"], "for each of cat, dog"), (["cat=1", "dog=x"], "must hold numbers")):
        assert main([*command, "--class_prior", *prior]) == 2
        assert sentence in capsys.readouterr().err
