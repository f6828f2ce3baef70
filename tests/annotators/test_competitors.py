"""What every competitor of annot-mix must do, each as its shipped YAML file describes it.

A new method adds its name to ``COMPETITORS``; formulas are tested in the file of each model.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback, seed_everything
from torch import Tensor, nn

from hilmix.annotators import AnnotatorModel
from hilmix.backbones import MLP
from hilmix.functional.confusion import DenseConfusion
from hilmix.modules import Classifier
from hilmix.types import Batch, MixPlan
from tests.helpers import FreezeBatchNorm, GivenBatches, annotator_inputs, quiet_trainer

COMPETITORS = ["crowd-layer", "trace-reg", "geo-reg-w", "geo-reg-f", "union-net", "conal", "madl", "crowd-ar"]
COMPETITORS += ["label-fusion"]
METHODS = Path(__file__).parents[2] / "configs" / "method"
K, A, D = 3, 4, 5

every_competitor = pytest.mark.parametrize("name", COMPETITORS)


def settings(name: str) -> dict[str, Any]:
    """The Classifier's arguments in the method's YAML."""
    arguments: dict[str, Any] = yaml.safe_load((METHODS / f"{name}.yaml").read_text())["model"]["init_args"]
    return arguments


def built(
    name: str, classes: int = K, annotators: int = A, *, features: int = D, spread: float = 0.3
) -> AnnotatorModel:
    """The annotator model in evaluation mode, its parameters moved away from their start by noise."""
    torch.manual_seed(0)
    model = AnnotatorModel.from_spec(settings(name)["annotator_model"]).build(
        num_features=features, num_classes=classes, num_annotators=annotators
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model.eval()


def batch_of(items: int, pairs: int, classes: int = K, annotators: int = A, seed: int = 0) -> Batch:
    """A batch in which every annotator answers, if there are pairs enough."""
    g = torch.Generator().manual_seed(seed)
    return Batch(
        input=torch.randn(items, D, generator=g),
        index=torch.arange(items),
        target=torch.randint(-1, classes, (items,), generator=g),
        row=torch.randint(0, items, (pairs,), generator=g).sort().values,
        annotator=torch.arange(pairs) % annotators,
        label=torch.randint(0, classes, (pairs,), generator=g),
    )


def classifier(name: str, classes: int = K, annotators: int = A, **more: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(classes, annotators, [D], MLP([6], dropout=0.0), **settings(name), **more)


@every_competitor
def test_spec_round_trip(name: str) -> None:
    model = built(name)
    assert AnnotatorModel.from_spec(model.spec()).spec() == model.spec()


# -- what is labels ----------------------------------------------------------------------------------------------------


@every_competitor
def test_label_probabilities_and_every_row_are_each_a_distribution(name: str) -> None:
    features, log_p = annotator_inputs(9, K, D)
    label_log_probs, confusion = built(name)(features, log_p, torch.arange(9) % (A + 1) - 1)
    torch.testing.assert_close(label_log_probs.exp().sum(1), torch.ones(9))
    dense = confusion.dense()
    assert dense.shape == (9, K, K)
    torch.testing.assert_close(dense.sum(2), torch.ones(9, K))
    torch.testing.assert_close(confusion.log_marginal(log_p), label_log_probs)


@every_competitor
def test_the_confusion_is_the_same_in_all_its_forms(name: str) -> None:
    _, confusion = built(name)(*annotator_inputs(7, K, D), torch.arange(7) % A)
    plain = DenseConfusion(confusion.dense().log())
    label, soft = torch.arange(7) % K, torch.rand(7, K).softmax(1)
    torch.testing.assert_close(confusion.diagonal(), plain.diagonal())
    torch.testing.assert_close(confusion.log_likelihood(label), plain.log_likelihood(label))
    torch.testing.assert_close(confusion.log_likelihood(label, soft), plain.log_likelihood(label, soft))


@pytest.mark.parametrize("name", [n for n in COMPETITORS if n != "crowd-ar"])  # its rows are not what it says
def test_where_the_class_is_certain_the_row_is_the_label_distribution(name: str) -> None:
    features, _ = annotator_inputs(K, K, D)
    certain = torch.full((K, K), -torch.inf).fill_diagonal_(0)
    label_log_probs, confusion = built(name)(features, certain, torch.zeros(K, dtype=torch.int64))
    torch.testing.assert_close(label_log_probs.exp(), confusion.dense()[torch.arange(K), torch.arange(K)])


@every_competitor
def test_known_and_unknown_annotators_of_one_batch_do_not_touch_each_other(name: str) -> None:
    model, (features, log_p) = built(name), annotator_inputs(4, K, D)
    together, _ = model(features, log_p, torch.tensor([2, -1, 0, -1]))
    for i, who in enumerate([2, -1, 0, -1]):
        alone, _ = model(features[i : i + 1], log_p[i : i + 1], torch.tensor([who]))
        torch.testing.assert_close(together[i : i + 1], alone)


@every_competitor
def test_a_plan_over_pairs_mixes_the_annotators(name: str) -> None:
    """Weight 1 leaves a pair alone, weight 0 makes it its partner, in between it is neither."""
    model, (features, log_p) = built(name), annotator_inputs(3, K, D)
    features, log_p = features[:1].expand(3, -1), log_p[:1].expand(3, -1)
    who, partner = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    plain, _ = model(features, log_p, who)
    mixed, _ = model(features, log_p, who, MixPlan(partner, torch.tensor([1.0, 0.0, 0.5]), rows="pairs"))
    torch.testing.assert_close(mixed[:2], torch.stack([plain[0], plain[2]]))
    assert not torch.allclose(mixed[2], plain[2])
    assert not torch.allclose(mixed[2], plain[0])


# -- edges -----------------------------------------------------------------------------------------------------------


@every_competitor
@pytest.mark.parametrize(("classes", "annotators"), [(1, 1), (1, 4), (3, 1), (3, 4)])
@pytest.mark.parametrize("pairs", [0, 1, 5])
def test_one_class_one_annotator_no_pairs(name: str, classes: int, annotators: int, pairs: int) -> None:
    """Loss and gradients are finite, and every parameter has one; without pairs all are zero but the penalty's."""
    model, batch = classifier(name, classes, annotators).eval(), batch_of(3, pairs, classes, annotators)
    output = model.forward_batch(batch).annotator_output
    loss = model.annotator_model.loss(output, batch).sum()
    loss.backward()
    assert output.label_log_probs.shape == (pairs, classes)
    assert loss.isfinite()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{key} is not in the graph"
        assert parameter.grad.isfinite().all()
        assert pairs or not parameter.grad.any()
    assert pairs or loss.item() == 0
    assert torch.as_tensor(model.annotator_model.penalty()).isfinite()


