"""Seeded mutations of the tables of a data folder: cells, columns, rows, types, encodings, metadata."""

import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.nasty import NASTY

Way = Callable[[Path, random.Random], None]
CELLS = (
    "",
    " ",
    "NA",
    "NaN",
    "None",
    "null",
    "0",
    "1",
    "1.0",
    "-1",
    "01",
    "1e5",
    "1e999",
    "-inf",
    "inf",
    "nan",
    "true",
    "True",
    "0x10",
    "1,5",
    "99999999999999999999",
    "3.7",
    "0.5;0.5",
    '["cat", "dog"]',
    '{"choices": ["cat", "dog"]}',
    "cat",
    "Cat ",
    "\u00e9",
    "e\u0301",
    "\ufeffcat",
    "../../etc/passwd",
    "/dev/zero",
    ".",
    "..",
    "train",
    "test",
    "TRAIN",
    "x" * 5000,
    *NASTY,
)


def _lines(file: Path) -> list[list[str]]:
    return [line.split(",") for line in file.read_text(errors="replace").splitlines()] or [[""]]


def _store(file: Path, lines: list[list[str]]) -> None:
    file.write_text("\n".join(",".join(line) for line in lines) + "\n", encoding="utf-8", errors="replace")


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n\r') else cell


def _cell(file: Path, rng: random.Random) -> None:
    lines = _lines(file)
    for _ in range(rng.choice([1, 3])):
        line = rng.choice(lines)
        line[rng.randrange(len(line))] = _quoted(rng.choice(CELLS))
    _store(file, lines)


def _column(file: Path, rng: random.Random) -> None:
    lines, value = _lines(file), _quoted(rng.choice(CELLS))
    place = rng.randrange(len(lines[0]))
    for line in lines[1:]:
        line[min(place, len(line) - 1)] = value
    _store(file, lines)


def _header(file: Path, rng: random.Random) -> None:
    lines = _lines(file)
    names = [
        "item",
        "label",
        "target",
        "row",
        "path",
        "split",
        "group",
        "prob_cat",
        "prob_other",
        "confidence",
        "annotator",
        "",
    ]
    lines[0][rng.randrange(len(lines[0]))] = rng.choice([*names, _quoted(rng.choice(CELLS))])
    _store(file, lines)


def _more(file: Path, rng: random.Random) -> None:
    lines = _lines(file)
    name = rng.choice(
        ["label", "row", "path", "prob_cat", "prob_other", "confidence", "seconds", "group", "target", "split", "item"]
    )
    for number, line in enumerate(lines):
        line.append(name if not number else _quoted(rng.choice(CELLS)))
    _store(file, lines)


def _rows(file: Path, rng: random.Random) -> None:
    lines = _lines(file)
    ways = [
        lines[:1],
        lines[1:],
        lines + lines[1:],
        lines[:1] + lines[2:],
        lines[:2],
        [*lines, ["", " ", ""]],
        [*lines, lines[-1][:1]],
    ]
    _store(file, rng.choice(ways))


def _encoding(file: Path, rng: random.Random) -> None:
    text = file.read_text(errors="replace") + rng.choice(["", "naïve,ann,cat\n"])
    ways = [
        ("utf-16", text),
        ("utf-8-sig", text),
        ("latin-1", text),
        ("utf-8", text.replace(",", ";")),
        ("utf-8", text.replace("\n", "\r")),
        ("utf-8", text.replace(",", "\t")),
        ("utf-8", "\0" + text),
    ]
    encoding, content = rng.choice(ways)
    file.write_bytes(content.encode(encoding, errors="replace"))


CSV: list[Way] = [_cell, _cell, _cell, _column, _header, _more, _rows, _encoding]


def _typed(file: Path, rng: random.Random) -> None:
    table = pq.ParquetFile(file).read()
    place, number = rng.randrange(table.num_columns), len(table)
    values: list[list[Any]] = [
        [["cat", "dog"]] * number,
        [{"a": 1}] * number,
        [date(2020, 1, 1)] * number,
        [Decimal("1.5")] * number,
        [b"\xff\xfe"] * number,
        [True] * number,
        [None] * number,
        [1.0] * number,
        [0.5] * number,
        [float("nan")] * number,
        [2**63 - 1] * number,
        [-1] * number,
        list(range(number)),
        [rng.choice(CELLS) for _ in range(number)],
    ]
    column = pa.array(rng.choice(values))
    if rng.random() < 0.2:
        column = pa.array([rng.choice(CELLS) for _ in range(number)]).dictionary_encode()
    pq.write_table(table.set_column(place, table.column_names[place], column), file)


def _renamed(file: Path, rng: random.Random) -> None:
    table = pq.ParquetFile(file).read()
    names = list(table.column_names)
    names[rng.randrange(len(names))] = rng.choice([*names, "row", "prob_cat", "", *NASTY])
    pq.write_table(table.rename_columns(names), file)


def _sliced(file: Path, rng: random.Random) -> None:
    table = pq.ParquetFile(file).read()
    pq.write_table(
        rng.choice([table.slice(0, 0), table.slice(1), pa.concat_tables([table, table]), pa.table({})]), file
    )


def _metadata(file: Path, rng: random.Random) -> None:
    table = pq.ParquetFile(file).read()
    bad = rng.choice(["{", "[]", "3", '{"index_columns": ["item"], "columns": [{}]}', '{"columns": null}'])
    pq.write_table(table.replace_schema_metadata({"pandas": bad}), file)


PARQUET: list[Way] = [_typed, _typed, _typed, _renamed, _sliced, _metadata]
