"""``--init_from``: backbone and head of another run, classes by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hilmix import MLP, CrossFitClassifier, CrowdModel, Predictor
from hilmix.annotations import Annotations
from hilmix.annotators import (
    AnnotatorModel,
    AnnotMixHead,
    CoNAL,
    ConfusionMatrices,
    CrowdAR,
    CrowdLayer,
    DawidSkene,
    LabelFusion,
    MaDL,
    UnionNet,
)
from hilmix.cli import main
from hilmix.data import AnnotatedData, read_folder, write_folder
from hilmix.errors import ConfigError
from hilmix.initial_weights import take_weights
from tests.helpers import QUICK, fit, parameters, vector_data

PER_ANNOTATOR = [CrowdLayer, ConfusionMatrices, AnnotMixHead, CoNAL, CrowdAR, LabelFusion, MaDL, UnionNet, DawidSkene]
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


def moved_annotators(made: AnnotatedData, names: list[str]) -> AnnotatedData:
    """The same votes, by annotators in another order; every seventh is by ``d``."""
    votes = made.annotations
    code = np.array([names.index(name) for name in votes.annotators])[votes.annotator]
    code[::7] = names.index("d")
    annotations = Annotations.build(
        votes.item, code, votes.label, num_items=60, classes=votes.classes, annotators=names
    )
    return replace(made, annotations=annotations)


def test_annotators_go_with_their_names(data: Path, tmp_path: Path) -> None:
    """With a rate of 0 the weights at the end are those at the start; ``d`` is new, and the others have moved."""
    source, run = tmp_path / "source", tmp_path / "run"
    other = write_folder(moved_annotators(vector_data(), ["c", "d", "a", "b"]), tmp_path / "other")
    names = list(read_folder(other).annotations.annotators)
    config = ["-c", "configs/method/annot-mix.yaml"]
    assert fit(data, source, *config) == 0
    assert fit(other, run, *config, "--model.lr", "0", "--seed_everything", "1", "--init_from", str(source)) == 0
    before, after = (
        {name: value for name, value in found.items() if name.startswith("annotator_model.") and "running_" not in name}
        for found in (parameters(source), parameters(run))
    )
    check_annotators(before, after, ["a", "b", "c"], names)


def check_annotators(before: dict[str, Tensor], after: dict[str, Tensor], old: list[str], new: list[str]) -> None:
    """Compares the rows of annotators by name, along the axis in which the tensors differ, and all others whole."""
    moved = 0
    for name in [name for name in before if not name.endswith("num_batches_tracked")]:
        if before[name].shape == after[name].shape:
            assert after[name].equal(before[name]), name
        else:
            moved += 1
            axis = [a != b for a, b in zip(before[name].shape, after[name].shape, strict=True)].index(True)
            for row, annotator in enumerate(old):
                if annotator in new:
                    assert after[name].select(axis, new.index(annotator)).equal(before[name].select(axis, row)), name
    assert moved


@pytest.mark.parametrize("kind", PER_ANNOTATOR, ids=lambda kind: kind.__name__)
def test_rows_of_every_annotator_model_go_with_their_names(kind: type[AnnotatorModel]) -> None:
    old, new = ["a", "b", "c"], ["d", "c", "e", "a"]
    trained, fresh = CrowdModel(3, 3, [4], MLP([8]), kind()), CrowdModel(3, 4, [4], MLP([8]), kind())
    for value in trained.annotator_model.state_dict().values():
        if value.is_floating_point():
            value += torch.rand(value.shape)
    untouched = {name: value.clone() for name, value in fresh.annotator_model.state_dict().items()}
    take_weights(fresh, ["x", "y", "z"], Predictor(trained, ["x", "y", "z"], old, device="cpu"), new)
    after = fresh.annotator_model.state_dict()
    check_annotators(trained.annotator_model.state_dict(), after, old, new)
    for name, value in untouched.items():
        if value.shape != trained.annotator_model.state_dict()[name].shape:
            axis = [a != b for a, b in zip(value.shape, trained.annotator_model.state_dict()[name].shape, strict=True)]
            for row in (0, 2):  # d and e are new
                assert after[name].select(axis.index(True), row).equal(value.select(axis.index(True), row)), name


def test_annotators_of_another_model_or_of_other_classes_start_anew(caplog) -> None:
    def model(part: AnnotatorModel) -> CrowdModel:
        torch.manual_seed(1)
        return CrowdModel(2, 2, [4], MLP([8]), part)

    trained = model(CrowdLayer())
    with torch.no_grad():
        for parameter in trained.annotator_model.parameters():
            parameter += 1
    source = Predictor(trained, ["x", "y"], ["a", "b"], device="cpu")
    for part, classes, annotators in (
        (CrowdLayer(), ["y", "x"], ["a", "b"]),
        (ConfusionMatrices(), ["x", "y"], ["a", "b"]),
        (CrowdLayer(), ["x", "y"], ["c", "d"]),
    ):
        fresh, unchanged = model(part), model(part)
        with caplog.at_level("INFO", logger="hilmix.initial_weights"):
            take_weights(fresh, classes, source, annotators)
        for name, value in unchanged.annotator_model.state_dict().items():
            assert fresh.annotator_model.state_dict()[name].equal(value), name
        assert "anew" in caplog.records[-1].message
