from typing import Any

import pytest

from hilmix.human.elicit.answers.quality import AnsweredTrial, Flag, find_exclusion_reason, find_flags, passes_catch
from hilmix.human.elicit.design.manifest import Trial
from hilmix.human.elicit.store.rows import AnswerRow
from tests.human.elicit.studies import stimulus


def person(
    task: str, *, main: list[Any], catch: list[Any] = (), repeats: list[Any] = (), seconds=2.0, touched=True
) -> list[AnsweredTrial]:
    """Answers of one participant; repeats are of the first trials. Catch trials show image 1 alone, of class 1."""
    kinds = ["practice", *["main"] * len(main), *["catch"] * len(catch), *["repeat"] * len(repeats)]
    named = {"categorical": "top", "vote": "label"}.get(task, "weight")
    out = []
    for i, (kind, value) in enumerate(zip(kinds, [0, *main, *catch, *repeats], strict=True)):
        of = i - len(main) - len(catch) if kind == "repeat" else None
        given = AnswerRow(
            participant=1,
            trial=i,
            key="k",
            answer={"task": task, named: value},
            seconds=seconds,
            touched={"mix": touched, "other": True},
            times={},
            received=float(i),
        )
        trial = Trial(id=i, stimulus=of or i, kind=kind, of=of, start=None)
        out.append(AnsweredTrial(trial, stimulus(of or i, task, catch=kind == "catch"), given))
    return out


def found(judged: list[AnsweredTrial], minimum: float = 0.3) -> dict[str, str]:
    return dict(find_flags(judged, minimum_seconds=minimum))


def test_an_honest_person_has_no_flag():
    assert found(person("infer", main=[0.1, 0.4, 0.9] * 4, catch=[0.8, 1.0], repeats=[0.2, 0.3])) == {}
    assert found([]) == {}


@pytest.mark.parametrize(
    ("task", "right", "wrong"),
    [("infer", 0.75, 0.74), ("construct", 0.5, 0.0), ("select", 0.5, 1.0), ("vote", 1, 3), ("categorical", 1, 3)],
)
def test_catch_trials_have_one_right_answer(task, right, wrong):
    def passes(value: Any) -> bool:
        one = person(task, main=[], catch=[value])[-1]
        return passes_catch(one.shown, one.row.answer)

    assert passes(right)
    assert not passes(wrong)


def test_more_than_half_of_at_least_two_catch_trials():
    assert "catch" not in found(person("infer", main=[], catch=[0.0]))
    assert "catch" not in found(person("infer", main=[], catch=[0.0, 1.0]))
    assert found(person("infer", main=[], catch=[0.0, 1.0, 0.2])) == {"catch": "2 of 3 catch trials failed"}


def test_fast_answers():
    judged = person("infer", main=[0.1, 0.2, 0.3, 0.4])
    quick = [one._replace(row=AnswerRow(**{**vars(one.row), "seconds": 0.1})) for one in judged]
    assert found([*quick[:3], *judged[3:]]) == {}, "two of four, and practice does not count"
    assert found([*quick[:4], *judged[4:]]) == {"fast": "3 of 4 trials took less than 0.3 s"}


def test_the_one_who_answered_1_on_31_of_32_trials_is_found():
    assert found(person("construct", main=[1.0] * 31 + [0.5])) == {"straight": "31 of 32 answers are 1"}
    assert found(person("vote", main=[2] * 9 + [1])) == {"straight": "9 of 10 answers are 2"}
    assert found(person("vote", main=[2] * 8 + [1, 3])) == {}
    assert found(person("vote", main=[2] * 9)) == {}, "too few to tell"


def test_always_one_half_is_no_straight_line_where_it_takes_steps():
    assert found(person("select", main=[0.5] * 20)) == {}
    assert set(found(person("infer", main=[0.5] * 20))) == {"straight"}


def test_repeats_that_disagree():
    assert found(person("infer", main=[0.0, 1.0], repeats=[0.4, 0.7])) == {
        "repeats": "repeats differ by 0.35 on average"
    }
    assert found(person("infer", main=[0.0, 1.0], repeats=[0.2, 0.7])) == {}
    assert found(person("vote", main=[0, 1], repeats=[0, 2])) == {}
    assert found(person("vote", main=[0, 1], repeats=[1, 2])) == {"repeats": "2 of 2 repeats named another class"}


def test_controls_left_where_they_were():
    assert found(person("infer", main=[0.1, 0.2], touched=False)) == {
        "untouched": "a control was not touched in 2 of 2 trials"
    }


def test_only_some_rules_exclude_and_all_reasons_are_named():
    assert find_exclusion_reason([Flag("repeats", "r"), Flag("untouched", "u")]) is None
    assert (
        find_exclusion_reason([Flag("catch", "c"), Flag("repeats", "r"), Flag("straight", "s")])
        == "catch: c; straight: s"
    )
