"""Curves of participants: closed forms, shrinkage, recovery, what is refused."""

import numpy as np
import pytest
import torch

from hilmix.errors import ConfigError
from hilmix.human.functional.curve_fits import fit_curve
from hilmix.human.perception import GlobalCurve, ParticipantCurves
from tests.human.perception.simulated import POLICIES, judged, mixes


def test_each_participant_has_a_curve_and_unknown_ones_the_common_one():
    shown = mixes(60)
    found = POLICIES["participants"](shown)
    for person, slope in ((0, 0.5), (1, 1.7), (-1, 0.9)):
        rows = shown.participant == person
        torch.testing.assert_close(found[rows], GlobalCurve("logit", (0.0, slope))(shown)[rows], rtol=0, atol=1e-7)


def test_offsets_belong_to_the_class_that_comes_first():
    shown = mixes(60)
    found = POLICIES["participants_ordered"](shown)
    for person, curve in ((0, (0.3, 0.5)), (1, (-0.8, 1.7)), (-1, (-0.1, 0.9))):
        rows = shown.participant == person
        expected = GlobalCurve("logit", curve, ordered=True)(shown)
        torch.testing.assert_close(found[rows], expected[rows], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["participants", "participants_ordered"])
def test_anonymous_annotators_are_unknown_participants(name):
    shown = mixes()
    others = POLICIES[name](shown._replace(participant=torch.full((12,), -1)))
    assert torch.equal(POLICIES[name](shown._replace(participant=None)), others)


def test_known_curves_are_recovered_and_names_kept():
    rng = np.random.default_rng(0)
    slopes, offsets = 0.3 * rng.normal(size=20), 0.4 * rng.normal(size=20)
    judgments = judged(pairs=15_000, slopes=slopes, offsets=offsets)
    found = ParticipantCurves.fit(judgments, ordered=True)
    assert found.participants == tuple(f"p{i}" for i in range(20))
    np.testing.assert_allclose(found.slopes[:20], 0.875 + slopes, atol=0.06)
    np.testing.assert_allclose(found.offsets[:20], offsets, atol=0.06)


def test_a_participant_without_judgments_has_the_common_curve():
    judgments = judged(slopes=np.linspace(-0.5, 0.5, 20))
    judgments = judgments.take(judgments.participant != 7)
    found = ParticipantCurves.fit(judgments).spec()["init_args"]
    assert found["slopes"][7] == found["slope"] == GlobalCurve.fit(judgments).curve[1]
    assert found["slopes"][0] < found["slope"] < found["slopes"][19]


def test_a_participant_with_very_many_judgments_has_their_own_curve():
    judgments = judged(pairs=20_000, people=2, slopes=[-0.3, 0.4])
    found, mine = ParticipantCurves.fit(judgments), judgments.take(judgments.participant == 1).add_swapped()
    own = fit_curve("logit", mine.weight, mine.answer, mine.participant).parameters[1]
    assert float(found.slopes[1]) == pytest.approx(own, abs=1e-3)


def test_participants_that_do_not_differ_get_one_curve():
    found = ParticipantCurves.fit(judged(pairs=2000, seed=5))
    assert float(found.slopes.max() - found.slopes.min()) < 0.1


@pytest.mark.parametrize("ordered", [False, True])
def test_fits_do_not_depend_on_the_order_of_the_pairs(ordered):
    judgments = judged(slopes=np.linspace(-0.5, 0.5, 20))
    turned = judgments.swap_images(np.random.default_rng(0).random(900) < 0.5)
    shown = mixes()._replace(participant=torch.arange(12))
    expected = ParticipantCurves.fit(judgments, ordered=ordered)(shown)
    torch.testing.assert_close(ParticipantCurves.fit(turned, ordered=ordered)(shown), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["ann"], [1.0, 0.9], 1.0), "`slopes` must have 1 entries.*got 2"),
        ((["ann"], [1.0], 1.0, [0.1, 0.2]), "`offsets` must have 1 entries.*got 2"),
        ((["ann"], [1.0], 1.0, None, 0.1), "`offset`.*`offsets` is null, got 0.1"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ParticipantCurves(*arguments)