@every_competitor
@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
def test_extreme_numbers_keep_loss_and_gradients_finite(name: str, scale: float, autocast: torch.dtype | None) -> None:
    whole, batch = classifier(name).eval(), batch_of(12, 12)
    model = built(name, features=whole.head.in_features, spread=scale)
    whole.annotator_model = model
    with torch.no_grad():
        whole.head.weight.mul_(scale)
    with torch.autocast("cpu", dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        output = whole.forward_batch(batch).annotator_output
        loss = model.loss(output, batch).sum() + model.penalty()
    assert output.label_log_probs.dtype == loss.dtype == torch.float32
    assert output.label_log_probs.isfinite().all()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in whole.parameters())
    with torch.no_grad():
        evaluated = whole.evaluate(batch)
    assert evaluated.posterior.isfinite().all()
    assert evaluated.p_right.isfinite().all()


@every_competitor
def test_half_precision_does_not_round_the_answers(name: str) -> None:
    model, (features, log_p) = built(name), annotator_inputs(6, K, D)
    expected, _ = model(features, log_p, torch.arange(6) % A)
    penalty = torch.as_tensor(model.penalty())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = model(features, log_p, torch.arange(6) % A)
        torch.testing.assert_close(torch.as_tensor(model.penalty()), penalty)
    torch.testing.assert_close(found, expected)


# -- training, evaluation, checkpoints -------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=COMPETITORS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Path, dict]:
    """A classifier after a few real steps, its checkpoint, and what its parameters were before."""
    folder = tmp_path_factory.mktemp(request.param)
    seed_everything(0)
    model = classifier(request.param, lr=0.01, schedule="constant")
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    fit = quiet_trainer(folder, max_epochs=2)
    fit.fit(model, GivenBatches([batch_of(8, 16, seed=seed) for seed in range(4)]))
    fit.save_checkpoint(folder / "model.ckpt")
    return model.eval(), folder / "model.ckpt", before


