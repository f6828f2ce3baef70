"""Simulated people do what their name says, and their mean is the curve."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from hilmix.errors import ConfigError
from hilmix.human.elicit.answers.bodies import Answer, find_problem
from hilmix.human.elicit.answers.quality import passes_catch
from hilmix.human.elicit.design.manifest import TASKS
from hilmix.human.elicit.simulation.behaviour import NAMES, Behaviour, draw_answer, draw_seconds
from hilmix.human.functional.curve_fits import fit_curve
from tests.human.elicit.studies import CLASSES, OFFERED, stimulus


def given(who: Behaviour, task: str, *, kind: str = "main", weight: float = 0.3, seed: int = 0) -> dict:
    shown = stimulus(0, task, catch=kind == "catch")
    if shown.weights is None and kind != "catch":
        shown = shown.model_copy(update={"weight": weight})
    rng = np.random.default_rng(seed)
    return draw_answer(who, shown, kind, offered=shown.weights, num_classes=len(CLASSES), rng=rng)


@pytest.mark.parametrize("kind", ["main", "catch"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_one_that_the_server_takes(name, task, kind):
    for seed in range(20):
        answer = given(Behaviour(name), task, kind=kind, seed=seed, weight=[0.01, 0.3, 0.99][seed % 3])
        shown = stimulus(0, task, catch=kind == "catch")
        checked = TypeAdapter(Answer).validate_python(answer)
        assert find_problem(checked, shown, weights=shown.weights, num_classes=len(CLASSES)) is None
        if kind == "catch" and name in ("logit", "fast", "untouched"):
            assert passes_catch(shown, answer)
        if (
            kind == "catch"
            and name in ("fails-catch", "straight-liner")
            and (name, task) != ("straight-liner", "infer")
        ):
            assert not passes_catch(shown, answer)


def test_the_mean_is_the_curve_and_a_fit_finds_it_again():
    who, weights = Behaviour(a=0.4, b=0.6, sd=0.15), np.repeat([0.1, 0.25, 0.5, 0.75, 0.9], 400)
    answer = np.array([given(who, "infer", weight=w, seed=i)["weight"] for i, w in enumerate(weights)])
    for weight in np.unique(weights):
        curve = 1 / (1 + np.exp(-(0.4 + 0.6 * np.log(weight / (1 - weight)))))
        assert who.perceived_weight(weight) == pytest.approx(curve)
        assert abs(answer[weights == weight].mean() - curve) < 4 * 0.15 / 20
        spread = 2 * 0.15 * np.sqrt(curve * (1 - curve))
        assert answer[weights == weight].std() == pytest.approx(spread, rel=0.15)
    fit = fit_curve("logit", weights, answer, np.arange(len(answer)))
    for value, low, high in zip((0.4, 0.6), fit.low, fit.high, strict=True):
        assert low < value < high


def test_without_scatter_the_midpoint_is_where_the_curve_crosses_one_half():
    """logit(1/2) = 0 = a + b logit w: here at w = .75, and of the offered weights the nearest."""
    who = Behaviour(a=-np.log(3), b=1.0, sd=0)
    for task in ("construct", "select"):
        answer = given(who, task)
        assert answer["weight"] == 0.75
        assert answer.get("position") in (None, OFFERED.index(0.75))


def test_percents_are_the_perceived_shares_and_the_rest_is_impossible():
    answer = given(Behaviour(a=0, b=1, sd=0), "categorical", weight=0.3)
    assert answer == {
        "task": "categorical",
        "top": 3,
        "top_percent": 70,
        "second": 1,
        "second_percent": 30,
        "impossible": [0, 2],
    }


def test_votes_follow_the_shares():
    labels = [given(Behaviour(a=0, b=1, sd=0), "vote", weight=0.3, seed=seed)["label"] for seed in range(2000)]
    assert set(labels) == {1, 3}
    assert np.mean(np.array(labels) == 1) == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 2000))


def test_seconds():
    usual, fast = (
        [draw_seconds(Behaviour(name), np.random.default_rng(i)) for i in range(200)] for name in ("logit", "fast")
    )
    assert max(fast) < 0.5 < min(usual)
    assert np.median(usual) == pytest.approx(8, rel=0.15)


def test_parsing():
    assert Behaviour.parse("logit") == Behaviour()
    assert Behaviour.parse("fast:b=0.5,a=-1") == Behaviour("fast", a=-1.0, b=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sleepy", "name.*logit, straight-liner.*sleepy"),
        ("logit:c=1", "NAME or NAME:a=NUMBER"),
        ("logit:a=x", "NAME or NAME:a=NUMBER"),
        ("logit:a", "NAME or NAME:a=NUMBER"),
        ("logit:a=nan", "a.*got nan"),
        ("logit:b=0", "b.* > 0.*got 0.0"),
        ("logit:sd=0.5", "sd.*0.5.*got 0.5"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Behaviour.parse(text)
