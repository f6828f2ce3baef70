"""The shells: equal to the functions, blind to unknown targets, exact in float64 and over two ranks."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hilmix import metrics as M
from hilmix.functional import calibration as F

K = 4
BUILD = {
    "acc": M.Accuracy,
    "nll": M.NegativeLogLikelihood,
    "brier": M.BrierScore,
    "top": M.CalibrationError,
    "classwise": lambda: M.CalibrationError(kind="classwise", num_classes=K),
    "adaptive": lambda: M.CalibrationError(kind="adaptive"),
}


def draw(rows: int = 203) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    probs = (2 * torch.randn(rows, K, generator=generator)).softmax(-1)
    target = torch.randint(-1, K, (rows,), generator=generator)
    return probs, target


def expected(probs: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    probs, target = probs[target >= 0].double(), target[target >= 0]
    top = F.top_label(probs.float(), target)
    return {
        "acc": (probs.argmax(-1) == target).double().mean().item(),
        "nll": -probs[torch.arange(len(target)), target].log().mean().item(),
        "brier": (probs - torch.eye(K)[target]).square().sum(-1).mean().item(),
        "top": F.calibration_error(F.bin_sums(*top)).item(),
        "classwise": F.classwise_calibration_error(F.classwise_bin_sums(probs.float(), target)).item(),
        "adaptive": F.adaptive_calibration_error(*top).item(),
    }


@pytest.mark.parametrize("name", BUILD)
def test_batches_equal_the_whole(name):
    probs, target = draw()
    metric = BUILD[name]()
    for part in torch.arange(len(target)).split(17):
        metric.update(probs[part], target[part])
    assert metric.compute().item() == pytest.approx(expected(probs, target)[name], abs=1e-9)
    metric.reset()
    metric.update(probs[:5], torch.full((5,), -1))
    assert metric.compute().isnan()


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_nan(name):
    assert BUILD[name]().compute().isnan()


@pytest.mark.parametrize("name", ["acc", "nll", "brier", "top", "classwise"])
def test_states_stay_float64_when_the_model_is_cast(name):
    """``precision: bf16-true`` casts the whole module; sums in bfloat16 would be worthless."""
    probs, target = draw()
    metric = BUILD[name]()
    torch.nn.ModuleList([metric]).to(dtype=torch.bfloat16).half()
    metric.update(probs, target)
    assert all(getattr(metric, state).dtype == torch.float64 for state in metric._defaults)
    assert metric.compute().item() == pytest.approx(expected(probs, target)[name], abs=1e-9)


def test_one_class():
    metrics = M.ClassMetrics("val/")
    metrics.update(torch.ones(3, 1), torch.zeros(3, dtype=torch.long))
    assert {k: v.item() for k, v in metrics.compute().items()} == {
        "val/acc": 1,
        "val/nll": 0,
        "val/brier": 0,
        "val/ece": 0,
    }


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_collection_drops_what_saw_nothing():
    metrics = M.ClassMetrics("val/")
    assert metrics.compute() == {}
    metrics.update(*draw())
    assert sorted(metrics.compute()) == ["val/acc", "val/brier", "val/ece", "val/nll"]
    metrics.reset()
    metrics.update(torch.full((2, K), 0.25), torch.tensor([-1, -1]))
    assert metrics.compute() == {}


def test_classwise_needs_the_number_of_classes():
    with pytest.raises(ValueError, match="num_classes"):
        M.CalibrationError(kind="classwise")


def test_auroc_equals_sklearn_and_is_nan_with_one_kind():
    generator = np.random.default_rng(0)
    right = generator.integers(-1, 2, 300)
    score = np.round(generator.random(300), 1).astype(np.float32)  # many ties
    metric = M.AnnotatorAUROC()
    for part in np.array_split(np.arange(300), 7):
        metric.update(torch.from_numpy(score[part]), torch.from_numpy(right[part]))
    assert metric.compute().item() == pytest.approx(roc_auc_score(right[right >= 0], score[right >= 0]), abs=1e-6)
    metric.reset()
    metric.update(torch.rand(3), torch.tensor([1, 1, -1]))
    assert math.isnan(metric.compute())


def _shares(rank: int) -> dict[str, float]:
    probs, target = draw()
    mine = torch.arange(len(target))[:30] if rank else torch.arange(len(target))[30:]
    right = torch.where(target < 0, -1, (target == 1).long())
    values = {}
    for name, build in BUILD.items():
        metric = build()
        for part in mine.split(16):
            metric.update(probs[part], target[part])
        values[name] = metric.compute().item()
        if name == "top":
            values["bins"] = metric.reduced_bins().samples.sum().item()
    auroc = M.AnnotatorAUROC()
    for part in mine.split(16):
        auroc.update(probs[part, 1], right[part])
    return values | {"auroc": auroc.compute().item()}


def test_two_ranks_with_uneven_shares_equal_one(run_ranks):
    probs, target = draw()
    keep = target >= 0
    auroc = roc_auc_score((target == 1)[keep].numpy(), probs[keep, 1].numpy())
    want = expected(probs, target) | {"auroc": auroc, "bins": keep.sum().item()}
    for found in run_ranks(_shares):
        assert found == pytest.approx(want, abs=1e-6)


def test_binary_error_is_over_the_probability_of_a_yes():
    """Half of what is claimed with 0.2 holds, nothing of what is claimed with 0.8."""
    p = torch.tensor([0.2, 0.2, 0.8, 0.8])
    metric = M.BinaryCalibrationError(num_bins=5)
    metric.update(torch.stack([1 - p, p], 1), torch.tensor([1, 0, 0, 0]))
    assert metric.compute().item() == pytest.approx((2 * 0.3 + 2 * 0.8) / 4)
