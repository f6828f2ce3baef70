"""Soft answers in a table: which columns there must be."""

import numpy as np
import pandas as pd

from hilmix.annotations.soft_columns import read_soft
from hilmix.faults import Findings


def test_classes_without_a_column_or_with_two_and_columns_without_a_class_are_faults() -> None:
    columns = ("prob_0", "prob_0.0", "prob_1", "prob_other", "prob_skip")
    votes = pd.DataFrame(np.full((1, 5), 0.2), columns=columns)
    found = Findings()
    probs, mass = read_soft(votes, "votes", ["0", "1", "2", "3"], ["skip"], np.zeros(1, dtype=bool), found)
    assert probs is None
    assert mass.tolist() == [0.0]
    missing = [fault for fault in found.faults if fault.kind == "missing-column"]
    assert [fault.where for fault in missing] == ["prob_2"]
    assert "prob_3" in missing[0].found
    assert "prob_1" not in missing[0].found
    unknown = {fault.where for fault in found.faults if fault.kind == "unknown-class"}
    assert unknown == {"prob_0", "prob_0.0", "prob_other"}
