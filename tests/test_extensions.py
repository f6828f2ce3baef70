"""A part from outside the package needs one file and no edit: it is named in a config, trained, saved and loaded."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import hilmix
from hilmix.cli import main
from hilmix.functional.ties import ROUNDING
from tests.diagnostics.passes import toy_pass

MIX = '''
"""Mixes every item with the next one of its batch, half and half."""

import numpy as np
import torch

from hilmix import Batch, MixPlan, MixPolicy


class NextMix(MixPolicy):
    def __init__(self, weight: float = 0.5) -> None:
        self.weight = weight

    def draw(self, batch: Batch, generator: np.random.Generator) -> MixPlan:
        rows = len(batch.index)
        return MixPlan(torch.arange(rows).roll(-1), torch.full((rows,), self.weight))
'''
ANNOTATOR = '''
"""One rate of guessing for all annotators: p(k | c) = (1 - g) [k = c] + g / K."""

import torch
from torch import Tensor, nn

from hilmix import AnnotatorModel


class CommonGuess(AnnotatorModel):
    def __init__(self, start: float = -2.0) -> None:
        super().__init__()
        self.guess = nn.Parameter(torch.tensor(start))

    def build(self, *, num_features, num_classes, num_annotators, num_annotator_features=0):
        return self

    def forward(self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan=None):
        guess = self.guess.sigmoid()
        return ((1 - guess) * log_probs.exp() + guess / log_probs.shape[1]).log(), None
'''
CALLBACK = '''
"""Counts the training steps into a file of the run folder."""

from pathlib import Path

from lightning.pytorch import Callback


class CountSteps(Callback):
    def on_train_end(self, trainer, pl_module):
        Path(trainer.default_root_dir, "steps.txt").write_text(str(trainer.global_step))
'''
SCORE = '''
"""How much more probable the best other class is than the label: p(label) / (p(label) + largest p of another)."""

import numpy as np

from hilmix.diagnostics import LabelEvidence, LabelScore


def odds(evidence: LabelEvidence) -> np.ndarray:
    rows = np.arange(len(evidence.label))
    others = evidence.probs.copy()
    others[rows, evidence.label] = 0
    own = evidence.probs[rows, evidence.label]
    return own / (own + others.max(1))


ODDS = LabelScore("odds", "p(label) against the best other class", odds)
'''
CONFIG = {
    "model": {
        "class_path": "hilmix.modules.Classifier",
        "init_args": {"annotator_model": {"class_path": "my_annotator.CommonGuess", "init_args": {"start": -1.0}}},
    },
    "data": {
        "class_path": "hilmix.data.AnnotatedDataModule",
        "init_args": {
            "root": "digits-class",
            "mix": {"class_path": "my_mix.NextMix", "init_args": {"weight": 0.25}},
        },
    },
    "trainer": {
        "callbacks": [
            {"class_path": "my_callback.CountSteps"},
            {
                "class_path": "hilmix.callbacks.LabelErrors",
                "init_args": {"scores": ["my_score:ODDS", "self_confidence"]},
            },
        ],
        "max_epochs": 1,
        "limit_train_batches": 3,
        "enable_progress_bar": False,
        "logger": False,
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with one file for each part, on the path of Python as the working directory is."""
    files = {"my_mix": MIX, "my_annotator": ANNOTATOR, "my_callback": CALLBACK, "my_score": SCORE}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.setattr("hilmix.trusted._packages", {"hilmix"})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("no_figures")
def test_parts_of_ones_own_train_are_saved_and_load(folder: Path) -> None:
    assert main(["fit", "-c", "mine.yaml", "--run_dir", "run"]) == 0
    assert (folder / "run" / "steps.txt").read_text() == "3"
    last = folder / "run" / "checkpoints" / "last.ckpt"
    hilmix.trust("my_annotator", "my_mix")
    model = hilmix.Classifier.load_from_checkpoint(last)
    assert type(model.annotator_model).__name__ == "CommonGuess"
    assert model.annotator_model.guess != -1, "its parameter was trained"
    saved = torch.load(last, weights_only=True)["hyper_parameters"]["annotator_model"]
    assert saved == {"class_path": "my_annotator.CommonGuess", "init_args": {"start": -1.0}}
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert config["data"]["init_args"]["mix"] == {"class_path": "my_mix.NextMix", "init_args": {"weight": 0.25}}
    options = ["--ckpt_path", "last", "--trust", "[my_annotator,my_mix,my_callback]"]
    assert main(["test", "--run_dir", "run", *options]) == 0
    suspects = pd.read_parquet(folder / "run" / "label_errors.parquet")
    odds = suspects["odds"]
    assert (odds >= odds.cummax() * (1 - ROUNDING)).all(), "within rounding the next score decides"
    assert "margin" not in suspects
    found = pd.read_csv(folder / "run" / "label_errors_detection.csv")
    assert set(found["score"]) == {"odds", "self_confidence"}


def test_a_score_of_ones_own_ranks_labels_in_python(folder: Path) -> None:
    probs = np.array([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4], [0.8, 0.1, 0.1]])
    score = hilmix.diagnostics.find_score("my_score:ODDS")
    given = hilmix.diagnostics.LabelEvidence(probs, np.array([0, 1, 1]), None)
    np.testing.assert_allclose(score.of(given), [0.6 / 0.9, 0.5, 0.1 / 0.9])
    data, result = toy_pass()
    suspects, scores, _ = hilmix.diagnostics.label_table(data, result, [score])
    assert list(scores) == ["odds"]
    assert suspects["odds"].is_monotonic_increasing
    assert hilmix.LabelErrors(scores=["my_score:ODDS"]).scores == ["my_score:ODDS"]
