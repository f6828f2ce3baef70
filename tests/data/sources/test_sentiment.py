"""Sentiment polarity: texts, votes and their dense features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hilmix.data.sources import load_source
from hilmix.data.sources.base import Access
from hilmix.data.sources.sentiment import SENTENCES, read_texts
from hilmix.data.sources.text_features import compute_dense_features

TRAIN = [
    "a fine film",
    "a dull film",
    "a fine story , a fine cast",
    "dull , dull , dull",
    "the cast is fine",
    "a story",
]


def test_texts_answers_and_truth_are_read(tmp_path):
    contents = ["-1 1 0\n0 -1 -1\n", "a fine \x85 film \na dull film . \n", "dull\n", "1\n0\n", "0\n"]
    paths = [tmp_path / str(i) for i in range(5)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content, encoding="utf-8")
    train, test, target, votes = read_texts(paths)
    assert train == ["a fine \x85 film ", "a dull film . "]  # only line feeds part sentences
    assert test == ["dull"]
    assert target.tolist() == [1, 0, 0]
    assert votes.tolist() == [[0, 1, 1], [0, 2, 0], [1, 0, 0]]


def test_features_are_fitted_on_the_training_sentences_only():
    one, other = (compute_dense_features(TRAIN, test, 3) for test in (["a fine cast"], ["dull", "unheard of"]))
    assert one.shape == (7, 3)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one[:6], other[:6])
    np.testing.assert_array_equal(other[7], 0)  # no word that is known
    assert np.square(one[:6]).mean() == pytest.approx(1, rel=1e-5)


def test_features_tell_words_and_pairs_but_not_letter_case():
    features = compute_dense_features(TRAIN, [TRAIN[0], TRAIN[0].upper(), "a fine"], 4)
    np.testing.assert_allclose(features[6], features[0], rtol=1e-4)
    np.testing.assert_array_equal(features[7], features[6])
    assert np.abs(features[8] - features[0]).max() > 0.1


def test_sentences_of_the_mirror(real_data, tmp_path):
    train, test, target, votes = Access(tmp_path, real_data).read(SENTENCES)
    assert (len(train), len(test), len(votes)) == (4_999, 3_999, 27_746)
    item, annotator, label = votes.T
    assert len(np.unique(annotator)) == 203
    assert (np.bincount(item).min(), np.bincount(item).max()) == (4, 10)
    assert (label == target[item]).mean() == pytest.approx(0.789, abs=5e-4)
    assert train[0].startswith("the cast is phenomenal")
    assert target[0] == 1


@pytest.mark.slow
def test_the_features_tell_the_truth(real_data, tmp_path):
    data = load_source("sentiment-polarity", downloads=tmp_path)
    known = data.split == "train"
    inputs, target = data.inputs.fetch(np.arange(len(data))).numpy(), data.target
    fitted = LogisticRegression(C=0.003).fit(inputs[known][::2], target[known][::2])
    assert fitted.score(inputs[known][1::2], target[known][1::2]) > 0.69
    assert LogisticRegression(C=0.003).fit(inputs[known], target[known]).score(inputs[~known], target[~known]) > 0.65
