import numpy as np
import pandas as pd
import pytest

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.design.items import check_showable, find_usable_labels, read_probs
from tests.human.elicit.study_data import CLASSES, N, pictures

PROBS = [f"prob_{name}" for name in CLASSES]


def test_the_class_is_the_target_or_the_majority_and_ties_have_none():
    votes = Annotations.build(
        [0, 1, 1, 1, 2, 2],
        [0, 0, 1, 2, 0, 1],
        [0, 1, 1, 0, 0, 1],
        num_items=4,
        classes=["a", "b"],
        annotators=["x", "y", "z"],
    )
    inputs = ArrayInputs(np.zeros((4, 2, 2, 3), dtype=np.uint8), "image")
    data = AnnotatedData("d", ("p", "q", "r", "s"), inputs, votes, target=np.array([1, -1, -1, -1]))
    assert find_usable_labels(data).tolist() == [1, 1, -1, -1]


def test_only_training_items_are_used():
    data = pictures(split=True)
    assert np.array_equal(find_usable_labels(data) >= 0, data.split == "train")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (ArrayInputs(np.zeros((4, 2)), "vector"), "hold vectors; only images can be shown"),
        (ArrayInputs(np.zeros((4, 2, 2), dtype=np.float32), "image"), "are float32 with 1 channels; .* Convert them"),
        (ArrayInputs(np.zeros((4, 2, 2, 4), dtype=np.uint8), "image"), "are uint8 with 4 channels; .* with 1 or 3"),
    ],
)
def test_items_that_cannot_be_shown_are_refused(inputs, message):
    votes = Annotations.from_dense([[0], [1], [0], [1]])
    with pytest.raises(DataError, match=message):
        check_showable(AnnotatedData("d", ("p", "q", "r", "s"), inputs, votes))


def predictions(tmp_path, **change) -> str:
    table = pd.DataFrame(np.full((3, 3), 1 / 3), columns=PROBS).assign(**{"item": ["i5", "i0", "i9"]} | change)
    table.drop(columns=[name for name, values in change.items() if values is None]).to_parquet(tmp_path / "p.parquet")
    return tmp_path / "p.parquet"


def test_predictions_are_put_beside_their_items(tmp_path):
    probs = read_probs(predictions(tmp_path, prob_ant=[0.1, 0.2, 0.3]), pictures())
    assert np.flatnonzero(~np.isnan(probs).any(1)).tolist() == [0, 5, 9]
    assert probs[[5, 0, 9], 0].tolist() == [0.1, 0.2, 0.3]
    assert probs.shape == (N, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": None}, r"lacks the column\(s\) \['item'\]; found \['prob_ant'.*hilmix predict"),
        ({"prob_bee": None}, r"lacks the column\(s\) \['prob_bee'\]"),
        ({"item": ["i0", "i1", "z"]}, "item 'z' is not in the data 'pictures'"),
        ({"item": ["i0", "i1", "i0"]}, "item 'i0' occurs more than once"),
        ({"prob_bee": [0.5, 2.0, 0.1]}, "numbers outside 0 to 1"),
        ({"prob_bee": [0.5, np.nan, 0.1]}, "numbers outside 0 to 1, or none"),
    ],
)
def test_other_predictions_are_one_sentence(tmp_path, change, message):
    with pytest.raises(DataError, match=message) as raised:
        read_probs(predictions(tmp_path, **change), pictures())
    assert "p.parquet" in str(raised.value)


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "p.parquet").write_text("item\n")
    for file in (tmp_path / "p.parquet", tmp_path / "none.parquet"):
        with pytest.raises(DataError, match=f"Cannot read .*{file.name}.*hilmix predict"):
            read_probs(file, pictures())
