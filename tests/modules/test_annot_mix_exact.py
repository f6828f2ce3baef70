"""The whole annot-mix loss against a slow, obvious re-computation: one pair at a time, in plain Python."""

import math

import numpy as np
import pytest
import torch

from hilmix.annotators import AnnotMixHead
from hilmix.backbones import MLP
from hilmix.functional.losses import annotation_nll
from hilmix.mix import AnnotMix, HiddenMix, ItemMix
from hilmix.modules import Classifier
from hilmix.types import Batch, MixPlan

D = 4


def setting(pairs: int, *, items: int = 3, classes: int = 3, annotators: int = 2, seed: int = 0, soft: bool = False):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = (
        Classifier(classes, annotators, [D], MLP([5], dropout=0.0), AnnotMixHead(embed_dim=3, dropout=0.0))
        .double()
        .eval()
    )
    norm = model.annotator_model.hidden[2]
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    probs = torch.from_numpy(rng.dirichlet(np.ones(classes), pairs)) if soft else None
    label = torch.from_numpy(rng.integers(0, classes, pairs)) if probs is None else probs.argmax(1)
    batch = Batch(
        input=torch.from_numpy(rng.normal(size=(items, D))),
        index=torch.arange(items),
        target=torch.full((items,), -1),
        row=torch.from_numpy(np.sort(rng.integers(0, items, pairs))),
        annotator=torch.from_numpy(rng.integers(0, annotators, pairs)),
        label=label,
        probs=probs,
    )
    return model, batch


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    weights = [math.exp(v - top) for v in values]
    return [w / sum(weights) for w in weights]


def affine(layer: torch.nn.Linear, x: list[float]) -> list[float]:
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def label_probs(model: Classifier, h: list[float], who: list[float]) -> list[float]:
    """q: what an annotator with one-hot (or mixed) vector `who` is expected to say, from section 1 of the paper."""
    head = model.annotator_model
    classes = model.head.out_features
    p = softmax(affine(model.head, h))
    u, v = affine(head.embed_features, h), affine(head.embed_annotator, who)
    linear, norm = head.hidden[1], head.hidden[2]
    t = []
    for i, value in enumerate(affine(linear, u + v)):
        scaled = (value - norm.running_mean[i].item()) / math.sqrt(norm.running_var[i].item() + norm.eps)
        t.append(max(0.0, scaled * norm.weight[i].item() + norm.bias[i].item()))
    out = affine(head.out, t)
    matrix = [softmax(out[c * classes : (c + 1) * classes]) for c in range(classes)]
    return [sum(p[c] * matrix[c][k] for c in range(classes)) for k in range(classes)]


def features(model: Classifier, x: list[float]) -> list[float]:
    return [max(0.0, v) for v in affine(model.backbone.net[1], x)]


def one_hot(size: int, hot: int) -> list[float]:
    return [float(i == hot) for i in range(size)]


def mixed(w: float, a: list[float], b: list[float]) -> list[float]:
    return [w * x + (1 - w) * y for x, y in zip(a, b, strict=True)]


def answers(batch: Batch, classes: int) -> list[list[float]]:
    if batch.probs is not None:
        return batch.probs.tolist()
    return [one_hot(classes, z) for z in batch.label.tolist()]


def obvious_loss(model: Classifier, batch: Batch, plan: MixPlan, *, in_features: bool = False) -> float:
    """Sum over the pairs of the cross-entropy between mixed label and what the mixed annotator says."""
    classes, annotators = model.head.out_features, model.annotator_model.embed_annotator.in_features
    x, z = batch.input.tolist(), answers(batch, classes)
    row, who = batch.row.tolist(), [one_hot(annotators, a) for a in batch.annotator.tolist()]
    total = 0.0
    for i, (j, w) in enumerate(zip(plan.partner.tolist(), plan.weight.tolist(), strict=True)):
        if in_features:
            h = mixed(w, features(model, x[row[i]]), features(model, x[row[j]]))
        else:
            h = features(model, mixed(w, x[row[i]], x[row[j]]))
        q = label_probs(model, h, mixed(w, who[i], who[j]))
        total -= sum(share * math.log(q[k]) for k, share in enumerate(mixed(w, z[i], z[j])))
    return total


