"""Identity and global curves: closed forms, fits, what is refused."""

import numpy as np
import pytest
import torch

from hilmix.errors import ConfigError, DataError
from hilmix.human.functional.curve_fits import fit_curve
from hilmix.human.functional.perception import CURVES, two_hot
from hilmix.human.perception import GlobalCurve, Identity
from tests.human.perception.simulated import judged, mixes

CENTRED = {"logit": (0.0, 0.7), "probit": (0.0, 0.7), "logistic": (4.5, 0.5), "logistic_anchored": (4.5, 0.5)}


def test_identity_is_the_two_hot_label_of_mixup():
    shown = mixes(hard=True)
    classes = shown.label1.argmax(1), shown.label2.argmax(1)
    torch.testing.assert_close(Identity()(shown), two_hot(*classes, shown.weight, num_classes=4), rtol=0, atol=0)


@pytest.mark.parametrize("kind", CURVES)
def test_a_centred_curve_weighs_the_labels(kind):
    shown = mixes()
    seen = CURVES[kind](shown.weight, *CENTRED[kind])[:, None]
    expected = seen * shown.label1 + (1 - seen) * shown.label2
    torch.testing.assert_close(GlobalCurve(kind, CENTRED[kind])(shown), expected)
    ordered = GlobalCurve(kind, CENTRED[kind], ordered=True)
    torch.testing.assert_close(ordered(shown), expected)  # the order makes no difference to a centred curve


def test_an_ordered_curve_belongs_to_the_class_with_the_smaller_number():
    shown = mixes(50, hard=True)
    first, second = shown.label1.argmax(1), shown.label2.argmax(1)
    weight = torch.where(first < second, shown.weight, 1 - shown.weight)
    seen = CURVES["logit"](weight, -0.5, 0.8)
    expected = two_hot(torch.minimum(first, second), torch.maximum(first, second), seen, num_classes=4)
    torch.testing.assert_close(GlobalCurve("logit", (-0.5, 0.8), ordered=True)(shown), expected)


@pytest.mark.parametrize("kind", ["logit", "probit", "logistic"])
@pytest.mark.parametrize("criterion", ["likelihood", "squares"])
def test_centred_fits_are_the_best_centred_curve(kind, criterion):
    judgments = judged(offset=0.4)
    found = GlobalCurve.fit(judgments, kind=kind, criterion=criterion)
    place = 1 if kind == "logistic" else 0
    assert found.curve[place] == (0.5 if kind == "logistic" else 0.0)

    def loss(free):
        h = found.curve[:place] + found.curve[place + 1 :]
        values = (free * h[0], 0.5) if kind == "logistic" else (0.0, free * h[0])
        p = CURVES[kind](torch.tensor(judgments.weight), *values).numpy()
        if criterion == "squares":
            return np.square(judgments.answer - p).sum()
        return -(judgments.answer * np.log(p) + (1 - judgments.answer) * np.log1p(-p)).sum()

    assert loss(1.0) < min(loss(0.999), loss(1.001))


def test_ordered_fits_are_the_free_curve_of_the_study():
    judgments = judged(offset=0.4)
    found = GlobalCurve.fit(judgments, ordered=True)
    free = fit_curve("logit", judgments.weight, judgments.answer, judgments.participant)
    np.testing.assert_allclose(found.curve, free.parameters, atol=1e-9)
    within = judgments._replace(label2=np.where(np.arange(900) < 100, judgments.label1, judgments.label2))
    rest = judgments.take(np.arange(900) >= 100)
    assert GlobalCurve.fit(within, ordered=True).curve == GlobalCurve.fit(rest, ordered=True).curve


def test_the_anchored_curve_takes_the_logistic_fit():
    judgments = judged()
    assert (
        GlobalCurve.fit(judgments, kind="logistic_anchored").curve == GlobalCurve.fit(judgments, kind="logistic").curve
    )


def test_users_see_the_curve():
    assert repr(GlobalCurve()) == "GlobalCurve(logit, parameters=[0.0, 0.875], ordered=False)"


def test_known_parameters_are_recovered():
    many = judged(pairs=20_000, offset=-0.3, slope=0.8)
    np.testing.assert_allclose(GlobalCurve.fit(many, ordered=True).curve, (-0.3, 0.8), atol=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "linear"},
            r"kind` must be one of \['logit', 'probit', 'logistic', 'logistic_anchored'\], got 'linear'",
        ),
        ({"parameters": (0.0,)}, r"parameters` must be a list of 2"),
        (
            {"parameters": (0.1, 1.0)},
            r"logit curve with the parameters \[0.1, 1.0\] depends on which image.*Give 0 in p",
        ),
        ({"kind": "logistic", "parameters": (4.5, 0.52)}, r"Give 0.5 in place 2, or 'ordered: true'"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        GlobalCurve(**arguments)


def test_impossible_fits_are_refused():
    with pytest.raises(ConfigError, match=r"kind.*linear"):
        GlobalCurve.fit(judged(), kind="linear")
    with pytest.raises(DataError, match="every logit curve is 0 and 1 at the pure images"):
        GlobalCurve.fit(judged()._replace(weight=np.ones(900)))
    with pytest.raises(DataError, match="all 1800 answers have one weight"):
        GlobalCurve.fit(judged()._replace(weight=np.full(900, 0.5)))
