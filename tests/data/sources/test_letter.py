"""Letter recognition: the file in small, and facts of the mirror."""

import hashlib

import numpy as np
import pytest

from hilmix.data.sources.base import Access
from hilmix.data.sources.letter import CLASSES, LETTERS, SOURCE, read_letters


def test_letters_come_before_their_numbers(tmp_path):
    file = tmp_path / "letter.data"
    file.write_text("T,2,8,3\nA,5,12,0\n")
    inputs, target = read_letters([file])
    assert [CLASSES[k] for k in target] == ["T", "A"]
    assert inputs.tolist() == [[2, 8, 3], [5, 12, 0]]


def test_the_checksum_is_that_of_the_letters_at_hand(real_data, tmp_path):
    """The mirror's letters, written as the published file has them, have the published checksum and size."""
    inputs, target = Access(tmp_path, real_data).read(LETTERS)
    rows = (",".join([CLASSES[k], *map(str, row)]) for k, row in zip(target, inputs.astype(int).tolist(), strict=True))
    content = "".join(f"{row}\n" for row in rows).encode()
    (file,) = LETTERS.files
    assert len(content) == file.size
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == file.checksum
    (tmp_path / "letter.data").write_bytes(content)
    for one, other in zip(read_letters([tmp_path / "letter.data"]), (inputs, target), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_study_of_the_paper_in_size_and_noise(real_data, tmp_path):
    data = SOURCE.build(Access(tmp_path, real_data), SOURCE.defaults)
    assert {part: int((data.split == part).sum()) for part in ("train", "val", "test")} == {
        "train": 15_500,
        "val": 500,
        "test": 4_000,
    }
    votes = data.annotations
    assert set(votes.labels_per_item[data.split != "test"]) == {2, 3, 4}
    assert set(votes.labels_per_item[data.split == "test"]) == {20}
    assert 0.3 < (votes.label != data.target[votes.item]).mean() < 0.6
