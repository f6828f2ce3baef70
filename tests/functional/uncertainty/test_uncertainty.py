"""Calibration beyond bins against closed forms, loops over sorted samples, invariances and outside packages."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy, spearmanr

from hilmix.errors import ConfigError
from hilmix.functional import uncertainty as u
from hilmix.functional.calibration import (
    Bins,
    adaptive_calibration_error,
    bin_sums,
    calibration_error,
    classwise_bin_sums,
    classwise_calibration_error,
    top_label,
)
from tests.functional.draws import draw


def predictions(rows: int = 400, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    logits, target = draw(rows, seed=seed)
    target = torch.where(
        torch.rand(rows, generator=torch.Generator().manual_seed(seed)) < 0.6, logits.argmax(-1), target
    )
    return top_label(logits.softmax(-1), target)


def test_sums_of_fixed_size_add_up_and_keep_the_order():
    confidence, correct = predictions()
    whole = u.fine_sums(confidence, correct)
    parts = [u.fine_sums(confidence[a:b], correct[a:b]) for a, b in ((0, 100), (100, 400))]
    for mine, one, two in zip(whole, *parts, strict=True):
        torch.testing.assert_close(one + two, mine)
    assert whole.samples.shape == (u.RISK_CELLS,)
    ends = u.fine_sums(torch.tensor([0.0, 1.0, 1 - 1e-12]), torch.ones(3))
    assert (ends.samples[0], ends.samples[-1]) == (1, 2)


@pytest.mark.parametrize("rows", [1, 7, 15, 400])
def test_equal_mass_equals_the_sort_of_all_samples(rows):
    confidence, correct = predictions(rows)
    found = calibration_error(u.equal_mass_bins(u.fine_sums(confidence, correct)))
    assert found.item() == pytest.approx(adaptive_calibration_error(confidence, correct).item(), abs=2e-3)
    assert u.equal_mass_bins(u.fine_sums(confidence, correct)).samples.sum() == rows
    tied = torch.full((rows,), 0.75)
    hits = torch.arange(rows) % 2 == 0
    found = calibration_error(u.equal_mass_bins(u.fine_sums(tied, hits)))
    assert found.item() == pytest.approx(abs(0.75 - hits.double().mean().item()))


def test_risk_areas_equal_a_loop_over_the_order():
    confidence, correct = predictions()
    errors = (~correct[confidence.argsort(descending=True)]).double().cumsum(0)
    k = torch.arange(1, 401)
    fine = u.fine_sums(confidence, correct)
    assert u.risk_coverage_area(fine).item() == pytest.approx((errors / k).mean().item(), abs=2e-4)
    assert u.generalized_risk_area(fine).item() == pytest.approx((errors / 400).mean().item(), abs=2e-4)


def test_risk_areas_of_ties_are_means_over_their_orders():
    correct = torch.tensor([True, False, False])
    fine = u.fine_sums(torch.full((3,), 0.5), correct)
    import itertools

    areas = []
    for order in itertools.permutations([0.0, 1.0, 1.0]):
        errors = torch.tensor(order).cumsum(0)
        areas.append([(errors / torch.arange(1, 4)).mean().item(), (errors / 3).mean().item()])
    expected = np.mean(areas, axis=0)
    assert u.risk_coverage_area(fine).item() == pytest.approx(expected[0])
    assert u.generalized_risk_area(fine).item() == pytest.approx(expected[1])


def slow_smooth_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """The definition on a grid, with kernels mirrored at both ends."""
    grid = (np.arange(400) + 0.5) / 400

    def error(width: float) -> float:
        kernel = sum(
            np.exp(-((grid[:, None] - place) ** 2) / (2 * width**2))
            for shift in (-2, 0, 2)
            for place in (confidence + shift, -confidence + shift)
        ) / (width * math.sqrt(2 * math.pi))
        return float(np.abs(kernel @ (confidence - correct)).mean() / len(correct))

    low, high = 0.002, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) > middle else (low, middle)
    return error(high)


def test_smooth_error_equals_its_definition_and_a_constant_gap():
    confidence, correct = predictions()
    found = u.smooth_calibration_error(u.fine_sums(confidence, correct)).item()
    assert found == pytest.approx(slow_smooth_error(confidence.numpy(), correct.double().numpy()), rel=0.01)
    # always 0.7 and right in half of the cases: any kernel leaves a gap of 0.2
    gap = u.smooth_calibration_error(u.fine_sums(torch.full((1000,), 0.7), torch.arange(1000) % 2 == 0))
    assert gap.item() == pytest.approx(0.2, abs=1e-3)


def test_average_and_debiased_errors_by_hand():
    bins = Bins(torch.tensor([4.0, 0, 1]), torch.tensor([2.0, 0, 0.9]), torch.tensor([3.0, 0, 1]))
    assert u.average_calibration_error(bins).item() == pytest.approx((0.25 + 0.1) / 2)
    # the first bin loses 0.75 * 0.25 / 3 of its squared gap 0.0625, a bin of one sample nothing
    assert u.debiased_calibration_error(bins).item() == pytest.approx(math.sqrt((4 * (0.0625 - 0.0625) + 0.01) / 5))


def test_debiasing_removes_what_chance_adds():
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(200, 150, generator=generator, dtype=torch.float64)
    correct = torch.rand(200, 150, generator=generator) < confidence
    squared, plain = [], []
    for p, hit in zip(confidence, correct, strict=True):
        bins = bin_sums(p, hit)
        plain.append(calibration_error(bins, norm="l2").item() ** 2)
        squared.append(u.debiased_calibration_error(bins).item() ** 2)
    assert np.mean(plain) > 0.012
    assert np.mean(squared) < np.mean(plain) / 3


def test_brier_parts_add_up_and_equal_textbook_values():
    confidence, correct = predictions()
    found = u.brier_decomposition(u.brier_sums(confidence, correct))
    assert found.brier.item() == pytest.approx((confidence - correct.double()).square().mean().item())
    total = found.reliability - found.resolution + found.uncertainty + found.within
    torch.testing.assert_close(total, found.brier)
    # forecasts that are constant inside bins: the classical three parts, nothing within
    p = torch.tensor([0.1] * 10 + [0.9] * 10, dtype=torch.float64)
    hit = torch.tensor([1.0] * 2 + [0] * 8 + [1] * 7 + [0] * 3)
    parts = u.brier_decomposition(u.brier_sums(p, hit))
    expected = [(0.01 + 0.04) / 2, 0.25**2, 0.45 * 0.55, 0]
    np.testing.assert_allclose([x.item() for x in parts[1:]], expected, atol=1e-12)


def test_nothing_seen_is_nan():
    empty = u.fine_sums(torch.empty(0), torch.empty(0))
    for function in (u.risk_coverage_area, u.generalized_risk_area, u.smooth_calibration_error):
        assert function(empty).isnan()
    assert calibration_error(u.equal_mass_bins(empty)).isnan()
    bins = bin_sums(torch.empty(0), torch.empty(0))
    assert u.average_calibration_error(bins).isnan()
    assert u.debiased_calibration_error(bins).isnan()
    assert u.brier_decomposition(u.brier_sums(torch.empty(0), torch.empty(0))).brier.isnan()


def panels(items: int = 300, labels: int = 20, classes: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(classes, 0.5), items)
    counts = rng.multinomial(labels, truth)
    return torch.from_numpy(truth), torch.from_numpy(counts / labels), torch.full((items,), labels)


def test_distances_from_panels_against_scipy():
    probs, shares, _labels = panels()
    p, h = probs.numpy(), shares.numpy()
    np.testing.assert_allclose(u.total_variation(probs, shares), np.abs(p - h).sum(1) / 2)
    np.testing.assert_allclose(u.entropy_difference(probs, shares), entropy(p, axis=1) - entropy(h, axis=1))
    mixed = (p + h) / 2
    jsd = entropy(mixed, axis=1) - (entropy(p, axis=1) + entropy(h, axis=1)) / 2
    np.testing.assert_allclose(u.jensen_shannon(probs, shares), jsd, atol=1e-12)
    expected = spearmanr(entropy(p, axis=1), entropy(h, axis=1).round(9)).statistic
    assert u.entropy_correlation(probs, shares) == pytest.approx(expected)
    assert math.isnan(u.entropy_correlation(probs, torch.full_like(shares, 0.25)))
    assert u.ranking_agreement(shares, shares).all()
    assert u.ranking_agreement(probs[:1], torch.tensor([[1.0, 0, 0, 0]])).item() == (p[0].argmax() == 0)


def test_small_panels_bias_the_plain_forms_and_not_the_corrected_ones():
    probs, shares, labels = panels(items=20_000, labels=5)
    assert u.squared_distance(probs, shares, labels).mean().item() == pytest.approx(0, abs=2e-3)
    assert (probs - shares).square().sum(-1).mean() > 0.05
    probs, shares, labels = panels(items=20_000, labels=20)
    plain = u.entropy_difference(probs, shares).mean().item()
    assert 0 < u.entropy_difference(probs, shares, labels).mean().item() < plain / 2
    assert u.squared_distance(probs[:1], shares[:1], torch.tensor([1])).isnan()


def test_soft_hits_have_the_mean_of_drawn_ones():
    probs, shares, _ = panels()
    confidence, hits = u.soft_hits(probs, shares)
    assert confidence.tolist() == probs.amax(-1).tolist()
    assert hits[0] == shares[0, probs[0].argmax()]
    assert calibration_error(bin_sums(*u.soft_hits(shares, shares))).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", u.CALIBRATORS)
def test_calibrators_undo_what_was_done(name):
    logits, target = draw(2000)
    noise = torch.rand(2000, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = (logits.log_softmax(-1) - (-noise.log()).log()).argmax(-1)  # drawn from the softmax
    wrong = 3 * logits + torch.tensor([0.0, 2, 0, -2, 0]) * (name in ("vector", "dirichlet"))
    fit = u.fit_calibrator(name, wrong, target)
    truth = torch.nn.functional.cross_entropy(logits, target).item()
    assert not fit.refused
    assert fit.nll_after < fit.nll_before
    found = u.calibrate(fit, wrong)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2000, dtype=torch.float64))
    assert torch.nn.functional.nll_loss(found, target).item() < truth + 0.06
    if name in ("vector", "dirichlet"):
        assert (found.exp() - logits.softmax(-1)).abs().mean() < 0.02


@pytest.mark.parametrize("name", u.CALIBRATORS)
def test_a_calibrator_that_does_not_lower_the_nll_is_refused(name):
    logits, _ = draw(60, classes=12)
    noise = torch.rand(60, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = (logits.log_softmax(-1) - (-noise.log()).log()).argmax(-1)
    if name == "temperature":  # one parameter hardly overfits, so it gets nothing to work with
        logits = torch.zeros_like(logits)
    fit = u.fit_calibrator(name, logits, target)
    assert fit.refused
    torch.testing.assert_close(u.calibrate(fit, logits), logits.log_softmax(-1))
    assert u.fit_calibrator(name, logits[:0], target[:0]).refused


def test_float32_logits_are_fitted_too():
    """netcal returns 1.0 for float32, of which it cannot see the slope."""
    logits, target = draw(500)
    target = logits.argmax(-1).where(torch.arange(500) % 3 > 0, target)
    single, double = (u.fit_calibrator("vector", z, target) for z in (logits.float(), logits))
    np.testing.assert_allclose(single.parts, double.parts, atol=1e-3)


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_sets_cover_new_items_and_votes(score):
    truth, shares, _ = panels(items=6000, labels=10)
    probs = (truth + 0.1) / 1.4
    target = torch.multinomial(truth, 1, generator=torch.Generator().manual_seed(0)).squeeze(-1)
    threshold = u.conformal_threshold(probs[:3000], target[:3000], score=score)
    held = u.prediction_sets(probs[3000:], threshold, score=score)
    assert 0.88 < held.gather(-1, target[3000:, None]).double().mean() < 0.94
    threshold = u.crowd_threshold(probs[:3000], shares[:3000], score=score)
    held = u.prediction_sets(probs[3000:], threshold, score=score)
    assert 0.88 < (shares[3000:] * held).sum(-1).mean() < 0.94


def test_thresholds_by_hand():
    probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    # scores 0.1, 0.6, 0.2: the ceil(4 * 0.5) = 2nd smallest
    assert u.conformal_threshold(probs, torch.tensor([0, 1, 1]), miss=0.5) == pytest.approx(0.2)
    assert u.conformal_threshold(probs, torch.tensor([0, 1, 1]), miss=0.1) == math.inf
    assert u.set_scores(torch.tensor([[0.5, 0.3, 0.2]]), score="aps").tolist()[0] == pytest.approx([0.5, 0.8, 1.0])
    one_hot = torch.eye(2)[[0, 1, 1]]
    # (missed + 1) / 4 <= 0.5 from one missed item on
    assert u.crowd_threshold(probs, one_hot, miss=0.5) == pytest.approx(0.2)
    assert u.crowd_threshold(probs, one_hot, miss=0.2) == math.inf
    assert u.prediction_sets(probs, -1.0).sum(-1).tolist() == [1, 1, 1]
    with pytest.raises(ConfigError, match="`miss`"):
        u.conformal_threshold(probs, torch.tensor([0, 1, 1]), miss=1.0)


def test_average_and_classwise_errors_equal_netcal_and_torch_uncertainty():
    netcal = pytest.importorskip("netcal.metrics")
    confidence, correct = predictions()
    theirs = netcal.ACE(15).measure(confidence.numpy(), correct.numpy().astype(int))
    assert u.average_calibration_error(bin_sums(confidence, correct)).item() == pytest.approx(theirs, abs=1e-6)
    package = pytest.importorskip("torch_uncertainty.metrics.classification")
    logits, target = draw()
    metric = package.ClasswiseCalibrationError(num_classes=5, num_bins=15)
    metric.update(logits.softmax(-1).float(), target)
    ours = classwise_calibration_error(classwise_bin_sums(logits.softmax(-1), target))
    assert ours.item() == pytest.approx(metric.compute().item(), abs=1e-6)
