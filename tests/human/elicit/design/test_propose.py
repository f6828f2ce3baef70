from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from hilmix.human.elicit.design.pairs import Pairs
from hilmix.human.elicit.design.propose import Belief, Candidates, compute_excess_after, draw_candidates, propose
from hilmix.human.perception import ClassStrengths
from hilmix.human.perception.judgments import MixJudgments
from hilmix.human.perception.learned import COMPONENTS, RegressionColumns

CLASSES = ("a", "b", "c")


def problem(seed: int, *, size: int = 6, columns: int = 3):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(columns, columns))
    belief = Belief(rng.normal(size=columns), root @ root.T + 0.1 * np.eye(columns), 0.3, 0.2)
    return belief, rng.normal(size=(size, columns)), rng.uniform(0.1, 0.9, size)


def excess(belief: Belief, x: np.ndarray, weight: np.ndarray, rows) -> float:
    """The criterion, one judgment and one candidate at a time, by explicit inverses."""
    information = np.linalg.inv(belief.covariance)
    for row in rows:
        h = expit(x[row] @ belief.mean)
        noise = belief.dispersion / (h * (1 - h)) + belief.slope_variance * logit(weight[row]) ** 2
        information = information + np.outer(x[row], x[row]) / noise
    covariance = np.linalg.inv(information)
    h = expit(x @ belief.mean)
    return float(np.mean([h[j] * (1 - h[j]) * x[j] @ covariance @ x[j] for j in range(len(x))]))


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_brute_force_of_each_step(seed):
    belief, x, weight = problem(seed)
    found = propose(belief, x, weight, np.arange(6), 4)
    chosen: list[int] = []
    for row, gain in zip(found.rows, found.gain, strict=True):
        left = {j: excess(belief, x, weight, [*chosen, j]) for j in range(6) if j not in chosen}
        assert row == min(left, key=left.get)
        assert gain == pytest.approx(excess(belief, x, weight, chosen) - left[row], rel=1e-9)
        chosen.append(int(row))
    assert found.before == pytest.approx(excess(belief, x, weight, []))
    assert compute_excess_after(belief, x, weight, found.rows) == pytest.approx(excess(belief, x, weight, chosen))


def test_of_equal_gains_the_first_is_chosen_on_every_processor():
    belief, x, weight = problem(0, size=1)
    found = propose(belief, np.repeat(x, 37, 0), np.repeat(weight, 37), np.arange(37), 5)
    assert found.rows.tolist() == [0, 1, 2, 3, 4]


