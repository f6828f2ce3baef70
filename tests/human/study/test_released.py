"""The derived files: by hand on a small study, and every entry of the released ones."""

import json

import numpy as np
import pytest

from hilmix.errors import DataError
from hilmix.human.study import read_study, released_inferences, released_soft_labels
from hilmix.human.study.layout import CLASSES, INFERENCES, SOFT_LABELS
from tests.human.study.synthetic import PAIR, answer_form, categorical_row, infer_row, invent, write_rows


def test_inferences_by_hand(tmp_path):
    answers = [("u", 50, 100, "rate_mixture"), ("v", 100, 50, "rate_mixture"), ("v", 0, 0, "rerun_rate_mixture")]
    rows = [
        infer_row(slider=at, confidence=sure, subject=who, task=task, trial_index=6 + i)
        for i, (who, at, sure, task) in enumerate(answers)
    ]
    study = read_study(write_rows(tmp_path, "hmix_infer_mixing_factor.csv", rows), "infer")
    assert released_inferences(study) == {
        f"mixed_0.25_{PAIR}.png": {
            "Std Dev": pytest.approx((1 / 6) ** 0.5),  # the repeat counts as a third person
            "Re-Label Diff": -0.25,
            "True Mixing Factor": 0.25,
            "Predicted Mixing Factor": [0.5, 0.0, 1.0],
            "Weighted Re-Label": pytest.approx(0.5 / 3),  # not divided by the confidences
            "Weighted Re-Label Diff": pytest.approx(0.25 - 0.5 / 3),
            "Predicted Confidence": [1.0, 0.5, 0.0],
            "Endpoints": ["Bird", "Deer"],
            "Class Pair": f"{PAIR}.png",
        }
    }
    assert released_inferences(study.without_repeats())[f"mixed_0.25_{PAIR}.png"]["Std Dev"] == 0.25


def test_soft_labels_by_hand(tmp_path):
    others = ("Airplane", "Automobile", "Deer", "Dog", "Frog", "Horse", "Ship")
    rows = [
        categorical_row(answer_form("Cat", "60", "Bird", "20", others[1:])),
        categorical_row(answer_form("Cat", "100", ruled_out=others), trial_index=7),
    ]
    study = read_study(write_rows(tmp_path, "hmix_categorical_soft_labels.csv", rows), "categorical")
    ((first, second),) = released_soft_labels(study).values()
    expected = [0.1, 0, 0.2, 0.6, 0, 0, 0, 0, 0, 0.1]  # the missing 20 % goes to airplane and truck
    np.testing.assert_allclose(first, expected, atol=1e-15)
    np.testing.assert_allclose(second, np.array([0, 0, 0.05, 1, 0, 0, 0, 0, 0, 0.05]) / 1.1, atol=1e-15)


def test_answers_that_say_nothing_have_no_soft_label(tmp_path):
    forms = [
        answer_form("Cat", "0", ruled_out=CLASSES),
        answer_form("Cat", "60", "Cat", "0", CLASSES),  # the second overwrites the first
        answer_form("Cat", "0", "Dog", "5", CLASSES),
        answer_form("Cat", "0", ruled_out=CLASSES[1:]),
    ]
    rows = [categorical_row(form, trial_index=i) for i, form in enumerate(forms)]
    rows.append(categorical_row(forms[0], filename="alone.png", trial_index=9))
    study = read_study(write_rows(tmp_path, "hmix_categorical_soft_labels.csv", rows), "categorical")
    labels = released_soft_labels(study)
    assert list(labels) == [f"mixed_0.25_{PAIR}.png"]
    assert [np.flatnonzero(label).tolist() for label in labels[f"mixed_0.25_{PAIR}.png"]] == [[5], [0]]


def test_other_tasks_are_refused():
    with pytest.raises(DataError, match="task 'infer'; this one is 'select'"):
        released_inferences(invent("select", 0))
    with pytest.raises(DataError, match="task 'categorical'; this one is 'infer'"):
        released_soft_labels(invent("infer", 0))


def test_mixes_without_judgments_are_left_out():
    study = invent("infer", 3)
    first = study.judgments.participant == 0
    partial = study.build(
        "infer",
        classes=study.classes,
        participants=study.participants,
        num_items=study.num_items,
        stimuli={key: getattr(study.stimuli, key) for key in ("name", "id1", "id2", "label1", "label2", "weight")},
        judgments={
            key: getattr(study.judgments, key)[first]
            for key in ("participant", "stimulus", "weight", "confidence", "trial")
        },
    )
    seen = np.unique(partial.judgments.stimulus)
    assert 0 < len(seen) < len(study.stimuli)
    assert list(released_inferences(partial)) == [study.stimuli.name[i] for i in seen]


def test_all_2070_released_inferences_are_ours(real_data):
    released = json.loads((real_data / "hmix" / INFERENCES).read_text())
    assert len(released) == 2_070
    assert released_inferences(read_study(real_data / "hmix", "infer")) == released


def test_all_216_released_soft_labels_are_ours(real_data):
    released = json.loads((real_data / "hmix" / SOFT_LABELS).read_text())
    ours = released_soft_labels(read_study(real_data / "hmix", "categorical"))
    assert sum(map(len, ours.values())) == 216
    # to the last bit; the release does not keep the order of the judgments of a mix
    assert {name: sorted(labels) for name, labels in ours.items()} == {name: sorted(v) for name, v in released.items()}
