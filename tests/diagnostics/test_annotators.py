"""Which annotators are ranked first and shown, without a Trainer."""

import numpy as np
import pandas as pd

from hilmix.diagnostics import choose_annotators, rank_annotators
from hilmix.diagnostics.annotators import annotator_panels, annotator_table
from tests.callbacks.toy import toy_data
from tests.diagnostics.passes import toy_pass

TABLE = pd.DataFrame({"labels": [100, 90, 80, 1, 70, 0], "estimated_accuracy": [0.9, 0.2, 0.5, 0.0, 0.8, np.nan]})


def test_chosen_annotators_are_solid_and_listed_once():
    assert choose_annotators(TABLE, 2) == [1, 0]  # the fourth has one label only, the sixth none
    assert choose_annotators(TABLE, 6) == [3, 1, 2, 4, 0]
    assert choose_annotators(TABLE, 0) == []


def test_the_least_reliable_annotator_is_first_and_one_without_labels_left_out():
    assert rank_annotators(TABLE).index.tolist() == [3, 1, 2, 4, 0]
    ties = pd.DataFrame({"labels": [1, 1, 1], "estimated_accuracy": [0.5, 0.1, 0.5]})
    assert rank_annotators(ties).index.tolist() == [1, 0, 2]


def test_panels_show_the_annotator_models_matrices_with_name_and_accuracy():
    data, result = toy_pass()
    table = annotator_table(data, result, np.ones(4, dtype=bool))
    panels = annotator_panels(data, result, table, 2)
    shown = choose_annotators(table, 2)
    assert len(panels) == 2
    for a, panel in zip(shown, panels, strict=True):
        np.testing.assert_array_equal(panel.confusion, result.confusion[a])
        assert f"person-{a}" in panel.title
        assert f"{100 * table['estimated_accuracy'][a]:.0f}%" in panel.title


def test_exchangeable_annotators_have_no_panels():
    data, result = toy_pass(toy_data(exchangeable=True))
    table = annotator_table(data, result, np.ones(1, dtype=bool))
    assert annotator_panels(data, result, table, 2) == []
