"""The policy that looks at the mix too: its cues against loops, recovery, refusals."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from sklearn.linear_model import Ridge

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import LearnedPerception, MixFeaturePerception
from tests.human.perception.simulated import POLICIES, D, K, judged, mixes

FEATURES = torch.from_numpy(np.random.default_rng(5).normal(size=(10_000, D)))


def seen_mixes(pairs=1500):
    """Judgments that follow what the mix looks like, which the weight and the images do not tell."""
    judgments, rng = judged(pairs=pairs), np.random.default_rng(1)
    like = np.repeat(rng.normal(size=pairs), 3)
    a, b = (FEATURES[torch.from_numpy(i)].numpy() for i in (judgments.id1, judgments.id2))
    mix = expit(like)[:, None] * a + expit(-like)[:, None] * b
    h = expit(0.9 * logit(judgments.weight) + like)
    return judgments._replace(answer=rng.beta(8 * h, 8 * (1 - h))), torch.from_numpy(mix)


def test_looks_are_cosines_distances_and_what_the_classifier_says():
    policy, shown = POLICIES["looking"], mixes(7)
    found = policy.similarity(shown).numpy()
    scale, mean = 1.3, 0.1
    for row in range(7):
        a, b, m = ((f[row].numpy() - mean) / scale for f in (shown.features1, shown.features2, shown.features))
        expected = []
        for block in (slice(0, 2), slice(2, 5)):
            cosine = [m[block] @ x[block] / np.linalg.norm(m[block]) / np.linalg.norm(x[block]) for x in (a, b)]
            expected.append(cosine[0] - cosine[1])
        for block in (slice(0, 2), slice(2, 5)):
            away = [np.sqrt(np.mean((m[block] - x[block]) ** 2)) for x in (a, b)]
            expected.append(away[1] - away[0])
        scores = policy.classifier.numpy() @ m
        expected.append(scores @ (shown.label1 - shown.label2)[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-6)


def test_looks_change_their_sign_with_the_order():
    policy, shown = POLICIES["looking"], mixes(20)
    torch.testing.assert_close(policy.similarity(shown.swap()), -policy.similarity(shown))


def test_gradients_reach_labels_where_the_mix_is_an_image():
    shown = mixes(4)
    label = shown.label1.clone().requires_grad_()
    features = shown.features.clone().requires_grad_()
    same = shown._replace(label1=label, features=features, features1=features)
    POLICIES["looking"](same)[:, 0].sum().backward()
    assert label.grad.isfinite().all()
    assert features.grad.isfinite().all()


def test_what_the_mix_looks_like_is_learned():
    judgments, mix = seen_mixes()
    train, test = np.arange(4500) < 3000, np.arange(4500) >= 3000
    blind = LearnedPerception.fit(judgments.take(train), features=FEATURES)
    similarity = MixFeaturePerception.fit(judgments.take(train), features=FEATURES, mix_features=mix[train])
    unseen = judgments.take(test)
    errors = [
        np.mean((policy.predict(unseen, features=FEATURES, mix_features=mix[test]) - unseen.answer) ** 2)
        for policy in (blind, similarity)
    ]
    assert errors[1] < 0.6 * errors[0]


def test_the_classifier_is_a_ridge_regression_of_images():
    judgments, mix = seen_mixes(pairs=200)
    judgments = judgments._replace(label1=judgments.id1 % K, label2=(judgments.id1 + 1 + judgments.id2 % (K - 1)) % K)
    policy = MixFeaturePerception.fit(judgments, features=FEATURES, mix_features=mix)
    images, first = np.unique(np.concatenate([judgments.id1, judgments.id2]), return_index=True)
    classes = np.concatenate([judgments.label1, judgments.label2])[first]
    x = FEATURES.numpy()[images]
    z = (x - x.mean(0)) / x.std(0)
    oracle = Ridge(alpha=D).fit(z, np.eye(K)[classes])
    np.testing.assert_allclose(policy.classifier, oracle.coef_, atol=1e-6)


def test_refused():
    judgments, mix = seen_mixes(pairs=50)
    with pytest.raises(ConfigError, match="needs mix_features"):
        MixFeaturePerception.fit(judgments, features=FEATURES)
    with pytest.raises(DataError, match=r"shape \(150, 5\).*got the shape \(149, 5\)"):
        MixFeaturePerception.fit(judgments, features=FEATURES, mix_features=mix[1:])
    with pytest.raises(ConfigError, match=r"MixFeaturePerception.*without features.*LearnedPerception"):
        POLICIES["looking"](mixes()._replace(features=None))
    with pytest.raises(ConfigError, match=r"look_weights.*5 entries.*blocks.*got 4 and \[2, 3\]"):
        MixFeaturePerception([0.0] * K, 1.0, [0.0] * D, [0.0] * 4, [2, 3], [0.0] * D, [1.0] * D, [[0.0] * D] * K)
