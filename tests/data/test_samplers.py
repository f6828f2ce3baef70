"""The order of training items: whole, dealt to ranks, resumable."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from torch.utils.data import DistributedSampler

from hilmix.data.samplers import EpochSampler


def sampler(size: int, ranks: int = 1, rank: int = 0, *, epoch: int = 0, seed: int = 0) -> EpochSampler:
    made = EpochSampler(range(size), seed=seed, num_replicas=ranks, rank=rank)  # type: ignore[arg-type]
    made.set_epoch(epoch)
    return made


@given(st.integers(1, 60), st.integers(0, 9), st.integers(0, 10**6))
def test_every_item_once_per_epoch_coded_with_it(size: int, epoch: int, seed: int) -> None:
    order = list(sampler(size, epoch=epoch, seed=seed))
    assert sorted(order) == list(range(epoch * size, (epoch + 1) * size))


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 3))
def test_ranks_get_equally_many_and_together_everything(size: int, ranks: int, epoch: int) -> None:
    parts = [list(sampler(size, ranks, rank, epoch=epoch)) for rank in range(ranks)]
    assert {len(part) for part in parts} == {-(-size // ranks)}
    assert all(len(part) == len(sampler(size, ranks)) for part in parts)
    everything = [i for part in parts for i in part]
    assert {i % size for i in everything} == set(range(size))
    repeated = len(everything) - len(set(everything))
    assert repeated < ranks  # only as many as it takes to even the ranks out


def test_ranks_are_disjoint_where_they_can_be() -> None:
    first, second = (set(sampler(10, 2, rank)) for rank in (0, 1))
    assert not first & second


def test_epochs_and_seeds_differ_and_repeat() -> None:
    orders = [[i % 50 for i in sampler(50, epoch=e)] for e in range(5)]
    assert all(a != b for a, b in pairwise(orders))
    assert [i % 50 for i in sampler(50, epoch=3)] == orders[3]
    assert [i % 50 for i in sampler(50, seed=1)] != orders[0]


@pytest.mark.parametrize("ranks", [1, 2])
def test_resume_goes_on_inside_the_epoch_and_only_there(ranks: int) -> None:
    for rank in range(ranks):
        whole, after = (list(sampler(23, ranks, rank, epoch=e)) for e in (4, 5))
        resumed = sampler(23, ranks, rank)
        resumed.resume(epoch=4, items=7)
        assert list(resumed) == whole[7:]
        assert list(resumed) == whole[7:], "an iterator that was opened for a look changes nothing"
        resumed.set_epoch(5)
        assert list(resumed) == after


def test_resume_behind_the_last_item_is_empty() -> None:
    resumed = sampler(5)
    resumed.resume(epoch=1, items=8)  # a last batch that was not full counts as a whole one
    assert list(resumed) == []


def test_lightning_takes_it_for_a_distributed_sampler_and_leaves_it_alone() -> None:
    assert isinstance(sampler(3), DistributedSampler)
