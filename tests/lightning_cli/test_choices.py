"""The lines by which ``fit`` prints its choices, by key and value."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.annotators import DawidSkene, Perfect, TraceReg
from hilmix.data import AnnotatedDataModule
from hilmix.data.targets import Aggregated
from hilmix.lightning_cli.choices import describe_choices
from hilmix.modules import Classifier, CrossFitClassifier, EMClassifier
from tests.helpers import fit, in_memory, vector_data

pytestmark = pytest.mark.usefixtures("no_figures")


def choices(data: AnnotatedDataModule, kind: Any = EMClassifier, **settings: Any) -> dict[str, str]:
    return describe_choices(data, kind(num_classes=3, num_annotators=3, input_shape=[4], **settings))


def test_a_matrix_each_and_the_number_of_votes() -> None:
    found = choices(in_memory(vector_data()), fold_networks=2)
    assert "each of 3" in found["annotators"]
    assert found["votes per item"].split()[:3] == ["2", "on", "30"]
    assert "dense, 3 x 3 x 3" in found["matrices"]
    assert "2 fold" in found["matrices"]


def test_exchangeable_votes_of_differing_number() -> None:
    data = vector_data()
    rows = np.array([(i, c) for i in range(30) for c in range(i % 3)])
    votes = Annotations.build(
        rows[:, 0], np.zeros(len(rows), int), rows[:, 1], num_items=60, classes=3, annotators=1, exchangeable=True
    )
    found = choices(in_memory(replace(data, annotations=votes)), fold_networks=0)
    assert "exchangeable" in found["annotators"]
    assert found["votes per item"].split()[:4] == ["1.5", "(1-2)", "on", "20"]
    assert "none on 10" in found["votes per item"]
    assert "in-sample" in found["matrices"]


def test_prototypes_aggregates_and_other_annotator_models() -> None:
    data = in_memory(vector_data())
    assert "2 prototypes" in choices(data, annotator_model=DawidSkene(prototypes=2))["matrices"]
    assert "TraceReg" in choices(data, Classifier, annotator_model=TraceReg())["matrices"]
    assert "face value" in choices(data, Classifier, annotator_model=Perfect())["matrices"]
    assert "5 fold" in choices(data, CrossFitClassifier, folds=5)["matrices"]
    assert "aggregated" in choices(in_memory(vector_data(), targets=Aggregated("majority")), Classifier)["annotators"]


def test_fit_prints_one_line_for_each(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(data, tmp_path / "run", "-c", "configs/method/hilmix-fast.yaml")
    lines = capsys.readouterr().out.splitlines()
    for key in ("annotators", "votes per item", "matrices"):
        assert len([line for line in lines if line.strip().startswith(key)]) == 1, key
