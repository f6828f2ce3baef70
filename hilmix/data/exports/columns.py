"""Columns of items, annotators and labels in a table: given by name, else guessed from the common names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hilmix.checks import near_names
from hilmix.faults import Findings
from hilmix.values import quoted

GUESSES: dict[str, tuple[str, ...]] = {
    "item": (
        *("item", "itemid", "itemname", "task", "taskid", "image", "imageid", "imagename", "imagepath", "imageurl"),
        *("filename", "filepath", "file", "path", "url", "example", "exampleid", "instance", "object", "question"),
    ),
    "annotator": (
        *("annotator", "annotatorid", "annotatorname", "annotatedby", "worker", "workerid", "assignmentworkerid"),
        *("rater", "raterid", "labeler", "labeller", "coder", "participant", "participantid", "performer"),
        *("user", "userid", "username"),
    ),
    "label": (
        *("label", "labelname", "answer", "response", "annotation", "vote", "choice", "class", "classname"),
        *("category", "judgment", "judgement", "rating"),
    ),
    "target": ("target", "truth", "groundtruth", "truelabel", "trueclass", "gold", "goldlabel"),
    "split": ("split",),
}
"""Names of columns by what they hold, best first, in small letters and without signs: ``WorkerId`` is ``workerid``."""
PREFIXES = {"item": ("input.", "input:"), "label": ("answer.", "output:"), "target": ("golden:",)}
"""Beginnings of headers in batches of MTurk (``Input.image_url``) and exports of Toloka (``OUTPUT:result``)."""
REQUIRED = ("item", "annotator", "label")


class Columns(NamedTuple):
    """Headers of a table, as they are written; None is guessed."""

    item: str | None = None
    annotator: str | None = None
    label: str | None = None
    target: str | None = None
    split: str | None = None


def find_columns(
    headers: Sequence[str],
    given: Columns,
    file: Path | str,
    found: Findings,
    *,
    required: Sequence[str] = REQUIRED,
) -> dict[str, str]:
    """Return the header of every column that is there, by what it holds: ``item``, ``annotator``, ``label``, ...

    Args:
        headers: of the table.
        given: those that are known.
        file: of the table, for messages.
        found: collects a fault for each of ``required`` that is not found, or may be one of several.
        required: what must be there.

    Example:
        >>> find_columns(["HITId", "WorkerId", "Input.image_url", "Answer.label"], Columns(), "batch.csv", Findings())
        {'item': 'Input.image_url', 'annotator': 'WorkerId', 'label': 'Answer.label'}
    """
    chosen = {role: header for role, header in given._asdict().items() if header is not None}
    for role, header in chosen.items():
        if header not in headers:
            near = near_names(header, headers)
            found.fault(
                "missing-column",
                file,
                header,
                found=f"column '{header}', given for '{role}', is missing",
                expected=f"one of {quoted(near or list(headers))}",
            )
    free = [header for header in headers if header not in chosen.values()]
    for role in GUESSES:
        if role in chosen:
            continue
        candidates = _guess(role, free)
        if len(candidates) == 1:
            chosen[role] = candidates[0]
        elif role in required:
            what = f"may be any of {quoted(candidates)}" if candidates else f"is not among {quoted(list(headers))}"
            found.fault(
                "missing-column",
                file,
                role,
                found=f"the column of '{role}' {what}",
                remedy=f"Name it: set '{role}' to its header.",
            )
    return {role: chosen[role] for role in GUESSES if chosen.get(role) in headers}


def describe_columns(columns: Mapping[str, str], headers: Sequence[str]) -> dict[str, str]:
    """Return what was understood, for people: the header of each role, and the headers that are not used."""
    unused = [header for header in headers if header not in columns.values()]
    rows = {role: f"column '{header}'" for role, header in columns.items()}
    return rows | ({"not used": quoted(unused)} if unused else {})


def _guess(role: str, headers: Sequence[str]) -> list[str]:
    """The one header that is meant, several that may be, or none."""
    bare = [re.sub(r"[^a-z0-9]", "", header.lower()) for header in headers]
    for name in GUESSES[role]:
        if name in bare:
            return [headers[bare.index(name)]]
    for prefix in PREFIXES.get(role, ()):
        begun = [header for header in headers if header.lower().startswith(prefix)]
        rests = [header[len(prefix) :] for header in begun]
        # MTurk prefixes every question of a form: of several, the one whose rest is a common name is meant.
        if len(begun) > 1 and (known := _guess(role, rests)):
            return [begun[rests.index(known[0])]]
        if begun:
            return begun
    return []
