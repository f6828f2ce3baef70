"""Annotator models: the calling convention, the initial prior, unknown annotators, numbers at the edge of floats."""

import pytest
import torch

from hilmix.annotators import AnnotatorModel, AnnotMixHead, Perfect
from hilmix.errors import ConfigError
from hilmix.functional.confusion import DenseConfusion, SharedDiagonalConfusion
from hilmix.modules import Classifier
from hilmix.types import Batch, MixPlan
from tests.helpers import annotator_inputs

D = 6
FORMS = ("full", "shared-diagonal")


def head(classes: int = 3, annotators: int = 5, **settings) -> AnnotMixHead:
    torch.manual_seed(0)
    return AnnotMixHead(embed_dim=8, **settings).build(num_features=D, num_classes=classes, num_annotators=annotators)


@pytest.mark.parametrize("model", [Perfect(), *(AnnotMixHead(confusion=c) for c in FORMS)], ids=lambda m: str(m.spec()))
def test_label_probabilities_are_a_distribution(model: AnnotatorModel) -> None:
    model = AnnotatorModel.from_spec(model.spec()).build(num_features=D, num_classes=4, num_annotators=3).eval()
    features, log_p = annotator_inputs(7, 4, D)
    label_log_probs, _ = model(features, log_p, torch.arange(7) % 3)
    torch.testing.assert_close(label_log_probs.exp().sum(1), torch.ones(7))


def test_perfect_takes_labels_at_face_value() -> None:
    features, log_p = annotator_inputs(4, 3, D)
    model = Perfect().build(num_features=D, num_classes=3, num_annotators=2)
    label_log_probs, confusion = model(features, log_p, torch.zeros(4, dtype=torch.int64))
    assert torch.equal(label_log_probs, log_p)
    assert confusion is None
    assert not list(model.parameters())


@pytest.mark.parametrize("eta", [0.6, 0.9, 0.99])
@pytest.mark.parametrize("confusion", FORMS)
@pytest.mark.parametrize("classes", [2, 7])
def test_initial_bias_encodes_the_prior_diagonal(confusion: str, eta: float, classes: int) -> None:
    """With the random part of the last layer switched off, every diagonal is eta and the rest is shared evenly."""
    model = head(classes, eta=eta, confusion=confusion).eval()
    torch.nn.init.zeros_(model.out.weight)
    _, found = model(*annotator_inputs(3, classes, D), torch.arange(3))
    expected = torch.full((classes, classes), (1 - eta) / (classes - 1)).fill_diagonal_(eta)
    torch.testing.assert_close(found.dense(), expected.expand(3, -1, -1), rtol=1e-4, atol=1e-6)


def test_auto_takes_the_full_matrix_up_to_a_hundred_classes() -> None:
    for classes, kind in ((100, DenseConfusion), (101, SharedDiagonalConfusion)):
        inputs = annotator_inputs(1, classes, D)
        assert isinstance(head(classes).eval()(*inputs, torch.zeros(1, dtype=torch.int64))[1], kind)


@pytest.mark.parametrize("confusion", FORMS)
def test_an_unknown_annotator_gets_the_mean_embedding(confusion: str) -> None:
    """The mean over A one-hot rows is a mix of all annotators with weight 1/A, through the affine embedding."""
    model = head(annotators=2, confusion=confusion).eval()
    features, log_p = annotator_inputs(1, 3, D)
    unknown, _ = model(features, log_p, torch.tensor([-1]))
    both = MixPlan(torch.tensor([1, 0]), torch.tensor([0.5, 0.5]), rows="pairs")
    half, _ = model(features.repeat(2, 1), log_p.repeat(2, 1), torch.tensor([0, 1]), both)
    torch.testing.assert_close(unknown[0], half[0])
    torch.testing.assert_close(unknown[0], half[1])


def test_unknown_and_known_annotators_of_one_batch_do_not_touch_each_other() -> None:
    model = head().eval()
    features, log_p = annotator_inputs(4, 3, D)
    together, _ = model(features, log_p, torch.tensor([2, -1, 4, -1]))
    for i, who in enumerate([2, -1, 4, -1]):
        alone, _ = model(features[i : i + 1], log_p[i : i + 1], torch.tensor([who]))
        torch.testing.assert_close(together[i : i + 1], alone)


def test_mixing_annotators_is_mixing_one_hot_rows() -> None:
    model = head().eval()
    features, log_p = annotator_inputs(4, 3, D)
    who, plan = torch.tensor([0, 1, 2, 3]), MixPlan(torch.tensor([2, 0, 3, 1]), torch.rand(4), rows="pairs")
    one_hot = torch.nn.functional.one_hot(who, 5).float()
    mixed = plan.weight[:, None] * one_hot + (1 - plan.weight[:, None]) * one_hot[plan.partner]
    hidden = model.hidden(torch.cat([model.embed_features(features), model.embed_annotator(mixed)], 1))
    expected = DenseConfusion(model.out(hidden).reshape(-1, 3, 3).log_softmax(-1)).log_marginal(log_p)
    torch.testing.assert_close(model(features, log_p, who, plan)[0], expected)


