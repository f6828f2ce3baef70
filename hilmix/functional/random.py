"""Stateless randomness: every draw is a function of (seed, batch counter, rank), so ranks differ and resumes repeat."""

import os
from typing import Literal

import numpy as np

Stream = Literal["step", "mix", "shuffle", "augment", "sample", "fold"]
# Never renumber: runs of older versions could no longer be resumed with the same draws.
_CODES: dict[Stream, int] = {"step": 0, "mix": 1, "shuffle": 2, "augment": 3, "sample": 4, "fold": 5}


def step_seed(seed: int, counter: int, rank: int = 0, *, stream: Stream = "step") -> int:
    """Returns a seed in [0, 2**63) for one batch of one rank; different arguments give unrelated seeds.

    Args:
        seed: seed of the run, at least 0.
        counter: number of the batch since the start of training (or of the epoch, for what is drawn once in it).
        rank: global rank of the process (or the item, for what is drawn for each).
        stream: what is drawn, so that equal counters of two uses share nothing.

    Example:
        >>> step_seed(0, 7, 0) == step_seed(0, 7, 0), step_seed(0, 7, 0) == step_seed(0, 7, 1)
        (True, False)
    """
    # SeedSequence mixes the words; a sum of them would give equal draws to neighbouring seeds, batches and ranks.
    state = np.random.SeedSequence([seed, counter, rank, _CODES[stream]]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def step_generator(seed: int, counter: int, rank: int = 0, *, stream: Stream = "mix") -> np.random.Generator:
    """Returns a host generator for one batch of one rank; the same draws whatever device the batch lies on."""
    return np.random.Generator(np.random.PCG64(step_seed(seed, counter, rank, stream=stream)))


def run_seed() -> int:
    """Returns the seed that ``seed_everything`` set for this run, 0 if it was not called."""
    # Lightning keeps the seed nowhere else; the environment also reaches the processes of other ranks.
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))
