"""Draws are functions of (seed, counter, rank) and of nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.functional.random import run_seed, step_generator, step_seed

SEEDS = st.integers(0, 2**31 - 1)
COUNTERS = st.integers(0, 10**9)
RANKS = st.integers(0, 4096)


@given(SEEDS, COUNTERS, RANKS)
def test_seed_repeats_and_fits_torch(seed: int, counter: int, rank: int) -> None:
    value = step_seed(seed, counter, rank)
    assert value == step_seed(seed, counter, rank)
    assert 0 <= value < 2**63
    torch.Generator().manual_seed(value)


def test_seeds_of_a_grid_all_differ() -> None:
    """Neither the order of the arguments nor their sum matters: (1, 2, 3), (3, 2, 1) and (2, 2, 2) are unrelated."""
    grid = [(s, c, r) for s in range(8) for c in range(16) for r in range(8)]
    assert len({step_seed(*where) for where in grid}) == len(grid)


def test_global_random_state_is_neither_read_nor_written() -> None:
    np.random.seed(0)  # noqa: NPY002  # the global state is what is watched
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = step_generator(1, 2, 3).random(5)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    assert np.array_equal(step_generator(1, 2, 3).random(5), first)


def test_draws_of_neighbouring_steps_and_ranks_are_uncorrelated() -> None:
    base = step_generator(0, 0, 0).normal(size=20_000)
    for where in ((0, 1, 0), (0, 0, 1), (1, 0, 0)):
        other = step_generator(*where).normal(size=20_000)
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.03  # four standard errors


def test_run_seed_is_what_seed_everything_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "41")
    assert run_seed() == 41
    monkeypatch.delenv("PL_GLOBAL_SEED")
    assert run_seed() == 0


def test_streams_share_nothing() -> None:
    """Equal counters of the sampler and the mix, or of dropout and augmentation, must not draw alike."""
    streams = ("step", "mix", "shuffle", "augment", "sample")
    assert len({step_seed(0, 3, 0, stream=stream) for stream in streams}) == len(streams)
