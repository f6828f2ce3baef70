"""Votes on new items, in the codes of a trained model."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hilmix.annotations.in_memory import LongVotes
from hilmix.data.inputs import Inputs
from hilmix.errors import RunError
from hilmix.functional.inputs import as_float
from hilmix.types import UNKNOWN, Batch


def code_votes(votes: LongVotes, classes: Sequence[str], annotators: Sequence[str]) -> pd.DataFrame:
    """Returns votes in the codes of a model: columns ``item``, ``annotator`` (-1 for an unknown one) and ``label``.

    Args:
        votes: on new items, by name.
        classes: K names, in the order of the model's outputs.
        annotators: A names, in the order of its tables; empty for one without a training label.

    Raises:
        RunError: for a class that the model does not have.
    """
    # A float column of whole numbers, which missing cells make, names the classes of the whole numbers.
    text = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in votes.label.tolist()]
    label = pd.Index(classes).get_indexer(pd.Index(text, dtype=object))
    if (label < 0).any():
        other = text[int((label < 0).argmax())]
        raise RunError(f"`votes` must be of the classes {list(classes)}, got '{other}'.")
    # Empty names, of annotators without a training label, repeat, which an index refuses to look up.
    code = {name: place for place, name in enumerate(annotators) if name}
    annotator = [code.get(str(name), UNKNOWN) for name in votes.annotator.tolist()]
    return pd.DataFrame({"item": votes.item, "annotator": annotator, "label": label}, dtype=np.int64)


def batch_with_votes(inputs: Inputs, rows: NDArray[np.int64], votes: pd.DataFrame, device: torch.device) -> Batch:
    """Returns a batch of items without a truth, and the votes on them.

    Args:
        inputs: of all items.
        rows: (B,) consecutive items.
        votes: see :func:`code_votes`, sorted by item.
        device: of the batch.
    """
    start, end = np.searchsorted(votes["item"].to_numpy(), [rows[0], rows[-1] + 1])
    own = votes.iloc[start:end]
    columns = {name: torch.tensor(own[name].to_numpy(), device=device) for name in own}
    index = torch.from_numpy(rows).to(device)
    return Batch(
        input=as_float(inputs.fetch(rows).to(device)),
        index=index,
        target=torch.full_like(index, UNKNOWN),
        row=columns["item"] - int(rows[0]),
        annotator=columns["annotator"],
        label=columns["label"],
    )
