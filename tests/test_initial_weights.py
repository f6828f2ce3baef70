"""``--init_from``: backbone and head of another run, classes by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilmix import MLP, CrossFitClassifier, CrowdModel, Predictor
from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import write_folder
from hilmix.errors import ConfigError
from hilmix.initial_weights import take_weights
from tests.helpers import QUICK, fit, parameters, vector_data

pytestmark = pytest.mark.usefixtures("no_figures")


def test_a_run_starts_where_another_ended(data: Path, tmp_path: Path) -> None:
    """With a rate of 0 the weights at the end are those at the start; the data name one more class among the others."""
    source, run, other = tmp_path / "source", tmp_path / "run", tmp_path / "other"
    assert fit(data, source, "-c", "configs/method/hilmix-fast.yaml") == 0
    made = vector_data()
    votes = made.annotations
    codes = np.array([0, 3, 2])  # of x, y and z among x, w, z and y
    moved = Annotations.build(
        votes.item,
        votes.annotator,
        codes[votes.label],
        num_items=60,
        classes=["x", "w", "z", "y"],
        annotators=votes.annotators,
    )
    write_folder(replace(made, annotations=moved, target=codes[made.target]), other)
    still = ["-c", "configs/method/hilmix-fast.yaml", "--model.lr", "0", "--init_from", str(source)]
    assert fit(other, run, *still) == 0
    before, after = parameters(source), parameters(run)
    weights = [name for name in before if name.startswith("backbone.") and name.endswith("weight")]
    assert len(weights) > 3
    assert all(after[name].equal(before[name]) for name in weights)
    names, new = ["x", "y", "z"], ["x", "w", "z", "y"]
    for name in names:
        assert after["head.weight"][new.index(name)].equal(before["head.weight"][names.index(name)])


def test_other_networks_are_refused(data: Path, tmp_path: Path) -> None:
    source = Predictor(CrowdModel(2, 1, [4], MLP([8])), ["x", "y"], device="cpu")
    take_weights_into = {
        "backbone": (CrowdModel(2, 1, [4], MLP([9])), ["x", "y"]),
        "class": (CrowdModel(2, 1, [4], MLP([8])), ["a", "b"]),
        "cross-fitted": (CrossFitClassifier(num_classes=2, num_annotators=1, input_shape=[4]), ["x", "y"]),
    }
    for part, (model, classes) in take_weights_into.items():
        with pytest.raises(ConfigError, match=part):
            take_weights(model, classes, source)
    args = ["fit", "--data.root", str(data), "--run_dir", str(tmp_path / "run"), *QUICK, "--init_from", "none"]
    assert main(args) == 2
    assert not (tmp_path / "run").exists()
