"""Pitfalls of diagnostics in a training: sanity check, accumulation, mode of the network, gathers, annotator inputs.

Those of arrays: ``tests/diagnostics/test_pitfalls.py``.
"""

from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.distributed as dist

from hilmix import annotators
from hilmix.callbacks import AnnotatorReport, EpochCalibration, LabelIssues, TrainingDynamics
from hilmix.modules.folds import FoldNetworks
from hilmix.modules.model import CrowdModel
from hilmix.types import Batch
from tests.callbacks.foreign import Foreign
from tests.callbacks.toy import toy_data, toy_trainer
from tests.helpers import in_memory

FILES = ("dynamics.parquet", "dynamics_items.parquet")
MODELS = ("AnnotMixHead", "ConfusionMatrices", "CoNAL", "CrowdLayer", "DawidSkene", "MaDL", "Perfect")


class Manual(Foreign):
    """Takes two optimizer steps per batch by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(loss, retain_graph=True)
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD([self.scale], lr=0.0), torch.optim.SGD([self.scale], lr=0.0)]


class Noisy(Foreign):
    """Its training mode changes every output and, by batch norm, its own state."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3, affine=False)
        self.frozen = torch.nn.Dropout(0.5).eval()
        self.modes: list[tuple[bool, bool]] = []

    def training_step(self, batch, batch_idx):
        self.modes.append((self.norm.training, self.frozen.training))
        return super().training_step(batch, batch_idx)

    def predict_step(self, batch, batch_idx):
        found = super().predict_step(batch, batch_idx)
        self.norm(batch.input)
        return found


def fit(folder: Path, model=None, callbacks=(), **settings):
    trainer = toy_trainer(folder, [TrainingDynamics(), *callbacks], **{"max_epochs": 3, **settings})
    trainer.fit(model or Foreign(), in_memory(toy_data(), batch_size=7))
    return [pd.read_parquet(folder / name) for name in FILES]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("plain"))


def require_equal(left, right):
    for a, b in zip(left, right, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
        assert a.attrs["epochs"] == b.attrs["epochs"]


def test_the_sanity_check_before_training_is_no_epoch(tmp_path, plain):
    found = fit(tmp_path, callbacks=[EpochCalibration()], num_sanity_val_steps=2)
    require_equal(plain, found)
    assert plain[0].attrs["epochs"] == [0, 1, 2]


@pytest.mark.parametrize(("model", "settings"), [(Foreign, {"accumulate_grad_batches": 3}), (Manual, {})])
def test_visits_are_counted_by_batches_and_not_by_optimizer_steps(tmp_path, plain, model, settings):
    require_equal(plain, fit(tmp_path, model(), **settings))


def test_a_pass_is_in_evaluation_mode_and_leaves_no_trace_in_the_network(tmp_path, plain):
    model = Noisy()
    require_equal(plain, fit(tmp_path, model))
    assert set(model.modes) == {(True, False)}, "each part trains in the mode that it had"
    assert model.norm.num_batches_tracked == 0, "no statistics of a pass"


def test_ranks_with_uneven_shares_gather_no_lists_and_no_objects(tmp_path, plain, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("ragged, and thirty times slower than a sum of dense buffers")

    for name in ("all_gather_object", "gather_object", "all_gather", "gather", "all_gather_into_tensor"):
        monkeypatch.setattr(dist, name, refuse)
    callbacks = [LabelIssues("val"), AnnotatorReport()]
    require_equal(plain, fit(tmp_path, callbacks=callbacks, devices=2))


@pytest.mark.parametrize("name", MODELS)
def test_class_probabilities_do_not_depend_on_who_labels_what(name):
    """Else the label that is judged would take part in its own judgment."""
    torch.manual_seed(0)
    networks = [CrowdModel(3, 4, (5,), annotator_model=getattr(annotators, name)()) for _ in range(2)]
    model = FoldNetworks(networks).eval()
    batch = Batch(
        input=torch.randn(6, 5),
        index=torch.arange(6),
        target=torch.full((6,), -1),
        row=torch.tensor([0, 0, 1, 2, 3, 4, 5]),
        annotator=torch.tensor([0, 1, 2, 3, 0, 1, 2]),
        label=torch.tensor([0, 1, 2, 0, 1, 2, 0]),
    )
    fold = torch.tensor([0, 1, 0, 1, 0, -1])
    with torch.no_grad():
        one = model.evaluate(batch, fold)
        other = model.evaluate(batch._replace(annotator=batch.annotator.flip(0), label=batch.label.flip(0)), fold)
        alone = model.class_log_probs(batch.input, fold)
    torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=0)
    torch.testing.assert_close(one.class_probs, alone.exp())
