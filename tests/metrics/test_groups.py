"""Accuracy by group, against a loop, alone and on two ranks."""

import torch
from torch import Tensor

from hilmix.metrics import GroupAccuracy


def rows(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    probs = torch.rand(40, 3, generator=draws)
    return probs, torch.randint(-1, 3, (40,), generator=draws), torch.randint(-1, 4, (40,), generator=draws)


def by_loop(parts: list[tuple[Tensor, Tensor, Tensor]]) -> dict[int, float]:
    seen: dict[int, list[bool]] = {}
    for probs, target, group in parts:
        for p, t, g in zip(probs, target.tolist(), group.tolist(), strict=True):
            if t >= 0 and g >= 0:
                seen.setdefault(g, []).append(p.argmax().item() == t)
    return {g: sum(right) / len(right) for g, right in seen.items()}


def test_the_worst_and_the_mean_of_the_groups_that_were_seen() -> None:
    metric = GroupAccuracy(6)  # two groups are empty
    parts = [rows(0), rows(1)]
    for part in parts:
        metric.update(*part)
    expected = by_loop(parts)
    found = metric.compute()
    torch.testing.assert_close(found["worst_group_acc"].item(), min(expected.values()))
    torch.testing.assert_close(found["mean_group_acc"].item(), sum(expected.values()) / len(expected))
    metric.reset()
    assert all(value.isnan() for value in metric.compute().values())


def of_rank(rank: int) -> dict[str, Tensor]:
    metric = GroupAccuracy(4)
    metric.update(*rows(rank))
    return metric.compute()


def test_two_ranks_agree_with_one(run_ranks) -> None:
    alone = GroupAccuracy(4)
    for rank in (0, 1):
        alone.update(*rows(rank))
    for found in run_ranks(of_rank):
        torch.testing.assert_close(found, alone.compute())
