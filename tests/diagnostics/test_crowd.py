"""Tables of agreement and of CROWDLAB: names, rows and refusals; the values are those of tests/functional/crowd."""

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.diagnostics import agreement_table, crowdlab_tables
from hilmix.errors import ConfigError, DataError
from hilmix.functional import crowd

LABELS = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0], [0, -1, -1], [-1, -1, -1]])
PROBS = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
NOTES = Annotations.from_dense(LABELS, classes=["cat", "dog"], annotators=["ann", "bob", "cec"])


def test_tables_carry_names_and_the_worst_annotator_is_last_to_trust():
    found = crowdlab_tables(NOTES, PROBS, predictions="out-of-fold")
    assert found.items.consensus.astype(object).tolist()[:5] == ["cat", "dog", "cat", "dog", "cat"]
    assert found.items.consensus.isna().tolist() == [False] * 5 + [True]
    assert found.items.labels.tolist() == [3, 3, 3, 3, 1, 0]
    assert found.items.next_label[:4].min() > found.items.next_label[5]
    assert len(found.labels) == 13
    assert found.labels.quality.idxmin() in (2, 11)  # cec's two labels against all others
    assert found.annotators.quality.idxmin() == 2
    assert found.annotators.alpha_without[2] == 1.0
    assert found.annotators.labels.tolist() == [5, 4, 4]


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ConfigError, match="in-sample"):
        crowdlab_tables(NOTES, PROBS, predictions="in-sample")
    counts = Annotations.from_counts([[2, 1], [0, 3]])
    with pytest.raises(DataError, match="exchangeable"):
        crowdlab_tables(counts, PROBS[:2], predictions="held-out")
    with pytest.raises(DataError, match=r"\(6, 2\)"):
        crowdlab_tables(NOTES, PROBS[:5], predictions="held-out")


def test_agreement_has_a_row_per_measure():
    table = agreement_table(NOTES, levels=["nominal", "interval"], draws=20).set_index("measure")
    assert table.index.tolist() == ["alpha_nominal", "alpha_interval", "fleiss_kappa", "mean_cohen_kappa"]
    assert table.value["alpha_nominal"] == crowd.krippendorff_alpha(NOTES)
    assert table.low["alpha_nominal"] <= table.value["alpha_nominal"] <= table.high["alpha_nominal"]
    # ann and bob always agree; each agrees with cec in two of four, by chance 1/2
    assert table.value["mean_cohen_kappa"] == pytest.approx((1 + 0 + 0) / 3)
    exchangeable = agreement_table(Annotations.from_counts([[2, 1], [0, 3]]), draws=5)
    assert exchangeable.measure.tolist() == ["alpha_nominal", "fleiss_kappa"]
