import numpy as np
import pytest

from hilmix.functional.aggregation import dawid_skene, wds
from tests.functional.aggregation.tables import loose, random_table


@pytest.mark.parametrize("soft", [False, True])
def test_every_label_counts_the_diagonal_of_its_annotator(soft):
    table = random_table(4, num_items=9, num_annotators=4, soft=soft, repeats=2)
    diagonal = dawid_skene(table).confusion[:, range(3), range(3)]
    expected = np.zeros((9, 3))
    for i, who, q in loose(table):
        for c in range(3):
            expected[i, c] += diagonal[who, c] * q[c]
    empty = expected.sum(1) == 0
    expected[empty] = 1
    fit = wds(table)
    np.testing.assert_allclose(fit.posterior, expected / expected.sum(1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(fit.recall, diagonal)


def test_its_best_class_is_softer_than_that_of_dawid_skene():
    table = random_table(0, num_items=60, num_annotators=6, density=1.0, num_classes=2)
    assert wds(table).posterior.max(1).mean() < dawid_skene(table).posterior.max(1).mean()
