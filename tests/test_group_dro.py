"""Weights of groups, against hand-made numbers; on two ranks see ``tests/modules/test_explained.py``."""

import pytest
import torch

from hilmix.errors import ConfigError
from hilmix.group_dro import GroupDRO


def test_equal_weights_of_groups_make_the_mean_of_their_means() -> None:
    loss, group = torch.tensor([1.0, 2.0, 6.0], requires_grad=True), torch.tensor([0, 0, 1])
    found = (GroupDRO(0.0).build(2)(loss, group) * loss).sum()
    assert found.item() == pytest.approx((1.5 + 6) / 2)
    found.backward()
    assert loss.grad.tolist() == pytest.approx([0.25, 0.25, 0.5])


def test_the_group_that_fares_worst_gains_weight() -> None:
    dro, loss, group = GroupDRO(0.1).build(3), torch.tensor([1.0, 5.0]), torch.tensor([0, 2])
    for _ in range(200):
        dro(loss, group)
    assert dro.weight[2] > 0.99
    assert dro.weight.sum().item() == pytest.approx(1, abs=1e-5)


def test_group_dro_needs_groups_and_a_step() -> None:
    with pytest.raises(ConfigError, match="the data have no groups"):
        GroupDRO().build(0)
    for step in (-1.0, float("inf")):
        with pytest.raises(ConfigError, match=rf"`GroupDRO\.step` must be .*, got {step}"):
            GroupDRO(step)
    with pytest.raises(ConfigError, match="a training item has no group"):
        GroupDRO().build(2)(torch.ones(2), torch.tensor([0, -1]))
