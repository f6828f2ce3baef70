"""UnionNet against plain Python."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hilmix.annotators import AnnotatorOutput, ConfusionMatrices, UnionNet
from hilmix.errors import ConfigError
from hilmix.types import Batch
from tests.annotators.closed_forms import ANNOTATOR, LABEL, ROW, P, answered, softmax, with_parameters


def test_likelihood_of_the_union_and_what_each_annotator_says() -> None:
    model, T = with_parameters(UnionNet(), "logits")
    output, batch = answered(model)
    union = [softmax([T[a][c][k] for a in range(2) for k in range(3)]) for c in range(3)]  # (class, 3 a + k)
    loss = 0.0
    for i, (b, a, z) in enumerate(zip(ROW, ANNOTATOR, LABEL, strict=True)):
        u = [sum(P[b][c] * union[c][outcome] for c in range(3)) for outcome in range(6)]
        assert sum(u) == pytest.approx(1)
        block = u[3 * a : 3 * a + 3]
        loss -= math.log(block[z])
        assert output.label_log_probs[i].exp().tolist() == pytest.approx([v / sum(block) for v in block])
        right = output.log_probs[i].exp().dot(output.confusion.diagonal()[i])
        assert right.item() == pytest.approx(sum(P[b][c] * softmax(T[a][c])[c] for c in range(3)))
    assert model.loss(output, batch).sum().item() == pytest.approx(loss)


def test_the_loss_adds_the_mass_of_the_annotators() -> None:
    """At the start all annotators weigh alike: the loss is that of confusion matrices plus log A per pair."""
    union = UnionNet(eps=0.0).build(num_features=4, num_classes=3, num_annotators=2)
    matrices = ConfusionMatrices().build(num_features=4, num_classes=3, num_annotators=2)
    (output, batch), (plain, _) = answered(union), answered(matrices)
    torch.testing.assert_close(output.label_log_probs, plain.label_log_probs)
    torch.testing.assert_close(union.loss(output, batch).sum(), matrices.loss(plain, batch).sum() + 3 * math.log(2))


def test_soft_answers_count_by_their_share() -> None:
    model, _ = with_parameters(UnionNet(), "logits")
    output, batch = answered(model)
    sure = torch.nn.functional.one_hot(batch.label, 3).float()
    torch.testing.assert_close(model.loss(output, batch._replace(probs=sure)).sum(), model.loss(output, batch).sum())
    even = torch.full((3, 3), 1 / 3)
    every = [model.loss(output, batch._replace(label=torch.full((3,), k))).sum() for k in range(3)]
    torch.testing.assert_close(model.loss(output, batch._replace(probs=even)).sum(), torch.stack(every).mean())


def test_the_start_of_the_paper() -> None:
    model = UnionNet(eps=0.2).build(num_features=4, num_classes=3, num_annotators=2)
    torch.testing.assert_close(
        model.logits, torch.full((2, 3, 3), 0.1).diagonal_scatter(torch.full((2, 3), 0.8), 0, 1, 2)
    )
    assert UnionNet().eps == 1e-5
    assert UnionNet().build(num_features=4, num_classes=1, num_annotators=2).logits.isfinite().all()


def test_all_logits_move_in_one_step_also_those_of_annotators_who_are_not_in_the_batch() -> None:
    """An annotator who answers takes mass from all others."""
    model, _ = with_parameters(UnionNet(), "logits")
    before = model.logits.detach().clone()
    output, batch = answered(model)
    confusion = type(output.confusion)(output.confusion.log_block[1:2])
    alone = output._replace(confusion=confusion, log_probs=output.log_probs[1:2])
    model.loss(alone, batch._replace(row=batch.row[1:2], label=batch.label[1:2])).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    assert (model.logits != before).all()


@pytest.mark.parametrize("eps", [-0.1, 1.0, math.nan])
def test_bad_eps_is_refused(eps: float) -> None:
    with pytest.raises(ConfigError, match=r"^`UnionNet\.eps` must be"):
        UnionNet(eps)


def test_only_its_own_confusion_has_masses() -> None:
    model, _ = with_parameters(UnionNet(), "logits")
    output, batch = answered(model)
    with pytest.raises(TypeError, match="UnionNet"):
        model.loss(output._replace(confusion=None), batch).sum()


class LargestTensor(TorchDispatchMode):
    """Notes the largest number of elements that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.numel = max(self.numel, *(t.numel() for t in tree_leaves(out) if isinstance(t, torch.Tensor)), 0)
        return out


def test_no_tensor_over_all_pairs_and_all_outcomes_is_formed() -> None:
    classes, annotators, pairs = 3, 40, 30
    model = UnionNet().build(num_features=4, num_classes=classes, num_annotators=annotators)
    log_probs, who = torch.randn(pairs, classes).log_softmax(-1), torch.arange(pairs)
    batch = Batch(torch.zeros(pairs, 4), who, who, row=who, annotator=who, label=who % classes)
    with LargestTensor() as largest:
        label_log_probs, confusion = model(torch.zeros(pairs, 4), log_probs, who)
        model.loss(AnnotatorOutput(label_log_probs, confusion, log_probs, who), batch).sum().backward()
    assert largest.numel == annotators * classes**2
