"""Names as text for a terminal, a page, a figure, a spreadsheet."""

import csv
import io
import unicodedata
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from hilmix.names import escape_formula, figure_text, html_text, printable, short_names, unescape_formula
from hilmix.spreadsheets import csv_text, plain_cells
from tests.nasty import NASTY

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(NASTY)
STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


@given(ANY)
def test_nothing_that_hides_or_moves_is_printed_and_nothing_is_lost(name):
    shown = printable(name)
    assert all(unicodedata.category(c) not in ("Cc", "Zl", "Zp", "Cs") for c in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u200b\ufeff")
    assert shown.replace("\\", "\\\\").count("\\") >= name.count("\\")
    kept = [c for c in name if unicodedata.category(c)[0] not in "CZ"]
    rest = iter(shown)
    assert all(c in rest for c in kept), "every visible character is there, in order"


def test_escapes_are_those_of_python():
    assert printable("a\x1b[2J\u202e\n\udc80") == "a\\x1b[2J\\u202e\\n\\udc80"
    spelling = "naïve 猫 👩\u200d🔬 \u0645\u06cc\u200c\u062e\u0648\u0645"  # emoji and Persian need their joiners
    assert printable(spelling) == spelling
    assert printable("a\u200db") == "a\\u200db"


@given(ANY)
def test_html_gives_the_name_back_and_no_tag(name):
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data):
            seen.append(data)

        def handle_starttag(self, tag, attrs):
            assert tag == "p"
            assert attrs == [("title", printable(name))]

    Reader().feed(f"<p title='{html_text(name)}'>{html_text(name)}</p>")
    assert "".join(seen) == printable(name)


@pytest.mark.parametrize("name", NASTY)
def test_matplotlib_draws_the_name(name):
    matplotlib = pytest.importorskip("matplotlib")
    text = matplotlib.text.Text(0, 0, figure_text(name))
    assert text._preprocess_math(text.get_text()) == (printable(name), False)


@given(ANY)
def test_formulas_are_escaped_and_come_back(text):
    cell = escape_formula(text)
    assert unescape_formula(cell) == text
    assert not cell.startswith(STARTS) or is_number(cell)
    assert unescape_formula(escape_formula(cell)) == cell


def is_number(text: str) -> bool:
    try:
        return float(text) is not None and "_" not in text
    except ValueError:
        return False


@pytest.mark.parametrize("number", ["-1", "+3", "-1.5", "-1e-05", "-.5", "12"])
def test_numbers_stay_numbers(number):
    assert escape_formula(number) == number


def test_a_table_opens_without_formulas_and_comes_back():
    table = pd.DataFrame({"=name": list(NASTY), "kind": pd.Categorical(list(NASTY)), "number": range(len(NASTY))})
    table["share"] = -0.5
    text = csv_text(table)
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == ["'=name", "kind", "number", "share"]
    assert len(rows) == len(NASTY)
    for row in rows:
        assert not row[0].startswith(STARTS)
        assert row[0] == row[1]
        assert row[3] == "-0.5"
    back = plain_cells(pd.read_csv(io.StringIO(text, newline=""), keep_default_na=False))
    assert back["=name"].tolist() == list(NASTY)
    assert back["number"].tolist() == list(range(len(NASTY)))


def test_missing_cells_and_indices():
    table = pd.DataFrame({"a": ["x", None], "b": [1.5, None]}, index=[3, 4])
    assert csv_text(table, index=True) == ",a,b\n3,x,1.5\n4,,\n"


def test_short_names_never_look_alike():
    names = ["l" * 30 + "1", "l" * 30 + "2", "cat"]
    assert short_names(["cat", "a long name"], 9) == ["cat", "a long n…"]
    assert len(set(short_names(names, 9))) == 3
    assert max(map(len, short_names(names, 9))) == 9
    inside = ["a" * 20 + middle + "b" * 20 for middle in "xy"]
    assert short_names(inside, 9) == inside
