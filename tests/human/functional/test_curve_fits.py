"""Curve fits against scipy's own optimiser, a logistic regression, the bootstrap, and the constants of H-Mix."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import optimize, special, stats

from hilmix.errors import ConfigError, DataError
from hilmix.human.functional.curve_fits import PARAMETERS, fit_curve

FORMULAS = {
    "logit": lambda w, p: special.expit(p[0] + p[1] * special.logit(w)),
    "probit": lambda w, p: stats.norm.cdf(p[0] + p[1] * stats.norm.ppf(w)),
    "logistic": lambda w, p: special.expit(p[0] * (w - p[1])),
}
WEIGHTS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def draw(seed: int, people: int = 30, trials: int = 20, a: float = -0.2, b: float = 0.9, taste: float = 0.4):
    """Answers along a logit curve by people with tastes of their own."""
    rng = np.random.default_rng(seed)
    weight, who = rng.choice(WEIGHTS, people * trials), np.repeat(np.arange(people), trials)
    mean = special.expit(a + b * special.logit(weight) + taste * rng.normal(size=people)[who])
    return weight, rng.beta(4 * mean, 4 * (1 - mean)), who


@pytest.mark.parametrize("kind", PARAMETERS)
@pytest.mark.parametrize("criterion", ["likelihood", "squares"])
def test_parameters_equal_those_of_a_search_without_gradients(kind, criterion):
    w, y, who = draw(0)

    def loss(p):
        h = FORMULAS[kind](w, p)
        return np.mean((y - h) ** 2 if criterion == "squares" else -special.xlogy(y, h) - special.xlog1py(1 - y, -h))

    found = fit_curve(kind, w, y, who, criterion=criterion)
    searched = optimize.minimize(loss, [1.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15})
    assert found.parameters == pytest.approx(searched.x, abs=1e-5)
    np.testing.assert_allclose(found(WEIGHTS), FORMULAS[kind](WEIGHTS, found.parameters))
    assert found.mean_squared_error == pytest.approx(np.mean((y - FORMULAS[kind](w, searched.x)) ** 2), abs=1e-7)
    assert (found.answers, found.participants) == (600, 30)


@pytest.mark.parametrize("kind", PARAMETERS)
@given(st.floats(0.3, 3), st.floats(0.2, 0.8))
def test_answers_on_a_curve_give_it_back(kind, first, second):
    w = np.repeat(WEIGHTS, 2)
    for criterion in ("likelihood", "squares"):
        found = fit_curve(kind, w, FORMULAS[kind](w, (first, second)), np.arange(10), criterion=criterion)
        assert found.parameters == pytest.approx((first, second), abs=1e-4)


def test_intervals_are_those_of_the_textbook_sandwich():
    """Logit curve: logistic regression on logit(w), whose scores and information are known."""
    w, y, who = draw(1)
    found = fit_curve("logit", w, y, who, level=0.9)
    x = np.stack([np.ones_like(w), special.logit(w)], 1)
    mean = special.expit(x @ found.parameters)
    bread = np.linalg.inv(sum(m * (1 - m) * np.outer(v, v) for m, v in zip(mean, x, strict=True)))
    scores = [(x[who == g] * (y - mean)[who == g, None]).sum(0) for g in range(30)]
    covariance = bread @ (30 / 29 * sum(np.outer(s, s) for s in scores)) @ bread
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6)
    half = stats.t.ppf(0.95, 29) * np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.high, found.parameters + half, rtol=1e-6)
    np.testing.assert_allclose(found.low, found.parameters - half, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "criterion"), [("logit", "likelihood"), ("logistic", "squares"), ("probit", "squares")]
)
def test_intervals_agree_with_a_bootstrap_of_participants(kind, criterion):
    w, y, who = draw(2)
    found = fit_curve(kind, w, y, who, criterion=criterion)
    rng = np.random.default_rng(0)
    refits = []
    for _ in range(150):
        rows = np.concatenate([np.flatnonzero(who == g) for g in rng.integers(0, 30, 30)])
        refits.append(fit_curve(kind, w[rows], y[rows], who[rows], criterion=criterion).parameters)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), np.std(refits, axis=0), rtol=0.25)


def test_intervals_cover_the_truth():
    """Without tastes, which flatten the mean curve, the drawn curve is the population's."""
    inside = np.zeros(2)
    for seed in range(200):
        found = fit_curve("logit", *draw(seed, people=15, taste=0.0))
        inside += (np.array(found.low) <= (-0.2, 0.9)) & (np.array(found.high) >= (-0.2, 0.9))
    assert (inside / 200 >= 0.9).all()


