"""Tables of names alone, read in blocks: each text once, and where it stands."""

from codecs import BOM_UTF8
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from hilmix.values import coded_column

_BLOCK = 2**20
"""Bytes of a file that are worked on at a time."""
_TEXTS = pa.dictionary(pa.int32(), pa.string())


def read_coded_csv(file: Path, headers: list[str]) -> pd.DataFrame | None:
    """Returns the cells of a CSV file of names as coded columns, empty ones missing.

    None for a file that this way of reading might take otherwise than :func:`pandas.read_csv`, which then has to read
    it: with rows of another length than the header, quotes inside of a cell, bytes that are no UTF-8, or one column.

    Args:
        file: its cells are separated by commas.
        headers: its columns, as pandas reads them.
    """
    if len(headers) < 2 or (quoted := _holds_quoted_cells(file)) is None:
        return None
    options = {
        "read_options": csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        "parse_options": csv.ParseOptions(quote_char='"' if quoted else False, newlines_in_values=quoted),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(headers, _TEXTS), null_values=[""], strings_can_be_null=True
        ),
    }
    try:
        with csv.open_csv(file, **options) as reader:
            return as_coded(reader.read_all()) if reader.schema.names == headers else None
    except pa.ArrowInvalid:
        return None


def as_coded(table: pa.Table) -> pd.DataFrame:
    """Returns a table whose dictionary-encoded columns, of which each block has its own list of texts, have one.

    Args:
        table: other columns become what pandas makes of them.
    """
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        table = table.drop_columns(name)  # what is converted need not be held twice
        is_coded = pa.types.is_dictionary(column.type)
        columns[name] = coded_column(column) if is_coded else column.to_pandas(integer_object_nulls=True)
    return pd.DataFrame(columns, copy=False)


def _holds_quoted_cells(file: Path) -> bool | None:
    """Returns whether cells are quoted; None for signs that pandas reads in its own way.

    These are quotes that do not open or close a cell, above all one that is never closed, and carriage returns without
    a line feed.
    """
    quotes = openings = closings = 0
    before, around = b"\n", b""
    with file.open("rb") as opened:
        for block in iter(lambda: opened.read(_BLOCK), b""):
            pairs = before + block.removeprefix(BOM_UTF8)
            before = block[-1:]
            if b"\r" in pairs and pairs.count(b"\r") > pairs.count(b"\r\n") + pairs.endswith(b"\r"):
                return None
            if (last := pairs.rfind(b'"')) < 0:
                continue
            around = pairs[max(0, last - 1) : last + 2]
            quotes += block.count(b'"')
            openings += pairs.count(b',"') + pairs.count(b'\n"')
            closings += sum(pairs.count(b'"' + sign) for sign in (b",", b"\n", b"\r"))
    closings += before == b'"'
    # The last one closes a cell, and opens none.
    closed = around[:1] not in (b",", b"\n") and around[2:] in (b"", b",", b"\n", b"\r")
    regular = not quotes or (openings + closings == quotes == 2 * openings and closed)
    return quotes > 0 if regular and before != b"\r" else None
