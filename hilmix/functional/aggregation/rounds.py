"""Rounds of an iterative aggregator: until nothing is gained, and its settings."""

from collections.abc import Callable

import numpy as np

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.votes import OnRound


def run_rounds(
    step: Callable[[], float], *, least: float, max_rounds: int, on_round: OnRound | None, done: int = 0
) -> tuple[list[float], bool]:
    """Returns the objective after each round, and whether the last of at least two gained no more than ``least``.

    Args:
        step: runs a round and returns the objective, which never falls.
        least: stop when a round gains no more than this.
        max_rounds: at least 1.
        on_round: called with the number of rounds, ``done`` more than those run here.
        done: rounds of earlier starts.
    """
    history: list[float] = []
    converged = False
    while not converged and len(history) < max_rounds:
        history.append(step())
        # Never after one round: the gain over a start that no parameters have produced is not defined.
        converged = len(history) > 1 and history[-1] - history[-2] <= least
        if on_round is not None:
            on_round(done + len(history))
    return history, converged


def require_positive(method: str, **values: float) -> None:
    """Refuses settings of a method that are not above 0, or not finite.

    Raises:
        ConfigError: naming the method, the setting and its value.
    """
    for name, value in values.items():
        if not 0 < value < np.inf:
            raise ConfigError(f"{method}: `{name}` must be > 0 and finite, got {value}.")


def require_counts(method: str, **numbers: int) -> None:
    """Refuses numbers of rounds, restarts and the like below 1.

    Raises:
        ConfigError: naming the method, the setting and its value.
    """
    for name, number in numbers.items():
        if number < 1:
            raise ConfigError(f"{method}: `{name}` must be >= 1, got {number}.")
