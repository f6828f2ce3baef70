"""Assignment of batches and order of trials: pure functions of the manifest and of the stored rows."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from hilmix.human.elicit.design.manifest import Batch, Manifest, Trial
from hilmix.human.elicit.store.rows import Coverage

T = TypeVar("T")


def shuffle(items: Sequence[T], *, seed: int, salt: str) -> list[T]:
    """Returns the items in an order drawn from seed and salt: the same in every release, unlike that of a generator."""
    places = range(len(items))
    drawn = sorted(places, key=lambda i: hashlib.sha256(f"{seed}/{salt}/{i}".encode()).digest())
    return [items[i] for i in drawn]


def draw_trial_order(batch: Batch, *, seed: int, participant: int) -> tuple[int, ...]:
    """Returns the trial ids in the order for a participant: practice, then main and catch shuffled, then repeats."""
    by_kind = {"practice": 0, "main": 1, "catch": 1, "repeat": 2}
    parts: list[list[int]] = [[], [], []]
    for trial in batch.trials:
        parts[by_kind[trial.kind]].append(trial.id)
    middle = shuffle(parts[1], seed=seed, salt=f"order/{participant}/{batch.id}")
    return (*parts[0], *middle, *parts[2])


def find_next_trial(order: Sequence[int], answered: Collection[int]) -> int | None:
    """Returns the first trial without an answer; None when all have one."""
    return next((trial for trial in order if trial not in answered), None)


def count_judgments(study: Manifest, coverage: Coverage) -> dict[int, int]:
    """Returns, per stimulus of a main trial, its judgments: those given, and those that running leases promise.

    A participant who holds a lease counts once for each trial of the batch, answered or not yet.
    """
    answered: dict[int, dict[int | None, int]] = {}
    for (trial_id, holder_of), count in coverage.answers.items():
        answered.setdefault(trial_id, {})[holder_of] = count
    total: dict[int, int] = {}
    for batch in study.batches:
        for trial in _main(batch):
            # Answers under a running lease of this batch are in the lease already.
            given = sum(n for holder, n in answered.get(trial.id, {}).items() if holder != batch.id)
            total[trial.stimulus] = total.get(trial.stimulus, 0) + given + coverage.leases.get(batch.id, 0)
    return total


def choose_batch(study: Manifest, counts: Mapping[int, int], *, judged: Collection[int]) -> Batch | None:
    """Returns the batch to give out: the least filled one that still needs judgments; None when none does.

    Args:
        study: the manifest.
        counts: judgments per stimulus, from :func:`count_judgments`.
        judged: stimuli that the participant has judged; a batch with one of them is another participant's.
    """
    free = []
    for batch in study.batches:
        shown = [trial.stimulus for trial in _main(batch)]
        filled = [counts.get(stimulus, 0) for stimulus in shown]
        if shown and min(filled) < study.settings.target_judgments and not set(shown) & set(judged):
            # A batch is as complete as its least judged mix; the mean decides between equal ones.
            free.append((min(filled), sum(filled) / len(filled), batch.id, batch))
    # The id before the batch breaks ties, so that batches are never compared.
    return min(free)[-1] if free else None


def needs_judgments(study: Manifest, batch: Batch, counts: Mapping[int, int], *, answered: Collection[int]) -> bool:
    """Returns whether a participant whose lease ran out may go on: others have not answered all the rest meanwhile.

    Args:
        study: the manifest.
        batch: theirs.
        counts: judgments per stimulus, from :func:`count_judgments`, in which they no longer hold a lease.
        answered: trials that they have answered.
    """
    rest = [trial.stimulus for trial in _main(batch) if trial.id not in answered]
    return not rest or any(counts.get(stimulus, 0) < study.settings.target_judgments for stimulus in rest)


def _main(batch: Batch) -> Iterator[Trial]:
    return (trial for trial in batch.trials if trial.kind == "main")
