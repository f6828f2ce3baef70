"""One value, one spelling: against a slow reading of single cells, and closed lists of cases."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from hilmix.values import is_list, lookalikes, natural_order, places, read_names, spell


def spelled(values):
    return spell(read_names(values))[0].column().tolist()


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["0.0", "1.0", ""], ["0", "1", None]),
        ([0.0, np.nan, 12.0], ["0", None, "12"]),
        (["1.", "2", "-3.00"], ["1", "2", "-3"]),
        ([1, 2], ["1", "2"]),
        (["TRUE", "true", "False"], ["True", "True", "False"]),
        ([True, None, False], ["True", None, "False"]),
        (["true", "1"], ["true", "1"]),
        (["01", "2.0"], ["01", "2.0"]),
        (["1.0", "1.5"], ["1.0", "1.5"]),
        ([1.0, 1.5], ["1.0", "1.5"]),
        (["1.0", "cat"], ["1.0", "cat"]),
        ([" cat ", " ", "\t", "\u00a0", "\u200b", "\ufeff"], ["cat", None, None, None, None, None]),
        ([None, np.nan, pd.NA, pd.NaT, ""], [None] * 5),
        (["yes", "on", "1e3"], ["yes", "on", "1e3"]),
        ([52821.0, 3.0], ["52821", "3"]),
        ([9_999_999_999.0], ["9999999999"]),
        ([b"cat", "cat"], ["cat", "cat"]),
        ([1, True], ["1", "True"]),
        (pd.Series(["b", "a", None], dtype="category"), ["b", "a", None]),
        (pd.Series([1, None, 3], dtype="Int64"), ["1", None, "3"]),
        (pd.to_datetime(["2026-11-29", "2026-11-30"]), ["2026-11-29", "2026-11-30"]),
        ([datetime.date(2026, 11, 29)], ["2026-11-29"]),
        ([["cat", "dog"], np.array(["cat"])], ["['cat', 'dog']", "['cat']"]),
        ([], []),
    ],
)
def test_cells_have_one_spelling(cells, names):
    assert spelled(cells) == names


@given(st.lists(st.sampled_from(["0", "1", "1.0", "2.", "-1", "", " ", "true", "TRUE", "01", "1.5", "cat", "NA"])))
def test_the_rule_agrees_with_a_loop_over_cells(cells):
    present = [cell.strip() for cell in cells if cell.strip()]

    def whole(text):
        body = text.removeprefix("-").rstrip("0").removesuffix(".") if "." in text else text.removeprefix("-")
        return (
            text.replace("-", "").replace(".", "").isdigit()
            and not text.lstrip("-").startswith("01")
            and (body.isdigit() or body == "")
        )

    if all(whole(text) for text in present):
        expected = {text: str(int(float(text))) for text in present}
    elif all(text.lower() in ("true", "false") for text in present):
        expected = {text: text.capitalize().replace("RUE", "rue") for text in present}
    else:
        expected = {text: text for text in present}
    assert spelled(cells) == [expected.get(cell.strip()) for cell in cells]


@pytest.mark.parametrize(
    ("first", "later", "names"),
    [
        (["0.0", "1.0"], [0, 1], ["0", "1"]),
        ([1.0, 1.5, 2.0], [1, 2], ["1.0", "2.0"]),
        (["TRUE", "FALSE"], [True, False], ["True", "False"]),
        ([True, False], [1, 0], ["1", "0"]),
        (["cat"], ["1.0"], ["1"]),
    ],
)
def test_a_later_column_takes_the_spelling_of_an_earlier_one(first, later, names):
    assert spell(read_names(first), read_names(later))[1].column().tolist() == names


def test_names_are_found_as_written_before_they_are_found_by_value():
    assert places(["1.0", "TRUE", "01", "1", "yes"], ["1", "true", "yes"]).tolist() == [0, 1, -1, 0, 2]
    assert places(["1.0", "1", "1.00"], ["1", "1.0"]).tolist() == [1, 0, -1]  # which of the two would be a guess
    assert places(["True"], ["1"]).tolist() == [-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['cat', 'dog']", True),
        ('["cat"]', True),
        ("['cat' 'dog']", True),
        ("[cat, dog]", True),
        ("[]", True),
        ("[1]", True),
        ('{"choices": ["cat"]}', True),
        ("{'cat'}", True),
        ("('cat', 'dog')", True),
        ("{}", True),
        ('[{"value": "cat"}]', True),
        ("[/cat]", False),
        ("[small]", False),
        ("cat [small]", False),
        ("(a)", False),
        ("[", False),
        ("{cat}", False),
        ("a, b", False),
        ("", False),
    ],
)
def test_lists_differ_from_names_in_brackets(text, expected):
    assert is_list(text) == expected


def test_names_that_look_alike_are_grouped():
    names = ["Cat", "cat", "caf\u00e9", "cafe\u0301", "a b", "a\u00a0b", "x", "x\u200b", "dog", "1 12", "11 2"]
    assert lookalikes(names) == [("Cat", "cat"), ("caf\u00e9", "cafe\u0301"), ("a b", "a\u00a0b"), ("x", "x\u200b")]


def test_numbers_are_sorted_by_value():
    assert sorted(["10", "9", "-1", "1.5", "b", "2.0", "a"], key=natural_order) == [
        "-1",
        "1.5",
        "2.0",
        "9",
        "10",
        "a",
        "b",
    ]


def test_rows_of_texts_and_dropped_texts():
    names = read_names(["a", "b", None, "a"])
    assert names.rows(["a"]).tolist() == [0, 3]
    assert names.without(["a"]).column().tolist() == [None, "b", None, None]
    assert names.renamed(["x", "x"]).column().tolist() == ["x", "x", None, "x"]
