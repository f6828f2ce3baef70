"""The tracker of training dynamics: rows keyed by item and annotation, in any order; mixed outputs are refused."""

import numpy as np
import pytest
import torch

from hilmix.diagnostics import DynamicsTracker
from hilmix.errors import ConfigError, DataError
from hilmix.functional import dynamics as F
from tests.callbacks.toy import Toy, toy_data
from tests.diagnostics.passes import toy_batch

DATA = toy_data()
NOTES = DATA.annotations


def outputs(items: np.ndarray):
    with torch.no_grad():
        return Toy().eval().evaluate(toy_batch(DATA, items))


def track(order: np.ndarray, parts: int, label: np.ndarray) -> DynamicsTracker:
    tracker = DynamicsTracker(NOTES, label)
    for items in np.array_split(order, parts):
        tracker.update(outputs(items))
    return tracker


def test_rows_are_those_of_items_and_annotations_in_any_order():
    label = np.asarray(DATA.target).copy()
    label[0] = -1
    items = np.arange(len(DATA) - 1)  # the last one is never visited
    tracker = track(items, 3, label)
    again = track(np.random.default_rng(0).permutation(items), 4, label)
    for mine, other in ((tracker.items, again.items), (tracker.pairs, again.pairs)):
        for name, value in vars(mine).items():
            torch.testing.assert_close(getattr(other, name), value, msg=name)
    table, pairs = tracker.item_table(), tracker.annotation_table()
    assert table.aum.isna().tolist() == [i in (0, len(DATA) - 1) or label[i] < 0 for i in range(len(DATA))]
    logits = outputs(np.arange(len(DATA))).logits.numpy()
    for n in range(len(pairs)):
        z, own = logits[pairs["item"][n]], NOTES.label[n]
        if pairs["item"][n] in items:
            assert pairs.aum[n] == pytest.approx(z[own] - np.delete(z, own).max(), abs=1e-5)
        else:
            assert np.isnan(pairs.aum[n])
    trust = np.linspace(0.2, 0.9, NOTES.num_pairs)
    by_item, by_annotator = tracker.waum(trust)
    kept = (NOTES.item == 1) & ~pairs.aum.isna().to_numpy()
    assert by_item[1] == pytest.approx(np.average(pairs.aum[kept], weights=trust[kept]))
    assert by_annotator.shape == (NOTES.num_annotators,)


def test_ranks_of_a_padded_sampler_give_the_result_of_one():
    """Seven items on two ranks: the first one is repeated to even them out."""
    label, items = np.asarray(DATA.target), np.arange(7)
    one = track(items, 1, label)
    ranks = [track(rows, 1, label) for rows in (np.array([0, 2, 4, 6]), np.array([1, 3, 5, 0]))]
    start = DynamicsTracker(NOTES, label)
    for name in ("items", "pairs"):
        merged = F.merge_dynamics(getattr(start, name), [getattr(rank, name) for rank in ranks])
        for field, value in vars(getattr(one, name)).items():
            torch.testing.assert_close(getattr(merged, field), value, msg=field)


def test_mixed_outputs_and_other_data_are_refused():
    tracker = DynamicsTracker(NOTES, np.asarray(DATA.target))
    output = outputs(np.arange(3))
    with pytest.raises(ConfigError, match="mix plan"):
        tracker.update(output._replace(plan=object()))
    with pytest.raises(DataError, match=rf"must be below {len(DATA)}"):
        tracker.update(output._replace(index=torch.tensor([0, 1, len(DATA)])))
    with pytest.raises(ConfigError, match=r"`label`.*one entry per item"):
        DynamicsTracker(NOTES, np.zeros(2, dtype=np.int64))
    assert tracker.items.visits[2] == 0


def test_saved_sums_go_on_and_those_of_other_data_are_refused():
    label, items = np.asarray(DATA.target), np.arange(7)
    first = track(items, 1, label)
    state = first.state_dict()
    again = DynamicsTracker(NOTES, label)
    again.load_state_dict(state)
    again.update(outputs(items))
    assert again.items.visits[:7].tolist() == [2 * (k >= 0) for k in label[:7]]
    assert first.items.visits[:7].tolist() == [int(k >= 0) for k in label[:7]], "the saved sums stay"
    with pytest.raises(DataError, match=rf"must have {len(DATA)} items.*got 3"):
        again.load_state_dict(state | {"items": vars(F.DynamicsSums.zeros(3))})
