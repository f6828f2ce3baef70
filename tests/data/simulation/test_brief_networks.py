"""The annotators of the annot-mix study: small networks, trained as its script does."""

import numpy as np
import pytest
import torch

from hilmix.data.simulation import published_network, simulate_classifiers
from hilmix.data.simulation.brief_networks import BriefNetwork


@pytest.fixture(scope="module")
def blobs():
    target = np.arange(900) % 3
    return np.random.default_rng(0).normal(size=(900, 4)).astype(np.float32) + 4 * np.eye(3, 4)[target], target


def build(**settings):
    return BriefNetwork((16, 8), 3, **{"dropout": 0.0, "epochs": 30, "batch_size": 64, "seed": 0} | settings)


def test_it_learns_what_it_sees(blobs):
    inputs, target = blobs
    assert (build().fit(inputs, target).predict(inputs) == target).mean() > 0.95


def test_a_step_is_one_of_radam_on_the_cross_entropy(blobs):
    """One step of 64 rows, with an outside loop over torch's own parts; no row is left out, as 64 fill the batch."""
    inputs, target = (torch.as_tensor(part[:64]) for part in blobs)
    found = build(epochs=1).fit(inputs, target)
    torch.manual_seed(0)
    layers = torch.nn
    net = layers.Sequential(
        *(layers.Linear(4, 16), layers.BatchNorm1d(16), layers.ReLU(), layers.Dropout(0.0)),
        *(layers.Linear(16, 8), layers.BatchNorm1d(8), layers.ReLU(), layers.Dropout(0.0)),
        layers.Linear(8, 3),
    )
    optimizer = torch.optim.RAdam(net.parameters(), lr=0.001)
    order = torch.randperm(64)
    layers.functional.cross_entropy(net(inputs.float()[order]), target[order]).backward()
    optimizer.step()
    for one, other in zip(found.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_fewer_rows_than_a_batch_train_nothing(blobs):
    inputs, target = blobs
    trained, fresh = (build(epochs=e).fit(inputs[:63], target[:63]) for e in (5, 0))
    for one, other in zip(trained.net.parameters(), fresh.net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_draws_are_functions_of_the_seed_and_leave_the_global_generator(blobs):
    before = torch.get_rng_state()
    one, same, other = (build(seed=s, epochs=1).fit(*blobs).net[0].weight for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_annotators_label_all_complete_items_and_few_of_the_others(blobs):
    inputs, target = blobs
    complete = np.arange(900) >= 850
    factory = published_network((8,), 3)
    one, plain = (
        simulate_classifiers(
            inputs, target, classes="abc", num_annotators=5, labels_per_item=(1, 2), complete=c, factory=factory, seed=0
        )
        for c in (complete, None)
    )
    assert one.labels_per_item[850:].tolist() == [5] * 50
    assert sorted(one.annotator[one.item == 899]) == [0, 1, 2, 3, 4]
    assert set(one.labels_per_item[:850]) == {1, 2}
    early, all_early = one.item < 850, plain.item < 850
    np.testing.assert_array_equal(one.annotator[early], plain.annotator[all_early])
    np.testing.assert_array_equal(one.label[early], plain.label[all_early])
