"""A simulated crowd of any size, as a table of votes or as a data folder: what the benchmarks of scale read."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from hilmix.functional.aggregation import VoteTable

RIGHT = 0.7
"""Share of right labels; the others are drawn from all classes."""
FEATURES = 64
_ROWS = 2**16
"""Rows that are drawn or written at a time."""


class Size(NamedTuple):
    """Size of a crowd."""

    items: int
    votes: int
    annotators: int
    classes: int

    def __str__(self) -> str:
        return f"{self.items:,} items, {self.votes:,} votes, {self.annotators:,} annotators, {self.classes:,} classes"


SMALL = Size(64_000, 250_000, 1_000, 100)
FULL = Size(1_280_000, 5_000_000, 10_000, 1_000)


def simulate(size: Size) -> tuple[VoteTable, NDArray[np.int64]]:
    """Returns votes, those of an item in one run, and the true classes; every item has as many votes, or one more."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, size.classes, size.items)
    item = np.sort(np.arange(size.votes) % size.items)
    label = np.where(rng.random(size.votes) < RIGHT, truth[item], rng.integers(0, size.classes, size.votes))
    # Those of an item differ: a start of its own, and steps of one from there.
    first = rng.integers(0, size.annotators, size.items)
    place = np.arange(size.votes) - np.searchsorted(item, np.arange(size.items))[item]
    annotator = (first[item] + place) % size.annotators
    return VoteTable(item, annotator, label, size.items, size.annotators, size.classes), truth


def write_crowd(folder: Path, size: Size) -> None:
    """Writes a data folder of vectors: CSV tables, ``inputs.npy`` and ``dataset.yaml``."""
    folder.mkdir(parents=True)
    votes, truth = simulate(size)
    names, people, classes = (
        _names(*one) for one in (("img", size.items), ("w", size.annotators), ("c", size.classes))
    )
    split = np.where(np.arange(size.items) % 20 < 18, "train", np.where(np.arange(size.items) % 2, "val", "test"))
    _write({"item": names, "target": classes[truth], "split": split}, folder / "items.csv")
    columns = {"item": names[votes.item], "annotator": people[votes.annotator], "label": classes[votes.label]}
    _write(columns, folder / "annotations.csv")
    (folder / "dataset.yaml").write_text("input: vector\n")
    _write_inputs(folder / "inputs.npy", truth, size)


def _names(stem: str, number: int) -> NDArray[np.str_]:
    return np.char.add(f"{stem}_", np.char.zfill(np.arange(number).astype(str), 7))


def _write(columns: dict[str, NDArray[np.str_]], file: Path) -> None:
    csv.write_csv(pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False), file)


def _write_inputs(file: Path, truth: NDArray[np.int64], size: Size) -> None:
    """Vectors around the centre of their class, drawn and written in parts."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(size.classes, FEATURES)).astype(np.float32)
    array = np.lib.format.open_memmap(file, "w+", np.float32, (size.items, FEATURES))
    for start in range(0, size.items, _ROWS):
        part = truth[start : start + _ROWS]
        array[start : start + _ROWS] = centres[part] + rng.standard_normal((len(part), FEATURES), np.float32)
    array.flush()


def save_votes(votes: VoteTable, file: Path) -> None:
    """Writes the arrays of a table, so that a child process need not draw them anew."""
    sizes = [votes.num_items, votes.num_annotators, votes.num_classes]
    np.savez(file, item=votes.item, annotator=votes.annotator, label=votes.label, sizes=json.dumps(sizes))


def load_votes(file: Path) -> VoteTable:
    """Returns the table that :func:`save_votes` wrote."""
    with np.load(file) as stored:
        sizes = json.loads(str(stored["sizes"]))
        return VoteTable(stored["item"], stored["annotator"], stored["label"], *sizes)
