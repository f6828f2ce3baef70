"""Batches of some items, against a loop over pairs."""

import pytest
import torch

from hilmix.errors import ConfigError
from hilmix.types import Batch, MixPlan


def batch(**fields) -> Batch:
    return Batch(
        input=torch.arange(8.0).reshape(4, 2),
        index=torch.tensor([30, 10, 20, 40]),
        target=torch.tensor([0, -1, 2, 1]),
        row=torch.tensor([0, 0, 2, 2, 2, 3]),
        annotator=torch.tensor([5, 4, 3, 2, 1, 0]),
        label=torch.tensor([0, 1, 2, 0, 1, 2]),
        **fields,
    )


@pytest.mark.parametrize("keep", [[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]])
def test_some_items_have_their_own_pairs(keep):
    whole = batch(probs=torch.rand(6, 3), confidence=torch.rand(6), mask=torch.rand(4, 2), group=torch.arange(4))
    some = whole.select(torch.tensor(keep, dtype=torch.bool))
    items = [i for i in range(4) if keep[i]]
    pairs = [j for j in range(6) if int(whole.row[j]) in items]
    assert some.row.tolist() == [items.index(int(whole.row[j])) for j in pairs]
    for name in ("input", "index", "target", "mask", "group"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[items]), name
    for name in ("annotator", "label", "probs", "confidence"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[pairs]), name


def test_absent_fields_stay_absent():
    some = batch().select(torch.tensor([True, False, True, False]))
    assert [some.probs, some.confidence, some.mask, some.group, some.plan] == [None] * 5


def test_mixed_batches_are_refused():
    plan = MixPlan(torch.arange(4), torch.ones(4))
    with pytest.raises(ConfigError, match=r"batch\.plan"):
        batch(plan=plan).select(torch.ones(4, dtype=torch.bool))