def obvious_item_loss(model: Classifier, batch: Batch, plan: MixPlan) -> float:
    """For each mixed item: all answers to it with w, all answers to its partner with 1 - w, annotators un-mixed."""
    classes, annotators = model.head.out_features, model.annotator_model.embed_annotator.in_features
    x, z = batch.input.tolist(), answers(batch, classes)
    total = 0.0
    for b, (partner, w) in enumerate(zip(plan.partner.tolist(), plan.weight.tolist(), strict=True)):
        h = features(model, mixed(w, x[b], x[partner]))
        for item, weight in ((b, w), (partner, 1 - w)):
            for i in (i for i, r in enumerate(batch.row.tolist()) if r == item):
                q = label_probs(model, h, one_hot(annotators, batch.annotator[i].item()))
                total -= weight * sum(share * math.log(q[k]) for k, share in enumerate(z[i]))
    return total


def fast_loss(model: Classifier, mixed_batch: Batch) -> torch.Tensor:
    label_probs = model.forward_batch(mixed_batch).annotator_output.label_log_probs
    return annotation_nll(label_probs, mixed_batch.label, mixed_batch.probs, mixed_batch.row, mixed_batch.plan).sum()


def str_of(policy) -> str:
    return f"{type(policy).__name__}-{getattr(policy, 'layer', 'input')}"


CASES = [
    {"pairs": 7},
    {"pairs": 7, "soft": True},
    {"pairs": 1},
    {"pairs": 2, "items": 5},
    {"pairs": 6, "classes": 1},
    {"pairs": 6, "annotators": 1},
    {"pairs": 5, "items": 1},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("policy", [AnnotMix(), HiddenMix(), ItemMix()], ids=lambda p: type(p).__name__)
def test_loss_equals_the_formula_pair_by_pair(case: dict, policy) -> None:
    model, batch = setting(**case)
    mixed_batch = policy(batch, np.random.default_rng(5))
    plan = mixed_batch.plan
    if isinstance(policy, ItemMix):
        expected = obvious_item_loss(model, batch, plan)
    else:
        expected = obvious_loss(model, batch, plan, in_features=isinstance(policy, HiddenMix))
    assert fast_loss(model, mixed_batch).item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_mixing_a_linear_layer_is_mixing_its_input() -> None:
    model, batch = setting(pairs=7)
    inner = HiddenMix(layer="1")(batch, np.random.default_rng(5))
    outer = ItemMix().apply(batch, inner.plan._replace(layer="input"))
    assert fast_loss(model, inner).item() == pytest.approx(fast_loss(model, outer).item(), rel=1e-6)


@pytest.mark.parametrize("policy", [AnnotMix(), HiddenMix(), ItemMix()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weights_zero_and_one_are_no_mixing(policy, weight: float) -> None:
    """Weight 1 leaves every row alone; weight 0 swaps rows by a permutation: both give the plain loss."""
    model, batch = setting(pairs=7)
    plan = policy.draw(batch, np.random.default_rng(1))
    plan = plan._replace(weight=torch.full_like(plan.weight, weight))
    plain = fast_loss(model, batch).item()
    assert fast_loss(model, policy.apply(batch, plan)).item() == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("policy", [AnnotMix(), HiddenMix(), ItemMix(), HiddenMix(layer="1")], ids=str_of)
def test_without_labels_loss_and_gradients_are_zero_and_every_parameter_takes_part(policy) -> None:
    model, batch = setting(pairs=0)
    model.float().train()
    batch = batch._replace(input=batch.input.float())
    loss = fast_loss(model, policy(batch, np.random.default_rng(0)))
    assert loss.item() == 0.0
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


@pytest.mark.parametrize("confusion", ["full", "shared-diagonal"])
@pytest.mark.parametrize("policy", [AnnotMix(), HiddenMix(), ItemMix()], ids=lambda p: type(p).__name__)
def test_every_parameter_moves(policy, confusion: str) -> None:
    model, batch = setting(pairs=9, items=6)
    torch.manual_seed(0)
    model = Classifier(3, 2, [D], MLP([5], dropout=0.0), AnnotMixHead(embed_dim=3, confusion=confusion))
    batch = batch._replace(input=batch.input.float())
    fast_loss(model, policy(batch, np.random.default_rng(0))).backward()
    # the bias in front of batch norm is taken out by it, in exact arithmetic
    names = [n for n, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert not [n for n in names if not n.endswith(("embed_features.bias", "embed_annotator.bias", "hidden.1.bias"))]


def test_gradient_does_not_reach_the_backbone_through_the_annotator_features() -> None:
    model, batch = setting(pairs=7)
    hidden = model.features(model.standardized(batch.input))[batch.row].detach().requires_grad_()
    log_probs = torch.zeros(7, 3, dtype=torch.float64).log_softmax(-1)
    label_probs, _ = model.annotator_model(hidden, log_probs, batch.annotator)
    (gradient,) = torch.autograd.grad(label_probs.sum(), hidden, allow_unused=True)
    assert gradient is None