def test_what_is_known_for_sure_stays_so():
    """A covariance of rank 1, c v v': one judgment leaves c / (1 + c p (x'v)^2) of it, p its precision."""
    v, x, weight = np.array([1.0, -2.0, 0.5]), np.eye(3), np.array([0.3, 0.5, 0.8])
    belief = Belief(np.zeros(3), 0.7 * np.outer(v, v), 0.3, 0.2)
    precision = 1 / (0.3 / 0.25 + 0.2 * logit(0.5) ** 2)
    left = 0.7 / (1 + 0.7 * precision * v[1] ** 2) * 0.25 * np.mean(v**2)
    assert compute_excess_after(belief, x, weight, np.array([1])) == pytest.approx(left, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_near_the_best_of_all_choices(seed):
    belief, x, weight = problem(seed)
    found = propose(belief, x, weight, np.arange(6), 3)
    best = min(excess(belief, x, weight, rows) for rows in permutations(range(6), 3))
    assert found.before - found.gain.sum() <= best + 0.1 * (found.before - best)


def test_a_pair_comes_once_and_either_order_of_images_is_the_same():
    belief, x, weight = problem(0)
    pair = np.array([0, 0, 1, 1, 2, 2])
    found = propose(belief, x, weight, pair, 3)
    assert sorted(pair[found.rows]) == [0, 1, 2]
    sign = np.array([1, -1, 1, -1, 1, -1])[:, None]
    turned = propose(belief, x * sign, np.where(sign[:, 0] > 0, weight, 1 - weight), pair, 3)
    assert turned.rows.tolist() == found.rows.tolist()


def test_the_unknown_class_is_asked_about():
    covariance = np.diag([0.001, 0.001, 0.001, 1.0])
    pairs = Candidates.cross(Pairs(np.array([0, 0, 1]), np.array([1, 2, 2])), (0.5,))
    x = pairs.columns(np.array([0, 1, 2]), np.zeros((3, 0)), num_classes=3)
    found = propose(Belief(np.zeros(4), covariance, 0.2, 0.0), x, pairs.weight, pairs.pair, 2)
    assert set(found.rows.tolist()) == {1, 2}, "both pairs with class c, and not that of a and b"


def people(rows: int, *, seed: int = 0, classes: int = 3) -> MixJudgments:
    """Answers to random mixes of 20 images per class, given by people with strengths 0.5, 0, -0.5 and slope 0.8."""
    rng, t = np.random.default_rng(seed), np.array([0.5, 0.0, -0.5])
    id1, id2 = rng.integers(0, 60, (2, 4 * rows))
    keep = np.flatnonzero(id1 % classes != id2 % classes)[:rows]
    id1, id2 = id1[keep], id2[keep]
    weight = rng.choice([0.1, 0.25, 0.5, 0.75, 0.9], rows)
    h = expit(0.8 * logit(weight) + t[id1 % classes] - t[id2 % classes])
    return MixJudgments(
        id1 % classes,
        id2 % classes,
        weight,
        rng.beta(10 * h, 10 * (1 - h)),
        np.full(rows, np.nan),
        np.arange(rows) // 30,
        id1,
        id2,
        classes,
        tuple(f"p{p}" for p in range((rows - 1) // 30 + 1)),
    )


def test_belief_finds_strengths_and_is_as_sure_as_it_is_right():
    features = torch.from_numpy(np.random.default_rng(9).normal(size=(60, 4)))
    inside = total = 0
    for seed in range(20):
        belief = Belief.fit(RegressionColumns.build(people(300, seed=seed), features, None, COMPONENTS))
        truth = np.array([0.8, 0.5, 0.0, -0.5, 0, 0, 0, 0])
        for c, d in ((0, 1), (0, 2), (1, 2)):
            x = np.zeros(8)
            x[1 + c], x[1 + d] = 1, -1
            inside += abs(x @ (belief.mean - truth)) < 2 * np.sqrt(x @ belief.covariance @ x)
            total += 1
    assert inside / total > 0.85, "of two standard deviations, 95 % expected"


def test_belief_without_features_is_near_class_strengths():
    judged = people(2000)
    belief = Belief.fit(RegressionColumns.build(judged, torch.zeros(60, 1), None, COMPONENTS))
    simple = ClassStrengths.fit(judged)
    assert belief.mean[1] - belief.mean[2] == pytest.approx(float(simple.offset[0, 1]), abs=0.02)
    assert belief.mean[0] == pytest.approx(float(simple.slope), abs=0.02)


def test_columns_are_those_of_the_fit():
    judged = people(50)
    shown = RegressionColumns.build(
        judged, torch.from_numpy(np.random.default_rng(1).normal(size=(60, 4))), None, COMPONENTS
    )
    features = torch.from_numpy(np.random.default_rng(1).normal(size=(60, 4)))
    mixes = Candidates(Pairs(judged.id1, judged.id2), judged.weight, np.arange(50))
    x = mixes.columns(np.arange(60) % 3, shown.components(features.numpy()), num_classes=3)
    np.testing.assert_allclose(x, shown.design()[0][:, : shown.slices["participant"].start])


def test_candidates_are_new_balanced_pairs_at_every_weight():
    label, taken = np.arange(30) % 3, Pairs(np.array([0, 4]), np.array([1, 0]))
    found = draw_candidates(label, 1000, taken, weights=(0.2, 0.5), classes=CLASSES, seed=0)
    pairs = list(zip(found.pairs.first.tolist(), found.pairs.second.tolist(), strict=True))
    assert len(pairs) == 2 * (300 - 2), "all 300 pairs of two classes, without those taken"
    assert len({frozenset(pair) for pair in pairs}) == 298
    assert not {frozenset((0, 1)), frozenset((0, 4))} & {frozenset(pair) for pair in pairs}
    assert found.weight.reshape(-1, 2).tolist() == [[0.2, 0.5]] * 298
    assert (label[found.pairs.first] != label[found.pairs.second]).all()
    assert 100 < (found.pairs.first < found.pairs.second)[::2].sum() < 198, "either image comes first"
    again = draw_candidates(label, 1000, taken, weights=(0.2, 0.5), classes=CLASSES, seed=0)
    assert (again.pairs.first == found.pairs.first).all()
