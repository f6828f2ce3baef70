"""A stratified split by seed, for data that bring none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from hilmix.annotations import Annotations, IntArray
from hilmix.errors import ConfigError
from hilmix.functional.aggregation import majority
from hilmix.types import UNKNOWN


def find_strata(annotations: Annotations, target: IntArray, *, seed: int = 0) -> IntArray:
    """Return (N,) int64 strata: the target where known, else the majority vote, else one stratum of their own (K).

    Args:
        annotations: the votes on N items.
        target: (N,) int64, -1 where unknown.
        seed: decides ties of the vote.
    """
    if not annotations.num_classes:  # items to be scored, without a label or a list of classes
        return np.zeros(annotations.num_items, dtype=np.int64)
    voted = majority(annotations, seed=seed).label
    known = np.where(target == UNKNOWN, voted, target)
    return np.where(known == UNKNOWN, annotations.num_classes, known)


def assign_splits(
    given: NDArray[np.str_] | None, strata: IntArray, *, val_fraction: float | None, test_fraction: float, seed: int
) -> NDArray[np.str_]:
    """Return (N,) ``train``, ``val``, ``test``, or ``unused``.

    Args:
        given: the data's own split, (N,), or None.
        strata: (N,) integers; see :func:`find_strata`.
        val_fraction: share of the training items to hold out for validation; given validation items are then unused.
            None keeps the given validation items, or holds out a tenth if there are none. A given split without
            training items (data to be scored) stays as it is.
        test_fraction: share of all items to hold out for testing if no split is given.
        seed: equal seeds give equal splits.

    Raises:
        ConfigError: if a fraction leaves nothing on one side.
    """

    def hold_out(rows: IntArray, fraction: float, name: str) -> IntArray:
        if not 0 < fraction < 1:
            raise ConfigError(f"`data.{name}` must be in (0, 1), got {fraction}.")
        held = rows[draw_stratified_split(strata[rows], [1 - fraction, fraction], seed=seed)[1]]
        if not 0 < len(held) < len(rows):
            raise ConfigError(f"`data.{name}` must leave items on both sides of {len(rows)}, got {fraction}.")
        return held

    if given is not None:
        # Six letters: an array of "train", "val" and "test" would cut "unused" to "unuse".
        split = given.astype("<U6")
        if not (split == "train").any():  # data to be scored, not trained on
            return split
    else:
        split = np.full(len(strata), "train", dtype="<U6")
        split[hold_out(np.arange(len(strata)), test_fraction, "test_fraction")] = "test"
    if val_fraction is not None or not (split == "val").any():
        split[split == "val"] = "unused"
        fraction = 0.1 if val_fraction is None else val_fraction
        split[hold_out(np.flatnonzero(split == "train"), fraction, "val_fraction")] = "val"
    return split


def draw_stratified_split(strata: IntArray, fractions: Sequence[float], *, seed: int) -> tuple[IntArray, ...]:
    """Return the sorted rows of each part; every row is in exactly one.

    Each part holds its fraction of every stratum, and of all rows, to within less than one item: of a stratum of
    three items, halves take one and two. Which items go where, and which stratum gives the odd one, is drawn.

    Args:
        strata: (N,) integers, in any order.
        fractions: P shares, each at least 0, that sum to 1.
        seed: equal seeds give equal splits.

    Raises:
        ConfigError: if the fractions are not shares of 1.

    Example:
        >>> train, test = draw_stratified_split(np.array([0, 0, 1, 1]), [0.5, 0.5], seed=0)
        >>> len(train), len(test)
        (2, 2)
    """
    share = np.asarray(fractions, dtype=np.float64)
    if not (share.ndim == 1 and (share >= 0).all() and abs(share.sum() - 1) < 1e-6):
        raise ConfigError(f"`fractions` must be at least 0 and sum to 1, got {list(fractions)}.")
    generator = np.random.default_rng(seed)
    strata = np.asarray(strata)
    _, stratum, size = np.unique(strata, return_inverse=True, return_counts=True)
    # Shares of exactly 1, so that the rows of the table have whole sums.
    per_cell = _round_table(np.outer(size, share / share.sum()), generator)
    order = np.lexsort((generator.random(len(strata)), stratum))  # by stratum, shuffled inside
    part = np.empty(len(strata), dtype=np.int64)
    part[order] = np.repeat(np.tile(np.arange(len(share)), len(size)), per_cell.ravel())
    return tuple(np.flatnonzero(part == p) for p in range(len(share)))


def _round_table(table: np.ndarray, generator: np.random.Generator) -> IntArray:
    """Rounds an (S, P) table of whole row sums so that every cell, row sum and column sum goes to its floor or ceiling.

    Such a rounding always exists (Bacharach 1966): the constraints are a flow problem, so a vertex of the linear
    programme is whole. Random costs choose among the vertices.
    """
    table = table.round(9)  # 0.8 * 5 is 4.000000000000001 for some
    low = np.floor(table)
    rest = (table - low).round(9)
    rows, columns = table.shape
    if not rest.any():
        whole: IntArray = low.astype(np.int64)
        return whole
    column_sum = rest.sum(axis=0).round(6)
    in_column = np.tile(np.eye(columns), (1, rows))
    # The dual simplex ends in a vertex, which is whole; an interior point need not be.
    solution = linprog(
        generator.random(table.size),
        A_eq=np.repeat(np.eye(rows), columns, axis=1),
        b_eq=rest.sum(axis=1).round(),
        A_ub=np.vstack([in_column, -in_column]),
        b_ub=np.concatenate([np.ceil(column_sum), -np.floor(column_sum)]),
        # A cell that is whole already must not be rounded up.
        bounds=np.stack([np.zeros(table.size), (rest > 0).ravel()], axis=1),
        method="highs-ds",
    )
    if not solution.success:
        raise RuntimeError(f"No split of these sizes was found: {solution.message}")
    # Whole up to the tolerance of the solver.
    rounded: IntArray = (low + solution.x.reshape(table.shape).round()).astype(np.int64)
    return rounded
