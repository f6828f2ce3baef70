from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hilmix.human.elicit.design.manifest import Manifest, read_manifest
from hilmix.human.elicit.serve.assignment import (
    choose_batch,
    count_judgments,
    draw_trial_order,
    find_next_trial,
    needs_judgments,
    shuffle,
)
from hilmix.human.elicit.store.rows import Coverage
from tests.human.elicit.studies import make_study


@pytest.fixture
def study(tmp_path: Path) -> Manifest:
    """Three batches of two main trials; a trial's id modulo 6 is practice 0, main 1 and 2, catch 3 and 4, repeat 5."""
    return read_manifest(make_study(tmp_path / "s", batches=3, mains=2, target_judgments=2))


def test_order_keeps_practice_first_and_repeats_last_and_is_the_persons_own(study):
    orders = [draw_trial_order(study.batches[1], seed=7, participant=number) for number in range(40)]
    assert {(order[0], order[-1]) for order in orders} == {(6, 11)}
    middles = Counter(order[1:-1] for order in orders)
    assert {tuple(sorted(middle)) for middle in middles} == {(7, 8, 9, 10)}
    assert len(middles) > 12, "of 24 possible orders"
    assert draw_trial_order(study.batches[1], seed=7, participant=3) == orders[3]
    assert [draw_trial_order(study.batches[1], seed=8, participant=number) for number in range(40)] != orders


def test_shuffling_is_the_same_in_every_release():
    """The digests of "1/a/0" to "1/a/4" by sha256sum begin with 0c, b5, c8, 38 and 78."""
    assert shuffle("vwxyz", seed=1, salt="a") == list("vyzwx")


def test_shuffling_favours_no_order():
    counts = Counter(tuple(shuffle("abc", seed=0, salt=str(salt))) for salt in range(6000))
    chi2 = sum((n - 1000) ** 2 / 1000 for n in counts.values())
    assert len(counts) == 6
    assert chi2 < 20.5, "99.9 % quantile at 5 degrees of freedom"


def test_next_trial_is_the_first_unanswered():
    assert find_next_trial((4, 2, 9), {4}) == 2
    assert find_next_trial((4, 2, 9), {4, 9}) == 2
    assert find_next_trial((4, 2), {4, 2, 7}) is None


def test_judgments_count_leaseholders_once_and_all_others_by_answer(study):
    """Batch 0, trials 1 and 2: one lease (trial 1 answered under it), two former people answered trial 1, one 2."""
    counts = count_judgments(
        study, Coverage({(1, 0): 1, (1, None): 2, (2, 1): 1, (0, None): 9, (5, None): 9}, {0: 1, 1: 1})
    )
    stimuli = [trial.stimulus for trial in study.batches[0].trials[1:3]]
    assert [counts[s] for s in stimuli] == [1 + 2, 1 + 1]
    assert [counts[trial.stimulus] for trial in study.batches[1].trials[1:3]] == [1, 1]
    assert study.batches[0].trials[0].stimulus not in counts, "practice needs no judgments"


def test_the_least_filled_batch_comes_first_until_the_target(study):
    leases: dict[int, int] = {}
    given_out = []
    while (batch := choose_batch(study, count_judgments(study, Coverage({}, leases)), judged=())) is not None:
        given_out.append(batch.id)
        leases[batch.id] = leases.get(batch.id, 0) + 1
    assert given_out == [0, 1, 2, 0, 1, 2], "target 2"


def test_one_stimulus_short_of_the_target_is_enough_to_give_a_batch_out(study):
    full = {(trial.id, None): 2 for batch in study.batches for trial in batch.trials}
    assert choose_batch(study, count_judgments(study, Coverage(full, {})), judged=()) is None
    short = full | {(8, None): 1}
    assert choose_batch(study, count_judgments(study, Coverage(short, {})), judged=()).id == 1


def test_no_participant_gets_a_stimulus_twice(study):
    first = study.batches[0].trials[1].stimulus
    assert choose_batch(study, {}, judged={first}).id == 1
    everything = {trial.stimulus for batch in study.batches for trial in batch.trials}
    assert choose_batch(study, {}, judged=everything) is None


def test_a_lapsed_lease_goes_on_while_any_of_the_rest_is_wanted(study):
    batch = study.batches[0]
    one, two = (trial.stimulus for trial in batch.trials[1:3])
    assert needs_judgments(study, batch, {one: 2, two: 1}, answered={1})
    assert not needs_judgments(study, batch, {one: 1, two: 2}, answered={1})
    assert needs_judgments(study, batch, {one: 2, two: 2}, answered={1, 2}), "only catch trials and repeats are left"


@given(st.lists(st.sampled_from(["take", "finish", "leave"]), max_size=60), st.randoms(use_true_random=False))
def test_whatever_people_do_all_targets_are_met_and_batches_stay_level(manifest_of_three, steps, random):
    """A crowd that takes, finishes and abandons batches; then all finish. Checked against plain counting."""
    study, target = manifest_of_three, 2
    finished: Counter[int] = Counter()
    running: list[int] = []

    def coverage() -> Coverage:
        answers = {(trial.id, None): finished[batch.id] for batch in study.batches for trial in batch.trials}
        return Coverage(answers, dict(Counter(running)))

    for step in steps:
        if step == "take" and (batch := choose_batch(study, count_judgments(study, coverage()), judged=())) is not None:
            level = finished + Counter(running)
            assert level[batch.id] == min(level[b.id] for b in study.batches), "least filled"
            running.append(batch.id)
        elif step != "take" and running:
            left = running.pop(random.randrange(len(running)))
            finished[left] += step == "finish"
    while running or (batch := choose_batch(study, count_judgments(study, coverage()), judged=())) is not None:
        running, done = [], running or [batch.id]
        finished.update(done)
    assert set(finished.values()) == {target}


@pytest.fixture(scope="module")
def manifest_of_three(tmp_path_factory) -> Manifest:
    return read_manifest(make_study(tmp_path_factory.mktemp("s") / "s", batches=3, mains=2, target_judgments=2))