def test_swapping_the_images_turns_the_offset_round():
    w, y, who = draw(3)
    found, swapped = fit_curve("logit", w, y, who), fit_curve("logit", 1 - w, 1 - y, who)
    assert swapped.parameters == pytest.approx((-found.parameters[0], found.parameters[1]), abs=1e-6)


def test_one_participant_has_no_interval():
    w, y, _ = draw(4)
    found = fit_curve("logit", w, y, np.zeros(len(w)))
    assert np.isfinite(found.parameters).all()
    assert np.isnan([*found.low, *found.high]).all()


@pytest.mark.parametrize(
    ("kind", "weight", "answer", "message"),
    [
        ("logit", [0.5] * 3, [0.4, 0.5, 0.6], r"all 3 answers have one weight, but a and b of the logit"),
        ("logistic", [], [], r"all 0 answers have one weight, but k and x0 of the logistic"),
        ("logit", [0.1, 0.5, 0.9], [0.0, 0.0, 0.0], r"do not determine a and b of the logit curve"),
        ("probit", [0.1, 0.4, 0.6, 0.9], [0.0, 0.0, 1.0, 1.0], r"do not determine a and b of the probit curve"),
        ("logit", [0.0, 0.5, 0.9], [0.0, 0.5, 0.9], r"weight, row 0: 0; every logit curve is 0 and 1"),
        ("logit", [0.1, 0.5, 1.2], [0.0, 0.5, 0.9], r"weight, row 2: .*got 1.2"),
        ("logit", [0.1, 0.5, 0.9], [0.0, np.nan, 0.9], r"answer, row 1: .*got nan"),
    ],
)
@pytest.mark.parametrize("criterion", ["likelihood", "squares"])
def test_what_does_not_determine_a_curve_is_refused(kind, weight, answer, message, criterion):
    with pytest.raises(DataError, match=message):
        fit_curve(kind, weight, answer, list(range(len(weight))), criterion=criterion)


def test_a_logistic_curve_takes_answers_at_the_pure_images():
    w = np.array([0.0, 0.3, 0.6, 1.0])
    y = special.expit(5 * (w - 0.45))
    assert fit_curve("logistic", w, y, np.arange(4)).parameters == pytest.approx((5, 0.45), abs=1e-4)


def test_unknown_names_are_refused_with_those_that_are_known():
    with pytest.raises(ConfigError, match=r"kind.*logit, probit, logistic.*got .spline."):
        fit_curve("spline", [0.1, 0.9], [0.1, 0.9], [0, 1])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"criterion.*'median'"):
        fit_curve("logit", [0.1, 0.9], [0.1, 0.9], [0, 1], criterion="median")  # type: ignore[arg-type]


def test_constants_of_hmix(infer):
    """Section 3 of the data notes; its two curves were fitted by different criteria."""
    shown = infer.first()
    columns = shown.weight, shown.answer, shown.participant
    logit = fit_curve("logit", *columns)
    assert logit.parameters == (pytest.approx(-0.098, abs=5e-4), pytest.approx(0.875, abs=5e-4))
    logistic = fit_curve("logistic", *columns, criterion="squares")
    assert logistic.parameters == (pytest.approx(4.58, abs=5e-3), pytest.approx(0.522, abs=5e-4))
    assert logistic.participants == 81
