"""The NLL at the best temperature, against a fine search over temperatures and torchmetrics' own reductions."""

import pytest
import torch
from torch import Tensor

from hilmix.functional.temperature import TEMPERATURE_RANGE
from hilmix.metrics import CalibratedNLL, calibrated
from hilmix.modules.stage_metrics import StageMetrics
from hilmix.types import StepOutput

K = 4


def draw(rows: int, scale: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits of a confidence that ``scale`` exaggerates, and classes drawn from the honest ones."""
    rng = torch.Generator().manual_seed(seed)
    honest = torch.randn(rows, K, generator=rng, dtype=torch.float64)
    target = torch.multinomial(honest.softmax(-1), 1, generator=rng)[:, 0]
    return honest * scale, target


def searched(logits: Tensor, evidence: Tensor) -> float:
    """By 2,000 temperatures, from the definition."""
    cold, hot = TEMPERATURE_RANGE
    values = []
    for inverse in torch.logspace(0, 1, 2000, base=hot / cold, dtype=torch.float64) / hot:
        probs = (logits * inverse).softmax(-1)
        likely = probs.gather(1, evidence[:, None])[:, 0] if evidence.ndim == 1 else (probs * evidence.exp()).sum(-1)
        values.append(-likely.log().mean().item())
    return min(values)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 11.0])
@pytest.mark.parametrize("matrices", [False, True])
def test_it_is_the_lowest_over_all_temperatures(scale: float, matrices: bool) -> None:
    logits, target = draw(600, scale)
    evidence = target
    if matrices:  # an annotator who is right in 70 of 100 cases
        evidence = torch.full((K, K), 0.1).fill_diagonal_(0.7).double().log()[:, target].T
    metric = CalibratedNLL()
    metric.update(logits, evidence)
    assert metric.compute().item() == pytest.approx(searched(logits, evidence), abs=2e-4)


def test_confidence_does_not_matter_and_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target = draw(300, 1.0)
    values = []
    for scale, room in ((1.0, 2**22), (2.0, 2**22), (1.0, 49 * K * 7)):
        monkeypatch.setattr(calibrated, "ROOM", room)
        metric = CalibratedNLL()
        for part in torch.arange(300).split(100):
            metric.update(scale * logits[part], target[part])
        values.append(metric.compute().item())
    assert values[1] == pytest.approx(values[0], abs=2e-4)
    assert values[2] == pytest.approx(values[0], rel=1e-12)


def test_classes_that_the_logits_separate_count_at_temperature_one() -> None:
    target = torch.arange(8) % K
    logits = 3.0 * torch.eye(K, dtype=torch.float64)[target]
    metric = CalibratedNLL()
    metric.update(logits, target)
    assert metric.compute().item() == pytest.approx(torch.nn.functional.cross_entropy(logits, target).item())


def test_nothing_seen_is_nan() -> None:
    assert CalibratedNLL().compute().isnan()
    metric = CalibratedNLL()
    metric.update(torch.zeros(0, K), torch.zeros(0, dtype=torch.int64))
    assert metric.compute().isnan()


@pytest.mark.parametrize("votes", [0, 300])
def test_the_loss_of_a_stage_is_that_of_its_votes_or_else_of_its_targets(votes: int) -> None:
    logits, target = draw(200, 3.0)
    row, label = torch.arange(votes) % 200, draw(200, 1.0, seed=0)[1].roll(1)[torch.arange(votes) % 200]
    output = StepOutput(
        index=torch.arange(200),
        target=torch.where(torch.arange(200) < 150, target, -1),
        logits=logits,
        row=row,
        annotator=torch.zeros(votes, dtype=torch.int64),
        label=label,
        probs=None,
        plan=None,
        label_log_probs=logits[row].log_softmax(-1),
    )
    stage = StageMetrics()
    stage.update(output)
    expected = searched(logits[row], label) if votes else searched(logits[:150], target[:150])
    assert stage.compute()["loss_calibrated"].item() == pytest.approx(expected, abs=2e-4)
    stage.reset()
    assert "loss_calibrated" not in stage.compute()
