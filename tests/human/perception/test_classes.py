"""Class strengths and label pairs: closed forms, recovery, shrinkage, what is refused."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from hilmix.errors import ConfigError, DataError
from hilmix.human.functional.curve_fits import fit_curve
from hilmix.human.perception import HMIX_STRENGTHS, ClassStrengths, GlobalCurve, LabelPairs, Mixes
from tests.human.perception.simulated import STRENGTHS, judged, mixes

OFFSETS = [[0.0, 0.4, -0.3], [-0.4, 0.0, 0.1], [0.3, -0.1, 0.0]]
SLOPES = [[1.0, 0.7, 0.8], [0.7, 1.0, 0.9], [0.8, 0.9, 1.0]]


def hard(c, d, weight, classes):
    hot = torch.eye(classes, dtype=torch.float64)
    return Mixes(hot[[c]], hot[[d]], torch.tensor([weight], dtype=torch.float64))


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.85])
def test_strengths_shift_the_logit(weight):
    found = ClassStrengths([0.5, -1.0, 0.25], 0.875)(hard(2, 1, weight, 3))[0]
    share = expit(0.875 * logit(weight) + 0.25 + 1.0)
    np.testing.assert_allclose(found, [0.0, 1 - share, share], atol=1e-7)


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.85])
def test_every_pair_has_its_curve(weight):
    policy = LabelPairs(OFFSETS, SLOPES)
    share = expit(-0.3 + 0.8 * logit(weight))
    np.testing.assert_allclose(policy(hard(0, 2, weight, 3))[0], [share, 0.0, 1 - share], atol=1e-7)
    share = expit(0.3 + 0.8 * logit(weight))
    np.testing.assert_allclose(policy(hard(2, 0, weight, 3))[0], [1 - share, 0.0, share], atol=1e-7)


def test_soft_labels_get_the_expectation_over_their_classes():
    policy, weight = LabelPairs(OFFSETS, SLOPES), 0.3
    y, z = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64), torch.tensor([[0.1, 0.6, 0.3]], dtype=torch.float64)
    expected = sum(y[0, c] * z[0, d] * policy(hard(c, d, weight, 3)) for c in range(3) for d in range(3))
    torch.testing.assert_close(policy(Mixes(y, z, torch.tensor([weight], dtype=torch.float64))), expected)


def test_without_differences_both_are_the_global_curve():
    shown, curve = mixes(), GlobalCurve("logit", (0.0, 0.75))
    torch.testing.assert_close(ClassStrengths([0.0] * 4, 0.75)(shown), curve(shown))
    torch.testing.assert_close(
        LabelPairs(np.zeros((4, 4)).tolist(), np.full((4, 4), 0.75).tolist())(shown), curve(shown)
    )


def test_known_strengths_are_recovered():
    found = ClassStrengths.fit(judged(pairs=20_000, slope=0.8, strengths=STRENGTHS)).spec()["init_args"]
    np.testing.assert_allclose(found["strengths"], STRENGTHS - STRENGTHS.mean(), atol=0.02)
    assert found["slope"] == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("fit", [ClassStrengths.fit, LabelPairs.fit])
def test_fits_do_not_depend_on_the_order_of_the_pairs(fit):
    judgments = judged(strengths=STRENGTHS)
    turned = judgments.swap_images(np.random.default_rng(0).random(900) < 0.5)
    torch.testing.assert_close(fit(turned)(mixes()), fit(judgments)(mixes()), rtol=0, atol=1e-6)


def test_a_pair_without_judgments_has_the_global_curve():
    judgments = judged(strengths=STRENGTHS)
    judgments = judgments.take((judgments.label1 != 0) | (judgments.label2 != 1))
    found, slope = LabelPairs.fit(judgments).spec()["init_args"], GlobalCurve.fit(judgments).curve[1]
    assert (found["offsets"][0][1], found["slopes"][0][1]) == (0.0, slope)
    assert found["offsets"][0][2] != 0.0


def test_a_pair_with_very_many_judgments_has_its_own_curve():
    rare, common = judged(seed=1, offset=-0.6, slope=0.7), judged(pairs=40_000, seed=2, offset=0.5, slope=1.1)
    common = common.take((common.label1 == 0) & (common.label2 == 1))
    rare = rare.take((rare.label1 != 0) | (rare.label2 != 1))
    columns = zip(rare[:8], common[:8], strict=True)
    judgments = rare._replace(**dict(zip(rare._fields[:8], map(np.concatenate, columns), strict=True)))
    found = LabelPairs.fit(judgments).spec()["init_args"]
    own = fit_curve("logit", common.weight, common.answer, common.participant).parameters
    np.testing.assert_allclose([found["offsets"][0][1], found["slopes"][0][1]], own, atol=5e-3)


def test_pairs_are_drawn_towards_strengths_if_asked():
    judgments = judged(strengths=STRENGTHS)
    missing = judgments.take((judgments.label1 != 0) | (judgments.label2 != 1))
    base, found = ClassStrengths.fit(missing), LabelPairs.fit(missing, towards="strengths")
    torch.testing.assert_close(found.offset[0, 1], base.offset[0, 1])
    torch.testing.assert_close(found.slope[0, 1], base.slope)
    torch.testing.assert_close(found.offset, base.offset, rtol=0, atol=0.15)  # strengths are all there is
    with pytest.raises(ConfigError, match=r"towards.*nothing"):
        LabelPairs.fit(judgments, towards="nothing")


def test_strengths_are_only_there_where_mixes_join_the_classes():
    judgments = judged()
    apart = judgments.take(
        (judgments.label1 + judgments.label2 == 1) | (judgments.label1 + judgments.label2 == 5)
    )  # 0 with 1, 2 with 3
    with pytest.raises(DataError, match=r"class strengths: .*4 classes"):
        ClassStrengths.fit(apart)
    with pytest.raises(DataError, match="weight, row 3: 1;"):
        ClassStrengths.fit(judgments._replace(weight=np.where(np.arange(900) == 3, 1.0, judgments.weight)))


@pytest.mark.parametrize(
    ("offsets", "slopes", "message"),
    [
        ([[0.0, 0.1], [0.1, 0.0]], SLOPES, r"offsets of the classes 0, 1 and 1, 0 .*opposite.*got 0.1 and 0.1"),
        (OFFSETS, [[1.0, 0.1], [0.2, 1.0]], r"slopes of the classes 0, 1 and 1, 0 .*equal.*got 0.1 and 0.2"),
        ([[0.0, 0.1]], SLOPES, r"offsets .*got 1 rows of \[2\]"),
        (OFFSETS, [[1.0, 0.2], [0.2, 1.0]], r"`offsets` and `slopes`.*got \(3, 3\) and \(2, 2\)"),
    ],
)
def test_bad_tables_are_refused(offsets, slopes, message):
    with pytest.raises(ConfigError, match=message):
        LabelPairs(offsets, slopes)


def test_another_number_of_classes_is_refused():
    with pytest.raises(ConfigError, match=r"10 classes.*ClassStrengths.*got 4"):
        ClassStrengths(HMIX_STRENGTHS, 0.886)(mixes())
