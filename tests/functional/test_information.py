"""What answers determine: dependent columns, rounding noise and units, against explicitly reduced full-rank designs.

``make test-kernels`` runs this under several processors' kernels, whose rounding differs.
"""

import ast
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from hilmix.errors import DataError
from hilmix.functional.information import contrasts, find_coordinates, information_root, penalised_root, spread_or_one
from hilmix.human.functional.association import clustered_slopes
from hilmix.human.functional.logit_fits import fit_logit, shrunk_logit
from hilmix.human.functional.ridge_logit import ridge_logit
from hilmix.human.functional.strengths import class_strengths
from hilmix.human.perception import ClassStrengths
from hilmix.human.perception.components import Components
from tests.human.perception.simulated import judged

PACKAGE = Path(__file__).parents[2] / "hilmix"
NOISE = [0.0, 1e-16, 1e-15, 1e-13, 1e-11, 1e-9]
"""Relative differences of a column from its double that are rounding, of float64 and of sums in it."""


def draw(seed: int, rows: int = 400, columns: int = 3):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(rows, columns))
    mean = expit(design @ rng.normal(size=columns))
    return design, rng.beta(5 * mean, 5 * (1 - mean)), rng


def oracle(design, answer):
    """scikit-learn's unpenalised fit of a full-rank design, both outcomes weighted."""
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=10_000)
    model.fit(np.tile(design, (2, 1)), np.repeat([1, 0], len(answer)), sample_weight=np.r_[answer, 1 - answer])
    return model.coef_[0]


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("seed", range(5))
def test_a_doubled_column_shares_the_coefficient_of_the_single_one(noise, seed):
    design, y, rng = draw(seed)
    double = design[:, :1] * (1 + noise * rng.normal(size=(len(y), 1)))
    single = fit_logit(design, y)
    found = fit_logit(np.hstack([design, double]), y)
    np.testing.assert_allclose(found, [single[0] / 2, *single[1:], single[0] / 2], atol=1e-7)
    np.testing.assert_allclose(single, oracle(design, y), atol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1.0, 1e4])
def test_the_smallest_norm_is_that_of_the_columns_in_their_units(unit):
    """Of all u, v with u + unit v = b the smallest is b (1, unit) / (1 + unit^2)."""
    design, y, _ = draw(0, columns=1)
    found, single = fit_logit(np.hstack([design, unit * design]), y), fit_logit(design, y)[0]
    np.testing.assert_allclose(found, single * np.array([1, unit]) / (1 + unit**2), rtol=1e-8)


@pytest.mark.parametrize("units", [(1.0, 1e-6, 1e6), (1e-9, 1.0, 1e9)])
def test_columns_may_be_permuted_and_in_any_unit(units):
    design, y, _ = draw(1)
    want, order = fit_logit(design, y), [2, 0, 1]
    np.testing.assert_allclose(fit_logit(design * units, y) * units, want, atol=1e-8)
    np.testing.assert_allclose(fit_logit(design[:, order], y), want[order], atol=1e-10)


