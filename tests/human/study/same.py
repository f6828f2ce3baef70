"""Whether two studies hold the same, to the last bit."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def assert_same(found: Any, expected: Any) -> None:
    """Compares dataclasses of arrays and plain values, NaN equal to NaN."""
    assert type(found) is type(expected)
    if not is_dataclass(found):
        np.testing.assert_array_equal(found, expected, strict=isinstance(expected, np.ndarray))
        return
    for field in fields(found):
        assert_same(getattr(found, field.name), getattr(expected, field.name))
