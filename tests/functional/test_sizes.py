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
from hilmix.functional.aggregation import AGGREGATORS, aggregate


@pytest.mark.parametrize("many", [10**5, 10**6])
@pytest.mark.parametrize("method", [m for m in AGGREGATORS if m not in ("kos", "average")])
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
    data = AnnotatedData("x", tuple(map(str, number)), ArrayInputs(np.zeros((many, 1)), "vector"), votes)
    with pytest.raises(DataError, match="GiB"):
        describe_data(data)


def test_many_annotators_with_confusion_matrices_are_refused_by_size(monkeypatch):
    monkeypatch.setattr(sizes, "memory", lambda: 2**30)
    who = np.arange(5000)
    votes = Annotations.build(who, who, who % 300, num_items=5000, classes=300, annotators=5000)
    with pytest.raises(DataError, match=r"5,000 annotators, 300 classes"):
        aggregate("dawid-skene", votes)
    # Those that keep parameters for given labels alone need no matrix per annotator.
    for method in ("soft", "one-coin", "ibcc"):
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
