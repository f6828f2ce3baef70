"""The policy that looks at the images: recovery, people apart from images, confidence, spread, refusals."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import ClassStrengths, LearnedPerception, cross_validate, to_mixes
from tests.human.perception.simulated import LEARNED, POLICIES, STRENGTHS, D, K, judged, mixes

IMAGES = 3000
FEATURES = torch.from_numpy(np.random.default_rng(5).normal(size=(IMAGES, D)) * [1, 2, 0.5, 1, 1] + 3)


def looked(seed=0, scale=0.5, **kwargs):
    """Judgments in which an image has a strength of its own."""
    judgments = judged(images=IMAGES, seed=seed, strengths=STRENGTHS, **kwargs)
    rng = np.random.default_rng(seed + 100)
    f = FEATURES.numpy() @ (scale * np.array(LEARNED))
    eta = (
        0.9 * logit(judgments.weight)
        + STRENGTHS[judgments.label1]
        - STRENGTHS[judgments.label2]
        + f[judgments.id1]
        - f[judgments.id2]
    )
    sure = expit(
        0.3
        + np.abs(2 * judgments.weight - 1)
        + 0.5 * np.abs(2 * expit(eta) - 1)
        + 0.2 * (f[judgments.id1] + f[judgments.id2])
    )
    h = expit(eta)
    return judgments._replace(answer=rng.beta(8 * h, 8 * (1 - h)), confidence=rng.beta(20 * sure, 20 * (1 - sure)))


def test_parameters_are_recovered():
    policy = LearnedPerception.fit(looked(pairs=3000), features=FEATURES)
    np.testing.assert_allclose(policy.image_weights, 0.5 * np.array(LEARNED), atol=0.04)
    np.testing.assert_allclose(policy.strengths - policy.strengths.mean(), STRENGTHS - STRENGTHS.mean(), atol=0.08)
    assert float(policy.slope) == pytest.approx(0.9, abs=0.03)
    assert policy.dispersion == pytest.approx(1 / 9, rel=0.1)


def test_confidence_is_recovered():
    judgments = looked(pairs=3000)
    policy = LearnedPerception.fit(judgments, features=FEATURES)
    _, pixels, seen = policy.line
    assert (pixels, seen) == (pytest.approx(1, abs=0.15), pytest.approx(0.5, abs=0.15))
    np.testing.assert_allclose(policy.confidence_weights, 0.1 * np.array(LEARNED), atol=0.03)
    sure = policy.confidence(to_mixes(judgments, features=FEATURES)).numpy()
    assert np.mean(sure) == pytest.approx(np.mean(judgments.confidence), abs=0.005)
    assert np.corrcoef(sure, judgments.confidence)[0, 1] > 0.6


def test_it_is_worth_looking_where_images_differ_and_harmless_where_not():
    fits = {"classes": ClassStrengths.fit, "images": lambda given: LearnedPerception.fit(given, features=FEATURES)}
    for scale, gain in ((0.5, 0.15), (0.0, -0.003)):
        judgments = looked(pairs=800, scale=scale)
        found = cross_validate(judgments, fits, splits=["participant"], folds=4, features=FEATURES).set_index("policy")
        assert found["share"]["images"] - found["share"]["classes"] > gain


def test_it_does_not_matter_which_image_the_study_calls_the_first():
    judgments = looked(pairs=200)
    turned = judgments.swap_images(np.arange(600) % 3 == 0)
    one, other = (LearnedPerception.fit(j, features=FEATURES) for j in (judgments, turned))
    np.testing.assert_allclose(one.image_weights, other.image_weights, atol=1e-5)
    np.testing.assert_allclose(one.confidence_weights, other.confidence_weights, atol=1e-5)


def test_the_scale_of_features_does_not_matter():
    judgments, size = looked(pairs=200), torch.tensor([1, 10, 100, 0.1, 3.0])
    one, other = (
        LearnedPerception.fit(judgments, features=FEATURES),
        LearnedPerception.fit(judgments, features=FEATURES * size),
    )
    np.testing.assert_allclose(
        one.predict(judgments, features=FEATURES), other.predict(judgments, features=FEATURES * size), atol=1e-5
    )


def test_people_do_not_blur_the_slope():
    """Each participant has a slope; few of them judge much, so that the curve of their mean remains."""
    slopes = np.linspace(-0.8, 0.8, 20)
    judgments = judged(pairs=3000, slopes=slopes, images=IMAGES)
    policy = LearnedPerception.fit(judgments, features=FEATURES)
    assert float(policy.slope) == pytest.approx(0.875, abs=0.06)
    assert policy.image_weights.abs().max() < 0.03


def test_share_and_spread_are_those_of_the_label():
    policy, shown = POLICIES["learned"], mixes(50, hard=True)
    different = shown.label1.argmax(1) != shown.label2.argmax(1)
    first = (policy(shown) * shown.label1).sum(1)
    torch.testing.assert_close(policy.mean_share(shown)[different], first[different])
    h = policy.mean_share(shown)
    torch.testing.assert_close(policy.answer_std(shown), (0.3 * h * (1 - h)).sqrt())


def test_confidence_does_not_depend_on_the_order():
    policy, shown = POLICIES["learned"], mixes(50)
    torch.testing.assert_close(policy.confidence(shown.swap()), policy.confidence(shown))
    assert ((policy.confidence(shown) > 0) & (policy.confidence(shown) < 1)).all()


def test_without_confidences_it_says_so():
    judgments = looked(pairs=100)
    policy = LearnedPerception.fit(judgments._replace(confidence=np.full(300, np.nan)), features=FEATURES)
    with pytest.raises(ConfigError, match=r"confidence.*ConfidenceSmoothing"):
        policy.confidence(mixes())
    with pytest.raises(ConfigError, match="has no dispersion"):
        LearnedPerception(STRENGTHS.tolist(), 0.9, LEARNED).answer_std(mixes())


def test_refused():
    judgments, policy = looked(pairs=50), POLICIES["learned"]
    with pytest.raises(DataError, match=r"ids must be in \[0, 9\].*got \d+"):
        LearnedPerception.fit(judgments, features=FEATURES[:10])
    broken = FEATURES.clone()
    broken[judgments.id1[4]] = torch.nan
    with pytest.raises(DataError, match=f"features of image {judgments.id1[4]} must be finite"):
        LearnedPerception.fit(judgments, features=broken)
    with pytest.raises(ConfigError, match=r"`blocks`.*sum to 5.*got \[2, 2\]"):
        LearnedPerception.fit(judgments, features=FEATURES, blocks=[2, 2])
    with pytest.raises(ConfigError, match=r"features1.*features2.*got None"):
        policy(mixes()._replace(features1=None))
    with pytest.raises(ConfigError, match=r"5 features.*got 2"):
        policy(mixes()._replace(features1=torch.zeros(12, 2), features2=torch.zeros(12, 2)))
    with pytest.raises(ConfigError, match=r"4 classes.*got 3"):
        policy(mixes()._replace(label1=torch.zeros(12, 3), label2=torch.zeros(12, 3)))
    with pytest.raises(ConfigError, match=r"`confidence` and `confidence_weights`"):
        LearnedPerception([0.0] * K, 1.0, LEARNED, None, (0.0, 0.0, 0.0))
    with pytest.raises(ConfigError, match=r"`confidence_weights` must have 5 entries.*got 2"):
        LearnedPerception([0.0] * K, 1.0, LEARNED, None, (0.0, 0.0, 0.0), [1.0, 2.0])
