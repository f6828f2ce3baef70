"""Simulated participants behind real HTTP."""

import pytest

from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.answers.read import collect_answers
from hilmix.human.elicit.answers.status import compute_status
from hilmix.human.elicit.design.manifest import TASKS, read_manifest
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.simulation.behaviour import NAMES, Behaviour
from hilmix.human.elicit.simulation.participants import COMMENT, run_server, simulate, simulate_study
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import make_study, make_tasks


def answers(folder):
    """All that draws decide; codes and the time of day are new each time."""
    given = read_rows(folder / "answers.sqlite", Rows.read_answers)
    return [(one.participant, one.trial, one.key, one.answer, one.seconds, one.touched) for one in given]


def test_the_same_seed_gives_the_same_answers_and_all_participants_finish(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_tasks(tmp_path / name, list(TASKS), target_judgments=1)
        found = simulate_study(tmp_path / name, participants=6, behaviours=[Behaviour()], seed=seed)
        assert [one.phase for one in found] == ["done"] * 5 + ["full"], "nothing is left for the sixth"
        assert [one.answers for one in found] == [7] * 5 + [0]
    assert answers(tmp_path / "a") == answers(tmp_path / "b")
    assert not {key for _, _, key, *_ in answers(tmp_path / "a")} & {key for _, _, key, *_ in answers(tmp_path / "c")}
    surveys = read_rows(tmp_path / "a" / "answers.sqlite", Rows.read_surveys)
    assert {survey.comments for survey in surveys} == {COMMENT}


def test_the_rules_of_quality_find_who_misbehaves(tmp_path):
    folder = make_study(tmp_path / "s", mains=12, target_judgments=100)
    simulate_study(folder, participants=len(NAMES), behaviours=[Behaviour(name) for name in NAMES])
    seen = read_rows(folder / "answers.sqlite", lambda rows: compute_status(Study.open(folder), rows, 0.0)).participants
    rules = dict(zip(NAMES, [{flag.rule for flag in one.flags} for one in seen], strict=True))
    expected = {"straight-liner": {"straight"}, "fast": {"fast"}, "fails-catch": {"catch"}, "untouched": {"untouched"}}
    assert {name: rules[name] for name in expected} == expected
    assert rules["logit"] == set()
    excluded = collect_answers(folder).excluded
    assert {f"p{1 + NAMES.index(name):03d}" for name in ("straight-liner", "fast", "fails-catch")} <= set(excluded)


def test_a_study_that_people_have_joined_is_left_alone(tmp_path):
    folder = make_study(tmp_path / "s")
    simulate_study(folder, participants=1, behaviours=[Behaviour()])
    before = answers(folder)
    with pytest.raises(DataError, match=r"participants already.*answers\.sqlite"):
        simulate_study(folder, participants=1, behaviours=[Behaviour()])
    assert answers(folder) == before


def test_the_wrong_study_behind_a_link(tmp_path):
    right, wrong = make_study(tmp_path / "s"), make_study(tmp_path / "w", "vote")
    with run_server(right) as link:
        for bad, message in (
            (link + "x", "does not lead into a study: This link is not valid"),
            (link.replace("/join/", "/nothing/"), "does not lead into a study"),
        ):
            with pytest.raises(DataError, match=message):
                simulate(bad, read_manifest(right), participants=1, behaviours=[Behaviour()])
        with pytest.raises(DataError, match=r"refused a step|not in study\.json"):
            simulate(link, read_manifest(wrong), participants=1, behaviours=[Behaviour()])
    with pytest.raises(DataError, match="does not answer"):
        simulate(link, read_manifest(right), participants=1, behaviours=[Behaviour()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"participants": 0}, "participants.* >= 1, got 0"),
        ({"seed": -1}, "seed.* >= 0, got -1"),
        ({"behaviours": []}, "behaviours.*got none"),
    ],
)
def test_bad_numbers(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        simulate_study(make_study(tmp_path / "s"), **({"participants": 1, "behaviours": [Behaviour()]} | change))
