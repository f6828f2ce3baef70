import pytest

from hilmix.human.elicit.design import texts
from hilmix.human.elicit.design.manifest import TASKS, find_statements

WORDINGS = ("third", "first")


@pytest.mark.parametrize("wording", WORDINGS)
def test_the_consent_asks_for_age_reading_and_agreement(wording):
    text = texts.build_consent(wording, trials=36, minutes=11)
    assert [
        word in statement for word, statement in zip(("18", "read", "agree"), find_statements(text), strict=True)
    ] == [True] * 3
    assert "36 pictures" in text
    assert "11 minutes" in text
    assert "{" not in text


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("task", TASKS)
def test_instructions_and_questions_ask_for_the_view_of_the_wording(task, wording):
    text = texts.build_instructions(task, wording, trials=20, practice=2)
    assert ("100" in text.replace("100 %", "")) == (wording == "third")
    assert "{" not in text
    assert "20 pictures" in text
    assert "first 2 are for practice" in text
    checks = texts.build_checks(task, wording)
    assert len(checks) == 3
    assert all(len(set(check.choices)) == 3 for check in checks)
    view = checks[2]
    assert ("100" in view.choices[view.right]) == (wording == "third")


def test_the_right_choice_does_not_always_stand_in_one_place():
    places = {check.right for task in TASKS for wording in WORDINGS for check in texts.build_checks(task, wording)}
    assert places == {0, 1}


def test_practice_in_words():
    assert "practice" not in texts.build_instructions("infer", "first", trials=20, practice=0)
    assert "The first is for practice." in texts.build_instructions("infer", "first", trials=20, practice=1)
