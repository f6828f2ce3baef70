"""Answers of annotators to tasks, as nested exports hold them, turned into the two tables of an export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hilmix.data.exports.export import Export, ExportSettings, Several, list_items
from hilmix.data.pictures import image_suffixes
from hilmix.faults import Findings
from hilmix.values import quoted


class Task(NamedTuple):
    """One task: an item that annotators were asked about."""

    item: str
    image: str | None = None
    """Text by which its image is found; None for the item's name."""
    target: str | None = None
    split: str | None = None


class Answer(NamedTuple):
    """One answer of an annotator."""

    item: str
    annotator: str
    choices: tuple[str, ...]
    """Classes that were chosen; none where the annotator skipped the task."""
    seconds: float | None = None


def build_export(
    file: Path,
    layout: str,
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    settings: ExportSettings,
    understood: Mapping[str, str],
    found: Findings,
) -> Export:
    """Return the two tables.

    Args:
        file: of the export.
        layout: what it was taken for.
        tasks: all tasks, also those without an answer; one item may have several.
        answers: all answers, skipped ones too.
        settings: what several choices in one answer mean.
        understood: where each column came from.
        found: collects faults, and a note on skipped answers.
    """
    for name in ("annotator", "split"):
        if (header := getattr(settings.columns, name)) is not None:
            text = f"the layout {layout} has no column '{header}', given for '{name}'"
            found.fault("missing-column", file, header, found=text, remedy="Leave it out.")
    refuse_several([answer.choices for answer in answers], settings.several, file, found)
    skipped = sum(not answer.choices for answer in answers)
    if skipped:
        found.note("abstention", file, found=f"{skipped:,} answer(s) are skipped or empty: no label", count=skipped)
    votes = [(a.item, a.annotator, choice, a.seconds) for a in answers for choice in a.choices]
    frame = pd.DataFrame(votes, columns=["item", "annotator", "label", "seconds"], dtype=object)
    items = list_items(pd.DataFrame(tasks, columns=list(Task._fields), dtype=object), file, found)
    # A layout without times leaves a column of nothing, which would be read as times that are missing.
    return Export(file, layout, frame.dropna(axis="columns", how="all") if len(frame) else frame, items, understood)


def refuse_several(answers: Sequence[Sequence[str]], several: Several, file: Path, found: Findings) -> None:
    """Note a fault of answers that hold several choices, unless each choice is to count as a label."""
    rows = [row for row, choices in enumerate(answers) if len(choices) > 1]
    if rows and several == "refuse":
        found.fault(
            "several-choices",
            file,
            "label",
            found=f"{len(rows):,} answer(s) hold several choices, such as {quoted(list(answers[rows[0]]))}",
            expected="one class per answer",
            remedy="Set 'several' to 'explode' to count each choice as a label.",
            count=len(rows),
        )


def read_choices(cell: Any) -> tuple[str, ...] | None:
    """Return the choices in a value of JSON: a text, a list, or ``{"choices": [...]}``; None for anything else.

    Example:
        >>> read_choices({"choices": ["cat", "dog"]}), read_choices("cat"), read_choices([]), read_choices({"x": 1})
        (('cat', 'dog'), ('cat',), (), None)
    """
    if isinstance(cell, dict) and set(cell) == {"choices"}:
        return read_choices(cell["choices"])
    if cell is None or cell == "":
        return ()
    if isinstance(cell, str | int | float):
        return (str(cell),)
    if isinstance(cell, list) and all(isinstance(one, str | int | float) for one in cell):
        return tuple(map(str, cell))
    return None


def choose_question(
    names: Sequence[str], given: str | None, file: Path, found: Findings, *, what: str = "question"
) -> str | None:
    """Return the one question that is read, None where there are several and none is given.

    Args:
        names: of all questions with choices, repeats allowed.
        given: name of the question to read; None where it is the only one.
        file: of the export, for messages.
        found: collects a fault.
        what: what the export calls them, for messages.
    """
    known = list(dict.fromkeys(names))
    if given is None and len(known) == 1:
        return known[0]
    if given in known:
        return given
    wrong = (
        f"{what} '{given}', given for 'label', is missing" if given is not None else f"there are {len(known)} {what}s"
    )
    found.fault(
        "missing-column",
        file,
        "label",
        found=wrong,
        expected=f"one of {quoted(known)}" if known else f"a {what} with choices",
        remedy=f"Set 'label' to the name of one {what}." * bool(known),
    )
    return None


def find_image(values: Mapping[str, Any], given: str | None, file: Path, found: Findings) -> str | None:
    """Return the key under which a task names its image: the given one, else the first whose text ends as an image.

    Args:
        values: of one task.
        given: its key, if it is known.
        file: of the export, for messages.
        found: collects a fault where the given one is missing.
    """
    if given is not None:
        if given not in values:
            found.fault(
                "missing-column",
                file,
                given,
                found=f"'{given}', given for 'item', is missing in a task",
                expected=f"one of {quoted(list(values))}",
            )
        return given
    return next((name for name, value in values.items() if isinstance(value, str) and _names_image(value)), None)


def _names_image(text: str) -> bool:
    """True if a text ends as the name of an image does, or a URL does before its query."""
    return any(part.lower().endswith(tuple(image_suffixes())) for part in (text, text.partition("?")[0]))
