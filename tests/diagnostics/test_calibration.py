"""Temperature, metrics and panels from a clean pass and scores, without a Trainer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from hilmix.diagnostics import CalibrationTracker, calibration_metrics, fit_pass_temperature, reliability_panels
from hilmix.functional.temperature import TEMPERATURE_RANGE
from tests.callbacks.toy import Toy, confusions, toy_data
from tests.diagnostics.passes import toy_batch, toy_pass


def best_temperature(loss):
    low, high = np.log(TEMPERATURE_RANGE)
    found = minimize_scalar(lambda t: loss(np.exp(t)), bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return np.exp(found.x)


def test_the_temperature_is_fitted_on_true_classes_where_any_is_known():
    data, result = toy_pass(split="val", scale=1.5)
    fit, evidence = fit_pass_temperature(data, result)
    target = data.target[result.items]
    logits, target = result.logits[target >= 0].astype(np.float64), target[target >= 0]

    def nll(t):
        return -log_softmax(logits / t, 1)[np.arange(len(target)), target].mean()

    assert fit.temperature == pytest.approx(best_temperature(nll), rel=1e-4)
    assert str(len(target)) in evidence


def test_the_temperature_is_fitted_on_votes_through_the_annotator_model_without_truth():
    data, generator = toy_data(truth=False), np.random.default_rng(0)
    notes, logits = data.annotations, data.inputs.array[data.annotations.item]
    true = (logits + generator.gumbel(size=logits.shape)).argmax(1)  # drawn from the softmax
    chances = np.cumsum(confusions()[notes.annotator, true], axis=1)
    label = (generator.random((notes.num_pairs, 1)) > chances[:, :2]).sum(1)
    data = replace(data, annotations=replace(notes, label=label))
    data, result = toy_pass(data, scale=3.0)
    fit, evidence = fit_pass_temperature(data, result)
    logits = result.logits[result.row].astype(np.float64)

    def nll(t):
        return -logsumexp(log_softmax(logits / t, 1) + result.log_likelihood, 1).mean()

    assert fit.determined
    assert fit.temperature == pytest.approx(best_temperature(nll), rel=1e-3)
    assert str(len(result.pairs)) in evidence


def scores(data, temperature, **kwargs):
    tracker = CalibrationTracker(3, temperature, torch.device("cpu"))
    with torch.no_grad():
        tracker.update(Toy(**kwargs).eval().evaluate(toy_batch(data, np.flatnonzero(data.split == "train"))))
    return {(score.what, score.stage): score for score in tracker.scores()}


def test_metrics_name_the_stage_that_they_come_from():
    found = scores(toy_data(), 2.0)
    metrics = calibration_metrics(list(found.values()))
    before, after = found["class", "before"].values, found["class", "after"].values
    votes, annotators = found["vote", "after"].values, found["annotator", "before"].values
    expected = {name: before[name] for name in ("ece_classwise", "ece_adaptive")}
    expected |= {f"{name}_calibrated": after[name] for name in ("ece", "nll", "brier")}
    expected |= {f"vote_{name}_calibrated": votes[name] for name in ("ece", "nll", "brier")}
    expected |= {f"vote_{name}": found["vote", "before"].values[name] for name in ("ece_classwise", "ece_adaptive")}
    expected["annotator_ece"] = annotators["ece"]
    assert metrics == expected


def test_panels_show_the_class_model_twice_and_annotators_once():
    found = scores(toy_data(), 2.0)
    panels = reliability_panels(list(found.values()))
    assert [panel.bins for panel in panels] == [
        found[key].bins for key in (("class", "before"), ("class", "after"), ("annotator", "before"))
    ]
    assert "2" in panels[1].title
    assert f"{found['class', 'before'].values['ece']:.3f}" in panels[0].note


def test_panels_show_votes_where_no_truth_is_known():
    found = scores(toy_data(truth=False), 2.0)
    assert [panel.bins for panel in reliability_panels(list(found.values()))] == [
        found["vote", stage].bins for stage in ("before", "after")
    ]