@pytest.mark.parametrize(("classes", "rows"), [(2, 50), (5, 900), (10, 5000), (40, 3000)])
@pytest.mark.parametrize("seed", range(3))
def test_effects_of_classes_are_those_of_a_design_without_the_last(classes, rows, seed):
    """Signed indicators of classes sum to 0 in every row; by reference coding they do not depend on each other."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, classes, rows)
    second = (first + rng.integers(1, classes, rows)) % classes
    hot, x = np.eye(classes), rng.choice([0.1, 0.25, 0.5, 0.75, 0.9], rows)
    design = np.column_stack([logit(x), hot[first] - hot[second]])
    mean = expit(design @ np.r_[0.8, rng.normal(size=classes) / 2])
    y = rng.beta(5 * mean, 5 * (1 - mean))
    reduced = oracle(design[:, :-1], y)
    strengths = np.r_[reduced[1:], 0] - np.r_[reduced[1:], 0].mean()
    found = fit_logit(design, y)
    np.testing.assert_allclose(found, [reduced[0], *strengths], atol=2e-5)


def test_class_strengths_sum_to_zero_and_equal_reference_coding():
    judgments = judged(strengths=np.array([0.4, -0.3, 0.1, -0.2]))
    hot = np.eye(4)
    design = np.column_stack([logit(judgments.weight), (hot[judgments.label1] - hot[judgments.label2])[:, :-1]])
    reduced = oracle(design, judgments.answer)
    args = ClassStrengths.fit(judgments).spec()["init_args"]
    strengths = np.r_[reduced[1:], 0]
    np.testing.assert_allclose(args["strengths"], strengths - strengths.mean(), atol=1e-5)
    assert sum(args["strengths"]) == pytest.approx(0, abs=1e-6)


def test_additive_strengths_and_their_intervals_equal_reference_coding():
    rng, classes = np.random.default_rng(0), 12
    first = rng.integers(0, classes, 4000)
    second, who = (first + rng.integers(1, classes, 4000)) % classes, rng.integers(0, 30, 4000)
    y = rng.normal(size=4000) + 0.1 * (first - second)
    found = class_strengths(y, first, second, participant=who, num_classes=classes)
    hot = np.eye(classes)
    reduced = (hot[first] - hot[second])[:, :-1]
    slopes = clustered_slopes(reduced, y, who)
    centred = np.r_[slopes.value, 0] - slopes.value.sum() / classes
    np.testing.assert_allclose(found.strength, centred, atol=1e-10)
    np.testing.assert_allclose(found.strength - found.low, found.high - found.strength, atol=1e-12)
    pair = class_strengths(y, np.zeros(4000, int), np.ones(4000, int), participant=who, num_classes=2)
    half = clustered_slopes(np.ones((4000, 1)), y, who)  # the difference of two strengths, each half of it
    np.testing.assert_allclose([pair.strength[0] * 2, pair.low[0] * 2], [half.value[0], half.low[0]], atol=1e-10)


def test_a_slope_far_from_one_is_a_matter_of_units_and_separated_answers_are_refused():
    x = np.linspace(-1, 1, 50)[:, None]
    y = expit(0.7 * x[:, 0])
    np.testing.assert_allclose(fit_logit(x * 1e-5, y), [0.7e5], rtol=1e-8)
    np.testing.assert_allclose(fit_logit(np.vstack([x, [[500.0]]]), np.r_[y, 1.0]), [0.7], rtol=1e-8)
    for separated in (x, x * 1e-5, x * 1e5, np.hstack([x, x])):
        with pytest.raises(DataError, match="do not determine"):
            fit_logit(separated, (x[:, 0] > 0).astype(float))


def test_nothing_to_fit_is_zero():
    assert fit_logit(np.zeros((5, 2)), np.full(5, 0.3)).tolist() == [0, 0]
    assert fit_logit(np.zeros((0, 2)), np.zeros(0)).tolist() == [0, 0]


@pytest.mark.parametrize("noise", NOISE)
def test_tied_measures_are_refused_also_where_rounding_unties_them(noise):
    _, y, rng = draw(2)
    x = rng.normal(size=len(y))
    tied = 3 * x - 2 + noise * rng.normal(size=len(y))
    with pytest.raises(DataError, match="do not determine 3 slopes"):
        clustered_slopes(np.column_stack([np.ones_like(x), x, tied]), y, np.arange(len(y)) % 20)


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e-8, 1e8)])
def test_slopes_of_close_but_different_measures_are_found(units):
    x = np.linspace(0, 1, 200)
    design = np.column_stack([x, x + 1e-5 * np.cos(40 * x)]) * units
    slopes = np.array([2.0, -1.0]) / units
    found = clustered_slopes(design, design @ slopes, np.arange(200) % 10)
    np.testing.assert_allclose(found.value, slopes, rtol=1e-6)


@pytest.mark.parametrize("noise", NOISE)
def test_a_doubled_column_of_a_free_block_shares_its_coefficient(noise):
    """Also where the answers lie on the curve, where the dispersion vanishes and rounding looks like evidence."""
    design, y, rng = draw(3)
    double = np.hstack([design, design[:, :1] * (1 + noise * rng.normal(size=(len(y), 1)))])
    for answer in (y, expit(design @ [1.0, -0.5, 0.2])):
        single = ridge_logit(design, np.full(3, -1), answer).coefficients
        found = ridge_logit(double, np.full(4, -1), answer).coefficients
        np.testing.assert_allclose(found, [single[0] / 2, *single[1:], single[0] / 2], atol=1e-4)


def test_groups_that_saw_one_place_of_the_curve_stay_at_its_likeliest_point():
    """Every group answers at one x only, without noise: level and slope cannot be message apart within a group."""
    rng = np.random.default_rng(4)
    group, x = np.repeat(np.arange(30), 20), np.repeat(rng.normal(size=30), 20)
    design, shift = np.column_stack([np.ones_like(x), x]), np.repeat(rng.normal(size=30) * 0.3, 20)
    found = shrunk_logit(design, 0.5 * x, expit(0.5 * x + shift), group, num_groups=30)
    assert np.isfinite(found.deviation).all()
    t = found.variance
    for g in range(30):  # closed form: the whole shift, shared in proportion to the variances
        one = design[group == g][0]
        want = t * one / (t * one**2).sum() * shift[group == g][0]
        np.testing.assert_allclose(found.deviation[g], want, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e13])
def test_a_penalty_counts_where_there_is_no_information(scale):
    """Of x and its double with weight ``scale`` and penalties p, the inverse in closed form (Sherman and Morrison)."""
    x, p = np.linspace(1, 2, 100), np.array([1e-6, 3e-6])
    s = scale * (x**2).sum()
    root = penalised_root(np.sqrt(scale) * np.column_stack([x, x]), p)
    bottom = p[0] * p[1] + s * (p[0] + p[1])
    want = np.array([[p[1] + s, -s], [-s, p[0] + s]]) / bottom
    np.testing.assert_allclose(root @ root.T, want, rtol=1e-6)


def test_the_root_of_information_is_blind_to_noise():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(7, 50, 2)) * [1.0, 1e5]
    design = np.concatenate([x, x.sum(-1, keepdims=True) * (1 + 1e-13 * rng.normal(size=(7, 50, 1)))], -1)
    information = design.swapaxes(-1, -2) @ design
    root = information_root(information, 50)
    assert ((np.abs(root).sum(-1) > 0).sum(-1) == 2).all()
    size = np.sqrt(np.diagonal(information, axis1=-2, axis2=-1))
    scaled = (root.swapaxes(-1, -2) @ root - information) / size[:, :, None] / size[:, None, :]
    np.testing.assert_allclose(scaled, 0, atol=1e-12)


def test_determined_coordinates_are_orthonormal_and_have_the_pseudo_inverse():
    design, _, _ = draw(6, rows=30)
    design = np.hstack([design, design @ [[1.0], [2.0], [0.0]], np.zeros((30, 1))])
    rows, back = find_coordinates(design)
    assert rows.shape == (30, 3)
    np.testing.assert_allclose(rows.T @ rows, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(design @ back, rows, atol=1e-12)
    np.testing.assert_allclose(back @ rows.T, np.linalg.pinv(design, rcond=1e-10), atol=1e-12)


@pytest.mark.parametrize("levels", [1, 2, 3, 10])
def test_contrasts_are_orthonormal_and_sum_to_zero(levels):
    found = contrasts(levels)
    assert found.shape == (levels, levels - 1)
    np.testing.assert_allclose(found.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.T @ found, np.eye(levels - 1), atol=1e-12)


@pytest.mark.parametrize("constant", [0.1, 1e-3, 1 / 3, 1e9, 0.0])
def test_a_constant_feature_is_not_divided_by_its_rounding(constant):
    rng = np.random.default_rng(7)
    features = np.column_stack([np.full(1001, constant), rng.normal(size=1001) * 1e-12, 1e6 + rng.normal(size=1001)])
    scale = spread_or_one(features)
    assert scale[0] == 1
    np.testing.assert_allclose(scale[1:], features[:, 1:].std(0))
    assert Components.fit(features, [3], 3).scale[0] == 1


def test_components_stay_in_what_the_images_span():
    """Five images span four directions around their mean; a sixth may lie anywhere."""
    features = np.random.default_rng(8).normal(size=(5, 9))
    found = Components.fit(features, [9], 7)
    assert found.basis.shape == (9, 4)
    z = (features - found.mean) / found.scale
    span = np.linalg.svd(z, full_matrices=False)[2][:4]
    np.testing.assert_allclose(span.T @ span @ found.basis, found.basis, atol=1e-10)
    np.testing.assert_allclose(np.square(found(features)).mean(), 1, rtol=1e-10)


def test_only_one_file_inverts_matrices():
    """The cut-off is worth nothing where a file decides by itself; triangular factors of QR are not decided on."""
    names = {"inv", "pinv", "pinvh", "matrix_rank", "lstsq", "cho_factor", "cho_solve", "cholesky"}
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in names and file.name != "information.py":
                found.add(f"{file.name}: {name}")
    assert not found


def test_the_penalised_fit_is_the_best_of_a_search():
    design, y, _ = draw(9, rows=80)
    dependent = np.hstack([design, design[:, :2]])
    block = np.array([-1, 0, 0, 1, 1])
    found = ridge_logit(dependent, block, y)

    def loss(x):
        eta = dependent @ x
        fit = (y * eta - np.logaddexp(0, eta)).sum() / found.dispersion
        return (x[1:] ** 2 / found.variance[block[1:]]).sum() / 2 - fit

    np.testing.assert_allclose(found.coefficients, minimize(loss, np.zeros(5), tol=1e-10).x, atol=2e-3)
