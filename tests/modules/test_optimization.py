"""Learning rates: of layers, over steps, and none for what is frozen."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.optim import param_groups_layer_decay

from hilmix.backbones import MLP, TimmBackbone
from hilmix.errors import ConfigError
from hilmix.modules import Classifier, EMClassifier
from hilmix.modules.parameter_groups import layer_scales
from hilmix.modules.schedules import make_scheduler, schedule_rates
from tests.helpers import in_memory, quiet_trainer, vector_data


def test_rates_rise_in_the_warm_up() -> None:
    """By hand: a quarter, a half, three quarters and all of the rate, times the cosine of the step."""
    weight = torch.nn.Parameter(torch.zeros(1))
    cosine = [(1 + math.cos(math.pi * s / 10)) / 2 for s in range(10)]
    for schedule, factor in {"constant": [1.0] * 10, "cosine": cosine}.items():
        optimizer = torch.optim.SGD([weight], lr=2.0)
        rates = schedule_rates(optimizer, lambda: 10, schedule, warmup_steps=4)
        found = []
        for _ in range(10):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            rates.step()
        expected = [2.0 * min(1.0, (s + 1) / 4) * factor[s] for s in range(10)]
        assert found == pytest.approx(expected)


def model(**settings: Any) -> Classifier:
    """A classifier of vectors with two hidden layers and batch norm."""
    backbone = MLP(hidden=[6, 5], dropout=0.5, norm="batch")
    return Classifier(num_classes=3, num_annotators=4, input_shape=[4], backbone=backbone, lr=0.1, **settings)


def test_rates_fall_from_the_head_to_the_input() -> None:
    """By hand: two layers, each with its batch norm, and the head above them."""
    decayed = model(layer_decay=0.5, lr_scaling="none")
    rates = {id(p): group["lr"] for group in decayed.parameter_groups() for p in group["params"]}
    children = [child for child in decayed.backbone.net.children() if list(child.parameters())]
    for child, rate in zip(children, (0.025, 0.025, 0.05, 0.05), strict=True):
        assert [rates[id(p)] for p in child.parameters()] == pytest.approx([rate] * 2)
    assert [rates[id(p)] for p in decayed.head.parameters()] == [0.1, 0.1]


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_layers_are_those_of_timm(name: str) -> None:
    """Against timm's own groups, which count a head as one more layer."""
    side = {"test_vit": 160}.get(name, 40)
    backbone = TimmBackbone(name).build([3, side, side])
    scales = layer_scales(backbone, 0.7)
    top = max(scales.values()) / 0.7
    theirs = param_groups_layer_decay(backbone.net, layer_decay=0.7, no_weight_decay_list=[])
    expected = {id(p): group["lr_scale"] for group in theirs for p in group["params"]}
    # timm gives the uppermost layer 1 where there is no head, hilmix the head
    assert {id(p): scale / (0.7 * top) for p, scale in scales.items()} == pytest.approx(expected)


def rates_of(classifier: Classifier, steps: int) -> list[list[float]]:
    optimizer, scheduler = classifier.optimization.build(classifier.parameter_groups(), steps=lambda: steps)
    assert scheduler is not None
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler["scheduler"].step()
    return found


def test_one_cycle_spans_the_run_and_keeps_the_ratios_of_layers() -> None:
    classifier = model(layer_decay=0.5, lr_scheduler="OneCycleLR", lr_scheduler_kwargs={"max_lr": 0.4})
    scales = [group["lr"] / 0.1 for group in classifier.parameter_groups()]
    assert sorted(scales) == pytest.approx([0.25, 0.5, 1.0])
    plain = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(plain, max_lr=0.4, total_steps=12)
    for rates in rates_of(classifier, 12):
        assert rates == pytest.approx([scale * theirs.get_last_lr()[0] for scale in scales])
        plain.step()
        if theirs.last_epoch < 11:
            theirs.step()


@pytest.mark.parametrize(
    ("name", "given", "interval", "monitor"),
    [
        ("StepLR", {"step_size": 2}, "epoch", None),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 1}, "step", None),
        ("ReduceLROnPlateau", {}, "epoch", "val/loss"),
        ("ReduceLROnPlateau", {"monitor": "val/nll", "patience": 2}, "epoch", "val/nll"),
    ],
)
def test_what_a_scheduler_counts_and_follows(
    name: str, given: dict[str, Any], interval: str, monitor: str | None
) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    made = make_scheduler(name, given, optimizer, 0.1, lambda: 10)
    assert type(made["scheduler"]).__name__ == name
    assert (made["interval"], made.get("monitor")) == (interval, monitor)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"lr_scheduler": "OneCycle"}, ["lr_scheduler", "OneCycleLR"]),
        ({"lr_scheduler": "StepLR", "lr_scheduler_kwargs": {"steps": 3}}, ["lr_scheduler", "steps"]),
        ({"lr_scheduler": "LambdaLR", "lr_scheduler_kwargs": {"lr_lambda": 3}}, ["lr_scheduler"]),
        ({"lr_scheduler": "ExponentialLR", "lr_warmup_steps": 5}, ["lr_warmup_steps"]),
        ({"lr_scheduler_kwargs": {"gamma": 0.5}}, ["lr_scheduler_kwargs"]),
        ({"freeze": ["layer9"]}, ["freeze", "layer9"]),
    ],
)
def test_refusals(settings: dict[str, Any], names: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        model(**settings)
    assert [name for name in names if name not in str(error.value)] == []


def test_a_run_without_an_end_has_no_cycle() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    made = make_scheduler("OneCycleLR", {"max_lr": 1}, optimizer, 0.1, lambda: math.inf)
    optimizer.step()
    with pytest.raises(ConfigError, match="max_epochs"):
        made["scheduler"].step()


def trained(classifier: Classifier, folder: Path) -> dict[str, torch.Tensor]:
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    quiet_trainer(folder, max_epochs=2).fit(classifier, in_memory(vector_data()))
    return before


@pytest.mark.parametrize(
    ("freeze", "still"), [(["1"], ("net.1.",)), (["1", "2"], ("net.1.", "net.2.")), (["backbone"], ("net.",))]
)
def test_frozen_layers_stay_bit_for_bit(freeze: list[str], still: tuple[str, ...], tmp_path: Path) -> None:
    classifier = model(freeze=freeze)
    before = trained(classifier, tmp_path)
    changed = {name for name, value in classifier.state_dict().items() if not torch.equal(before[name], value)}
    weights = {name for name in before if name.startswith(("backbone.", "head."))}
    frozen = {name for name in weights if name.removeprefix("backbone.").startswith(still)}
    assert frozen
    assert changed & weights == weights - frozen


def test_networks_of_folds_are_frozen_too(tmp_path: Path) -> None:
    classifier = EMClassifier(
        num_classes=3,
        num_annotators=3,
        input_shape=[4],
        backbone=MLP([6]),
        lr=0.1,
        fold_networks=2,
        freeze=["backbone"],
    )
    before = trained(classifier, tmp_path)
    after = classifier.state_dict()
    frozen = [name for name in before if ".net." in name]
    assert len(frozen) == 3 * len([name for name in before if name.startswith("backbone.net.")])
    assert [name for name in frozen if not torch.equal(before[name], after[name])] == []
