"""Small folders that went wrong in trials, and their right outcomes; those that are at hand are read too."""

from pathlib import Path

import numpy as np
import pytest

from hilmix.cli import main
from hilmix.data.folder import examine_folder, read_folder, read_labels
from hilmix.data.folder.describe import describe_data
from hilmix.functional.aggregation import AGGREGATORS, aggregate

SHARED = Path(__file__).parents[4] / "shared" / "cases" / "data"


def float_labels(data):
    found = describe_data(data)
    assert (data.classes, found.wrong_labels, found.majority_accuracy) == (("0", "1", "2"), 0, 1)


def taxon_ids(data):
    assert data.classes == ("3", "901", "52821")


def repeats(data):
    assert data.annotations.num_pairs == 12
    assert [note.kind for note in data.notes] == ["repeats"]
    assert describe_data(data).krippendorff_alpha == pytest.approx(-2 / 9)


def case(data):
    assert any("'Cat'" in note.found and "'cat'" in note.found for note in data.notes)


def closing(data):
    assert data.classes == ("[/cat]", "dog")


RIGHT = {
    "01_float_labels": float_labels,
    "04_taxon_ids": taxon_ids,
    "05_duplicate_rows": repeats,
    "08g_case": case,
    "09b_closing": closing,
}
REFUSED = {
    "02_blank_label": ("empty", "label", (2, 4, 5)),
    "07b_label_contradicts": ("contradiction", "label", (0, 1, 2)),
    "07c_extra_prob": ("unknown-class", "prob_other", ()),
    "10b_ls_csv": ("list", "label", (0,)),
}


@pytest.fixture
def shared():
    if not SHARED.is_dir():
        pytest.skip("the folders of the trials are not at hand")
    return SHARED


@pytest.mark.parametrize("name", RIGHT)
def test_folders_that_are_right(shared, name, capsys):
    RIGHT[name](read_folder(shared / name))
    assert main(["data", "check", str(shared / name)]) == 0
    if name == "09b_closing":
        assert "[/cat]" in capsys.readouterr().out


@pytest.mark.parametrize("name", REFUSED)
def test_folders_that_are_refused(shared, name):
    kind, where, rows = REFUSED[name]
    (fault,) = examine_folder(shared / name).found.faults
    assert (fault.kind, fault.where, fault.rows) == (kind, where, rows)
    assert main(["data", "check", str(shared / name)]) == 2


@pytest.mark.parametrize("method", AGGREGATORS)
def test_two_classes_are_aggregated_alike_whatever_their_codes(tmp_path, method):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 12)
    given_labels = np.where(rng.random((12, 5)) < 0.75, truth[:, None], 1 - truth[:, None])
    posteriors = []
    for number, (codes, meta) in enumerate([((1, 2), ""), ((1, 2), "classes: [1, 2]\n"), ((0, 7), "")]):
        root = tmp_path / str(number)
        root.mkdir()
        rows = [f"i{i},w{w},{codes[given_labels[i, w]]}" for i in range(12) for w in range(5)]
        (root / "annotations.csv").write_text("\n".join(["item,annotator,label", *rows]))
        (root / "items.csv").write_text("\n".join(["item", *(f"i{i}" for i in range(12))]))
        (root / "dataset.yaml").write_text("input: vector\n" + meta)
        labels = read_labels(root)
        assert labels.annotations.classes == tuple(map(str, codes))
        posteriors.append(aggregate(method, labels.annotations).posterior)
    np.testing.assert_array_equal(posteriors[0], posteriors[1])
    np.testing.assert_array_equal(posteriors[0], posteriors[2])
