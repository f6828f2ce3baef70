"""Where a participant stands, from what is stored."""

from dataclasses import replace
from pathlib import Path

import pytest

from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.settings import Design
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve.flow import (
    ParticipantState,
    build_state,
    build_withdrawn_state,
    convert_weight,
    disguise_weights,
    find_offered_images,
    find_phase,
)
from hilmix.human.elicit.store.rows import Participant
from tests.human.elicit.studies import OFFERED, make_tasks
from tests.human.elicit.study_data import pictures

PARTICIPANT = Participant(
    number=1,
    code="c" * 24,
    platform=None,
    phase="trials",
    attempts=1,
    created=0.0,
    batch=0,
    lease_until=9.0,
    order=(0, 2, 1, 3),
    consented=1.0,
    excluded=None,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder: Path = tmp_path_factory.mktemp("s") / "s"
    return Study.open(make_tasks(folder, ["construct", "select", "categorical"]))


@pytest.mark.parametrize(
    ("stored", "answered", "reassigned", "expected"),
    [
        ("consent", (), False, "consent"),
        ("instructions", (), False, "instructions"),
        ("instructions", (), True, "expired"),
        ("check", (), True, "expired"),
        ("trials", (), False, "practice"),
        ("trials", (0,), False, "trials"),
        ("trials", (0,), True, "expired"),
        ("survey", (0, 1, 2, 3), True, "survey"),
        ("done", (), True, "done"),
        ("failed_check", (), True, "failed_check"),
        ("full", (), False, "full"),
    ],
)
def test_phase(study, stored, answered, reassigned, expected):
    assert (
        find_phase(study, ParticipantState(replace(PARTICIPANT, phase=stored), set(answered), reassigned)) == expected
    )


def test_texts_are_shown_in_their_phases_only(study):
    shown = {
        stored: build_state(study, ParticipantState(replace(PARTICIPANT, phase=stored), {0}, False)).study
        for stored in ("consent", "instructions", "check", "trials", "survey", "done")
    }
    assert [name for name, view in shown.items() if view.consent] == ["consent"]
    assert [name for name, view in shown.items() if view.statements] == ["consent"]
    assert [name for name, view in shown.items() if view.instructions] == ["instructions", "check", "trials"]
    assert [name for name, view in shown.items() if view.thanks] == ["done"]


def test_the_trial_at_hand_and_what_to_load_ahead(study):
    shown = build_state(study, ParticipantState(PARTICIPANT, {0}, False))
    assert shown.trial is not None
    assert (shown.trial.id, shown.trial.kind, shown.trial.start) == (2, "trial", 0.0)
    assert shown.preload == build_state(study, ParticipantState(PARTICIPANT, {0, 2}, False)).trial.images
    assert build_state(study, ParticipantState(PARTICIPANT, {0, 2, 1}, False)).preload == ()
    assert (shown.progress.done, shown.progress.total) == (0, 3)
    assert shown.completion_code is None


def test_steps_rise_and_thumbnails_are_shuffled_with_their_images(study):
    assert [weight for _, weight in find_offered_images(study, PARTICIPANT, 1)] == list(OFFERED)
    by_person = [find_offered_images(study, replace(PARTICIPANT, number=number), 8) for number in range(20)]
    assert len({tuple(offer) for offer in by_person}) > 10
    shown = study.stimulus(8)
    assert {frozenset(offer) for offer in by_person} == {frozenset(zip(shown.images, shown.weights, strict=True))}
    assert find_offered_images(study, PARTICIPANT, 15) is None


def test_class_order_is_the_persons_own_and_stays(study):
    def order(number: int, trial: int) -> tuple[int, ...]:
        person = replace(PARTICIPANT, number=number, batch=2, order=(trial,))
        return build_state(study, ParticipantState(person, set(), False)).trial.class_order

    assert order(1, 15) == order(1, 16)
    assert len({order(number, 15) for number in range(30)}) > 10


def test_nothing_is_left_of_those_who_withdrew(study):
    assert (
        build_withdrawn_state(study).phase,
        build_withdrawn_state(study).task,
        build_withdrawn_state(study).trial,
    ) == (
        "withdrawn",
        None,
        None,
    )


@pytest.mark.parametrize("task", ["construct", "select"])
def test_weights_offered_to_pages_do_not_reveal_catch_trials(task, tmp_path):
    """Catch trials offer other mixes than main ones, under the same weights and starts; stored is what was meant."""
    design = Design(tasks=(task,), pairs=6, per_batch=6, practice=0, repeats=0)
    manifest = build_study(pictures(), tmp_path / "s", design)
    built = Study.open(tmp_path / "s")
    for trial in manifest.batches[0].trials:
        person = replace(PARTICIPANT, order=(trial.id,))
        view, shown = build_state(built, ParticipantState(person, set(), False)).trial, manifest.stimuli[trial.stimulus]
        assert sorted(view.weights) == [i / 10 for i in range(11)]
        assert view.start in ((0.1, 0.9) if task == "construct" else (None,))
        assert (shown.weights[1] == 0.1) == (trial.kind == "main")
        for address, weight in zip(view.images, view.weights, strict=True):
            place = shown.images.index(address.rpartition("/")[2])
            meant = convert_weight({"task": task, "weight": weight}, disguise_weights(shown), shown.weights)
            assert meant == {"task": task, "weight": shown.weights[place]}
            assert convert_weight(meant, shown.weights, disguise_weights(shown))["weight"] == weight
