"""Labels of mixes: of a policy, of each person, and means over the people."""

import numpy as np
import pytest
import torch

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import ClassStrengths, ConfidenceSmoothing, Identity, ImageTable, LearnedPerception
from hilmix.human.study import label_judgments, label_mixes, mean_by_mix, read_study, released_soft_labels
from tests.human.study.synthetic import CLASSES, invent

K = len(CLASSES)


def slow_two_hot(label1, label2, weight):
    label = np.zeros(K)
    label[label1] += weight
    label[label2] += 1 - weight
    return label


def smoothed(label, sure):
    c = 50 * 1e-4**sure
    return (np.asarray(label) + c / K) / (1 + c)


@pytest.mark.parametrize("task", ["infer", "categorical"])
def test_identity_gives_the_labels_of_mixup(task):
    study = invent(task, 2)
    shown = study.stimuli
    found = label_mixes(study, Identity())
    for i in range(len(shown)):
        np.testing.assert_allclose(found[i], slow_two_hot(shown.label1[i], shown.label2[i], shown.weight[i]))


def test_soft_labels_of_the_images_are_mixed_as_they_are():
    study = invent("infer", 2)
    shown, soft = study.stimuli, np.random.default_rng(0).dirichlet(np.ones(K), study.num_items)
    found = label_mixes(study, Identity(), soft=soft)
    for i in range(len(shown)):
        expected = shown.weight[i] * soft[shown.id1[i]] + (1 - shown.weight[i]) * soft[shown.id2[i]]
        np.testing.assert_allclose(found[i], expected)


def test_a_table_gives_the_mean_of_the_answers_and_its_smoothing_goes_by_the_mean_confidence():
    study = invent("infer", 2).without_repeats()
    table = ImageTable.fit(study.to_judgments())
    shown, judgments = study.stimuli, study.judgments
    plain, smooth = label_mixes(study, table), label_mixes(study, ConfidenceSmoothing(table, line=None))
    for i in range(len(shown)):
        here = judgments.stimulus == i
        expected = slow_two_hot(shown.label1[i], shown.label2[i], judgments.weight[here].mean())
        np.testing.assert_allclose(plain[i], expected, atol=1e-6)
        np.testing.assert_allclose(smooth[i], smoothed(expected, judgments.confidence[here].mean()), atol=1e-6)


def test_policies_that_look_get_the_features_of_the_right_images():
    study = invent("infer", 2)
    looks = torch.randn(study.num_items, 3, generator=torch.Generator().manual_seed(0))
    policy = LearnedPerception([0.0] * K, 1.0, [1.0, -0.5, 0.2])
    shown, found = study.stimuli, label_mixes(study, policy, features=looks)
    strength = (looks @ torch.tensor([1.0, -0.5, 0.2])).numpy()
    for i in np.flatnonzero((shown.weight > 0) & (shown.weight < 1) & (shown.label1 != shown.label2)):
        odds = np.log(shown.weight[i] / (1 - shown.weight[i])) + strength[shown.id1[i]] - strength[shown.id2[i]]
        assert found[i, shown.label1[i]] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)
    with pytest.raises(ConfigError, match=r"features1.*got None"):
        label_mixes(study, policy)


def test_each_answer_is_the_label_of_its_person():
    study = invent("infer", 3)
    shown, judgments = study.stimuli, study.judgments
    plain, smooth = label_judgments(study), label_judgments(study, smoothed=True)
    assert len(plain) == len(judgments)
    for j, i in enumerate(judgments.stimulus):
        expected = slow_two_hot(shown.label1[i], shown.label2[i], judgments.weight[j])
        np.testing.assert_allclose(plain[j], expected)
        np.testing.assert_allclose(smooth[j], smoothed(expected, judgments.confidence[j]))


def test_answers_in_classes_are_those_of_the_released_rule():
    study = invent("categorical", 3)
    found, expected = label_judgments(study), released_soft_labels(study)
    for i, name in enumerate(study.stimuli.name):
        np.testing.assert_array_equal(found[study.judgments.stimulus == i], expected[name])
    with pytest.raises(DataError, match=r"smoothed.*confidence"):
        label_judgments(study, smoothed=True)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_means_leave_repeats_out(shape):
    study = invent("infer", 3)
    judgments = study.judgments
    assert judgments.repeat.any()
    values = np.random.default_rng(0).normal(size=(len(judgments), *shape))
    found = mean_by_mix(study, values)
    for i in range(len(study.stimuli)):
        np.testing.assert_allclose(found[i], values[(judgments.stimulus == i) & ~judgments.repeat].mean(0))
    with pytest.raises(DataError, match=r"values must have \d+ rows.*got 2"):
        mean_by_mix(study, [0, 1])


def test_a_mix_without_a_judgment_has_no_mean():
    study = invent("infer", 3)
    none = study.judgments.repeat | (study.judgments.stimulus == 0)
    study.judgments.repeat.setflags(write=True)
    study.judgments.repeat[:] = none
    assert np.isnan(mean_by_mix(study, study.judgments.weight)).nonzero()[0].tolist() == [0]


def test_studies_that_cannot_be_labelled_are_refused():
    with pytest.raises(DataError, match="'infer' or 'categorical'; this one is 'construct'"):
        label_mixes(invent("construct", 0), Identity())
    with pytest.raises(DataError, match="this one is 'select'"):
        label_judgments(invent("select", 0))
    with pytest.raises(DataError, match=r"soft labels .*\(50, 5\).*got \(3, 5\)"):
        label_mixes(invent("infer", 0), Identity(), soft=np.ones((3, K)))
    with pytest.raises(ConfigError, match=r"2 classes.*got 5"):
        label_mixes(invent("infer", 0), ClassStrengths([0.1, -0.1], 1.0))


def test_the_mean_of_the_released_answers_is_the_table(real_data):
    study = read_study(real_data / "hmix", "infer").without_repeats()
    found = mean_by_mix(study, label_judgments(study))
    assert found.shape == (2_070, 10)
    np.testing.assert_allclose(found, label_mixes(study, ImageTable.fit(study.to_judgments())), atol=1e-6)
    shown = study.stimuli
    share = found[np.arange(2_070), shown.label1]
    np.testing.assert_allclose(share, mean_by_mix(study, study.judgments.weight))
    mixup = label_mixes(study, Identity())
    np.testing.assert_allclose(mixup[np.arange(2_070), shown.label1], shown.weight)
    np.testing.assert_allclose(mixup[np.arange(2_070), shown.label2], 1 - shown.weight)


def test_the_released_categorical_labels_have_a_mean_per_mix(real_data):
    study = read_study(real_data / "hmix", "categorical")
    found = mean_by_mix(study, label_judgments(study))
    assert found.shape == (100, 10)
    np.testing.assert_allclose(found.sum(1), 1)
    off = 1 - found[np.arange(100), study.stimuli.label1] - found[np.arange(100), study.stimuli.label2]
    assert 0.3 < off.mean() < 0.45
