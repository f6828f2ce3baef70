"""CIFAR-10H: parsers on files of the same schema, and facts of the mirror."""

import zipfile

import numpy as np
import pytest

from hilmix.data.sources import cifar10h, load_source
from hilmix.data.sources.cifar10h import read_counts, read_raw
from hilmix.errors import DataError

HEADER = (
    "annotator_id,trial_index,is_attn_check,true_category,chosen_category,true_label,chosen_label,correct_guess,"
    "cifar10_test_test_idx,image_filename,subcategory,reaction_time,time_elapsed\n"
)


def test_raw_answers_without_attention_checks(tmp_path):
    rows = [
        "0,1,0,cat,dog,3,5,0,7,a_s_1.png,a,1500,10\n",
        "0,2,1,cat,cat,3,3,1,-99999,b_s_1.png,b,900,20\n",
        "2,1,0,ship,ship,8,8,1,3,c_s_1.png,c,-1,30\n",
    ]
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        archive.writestr("cifar10h-raw.csv", HEADER + "".join(rows))
    item, annotator, label, seconds = read_raw([tmp_path / "raw.zip"])
    assert (item.tolist(), annotator.tolist(), label.tolist()) == ([7, 3], [0, 2], [5, 8])
    np.testing.assert_array_equal(seconds, [1.5, np.nan])


def test_counts_must_be_the_published_ones(tmp_path):
    counts = np.zeros((10_000, 10), dtype=np.int64)
    counts[:, 0] = 51
    np.save(tmp_path / "c.npy", counts)
    with pytest.raises(DataError, match="shape and total"):
        read_counts([tmp_path / "c.npy"])
    counts[0, 1] = 1_000
    np.save(tmp_path / "c.npy", counts)
    np.testing.assert_array_equal(read_counts([tmp_path / "c.npy"]), counts)


def test_counts_of_the_mirror(real_data, tmp_path):
    data = load_source("cifar10h-counts", downloads=tmp_path)
    votes = data.annotations
    assert (len(data), votes.num_pairs, votes.exchangeable, data.split) == (10_000, 511_000, True, None)
    assert (votes.labels_per_item.min(), votes.labels_per_item.max()) == (47, 63)
    assert (votes.counts().argmax(1) == data.target).mean() == pytest.approx(0.9921, abs=5e-5)
    assert (votes.label != data.target[votes.item]).mean() == pytest.approx(0.0476, abs=5e-5)


def test_annotators_of_the_mirror(real_data, tmp_path):
    data = load_source("cifar10h", downloads=tmp_path)
    votes = data.annotations
    assert (len(data), votes.num_pairs, votes.num_annotators) == (500, 25_752, 2_571)
    assert data.items[0] == "test-09500"
    assert not votes.exchangeable
    assert "500" in cifar10h.RAW.note or "9500" in cifar10h.RAW.note
    counts = load_source("cifar10h-counts", downloads=tmp_path).annotations.counts()[9_500:]
    assert (votes.counts() >= counts).all()  # the release leaves out 16 annotators
    left_out = [454, 751, 1020, 1098, 1331, 1507, 1730, 1809, 2156, 2160, 2172, 2342, 2426, 2540, 2556, 2561]
    kept = ~np.isin(votes.annotator, [votes.annotators.index(str(a)) for a in left_out])
    again = np.zeros((500, 10))
    np.add.at(again, (votes.item[kept], votes.label[kept]), 1)
    np.testing.assert_array_equal(again, counts)
