"""CIFAR-10S: the released soft-label rule, and parsing of typed answers."""

import json

import numpy as np
import pandas as pd
import pytest

from hilmix.data.sources import load_source
from hilmix.data.sources.cifar10s import Answers, compute_soft_labels, read_answers


def answer(first, percent, second=-1, second_percent=np.nan, possible=range(10)):
    allowed = np.isin(np.arange(10), list(possible))
    return Answers(
        np.array([0]),
        np.array(["x"]),
        np.array([first]),
        np.array([float(percent)]),
        np.array([second]),
        np.array([float(second_percent)]),
        allowed[None],
        np.array([1.0]),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(4, 100, possible=[4]), {4: 1.0}),  # sure, everything else ruled out
        (answer(4, 100, possible=[4, 7]), {4: 0.9, 7: 0.1}),  # sure, one other left possible
        (answer(0, 90, 2, 10, possible=[0, 2, 4, 9]), {0: 0.81, 2: 0.09, 4: 0.05, 9: 0.05}),  # as released
        (answer(4, 95, 7, 5, possible=[4, 5, 7]), {4: 0.855, 7: 0.045, 5: 0.1}),  # as released
        (answer(1, 60, 2, 20, possible=[1, 2, 3, 4]), {1: 0.6, 2: 0.2, 3: 0.1, 4: 0.1}),  # the rest is shared
        (answer(1, 60, 2, 20, possible=[1, 2]), {1: 0.75, 2: 0.25}),  # no class to share it with
        (answer(1, 100, 2, 100, possible=[1, 2]), {1: 0.5, 2: 0.5}),
        (answer(4, 100, possible=[]), {4: 1.0}),  # ruled out the class that was chosen
        (answer(2, 100, possible=[1]), {2: 1.0}),  # as released
        (
            answer(2, 90, 3, 10, possible=[3, 5, 6]),
            {2: 0.81 / 1.1, 3: 0.09 / 1.1, 5: 0.1 / 1.1, 6: 0.1 / 1.1},
        ),  # as released
        (answer(4, 50, 4, 20, possible=[4]), {4: 1.0}),  # the same class twice: the second overwrites
        (answer(3, 0, possible=[]), dict.fromkeys(range(10), 0.1)),  # says nothing at all
    ],
)
def test_soft_labels_follow_the_rule(given, expected):
    found = compute_soft_labels(given)[0]
    np.testing.assert_allclose(found, [expected.get(k, 0) for k in range(10)], atol=1e-12)


def test_typed_answers_are_read(tmp_path):
    def response(first, prob, second, prob2, ruled_out):
        return json.dumps(
            {"classSelect": f"mostProb{first}", "prob": prob, "classSelect2": f"secondProb{second}", "prob2": prob2}
            | {f"improbClassSelect{c}": "1" for c in ruled_out}
        )

    pd.DataFrame(
        {
            "subject": ["u", "u", "v", "v"],
            "rt": [1500, 2500.5, "", 10],
            "response": [
                response("Cat", "75%", "Dog", " 25", ["Ship"]),
                response("Truck", "1000", "No", "", []),
                response("Deer", "", "Frog", "x", []),
                "{}",
            ],
            "task": ["spec_conf", "rerun_spec_conf", "spec_conf", ""],
            "img_id": [7.0, 3.0, 7.0, np.nan],
            "other": 0,
        }
    ).to_csv(tmp_path / "raw.csv")
    found = read_answers([tmp_path / "raw.csv"])
    assert found.item.tolist() == [7, 3, 7]
    assert found.annotator.tolist() == ["u", "u", "v"]
    assert (found.first.tolist(), found.second.tolist()) == ([3, 9, 4], [5, -1, 6])
    np.testing.assert_array_equal(found.first_percent, [75, 100, np.nan])
    np.testing.assert_array_equal(found.second_percent, [25, np.nan, np.nan])
    np.testing.assert_array_equal(found.seconds, [1.5, 2.5005, np.nan])
    assert found.possible.sum(1).tolist() == [9, 10, 10]
    assert not found.possible[0, 8]


def test_mirror_is_complete_and_agrees_with_the_released_labels(real_data, tmp_path):
    data = load_source("cifar10s", downloads=tmp_path)
    votes = data.annotations
    assert (len(data), votes.num_pairs, votes.num_annotators) == (1_000, 6_723, 248)
    assert (votes.labels_per_item.min(), votes.labels_per_item.max()) == (6, 11)
    with np.load(real_data / "cifar10s" / "cifar10s.npz") as released:
        order = np.argsort(released["item"], kind="stable")
        assert (votes.label == released["label"][order]).mean() > 0.98  # else a larger second percent
        # The released rows stand in another order within an image, so the mean of each image is compared.
        total = np.zeros((10_000, 10))
        np.add.at(total, released["item"], released["soft_t2clamp"])
        mean = total[np.unique(released["item"])]
    apart = np.abs(votes.counts() - mean).max(1)
    assert apart.max() < 1e-3
    soft = votes.counts() / votes.labels_per_item[:, None]
    assert (soft.argmax(1) == data.target).mean() == pytest.approx(0.938, abs=0.002)
