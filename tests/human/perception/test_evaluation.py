"""Cross-validated scores: nothing leaks, known answers, and the facts of H-Mix."""

import numpy as np
import pytest
from scipy.stats import binom

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import (
    HMIX_STRENGTHS,
    HMIX_STRENGTHS_SLOPE,
    POLICIES,
    ClassStrengths,
    ConfidenceSmoothing,
    GlobalCurve,
    Identity,
    ParticipantCurves,
    cross_validate,
)
from hilmix.human.perception.curves import HMIX_LOGIT_SLOPE
from hilmix.human.perception.evaluation import deviance, find_held_out_groups
from hilmix.human.perception.smoothing import HMIX_CONFIDENCE
from hilmix.human.study import MixStudy, read_study
from tests.human.perception.simulated import STRENGTHS, judged
from tests.human.study.synthetic import invent


def test_deviance_is_that_of_the_binomial():
    y, p = np.array([0.0, 0.25, 0.5, 1.0]), np.array([0.3, 0.25, 0.9, 0.8])
    n = 4
    saturated, fitted = binom.logpmf(n * y, n, y), binom.logpmf(n * y, n, p)
    np.testing.assert_allclose(deviance(y, p), 2 * (saturated - fitted) / n, atol=1e-12)
    assert deviance(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(-2 * np.log(0.005))
    assert deviance(np.array([0.0]), np.array([0.0]))[0] == pytest.approx(-2 * np.log(0.995))


def test_groups_by_mix_are_images_and_weight_in_either_order():
    judgments = judged(pairs=50)
    turned = judgments.swap_images(np.arange(150) % 2 == 0)
    groups = find_held_out_groups(turned, "mix")
    np.testing.assert_array_equal(groups[::3], groups[1::3])
    assert len(np.unique(groups)) == 50


def test_groups_by_pair_share_no_image():
    judgments = judged(pairs=300, images=500)  # chains of pairs with common images
    groups = find_held_out_groups(judgments, "pair")
    owner = {}
    for row, group in enumerate(groups):
        for image in (judgments.id1[row], judgments.id2[row]):
            assert owner.setdefault(image, group) == group
    assert 1 < groups.max() + 1 < 300


@pytest.mark.parametrize("split", ["mix", "pair", "participant"])
def test_nothing_that_is_held_out_is_fitted_to(split):
    judgments = judged(pairs=100, images=2000)
    keys = {
        "mix": lambda j: set(zip(j.id1, j.id2, j.weight, strict=True)),
        "pair": lambda j: {*j.id1.tolist(), *j.id2.tolist()},
        "participant": lambda j: set(j.participant.tolist()),
    }[split]
    fitted = []

    class Spy(Identity):
        def predict(self, judged, *, features=None):
            assert not keys(judged) & keys(fitted[-1])
            assert len(judged.weight) + len(fitted[-1].weight) == 300
            return super().predict(judged, features=features)

    def fit(given):
        fitted.append(given)
        return Spy()

    cross_validate(judgments, {"spy": fit}, splits=[split], folds=5)
    assert len(fitted) == 5


def test_the_table_has_a_row_for_every_split_and_policy():
    judgments = judged(pairs=60, strengths=STRENGTHS, images=5000)
    found = cross_validate(judgments, folds=3)
    assert len(found) == 3 * len(POLICIES)
    assert found.columns.tolist() == [
        "split",
        "policy",
        "groups",
        "answers",
        "share",
        "low",
        "high",
        "ceiling",
        "of_ceiling",
        "deviance",
        "deviance_low",
        "deviance_high",
    ]
    mixup = found[found["policy"] == "identity"]
    np.testing.assert_allclose(mixup["share"], 0.0, atol=1e-12)
    assert mixup["deviance"].nunique() == 1
    assert (found["low"] <= found["share"]).all()
    assert found.loc[found["split"] == "participant", "groups"].eq(20).all()


def test_the_policy_that_made_the_answers_reaches_the_ceiling():
    judgments = judged(pairs=3000, strengths=2 * STRENGTHS, images=10**6)
    fits = {"global": GlobalCurve.fit, "strengths": ClassStrengths.fit}
    found = cross_validate(judgments, fits, splits=["pair"], folds=5).set_index("policy")
    assert found["of_ceiling"]["strengths"] == pytest.approx(1, abs=0.05)
    assert found["of_ceiling"]["global"] < 0.2
    assert found["deviance"]["strengths"] < found["deviance"]["global"]


def test_participants_help_for_those_who_were_seen_only():
    judgments = judged(pairs=1500, slopes=np.linspace(-0.8, 0.8, 20), images=10**6)
    fits = {"all": GlobalCurve.fit, "each": ParticipantCurves.fit}
    found = cross_validate(judgments, fits, splits=["mix", "participant"], folds=5).set_index(["split", "policy"])[
        "share"
    ]
    assert found["mix", "each"] > found["mix", "all"] + 0.05
    assert found["participant", "each"] == pytest.approx(found["participant", "all"], abs=1e-7)


def test_seeds_deal_differently_and_repeatably():
    judgments, fits = judged(pairs=60), {"global": GlobalCurve.fit}
    one, again, other = (
        cross_validate(judgments, fits, splits=["mix"], folds=3, seed=s)["share"][0] for s in (0, 0, 1)
    )
    assert one == again != other


def test_intervals_by_image_and_by_participant_differ_and_nothing_else():
    judgments, fits = judged(pairs=60, images=5000), {"strengths": ClassStrengths.fit}
    people, images = (
        cross_validate(judgments, fits, splits=["mix"], cluster=c).iloc[0] for c in ("participant", "image")
    )
    assert people["share"] == images["share"]
    assert people["low"] != images["low"]


def test_refused():
    judgments = judged(pairs=4)
    with pytest.raises(DataError, match=r"by pair: .*folds.*4.*got 10"):
        cross_validate(judgments, splits=["pair"])
    with pytest.raises(DataError, match=r"folds.*got 1"):
        cross_validate(judgments, folds=1)
    with pytest.raises(ConfigError, match=r"split.*mix, pair, participant.*class"):
        cross_validate(judgments, splits=["class"])
    with pytest.raises(ConfigError, match=r"cluster.*participant, image.*class"):
        cross_validate(judgments, cluster="class")


def test_a_study_gives_its_judgments():
    study = invent("infer", 3)
    judgments, rows = study.to_judgments().validate(), study.to_frame()
    np.testing.assert_array_equal(judgments.weight, rows["generating_weight"])
    np.testing.assert_array_equal(judgments.answer, rows["weight"])
    np.testing.assert_array_equal(judgments.id2, rows["id2"])
    assert [study.classes[c] for c in judgments.label1] == rows["label1"].tolist()
    assert [judgments.participants[p] for p in judgments.participant] == rows["participant"].tolist()
    with pytest.raises(DataError, match="a study of the task 'infer'; this one is 'select'"):
        invent("select", 3).to_judgments()


@pytest.fixture(scope="module")
def hmix(real_data) -> MixStudy:
    return read_study(real_data / "hmix", "infer").without_repeats()


def test_the_constants_are_those_of_hmix(hmix):
    judgments = hmix.to_judgments()
    assert GlobalCurve.fit(judgments).curve[1] == pytest.approx(HMIX_LOGIT_SLOPE, abs=5e-4)
    np.testing.assert_allclose(GlobalCurve.fit(judgments, ordered=True).curve, (-0.098, 0.875), atol=1e-3)
    found = GlobalCurve.fit(judgments, kind="logistic", ordered=True, criterion="squares").curve
    np.testing.assert_allclose(found, (4.58, 0.522), atol=5e-3)
    strengths = ClassStrengths.fit(judgments).spec()["init_args"]
    np.testing.assert_allclose(strengths["strengths"], HMIX_STRENGTHS, atol=6e-4)
    assert strengths["slope"] == pytest.approx(HMIX_STRENGTHS_SLOPE, abs=6e-4)
    smoothing = ConfidenceSmoothing.fit(judgments, policy=GlobalCurve())
    np.testing.assert_allclose(smoothing.line, HMIX_CONFIDENCE, atol=1e-3)


def test_what_policies_explain_of_hmix(hmix):
    names = ("logit", "logistic", "class_strengths", "label_pairs", "label_pairs_of_strengths", "participants")
    found = cross_validate(hmix.to_judgments(), {name: POLICIES[name] for name in names}, splits=["pair"])
    share = found.set_index("policy")["share"]
    assert found["ceiling"][0] == pytest.approx(0.338, abs=1e-3)
    assert found["groups"].eq(1251).all()
    assert share["logit"] < share["logistic"] < share["label_pairs"] < share["class_strengths"] < share["participants"]
    assert 0.04 < share["class_strengths"] < share["label_pairs_of_strengths"] < 0.06
