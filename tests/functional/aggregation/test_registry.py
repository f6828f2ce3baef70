from typing import get_args

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.data.targets import Method
from hilmix.errors import ConfigError
from hilmix.functional.aggregation import AGGREGATORS, aggregate, choose_classes
from hilmix.functional.aggregation.registry import AVERAGED
from tests.functional.aggregation.tables import crowd, random_table


def annotations(num_classes=2, **kwargs):
    table = random_table(0, num_items=9, num_annotators=4, num_classes=num_classes, **kwargs)
    sizes = {"num_items": 9, "classes": num_classes, "annotators": 4, "probs": table.probs}
    return Annotations.build(table.item, table.annotator, table.label, **sizes)


def test_the_training_targets_offer_the_same_names():
    assert get_args(Method) == tuple(AGGREGATORS)


@pytest.mark.parametrize("method", AGGREGATORS)
@pytest.mark.parametrize("soft", [False, True])
def test_every_aggregator_gives_a_distribution_per_item_and_repeats_itself(method, soft):
    votes = annotations(soft=soft, repeats=2)
    result = aggregate(method, votes, seed=3)
    assert result.posterior.shape == (9, 2)
    np.testing.assert_allclose(result.posterior.sum(1), 1)
    assert (result.posterior >= 0).all()
    assert result.skill is None or (result.skill.shape == (4,) and result.skill_name)
    np.testing.assert_array_equal(aggregate(method, votes, seed=3).posterior, result.posterior)


@pytest.mark.parametrize("method", AGGREGATORS)
@pytest.mark.parametrize(
    "votes",
    [
        Annotations.from_dense([[0], [1], [-1]], classes=2),
        Annotations.from_dense([[-1, -1]] * 3, classes=2),
        Annotations.from_counts([[2, 1], [0, 0], [0, 5]]),
        Annotations.from_dense(np.empty((0, 2), dtype=int), classes=2),
    ],
    ids=["one annotator", "no votes", "exchangeable", "no items"],
)
def test_small_and_empty_tables_are_legal(method, votes):
    result = aggregate(method, votes)
    assert result.posterior.shape == (votes.num_items, 2)
    assert np.isfinite(result.posterior).all()


@pytest.mark.parametrize("method", [m for m in AGGREGATORS if m != "kos"])
def test_one_class_is_certain(method):
    np.testing.assert_allclose(aggregate(method, annotations(num_classes=1)).posterior, 1)


@pytest.mark.parametrize("method", AGGREGATORS)
def test_unanimous_votes_win(method):
    votes = Annotations.from_dense([[0] * 5, [1] * 5, [0] * 5, [1] * 5], classes=2)
    assert aggregate(method, votes).posterior.argmax(1).tolist() == [0, 1, 0, 1]


def test_the_average_is_that_of_the_others():
    votes = annotations(num_classes=3)
    parts = [aggregate(name, votes, seed=1).posterior for name in AVERAGED]
    np.testing.assert_allclose(aggregate("average", votes, seed=1).posterior, sum(parts) / 6)


def test_hard_methods_report_ties_and_the_others_whether_they_converged():
    tie = Annotations.from_dense([[0, 1], [1, 1]], classes=2)
    assert aggregate("majority", tie).ties == 1
    assert aggregate("majority", tie).hard
    assert aggregate("kos", annotations()).ties is not None
    iterative = ("dawid-skene", "one-coin", "zencrowd", "ibcc", "ebcc", "glad", "mace", "zero-based-skill", "iwmv")
    for method in (*iterative, "average"):
        assert aggregate(method, tie).converged


@pytest.mark.parametrize("method", ["dawid-skene", "one-coin", "zencrowd", "ibcc", "ebcc", "glad", "mace", "average"])
def test_on_round_is_called_after_every_round(method):
    seen = []
    aggregate(method, annotations(), on_round=seen.append)
    assert seen[:2] == [1, 2]


def test_an_unknown_method_is_named_with_what_is_allowed():
    with pytest.raises(ConfigError, match=r"`method`.*majority, soft, dawid-skene.*'ds'"):
        aggregate("ds", annotations())


def accuracy(method, votes, truth):
    return 100 * (choose_classes(aggregate(method, votes).posterior).label == truth).mean()


# Of crowd-kit 1.4.2 run to convergence (200 rounds of Dawid-Skene, 100 of MACE, 20 of GLAD, never stopped early), with
# annotators and classes coded in their order of appearance, where its MACE is right. Its Dawid-Skene has no priors.
OUTSIDE = {
    "bluebirds": {"dawid-skene": 89.81, "mace": 86.11, "glad": 72.22},
    "rte": {"dawid-skene": 92.75, "mace": 92.62, "glad": 92.50},
    "dogs": {"dawid-skene": 84.26, "mace": 83.02, "glad": 83.40},
    "temporal_order": {"dawid-skene": 94.16, "mace": 94.37, "glad": 93.51},
}


@pytest.mark.parametrize(("name", "method"), [(n, m) for n, row in OUTSIDE.items() for m in row])
def test_accuracies_are_those_of_another_implementation(real_data, name, method):
    points = 1.0 if method == "dawid-skene" else 0.25
    assert accuracy(method, *crowd(real_data, name)) == pytest.approx(OUTSIDE[name][method], abs=points)


# With few classes the weights of Pl@ntNet are all alike.
BETTER = [m for m in AGGREGATORS if m not in ("majority", "soft", "plantnet", "kos")]


@pytest.mark.parametrize("method", BETTER)
def test_models_of_annotators_beat_the_vote_with_many_labels_per_annotator(real_data, method):
    for name in ("dogs", "music_genre", "rte"):
        votes, truth = crowd(real_data, name)
        assert accuracy(method, votes, truth) > accuracy("majority", votes, truth), name
