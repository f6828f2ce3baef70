"""Pickles of arrays are read, and nothing in a pickle runs."""

import io
import pickle

import numpy as np
import pytest

from hilmix.data.sources.pickles import ArrayUnpickler

ARRAYS = {"1_Z1": np.arange(6).reshape(2, 3) > 2, "b": [np.arange(3.0), np.ones((1, 2), dtype=np.uint8)]}


class Evil:
    def __reduce__(self):
        return (print, ("boo",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read(protocol):
    back = ArrayUnpickler(io.BytesIO(pickle.dumps(ARRAYS, protocol=protocol))).load()
    np.testing.assert_array_equal(back["1_Z1"], ARRAYS["1_Z1"])
    assert [a.dtype for a in back["b"]] == [np.float64, np.uint8]


@pytest.mark.parametrize("thing", [Evil(), print, np.random.default_rng])
def test_everything_else_is_refused_before_it_runs(thing, capsys):
    with pytest.raises(pickle.UnpicklingError, match="has no place among arrays"):
        ArrayUnpickler(io.BytesIO(pickle.dumps({"a": thing}))).load()
    assert "boo" not in capsys.readouterr().out
