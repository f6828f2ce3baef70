"""Parameters per annotator: the start, and what each pair gets."""

import pytest
import torch
from torch.nn.functional import one_hot

import hilmix.functional.sizes
from hilmix.annotators import AnnotatorModel, AnnotMixHead, MaDL
from hilmix.annotators.matrices import diagonal_matrices, gather_annotators
from hilmix.errors import SizeError
from hilmix.types import MixPlan


def test_every_annotator_starts_with_the_same_matrix() -> None:
    start = diagonal_matrices(2, 3, 1.0, -5.0)
    assert start.requires_grad
    assert start.tolist() == 2 * [[[1, -5, -5], [-5, 1, -5], [-5, -5, 1]]]
    assert diagonal_matrices(1, 1, 2.0, 0.5).tolist() == [[[2.0]]]


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 3)])
def test_entries_are_products_with_one_hot_annotators(shape: tuple[int, ...]) -> None:
    """Mixed pairs multiply with mixed one-hot rows, an unknown annotator with the uniform row."""
    table = torch.randn(shape)
    who, weight = torch.tensor([3, -1, 0, 3]), torch.tensor([0.3, 0.6, 1.0, 0.0])
    plan = MixPlan(torch.tensor([1, 2, 3, 0]), weight, rows="pairs")
    rows = one_hot(who.clamp_min(0), 4).float()
    rows[1] = 0.25
    mixed = weight[:, None] * rows + (1 - weight)[:, None] * rows[plan.partner]
    torch.testing.assert_close(gather_annotators(table, who), torch.einsum("la,a...->l...", rows, table))
    torch.testing.assert_close(gather_annotators(table, who, plan), torch.einsum("la,a...->l...", mixed, table))


def test_entries_are_single_precision_and_no_pairs_give_zero_gradients() -> None:
    table = torch.randn(3, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    entries = gather_annotators(table, torch.zeros(0, dtype=torch.int64))
    assert entries.dtype == torch.float32
    entries.sum().backward()
    assert not table.grad.any()


@pytest.mark.parametrize(
    ("part", "matrices"),
    [(AnnotMixHead(), 1), (AnnotMixHead(embed_dim=8, confusion="full"), 9), (MaDL(embed_dim=5), 6)],
    ids=["shared", "full", "madl"],
)
def test_a_layer_of_matrices_is_sized_before_it_is_allocated(
    part: AnnotatorModel, matrices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, their gradient and two moments of the optimizer, in four bytes a number, in half of the memory."""
    k, needed = 150, 4 * 4 * matrices * 150 * 150
    monkeypatch.setattr(hilmix.functional.sizes, "memory", lambda: 2 * needed - 2)
    with pytest.raises(SizeError, match="GiB for 7 annotators, 150 classes"):
        part.build(num_features=4, num_classes=k, num_annotators=7)
    monkeypatch.setattr(hilmix.functional.sizes, "memory", lambda: 2 * needed)
    built = part.build(num_features=4, num_classes=k, num_annotators=7)
    assert sum(p.numel() for p in built.parameters()) >= matrices * k * k
