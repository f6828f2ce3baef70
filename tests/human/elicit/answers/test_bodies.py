import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hilmix.human.elicit.answers.bodies import Answer, Categorical, Consent, Submission, SurveyAnswers, find_problem
from tests.human.elicit.studies import stimulus

ANSWER: TypeAdapter[Any] = TypeAdapter(Answer)
INFER = {"task": "infer", "weight": 0.5, "confidence": 1}
CATEGORICAL = {
    "task": "categorical",
    "top": 1,
    "top_percent": 60,
    "second": 3,
    "second_percent": 40.0,
    "impossible": [0],
}
SUBMISSION = {
    "key": "0b5f6a0e-5d6c-4f7e-9a51-6b1de4c0ffee",
    "trial": 3,
    "answer": INFER,
    "seconds": 1.5,
    "touched": {"mix": True},
    "times": {"mix": 1},
}


@pytest.mark.parametrize(
    "value", [True, "0.5", None, math.nan, math.inf, -math.inf, -1e-9, 1.0000001, [0.5], {}, 10**400]
)
def test_a_fraction_is_a_finite_number_from_0_to_1(value):
    with pytest.raises(ValidationError):
        ANSWER.validate_python(INFER | {"weight": value})


@pytest.mark.parametrize("value", [True, 1.0, "1", -1, 2**31, [1]])
def test_a_class_is_a_whole_number(value):
    with pytest.raises(ValidationError):
        ANSWER.validate_python({"task": "vote", "label": value, "confidence": 0.5})


@pytest.mark.parametrize(
    "change",
    [
        {"second": None},
        {"second_percent": None},
        {"second": 1},
        {"top_percent": 60.5},
        {"impossible": [0, 0]},
        {"impossible": [1]},
        {"impossible": [3]},
        {"impossible": "02"},
        {"impossible": {0: 1}},
        {"top_percent": 101, "second": None, "second_percent": None},
        {"task": "vote"},
        {"task": "other"},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_class_answer_does_not_contradict_itself(change):
    ANSWER.validate_python(CATEGORICAL)
    with pytest.raises(ValidationError):
        ANSWER.validate_python(CATEGORICAL | change)


def test_percents_need_not_add_up_and_an_alternative_is_not_asked_for():
    alone = ANSWER.validate_python(
        CATEGORICAL | {"top_percent": 0, "second": None, "second_percent": None, "impossible": []}
    )
    assert isinstance(alone, Categorical)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "1"},
        {"key": SUBMISSION["key"] + "\n"},
        {"trial": 1.5},
        {"seconds": math.nan},
        {"seconds": -1},
        {"touched": {"mix": 1}},
        {"touched": {"<b>": True}},
        {"touched": {f"c{i}": True for i in range(21)}},
        {"times": {"mix": math.inf}},
        {"more": 1},
    ],
    ids=str,
)
def test_what_goes_with_an_answer_is_strict(change):
    Submission.model_validate(SUBMISSION)
    with pytest.raises(ValidationError):
        Submission.model_validate(SUBMISSION | change)


@pytest.mark.parametrize("accepted", [False, 1, "true", None])
def test_consent_is_given_or_not(accepted):
    with pytest.raises(ValidationError):
        Consent.model_validate({"accepted": accepted})


@pytest.mark.parametrize(
    "change",
    [
        {"clarity": 0},
        {"clarity": 11},
        {"difficulty": 1.5},
        {"comments": "x" * 5001},
        {"strategy": None},
        {"strategy": "\ud800"},
    ],
)
def test_the_survey_is_bounded(change):
    good = {"clarity": 1, "difficulty": None, "strategy": "", "comments": "<script>"}
    SurveyAnswers.model_validate(good)
    with pytest.raises(ValidationError):
        SurveyAnswers.model_validate(good | change)


def check(answer: dict[str, Any], task: str, weights=None) -> str | None:
    return find_problem(ANSWER.validate_python(answer), stimulus(0, task), weights=weights, num_classes=4)


def test_an_answer_fits_what_was_shown():
    offered, shuffled = [0.0, 0.25, 0.5, 0.75, 1.0], [0.5, 1.0, 0.0, 0.75, 0.25]
    assert check({"task": "construct", "weight": 0.25}, "construct", offered) is None
    assert check({"task": "construct", "weight": 0.3}, "construct", offered) == (
        "The weight must be one of [0.0, 0.25, 0.5, 0.75, 1.0], got 0.3."
    )
    assert check({"task": "select", "weight": 0.75, "position": 3}, "select", shuffled) is None
    for position in (2, 5):
        assert "not the one" in check({"task": "select", "weight": 0.75, "position": position}, "select", shuffled)
    assert check(INFER, "infer") is None
    assert check(INFER, "vote") == "The answer is of task infer; the trial is of task vote."
    assert check({"task": "vote", "label": 3, "confidence": 0}, "vote") is None
    assert "Classes must be in [0, 3], got 4" in check({"task": "vote", "label": 4, "confidence": 0}, "vote")
    assert check(CATEGORICAL, "categorical") is None
    for change in ({"top": 4}, {"second": 4}, {"impossible": [0, 4]}):
        assert "got 4" in check(CATEGORICAL | change, "categorical")