@pytest.mark.parametrize("confusion", FORMS)
def test_order_of_the_pairs_does_not_matter(confusion: str) -> None:
    model = head(confusion=confusion).train()
    model.hidden[0].p = 0.0
    features, log_p = annotator_inputs(6, 3, D)
    who, order = torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([3, 5, 0, 1, 4, 2])
    torch.testing.assert_close(
        model(features[order], log_p[order], who[order])[0], model(features, log_p, who)[0][order]
    )


@pytest.mark.parametrize("confusion", FORMS)
@pytest.mark.parametrize(("classes", "annotators"), [(1, 1), (1, 4), (3, 1)])
@pytest.mark.parametrize("pairs", [0, 1, 5])
def test_one_class_one_annotator_no_pairs(confusion: str, classes: int, annotators: int, pairs: int) -> None:
    model = head(classes, annotators, confusion=confusion).eval()
    label_log_probs, found = model(*annotator_inputs(pairs, classes, D), torch.zeros(pairs, dtype=torch.int64))
    assert label_log_probs.shape == found.diagonal().shape == (pairs, classes)
    label_log_probs.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    if classes == 1:
        assert not label_log_probs.any()


@pytest.mark.parametrize("confusion", FORMS)
@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
def test_extreme_numbers_keep_loss_and_gradients_finite(confusion: str, scale: float, autocast) -> None:
    model = head(4, confusion=confusion).train()
    torch.nn.init.normal_(model.out.weight, std=scale)
    features, _ = annotator_inputs(12, 4, D)
    logits = (scale * torch.randn(12, 4)).requires_grad_()
    with torch.autocast("cpu", dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        label_log_probs, _ = model(features, logits.float().log_softmax(-1), torch.arange(12) % 5)
    assert label_log_probs.dtype == torch.float32
    assert label_log_probs.isfinite().all()
    label_log_probs.gather(1, (torch.arange(12) % 4)[:, None]).sum().backward()
    assert logits.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_many_classes_and_annotators_stay_small_and_evaluation_runs_in_chunks() -> None:
    """K = 1000, A = 2571: (A + K) E + K^2 numbers, not A K^2; the full head in chunks equals itself pair by pair."""
    classes, annotators = 1000, 2571
    model = Classifier(classes, annotators, [D], annotator_model=AnnotMixHead(embed_dim=16)).eval()
    numbers = sum(p.numel() for p in model.annotator_model.parameters())
    assert numbers < classes**2 + 64 * (classes + annotators)
    pairs = 40  # more than fit into one chunk
    batch = Batch(
        input=torch.randn(8, D),
        index=torch.arange(8),
        target=torch.full((8,), -1),
        row=torch.arange(8).repeat_interleave(5),
        annotator=torch.randint(-1, annotators, (pairs,)),
        label=torch.randint(0, classes, (pairs,)),
    )
    with torch.no_grad():
        whole = model.evaluate(batch)
        assert whole.confusion is None
        for b in (0, 7):
            mine = batch.row == b
            one = batch._replace(
                input=batch.input[b : b + 1],
                index=batch.index[:1],
                target=batch.target[:1],
                row=torch.zeros(5, dtype=torch.int64),
                annotator=batch.annotator[mine],
                label=batch.label[mine],
            )
            alone = model.evaluate(one)
            assert alone.confusion is None, "whether matrices are kept depends on K, not on the batch"
            torch.testing.assert_close(whole.label_log_probs[mine], alone.label_log_probs, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(whole.diagonal[mine], alone.diagonal, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(whole.posterior[b], alone.posterior[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("eta", [0.0, 1.0, -0.1, 1.5])
def test_eta_is_checked(eta: float) -> None:
    with pytest.raises(ConfigError, match="eta"):
        AnnotMixHead(eta=eta)


def test_form_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"`AnnotMixHead\.confusion` must be one of .*'low-rank'"):
        AnnotMixHead(confusion="low-rank")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["builtins.eval", "hilmix.mix.ItemMix", "torch.nn.Linear"])
def test_foreign_class_paths_are_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="is not an AnnotatorModel"):
        AnnotatorModel.from_spec({"class_path": path, "init_args": {}})


def test_spec_round_trip() -> None:
    model = AnnotMixHead(embed_dim=7, eta=0.8, dropout=0.1, confusion="full")
    assert AnnotatorModel.from_spec(model.spec()).spec() == model.spec()
