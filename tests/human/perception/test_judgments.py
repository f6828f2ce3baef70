"""Judgments as arrays: mirrors, order, what is refused."""

import numpy as np
import pytest

from hilmix.errors import DataError
from tests.human.perception.simulated import judged


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one[:8], other[:8], strict=True))


def test_mirrors():
    judgments = judged()
    some = np.arange(900) % 3 == 0
    turned = judgments.swap_images(some)
    assert (turned.label1[some] == judgments.label2[some]).all()
    assert (turned.id2[some] == judgments.id1[some]).all()
    np.testing.assert_array_equal(turned.answer[some], 1 - judgments.answer[some])
    np.testing.assert_array_equal(turned.weight[~some], judgments.weight[~some])
    assert same(turned.sort_by_class()._replace(weight=judgments.weight, answer=judgments.answer), judgments)
    np.testing.assert_allclose(turned.sort_by_class().answer, judgments.answer, atol=1e-15)


def test_doubled_judgments_are_followed_by_their_mirror_images():
    judgments = judged()
    twice = judgments.add_swapped()
    assert same(twice.take(np.arange(900)), judgments)
    assert same(twice.take(np.arange(900, 1800)), judgments.swap_images(np.ones(900, dtype=bool)))


def test_plain_lists_will_do():
    judgments = judged(pairs=1)
    lists = judgments._replace(**{name: getattr(judgments, name).tolist() for name in judgments._fields[:8]})
    assert same(lists.validate(), judgments)
    assert lists.validate().label1.dtype == np.int64


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label1", 4, "judgments label1, row 2: .*got 4"),
        ("label2", -1, "judgments label2, row 2: .*got -1"),
        ("weight", 1.5, "judgments weight, row 2: .*got 1.5"),
        ("answer", np.nan, "judgments answer, row 2: .*got nan"),
        ("confidence", -0.1, "judgments confidence, row 2: .*got -0.1"),
        ("participant", 20, "judgments participant, row 2: .*got 20"),
        ("id1", -1, "judgments id1, row 2: .*got -1"),
    ],
)
def test_values_out_of_range_are_refused(column, value, message):
    judgments = judged()
    getattr(judgments, column)[2] = value
    with pytest.raises(DataError, match=message):
        judgments.validate()


def test_columns_of_other_lengths_and_none_at_all_are_refused():
    with pytest.raises(DataError, match=r"judgments id2 .*\(900,\), as weight has, got \(899,\)"):
        judged()._replace(id2=judged().id2[1:]).validate()
    with pytest.raises(DataError, match=r"judgments: .*got 0"):
        judged().take(np.zeros(900, dtype=bool)).validate()
