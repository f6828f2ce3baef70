import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from hilmix.data.folder.coded_tables import as_coded, read_coded_csv
from hilmix.data.folder.tables import DAMAGE, read_parquet
from hilmix.values import read_names

HEADERS = ["item", "label"]
LINES = st.lists(
    st.lists(st.text('ab", 1é\\\n\r', max_size=3) | st.just('"a"') | st.just(""), min_size=1, max_size=3), max_size=4
)


def cells(table):
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "votes.csv"


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_what_is_read_is_what_pandas_reads(file, rows, end):
    file.write_bytes(end.join([",".join(HEADERS), *(",".join(row) for row in rows)]).encode())
    found = read_coded_csv(file, HEADERS)
    if found is not None:
        options = {"dtype": str, "keep_default_na": False, "na_values": [""], "index_col": False}
        assert cells(found) == cells(pd.read_csv(file, **options))


@pytest.mark.parametrize("body", ["a,b\nc,\n,d\n", '"a","b"\n"c",""\n,"d"\n'])
def test_plain_and_quoted_tables_are_coded(file, body):
    file.write_text("item,label\n" + body)
    found = read_coded_csv(file, HEADERS)
    assert cells(found) == [["a", "b"], ["c", None], [None, "d"]]
    assert read_names(found["label"]).texts == ("b", "d")
    assert read_names(found["label"]).code.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    "body",
    [b"a,b,c\n", b"a\n", b"\xff,b\n", b'a,"b\n', b'x",b\na,"b\n', b"a\rb,c\n", b'#",""1\n,"\n', b'a",b\n1,",\n'],
    ids=["long", "short", "not UTF-8", "open", "stray and open", "carriage return", "empty and open", "comma and open"],
)
def test_what_pandas_refuses_or_reads_in_its_own_way_is_left_to_it(file, body):
    file.write_bytes(b"item,label\n" + body)
    assert read_coded_csv(file, HEADERS) is None


def test_one_column_is_left_to_pandas(file):
    file.write_text("item\na\n \n")
    assert read_coded_csv(file, ["item"]) is None


def test_blocks_with_lists_of_their_own_have_one_in_the_order_of_their_rows():
    parts = [pa.array(texts).dictionary_encode() for texts in (["b", "a", None], ["c", "a", "b"])]
    found = as_coded(pa.table({"item": pa.chunked_array(parts), "row": [0, 1, 2, 3, 4, None]}))
    names = read_names(found["item"])
    assert names.texts == ("b", "a", "c")
    assert names.code.tolist() == [0, 1, -1, 2, 1, 0]
    assert found["row"].tolist()[:5] == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(names.coded().isna(), [False, False, True, False, False, False])


def test_parquet_codes_texts_alone(tmp_path):
    file = tmp_path / "votes.parquet"
    pd.DataFrame({"item": ["a", "b", "a"], "label": [1, 0, 1], "annotator": [b"\xff", b"x", None]}).to_parquet(file)
    found = read_parquet(file, coded=True)
    assert isinstance(found["item"].dtype, pd.ArrowDtype)
    assert found["label"].tolist() == [1, 0, 1]
    assert found["annotator"].tolist() == [b"\xff", b"x", None]
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DAMAGE):
        read_parquet(file, coded=True)
