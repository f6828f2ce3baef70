"""Means and confusion matrices per annotator against loops and closed forms."""

import numpy as np
import pytest

from hilmix.functional.annotator_quality import estimate_confusion, mean_per_annotator

A, K, L = 4, 3, 200


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    return (
        generator.integers(0, A - 1, L),  # the last annotator says nothing
        np.eye(K)[generator.integers(0, K, L)],
        generator.dirichlet(np.ones(K), L),
    )


def test_mean_equals_loop():
    annotator, _, posterior = draw()
    value = np.where(posterior[:, 0] < 0.1, np.nan, posterior[:, 0])
    want = [np.nanmean(value[annotator == a]) if (annotator == a).any() else np.nan for a in range(A)]
    np.testing.assert_allclose(mean_per_annotator(annotator, value, num_annotators=A), want)


@pytest.mark.parametrize("strength", [0.5, 5.0])
def test_confusion_equals_loop(strength):
    annotator, label_probs, posterior = draw()
    found = estimate_confusion(annotator, label_probs, posterior, num_annotators=A, strength=strength)
    counts = np.zeros((A, K, K))
    for a, s, p in zip(annotator, label_probs, posterior, strict=True):
        counts[a] += np.outer(p, s)
    crowd = counts.sum(0) + 1 / K
    crowd /= crowd.sum(1, keepdims=True)
    for a in range(A):
        for c in range(K):
            want = (counts[a, c] + strength * crowd[c]) / (counts[a, c].sum() + strength)
            np.testing.assert_allclose(found.confusion[a, c], want)
    np.testing.assert_allclose(found.support, counts.sum(2))
    np.testing.assert_allclose(found.confusion.sum(2), 1)


def test_silent_annotator_equals_the_crowd_and_much_support_equals_the_counts():
    annotator, label_probs, posterior = draw()
    found = estimate_confusion(annotator, label_probs, posterior, num_annotators=A)
    pooled = np.einsum("lc,lk->ck", posterior, label_probs) + 1 / K
    np.testing.assert_allclose(found.confusion[A - 1], pooled / pooled.sum(1, keepdims=True))
    many = estimate_confusion(
        np.repeat(annotator, 1000), np.repeat(label_probs, 1000, 0), np.repeat(posterior, 1000, 0), num_annotators=A
    )
    counts = np.einsum("lc,lk->ck", posterior[annotator == 0], label_probs[annotator == 0])
    np.testing.assert_allclose(many.confusion[0], counts / counts.sum(1, keepdims=True), atol=1e-3)