def test_every_parameter_trains_and_so_does_the_share_of_every_annotator(trained) -> None:
    model, _, before = trained
    for key, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[key]), f"{key} did not move"
        if key.startswith("annotator_model") and parameter.shape[:1] == (A,):
            moved = (parameter != before[key]).flatten(1).any(1)
            assert moved.all(), f"{key} moved for annotators {moved.tolist()}"


@every_competitor
@pytest.mark.parametrize(("precision", "dtype"), [("64-true", torch.float64), ("bf16-true", torch.bfloat16)])
def test_weights_of_any_precision_get_gradients(name: str, precision: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """Whether a step moves weights in half precision is another matter: small ones are rounded away."""
    model, seen = classifier(name), {}

    class Keep(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
            seen.update({key: p.grad.clone() for key, p in pl_module.named_parameters()})

    quiet_trainer(tmp_path, max_epochs=1, precision=precision, callbacks=[Keep()]).fit(
        model, GivenBatches([batch_of(8, 16)])
    )
    for key, gradient in seen.items():
        assert gradient.dtype is dtype, key
        assert gradient.isfinite().all(), key
        assert gradient.any(), f"{key} gets none"
    assert seen


def test_a_checkpoint_predicts_the_same(trained) -> None:
    model, path, _ = trained
    again = Classifier.load_from_checkpoint(path).eval()
    batch = batch_of(6, 12, seed=9)
    for name, value in again.evaluate(batch)._asdict().items():
        expected = getattr(model.evaluate(batch), name)
        if name == "confusion":
            value, expected = value.dense(), expected.dense()
        assert torch.equal(value, expected) if isinstance(expected, Tensor) else value == expected, name


def test_predictions_are_complete(trained) -> None:
    batch = batch_of(6, 12, seed=9)
    output = trained[0].evaluate(batch._replace(annotator=batch.annotator.index_fill(0, torch.tensor([3]), -1)))
    torch.testing.assert_close(output.class_probs.sum(1), torch.ones(6))
    torch.testing.assert_close(output.label_log_probs.exp().sum(1), torch.ones(12))
    torch.testing.assert_close(output.posterior.sum(1), torch.ones(6))
    torch.testing.assert_close(output.confusion.dense().sum(2), torch.ones(12, K))
    assert output.p_right.shape == (12,)
    assert ((output.p_right >= 0) & (output.p_right <= 1)).all()
    expected = np.einsum("lc,lcc->l", output.class_probs[batch.row].detach(), output.confusion.dense().detach())
    np.testing.assert_allclose(output.p_right.detach(), expected, rtol=1e-5)


def joined(first: Batch, second: Batch) -> Batch:
    """Both batches as one process would see them."""
    items = len(first.index)
    fields = {name: torch.cat([getattr(first, name), getattr(second, name)]) for name in Batch._fields[:6]}
    return Batch(**fields)._replace(row=torch.cat([first.row, second.row + items]))


def one_step(name: str, folder: Path, batches: list[Batch]) -> dict[str, Tensor]:
    """The gradient, as what one step of SGD with learning rate 1 takes away."""
    model = classifier(name, optimizer="SGD", lr=1.0, weight_decay=0.0, schedule="constant")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    options = {"max_steps": 1, "callbacks": [FreezeBatchNorm()]}
    quiet_trainer(folder, len(batches), **options).fit(model, GivenBatches(batches))
    return {key: before[key] - p.detach() for key, p in model.named_parameters()}


@every_competitor
@pytest.mark.parametrize("pairs", [(7, 2), (6, 0)])
def test_two_processes_take_the_step_of_one(name: str, pairs: tuple[int, int], tmp_path: Path) -> None:
    """The second rank has no pairs of some annotators or none at all, and fewer items."""
    first, second = batch_of(5, pairs[0], seed=0), batch_of(3, pairs[1], seed=1)
    alone = one_step(name, tmp_path, [joined(first, second)])
    together = one_step(name, tmp_path, [first, second])
    assert sum(float(g.abs().sum()) for g in alone.values()) > 0
    for key, gradient in alone.items():
        torch.testing.assert_close(together[key], gradient, rtol=0, atol=1e-6, msg=lambda m, n=key: f"{n}: {m}")
