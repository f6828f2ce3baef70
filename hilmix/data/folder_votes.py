"""Labels and targets of a data folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.columns import natural_order
from hilmix.data.faults import Findings
from hilmix.types import UNKNOWN


def read_votes(
    votes: pd.DataFrame,
    file: Path,
    names: tuple[str, ...],
    classes: tuple[str, ...],
    meta: dict[str, Any],
    found: Findings,
) -> Annotations | None:
    """Returns the annotations, None where they are faulty."""
    with found.catch("annotations", file):
        return Annotations.from_frame(
            votes, items=names, classes=classes, exchangeable=meta.get("identity") == "exchangeable"
        )
    return None


def read_classes(meta: dict[str, Any], items: pd.DataFrame, votes: pd.DataFrame) -> tuple[str, ...]:
    """Returns the K class names."""
    if meta.get("classes") is not None:
        return tuple(str(c) for c in meta["classes"])
    soft = [str(c).removeprefix("prob_") for c in votes.columns if str(c).startswith("prob_")]
    if soft:
        return tuple(soft)
    seen: set[str] = set()
    for frame, column in ((votes, "label"), (items, "target")):
        if column in frame.columns:
            seen |= set(frame[column].dropna())
    if seen and all(name.isdecimal() and name == str(int(name)) for name in seen):  # '01' is a name
        return tuple(str(k) for k in range(max(map(int, seen)) + 1))
    return tuple(sorted(seen, key=natural_order))


def read_targets(items: pd.DataFrame, classes: tuple[str, ...], file: Path, found: Findings) -> NDArray[np.int64]:
    """Returns the (N,) true classes, -1 where unknown or faulty."""
    target = np.full(len(items), UNKNOWN, dtype=np.int64)
    if "target" not in items.columns:
        return target
    known = items["target"].notna().to_numpy()
    target[known] = pd.Index(classes).get_indexer(pd.Index(items["target"][known]))
    bad = np.flatnonzero(known & (target == UNKNOWN))
    if len(bad):
        found.fault(
            "unknown-name",
            file,
            "target",
            found=f"target '{items['target'].iloc[bad[0]]}'",
            expected=f"one of {list(classes)}",
            rows=bad,
        )
    return target
