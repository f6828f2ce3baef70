"""Sizes are known before anything is allocated: K, A and the gigabytes are named."""

import tracemalloc
from functools import partial

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.annotators import CoNAL, CrowdAR, CrowdLayer, DawidSkene, TraceReg
from hilmix.data.folder.describe import describe_data
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.functional import sizes
from hilmix.functional.aggregation import AGGREGATORS, SparsePosterior, aggregate
from hilmix.functional.aggregation.decisions import decide

SPARSE = ("majority", "soft", "wawa", "zero-based-skill", "iwmv", "mace", "glad", "dawid-skene", "average")
"""Methods that keep nothing for an item and a class that no vote names."""


@pytest.mark.parametrize("many", [10**5, 10**6])
@pytest.mark.parametrize("method", [m for m in AGGREGATORS if m not in ("kos", *SPARSE)])
def test_every_label_a_class_is_refused_before_it_is_allocated(method, many, monkeypatch):
    monkeypatch.setattr(sizes, "memory", lambda: 2**32)
    number = np.arange(many)
    votes = Annotations.build(number, number % 7, number, num_items=many, classes=many, annotators=7)
    tracemalloc.start()
    with pytest.raises(DataError) as raised:
        aggregate(method, votes)
    assert tracemalloc.get_traced_memory()[1] < 1000 * many
    tracemalloc.stop()
    assert f"{many:,} classes" in str(raised.value)
    assert "GiB" in str(raised.value)


@pytest.mark.parametrize("method", SPARSE)
def test_memory_of_sparse_methods_does_not_grow_with_items_times_classes(method, monkeypatch):
    """10 GB of probabilities, were they in full."""
    many, item = 36_000, np.arange(36_000).repeat(2)
    votes = Annotations.build(item, np.tile([0, 1], many), item, num_items=many, classes=many, annotators=2)
    tracemalloc.start()
    result = aggregate(method, votes)
    decision = decide(method, result, votes)
    assert tracemalloc.get_traced_memory()[1] < 2000 * many
    tracemalloc.stop()
    assert isinstance(result.posterior, SparsePosterior)
    np.testing.assert_array_equal(decision.label, np.arange(many))


def test_data_of_many_classes_are_described_without_a_table_of_items_and_classes():
    many = 36_000
    votes = Annotations.build(
        np.arange(many).repeat(2),
        np.tile([0, 1], many),
        np.arange(2 * many) % many,
        num_items=many,
        classes=many,
        annotators=2,
    )
    data = AnnotatedData("x", tuple(map(str, range(many))), ArrayInputs(np.zeros((many, 1)), "vector"), votes)
    tracemalloc.start()
    found = describe_data(data)
    assert tracemalloc.get_traced_memory()[1] < 2000 * many
    tracemalloc.stop()
    assert found.pairwise_agreement == 0
    np.testing.assert_allclose(found.class_votes, 1 / many)


def test_many_annotators_with_confusion_matrices_are_refused_by_size(monkeypatch):
    monkeypatch.setattr(sizes, "memory", lambda: 2**30)
    who = np.arange(5000)
    votes = Annotations.build(who, who, who % 300, num_items=5000, classes=300, annotators=5000)
    with pytest.raises(DataError, match=r"5,000 annotators, 300 classes"):
        aggregate("wds", votes)
    # Those that keep parameters for given labels alone need no matrix per annotator, or share one at this size.
    for method in ("soft", "one-coin", "ibcc", "dawid-skene"):
        assert aggregate(method, votes).posterior.shape == (5000, 300)


@pytest.mark.parametrize("method", ["one-coin", "zencrowd", "ibcc", "iwmv"])
def test_no_table_of_classes_by_classes_is_made(method):
    votes = Annotations.build([0, 0, 1], [0, 1, 1], [5, 5, 9], num_items=2, classes=20_000, annotators=2)
    tracemalloc.start()
    assert aggregate(method, votes).posterior.argmax(1).tolist() == [5, 9]
    assert tracemalloc.get_traced_memory()[1] < 100 * 8 * 20_000
    tracemalloc.stop()


@pytest.mark.parametrize("model", [CrowdLayer, TraceReg, CoNAL, CrowdAR, partial(DawidSkene, prototypes=0)])
def test_annotator_models_are_refused_by_size(model, monkeypatch):
    monkeypatch.setattr(sizes, "memory", lambda: 2**30)
    with pytest.raises(DataError, match=r"GiB for 5,000 annotators, 3,000 classes"):
        model().build(num_features=4, num_classes=3000, num_annotators=5000)
    model().build(num_features=4, num_classes=3, num_annotators=50)


def test_counts_of_too_many_votes_are_refused_by_size():
    with pytest.raises(DataError, match="GiB"):
        Annotations.from_counts([[2**50, 1]])


def test_bytes_are_those_of_the_arrays():
    needed = sizes.bytes_needed(items=10, annotators=3, classes=5, per_item=2, per_annotator=4, per_pair=1)
    assert needed == sum(
        array.nbytes for array in [np.zeros((10, 5))] * 2 + [np.zeros((3, 5))] * 4 + [np.zeros((3, 5, 5))]
    )


def test_the_memory_is_that_of_the_machine():
    assert 2**27 < sizes.memory() < 2**50
