"""Seeding torch: the draws of torch.manual_seed, without what it does for devices that nothing uses."""

import traceback
from unittest.mock import patch

import torch

from hilmix.functional.generators import seed_torch


def test_the_host_draws_what_it_draws_after_manual_seed() -> None:
    torch.manual_seed(2**62 + 5)
    expected = torch.rand(3), torch.nn.functional.dropout(torch.ones(20)), torch.distributions.Beta(0.2, 0.2).sample()
    seed_torch(2**62 + 5, torch.device("cpu"))
    found = torch.rand(3), torch.nn.functional.dropout(torch.ones(20)), torch.distributions.Beta(0.2, 0.2).sample()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_other_devices_are_seeded_only_where_they_are_used() -> None:
    with patch.object(torch, "manual_seed") as all_devices, patch.object(traceback, "format_stack") as stack:
        seed_torch(3, torch.device("cpu"))
        assert not all_devices.called
        seed_torch(3, torch.device("cuda"))
        all_devices.assert_called_once_with(3)
    assert not stack.called
