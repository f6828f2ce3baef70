"""Sizes of tables, known before they are allocated: one sentence instead of a machine without memory."""

import os
from pathlib import Path

from hilmix.errors import SizeError

# The rest is for the model, the data and temporary copies.
SHARE = 0.5
"""Of the machine's memory that one table may take."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> int:
    """Returns the bytes of memory of this machine or container."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # In a container sysconf shows the host's memory; the file says "max" where there is no limit.
    limit = _CGROUP.read_text().strip() if _CGROUP.is_file() else ""
    return min(total, int(limit)) if limit.isdecimal() else total


def bytes_needed(
    *,
    items: int = 0,
    annotators: int = 0,
    classes: int = 0,
    per_item: int = 0,
    per_annotator: int = 0,
    per_pair: int = 0,
    width: int = 8,
) -> int:
    """Returns the bytes of N x K, A x K and A x K x K tables together.

    Args:
        items: N.
        annotators: A.
        classes: K.
        per_item: number of N x K tables.
        per_annotator: number of A x K tables.
        per_pair: number of A x K x K tables.
        width: bytes of a number.

    Example:
        >>> bytes_needed(items=10, annotators=3, classes=5, per_item=1, per_pair=2)
        1600
    """
    # Python integers: the product of three sizes overflows int64 where the refusal matters most.
    return width * classes * (per_item * items + per_annotator * annotators + per_pair * annotators * classes)


def require_memory(what: str, needed: int, *, items: int = 0, annotators: int = 0, classes: int = 0) -> None:
    """Refuses what would not fit into half of the memory, before it is allocated.

    Args:
        what: needs it, such as "Dawid-Skene".
        needed: bytes, see :func:`bytes_needed`.
        items: N, for the message.
        annotators: A, for the message; 0 where it does not matter.
        classes: K, for the message.

    Raises:
        SizeError: with the sizes, the gigabytes and the remedy.
    """
    if (reason := too_large(what, needed, items=items, annotators=annotators, classes=classes)) is not None:
        raise SizeError(reason)


def too_large(what: str, needed: int, *, items: int = 0, annotators: int = 0, classes: int = 0) -> str | None:
    """Returns the sentence with which :func:`require_memory` refuses, None where there is room."""
    have = memory()
    if needed <= SHARE * have:
        return None
    sizes = {"items": items, "annotators": annotators, "classes": classes}
    shown = ", ".join(f"{number:,} {name}" for name, number in sizes.items() if number)
    remedy = ", or use a method without confusion matrices" if annotators else ""
    return (
        f"{what} needs {needed / 2**30:,.1f} GiB for {shown}; this machine has {have / 2**30:,.1f} GiB. Check that "
        f"labels are classes, not ids or free text, merge rare classes{remedy}."
    )


CHUNK_CELLS = 2**20
"""Most numbers of an N x K table that are worked on at once: 8 MiB in float64, near what caches hold."""


def row_chunks(rows: int, width: int, *, cells: int = CHUNK_CELLS) -> list[slice]:
    """Returns slices that cover the rows of a table, so that each slice has at most ``cells`` numbers, or one row.

    Args:
        rows: N, may be 0.
        width: numbers of a row.
        cells: most numbers of a slice.

    Example:
        >>> row_chunks(5, 10, cells=20)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, cells // max(1, width))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
