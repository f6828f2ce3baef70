"""Choice of images to mix and of their weights: pure functions of class numbers and a generator."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import DataError

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]


class Pairs(NamedTuple):
    """Rows of the data: image 1 and image 2 of each pair."""

    first: IntArray
    """(P,) int64."""
    second: IntArray
    """(P,) int64; for a single image the same as ``first``."""


def draw_balanced_codes(strata: IntArray, into: int, rng: np.random.Generator) -> IntArray:
    """Returns codes in [0, into), each as often as any other up to one, in all and within each stratum.

    Strata that follow each other are also even together: with ``strata = a * n + b`` the codes are even in each ``a``.

    Args:
        strata: (P,) integers.
        into: number of codes.
        rng: source of which get which.

    Example:
        >>> codes = draw_balanced_codes(np.array([0, 0, 1, 1]), 2, np.random.default_rng(0))
        >>> sorted(codes[:2].tolist()), sorted(codes[2:].tolist())
        ([0, 1], [0, 1])
    """
    # Dealing in turn along the sorted strata is even in every run of neighbours; order within a stratum is random.
    order = np.lexsort((rng.random(len(strata)), strata))
    codes = np.empty(len(strata), dtype=np.int64)
    codes[order] = rng.permutation(into)[np.arange(len(strata)) % into]
    return codes


def draw_pairs(label: IntArray, number: int, *, classes: Sequence[str], rng: np.random.Generator) -> Pairs:
    """Draws pairs of images of two classes: none twice, pairs of classes balanced, images used evenly.

    Each pair of classes comes as often as any other up to one, also among the first n pairs for any n; within a class
    each image is used as often as any other up to one.

    Args:
        label: (N,) int64 class of each image, -1 for images that must not be used.
        number: P.
        classes: K names, for the error.
        rng: source of the draws.

    Raises:
        DataError: if fewer than two classes have images, or a pair of classes has too few images.
    """
    present = _present(label, classes)
    members = [rng.permutation(np.flatnonzero(label == k)) for k in present]
    couples = rng.permutation(np.stack(np.triu_indices(len(present), 1), axis=1))
    quota = np.bincount(np.arange(number) % len(couples), minlength=len(couples))
    start = np.zeros(len(present), dtype=np.int64)
    first, second = np.empty(number, dtype=np.int64), np.empty(number, dtype=np.int64)
    for c, (a, b) in enumerate(couples):
        sizes = len(members[a]), len(members[b])
        if quota[c] > sizes[0] * sizes[1]:
            raise DataError(
                f"Classes '{classes[present[a]]}' and '{classes[present[b]]}' with {sizes[0]} and {sizes[1]} images "
                f"give {sizes[0] * sizes[1]} pairs, but {quota[c]} are needed. Lower `design.pairs`."
            )
        i, j = _all_meet(quota[c], *sizes)
        # Interleaved, so that the first n pairs are balanced as well.
        first[c :: len(couples)] = members[a][(start[a] + i) % sizes[0]]
        second[c :: len(couples)] = members[b][(start[b] + j) % sizes[1]]
        # The next pair of classes goes on where this one stopped: images are used evenly.
        start[[a, b]] += quota[c]
    return Pairs(first, second)


def _all_meet(number: int, n: int, m: int) -> tuple[IntArray, IntArray]:
    """``number`` different places in an n x m table; row t is t mod n, columns are used as evenly, in turn at the end.

    After lcm(n, m) steps of both in turn the places would repeat, so each such round has its own shift of the columns;
    the last, which may be incomplete, has none, so that the next user of the column goes on where it stopped.
    """
    step = np.arange(number)
    rounds = step // np.lcm(n, m)
    return step % n, (step + rounds.max(initial=0) - rounds) % m


def draw_images(label: IntArray, number: int, *, classes: Sequence[str], rng: np.random.Generator) -> Pairs:
    """Draws different single images, classes balanced up to one, also among the first n for any n.

    Args:
        label: as in :func:`draw_pairs`.
        number: P.
        classes: K names, for the error.
        rng: source of the draws.

    Raises:
        DataError: if a class has too few images.
    """
    present = rng.permutation(_present(label, classes))
    chosen = np.empty(number, dtype=np.int64)
    for c, k in enumerate(present):
        members, places = np.flatnonzero(label == k), chosen[c :: len(present)]
        if len(places) > len(members):
            raise DataError(
                f"Class '{classes[k]}' has {len(members)} images, but {len(places)} are needed. Lower `design.pairs`."
            )
        chosen[c :: len(present)] = rng.permutation(members)[: len(places)]
    return Pairs(chosen, chosen.copy())


def find_least_sure_pairs(label: IntArray, probs: DoubleArray, number: int, *, classes: Sequence[str]) -> Pairs:
    """Returns the pairs of images that a model takes most for each other's class, each image in as few as possible.

    The score of images i of class a and j of class b is p_i(b) + p_j(a). In every pair of classes the images are
    paired by rank, the most mistaken with the most mistaken, and the best scores win; an image comes again only after
    no pair of unused images is left.

    Args:
        label: as in :func:`draw_pairs`; images that were not predicted have -1.
        probs: (N, K) float64 class probabilities.
        number: P.
        classes: K names, for the errors.

    Raises:
        DataError: if fewer than two classes have images, or their ranks give fewer pairs than wanted.
    """
    present = _present(label, classes)
    found = []
    for a, b in present[np.stack(np.triu_indices(len(present), 1), axis=1)]:
        one = _most(np.flatnonzero(label == a), probs[:, b])
        two = _most(np.flatnonzero(label == b), probs[:, a])
        shared = min(len(one), len(two))
        found.append(np.stack([one[:shared], two[:shared]], axis=1))
    candidates = np.concatenate(found)
    if len(candidates) < number:
        raise DataError(
            f"The images in the predictions give {len(candidates)} pairs of images of two classes, but {number} are "
            "needed. Ask for fewer mixes, or predict more items."
        )
    i, j = candidates.T
    # stable: equal scores in the order of the data, on every machine.
    best = candidates[np.argsort(-(probs[i, label[j]] + probs[j, label[i]]), kind="stable")]
    first, second = best[_sparing(best, number, len(label))].T
    return Pairs(first, second)


def _sparing(pairs: IntArray, number: int, num_items: int) -> list[int]:
    """Rows of the first pairs whose images are new; when there are no more, of those whose images came once; ..."""
    used, left = np.zeros(num_items, dtype=np.int64), list(range(len(pairs)))
    chosen: list[int] = []
    # Each round allows one more use of an image; scores stay in order within a round.
    for most in range(1, len(pairs) + 1):
        passed = []
        for row in left:
            if len(chosen) < number and used[pairs[row]].max() < most:
                chosen.append(row)
                used[pairs[row]] += 1
            else:
                passed.append(row)
        left = passed
        if len(chosen) == number:
            break
    return chosen


def find_least_sure_images(label: IntArray, probs: DoubleArray, number: int) -> Pairs:
    """Returns the single images whose most probable class has the lowest probability, lowest first.

    Args:
        label: as in :func:`draw_pairs`; images that were not predicted have -1.
        probs: (N, K) float64 class probabilities.
        number: P.

    Raises:
        DataError: if there are fewer.
    """
    usable = np.flatnonzero(label >= 0)
    if len(usable) < number:
        raise DataError(f"The predictions hold {len(usable)} images, but {number} are needed. Lower `design.pairs`.")
    chosen = _most(usable, -probs.max(axis=1))[:number]
    return Pairs(chosen, chosen.copy())


def _most(rows: IntArray, score: DoubleArray) -> IntArray:
    return rows[np.argsort(-score[rows], kind="stable")]


def _present(label: IntArray, classes: Sequence[str]) -> IntArray:
    present = np.unique(label[label >= 0])
    if len(present) < 2:
        known = f"only '{classes[present[0]]}'" if len(present) else "none"
        raise DataError(
            f"Images of two classes are needed, but of the {len(classes)} classes {known} has images that can be used. "
            "Add items with a target or with votes that do not tie, in the training split where there is one."
        )
    return present
