"""Faults of a data folder: all of them at once, with place, rows and count, and one error that carries the list."""

import numpy as np
import pytest

from hilmix.data.folder import examine_folder, read_folder
from hilmix.errors import DataError
from hilmix.faults import ROWS_SHOWN, FaultyDataError, Findings


def write(root, items, votes, meta="input: vector\n", inputs=None):
    root.mkdir()
    (root / "items.csv").write_text(items)
    (root / "annotations.csv").write_text(votes)
    (root / "dataset.yaml").write_text(meta)
    if inputs is not None:
        np.save(root / "inputs.npy", inputs)
    return root


def test_rows_are_cut_and_counted():
    found = Findings()
    found.fault("empty", "items.csv", "item", found="no name", rows=np.arange(10, 30))
    (fault,) = found.faults
    assert (fault.count, fault.rows) == (20, tuple(range(10, 10 + ROWS_SHOWN)))
    assert fault.to_dict() | {"rows": None} == {
        "kind": "empty",
        "file": "items.csv",
        "where": "item",
        "found": "no name",
        "expected": "",
        "remedy": "",
        "rows": None,
        "count": 20,
    }


def test_the_text_shows_the_first_and_the_number_of_the_others():
    found = Findings()
    for number in range(7):
        found.fault("number", "a.csv", f"column{number}", found="x")
    with pytest.raises(FaultyDataError) as raised:
        found.raise_if_any("mine")
    text = str(raised.value)
    shown = sum(f"column{number}" in text for number in range(7))
    assert 0 < shown < 7
    assert f"{7 - shown} more" in text
    assert len(raised.value.faults) == 7


def test_notes_refuse_nothing():
    found = Findings()
    found.note("similar-names", "a.csv", "label", found="Cat and cat")
    found.raise_if_any("mine")
    assert [note.kind for note in found.notes] == ["similar-names"]


def test_every_fault_of_a_folder_is_found_in_one_run(tmp_path):
    root = write(
        tmp_path / "f",
        "item,split,target,row\na,train,cow,0\nb,never,cat,9\nc,train,,x\n",
        "item,annotator,label,confidence\na,ann,cat,high\nz,ann,dog,1\n",
        meta="input: vector\nclasses: [cat, dog]\nlicense: CC0\n",
        inputs=np.zeros((3, 2)),
    )
    with pytest.raises(DataError) as raised:
        read_folder(root)
    places = {fault.where for fault in raised.value.faults}
    assert {"license", "split", "target", "row", "confidence"} <= places
    examined = examine_folder(root)
    assert examined.data is None
    assert examined.found.faults == list(raised.value.faults)


def test_a_sound_folder_has_data_and_no_faults(tmp_path):
    root = write(tmp_path / "f", "item\na\n", "item,annotator,label\na,ann,cat\n", inputs=np.zeros((1, 2)))
    examined = examine_folder(root)
    assert not examined.found.faults
    assert examined.items == examined.data.items == ("a",)
