"""Summary of data, as the commands about data print it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilmix.data.folder.describe import Description, describe_data, training_notes
from hilmix.data.items import AnnotatedData, LabelledItems
from hilmix.terminal import Console, Grid, literal, pairs, say, say_notes

if TYPE_CHECKING:  # masks need torch, whose import takes longer than all else here
    from hilmix.data.masks import Masks

_MANY_CLASSES = 20


def print_summary(data: AnnotatedData | LabelledItems, place: Path, console: Console, *, quick: bool = False) -> None:
    """Print what data hold, with their notes.

    Args:
        data: with or without inputs.
        place: where they are from.
        console: the terminal.
        quick: leave out what needs every mask.
    """
    found = describe_data(data)
    say(console, literal((data.name, "bold"), f" ({place})"))
    console.print(_summary(data, found, quick=quick))
    console.print(_classes(data.annotations.classes, found))
    if isinstance(data, AnnotatedData) and data.groups:
        console.print(_groups(data))
    say_notes(console, data.notes)
    say_notes(console, training_notes(data, data.split, place))


def _summary(data: AnnotatedData | LabelledItems, found: Description, *, quick: bool) -> Grid:
    low, mean, high = found.labels_per_item
    rows = {}
    if isinstance(data, AnnotatedData):
        rows["licence"] = data.licence or "not stated"
        rows["inputs"] = f"{data.inputs.kind}, {' x '.join(map(str, data.inputs.shape))}"
    rows |= {
        "items": f"{found.items:,}",
        "splits": ", ".join(f"{name} {n:,} ({voted:,} annotated)" for name, (n, voted) in found.splits.items()),
        "annotations": f"{found.annotations:,}" + (" (soft)" if data.annotations.probs is not None else ""),
        "labels per item": f"{low} to {high}, mean {mean:.2f}"
        + (f"; none on {found.empty_items:,} items" * bool(found.empty_items)),
        "annotators": _annotators(data.annotations.exchangeable, found),
        "agreement": _agreement(found),
        "truth": f"known for {found.known_targets:,} items",
    }
    if found.known_targets:
        rows["wrong labels"] = _percent(found.wrong_labels)
        rows["majority vote"] = f"{_percent(found.majority_accuracy)} right (ties split)"
    if isinstance(data, AnnotatedData) and data.masks is not None:
        rows |= _masks(data.masks, quick=quick)
    return pairs(rows)


def _annotators(exchangeable: bool, found: Description) -> str:
    if exchangeable:
        return "exchangeable (identities unknown)"
    low, median, high = found.labels_per_annotator
    return f"{found.annotators:,}, with {low:,} to {high:,} labels, median {median:g}"


def _agreement(found: Description) -> str:
    alpha = found.krippendorff_alpha
    shown = "n/a" if alpha != alpha else f"{alpha:.3f}"
    return f"{_percent(found.pairwise_agreement)} of pairs, Krippendorff {shown}"


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{100 * share:.1f} %"


def _classes(classes: Sequence[str], found: Description) -> Grid:
    table = Grid("class", "votes", "truth")
    order = (
        sorted(range(len(classes)), key=lambda k: -found.class_votes[k])
        if len(classes) > _MANY_CLASSES
        else range(len(classes))
    )
    for k in list(order)[:_MANY_CLASSES]:
        truth = "" if found.class_targets is None else _percent(float(found.class_targets[k]))
        table.add_row(classes[k], _percent(float(found.class_votes[k])), truth)
    if len(classes) > _MANY_CLASSES:
        table.add_row(f"... {len(classes) - _MANY_CLASSES} more", "", "")
    return table


def _masks(masks: "Masks", *, quick: bool) -> dict[str, str]:
    from hilmix.data.folder.mask_summary import summarise_masks

    given, annotators = int(masks.explained.sum()), len(set(masks.annotator))
    by = f"{annotators} annotators" if annotators > 1 else "one annotator"
    rows = {"masks": f"on {given:,} of {masks.num_items:,} items, by {by}"}
    if quick:
        return rows
    found = summarise_masks(masks)
    low, high = found.per_item
    rows["masks"] += f"; {low} to {high} per item" * (high > 1)
    rows["masks mark"] = f"{_percent(found.marked)} of the input on average"
    rows["masks mark"] += f"; {found.empty:,} mark nothing" * bool(found.empty)
    if high > 1:
        rows["masks overlap"] = f"by {_percent(found.overlap)}, two annotators' of one item"
    return rows


def _groups(data: AnnotatedData) -> Grid:
    from hilmix.data.folder.mask_summary import count_group_sizes

    sizes = count_group_sizes(data)
    table = Grid("group", *sizes.columns)
    for name, row in zip(sizes.index, sizes.to_numpy(), strict=True):
        table.add_row(name, *(f"{n:,}" for n in row))
    return table
