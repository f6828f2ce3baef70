"""One table of predictions, keyed by item."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import PREDICTIONS, CleanPass
from hilmix.diagnostics.columns import majority_labels, named
from hilmix.diagnostics.fold_temperature import fold_temperatures
from hilmix.functional.label_errors import self_confidence
from hilmix.types import UNKNOWN


def prediction_table(data: AnnotatedData, split: NDArray[np.str_], result: CleanPass) -> pa.Table:
    """One row per predicted item; annotators, labels and p(annotator is right) as list columns."""
    result.require_room("The table of predictions", per_item=48)
    row = np.flatnonzero(result.seen)
    items = result.items[row]
    votes = majority_labels(data, items)
    columns: dict[str, Any] = {"item": np.asarray(data.items, dtype=object)[items], "split": split[items]}
    if (data.target != UNKNOWN).any():
        columns["target"] = named(data.target[items], data.classes)
    columns["predicted"] = named(result.logits[row].argmax(1), data.classes)
    columns["suggested"] = named(result.best[row].argmax(1), data.classes)
    columns["majority"] = named(votes.label, data.classes)
    columns["predictions"] = named(result.predictions[row], PREDICTIONS)
    if result.fold is not None:
        columns["fold"] = result.fold[row]
        columns["temperature"] = fold_temperatures(data.annotations, result)[row]
    columns["label_quality"] = self_confidence(result.best[row], votes.label)
    columns |= {f"prob_{name}": result.probs[row, k] for k, name in enumerate(data.classes)}
    if result.posterior is not None:
        columns |= {f"posterior_{name}": result.posterior[row, k] for k, name in enumerate(data.classes)}
    table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
    return _with_pairs(table, data, result, items)


def _with_pairs(table: pa.Table, data: AnnotatedData, result: CleanPass, items: IntArray) -> pa.Table:
    notes, keep = data.annotations, result.seen[result.row]
    pairs = result.pairs[keep]
    # List columns over the flat pairs, in no time; a Python list per item would take minutes for a million.
    offsets = pa.array(np.concatenate([[0], np.cumsum(notes.labels_per_item[items])]), pa.int32())
    lists: dict[str, Any] = {"labels": pa.DictionaryArray.from_arrays(notes.label[pairs], list(data.classes))}
    if not notes.exchangeable:
        lists = {"annotators": pa.DictionaryArray.from_arrays(notes.annotator[pairs], list(notes.annotators))} | lists
    if result.p_right is not None:
        lists["p_right"] = pa.array(result.p_right[keep])
    for name, values in lists.items():
        # Decoded: pandas cannot read lists of dictionary values back from Parquet.
        values = values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
        table = table.append_column(name, pa.ListArray.from_arrays(offsets, values))
    return table
