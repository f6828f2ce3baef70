"""``hilmix data check FOLDER``: validates a data folder and prints what it holds."""

import argparse
from pathlib import Path

from hilmix.data.describe import Description, check_inputs, describe
from hilmix.data.folder import read_folder
from hilmix.data.items import AnnotatedData
from hilmix.data.mask_summary import group_sizes, summarise_masks
from hilmix.data.masks import Masks
from hilmix.terminal import Console, Grid, literal, pairs, say, warn

_MANY_CLASSES = 20
_FEW_NAMES = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="do not decode every input")


def run(args: argparse.Namespace, console: Console) -> None:
    """Checks and prints.

    Raises:
        DataError: if the folder is not right.
    """
    data = read_folder(args.folder)
    if not args.quick:
        check_inputs(data)
    found = describe(data)
    say(console, literal((data.name, "bold"), f" ({args.folder})"))
    console.print(_summary(data, found, quick=args.quick))
    console.print(_classes(data, found))
    if data.groups:
        console.print(_groups(data))
    for warning in _warnings(data, found):
        warn(console, warning)
    say(console, "ok" + (" (inputs not decoded)" if args.quick else ""))


def _summary(data: AnnotatedData, found: Description, *, quick: bool) -> Grid:
    low, mean, high = found.labels_per_item
    rows = {
        "licence": data.licence or "not stated",
        "inputs": f"{data.inputs.kind}, {' x '.join(map(str, data.inputs.shape))}",
        "items": f"{found.items:,}",
        "splits": ", ".join(f"{name} {n:,} ({voted:,} annotated)" for name, (n, voted) in found.splits.items()),
        "annotations": f"{found.annotations:,}" + (" (soft)" if data.annotations.probs is not None else ""),
        "labels per item": f"{low} to {high}, mean {mean:.2f}"
        + (f"; none on {found.empty_items:,} items" * bool(found.empty_items)),
        "annotators": _annotators(data, found),
        "agreement": f"{_percent(found.pairwise_agreement)} of pairs, Krippendorff {found.krippendorff_alpha:.3f}",
        "truth": f"known for {found.known_targets:,} items",
    }
    if found.known_targets:
        rows["wrong labels"] = _percent(found.wrong_labels)
        rows["majority vote"] = f"{_percent(found.majority_accuracy)} right (ties split)"
    if data.masks is not None:
        rows |= _masks(data.masks, quick=quick)
    return pairs(rows)


def _annotators(data: AnnotatedData, found: Description) -> str:
    if data.annotations.exchangeable:
        return "exchangeable (identities unknown)"
    low, median, high = found.labels_per_annotator
    return f"{found.annotators:,}, with {low:,} to {high:,} labels, median {median:g}"


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{100 * share:.1f} %"


def _classes(data: AnnotatedData, found: Description) -> Grid:
    table = Grid("class", "votes", "truth")
    order = sorted(range(len(data.classes)), key=lambda k: -found.class_votes[k]) if len(
        data.classes) > _MANY_CLASSES else range(len(data.classes))  # fmt: skip
    for k in list(order)[:_MANY_CLASSES]:
        truth = "" if found.class_targets is None else _percent(float(found.class_targets[k]))
        table.add_row(data.classes[k], _percent(float(found.class_votes[k])), truth)
    if len(data.classes) > _MANY_CLASSES:
        table.add_row(f"... {len(data.classes) - _MANY_CLASSES} more", "", "")
    return table


def _masks(masks: Masks, *, quick: bool) -> dict[str, str]:
    given, people = int(masks.explained.sum()), len(set(masks.annotator))
    by = f"{people} people" if people > 1 else "one person"
    rows = {"masks": f"on {given:,} of {masks.num_items:,} items, by {by}"}
    if quick:
        return rows
    found = summarise_masks(masks)
    low, high = found.per_item
    rows["masks"] += f"; {low} to {high} per item" * (high > 1)
    rows["masks mark"] = f"{_percent(found.marked)} of the input on average"
    rows["masks mark"] += f"; {found.empty:,} mark nothing" * bool(found.empty)
    if high > 1:
        rows["masks overlap"] = f"by {_percent(found.overlap)}, two people's of one item"
    return rows


def _groups(data: AnnotatedData) -> Grid:
    sizes = group_sizes(data)
    table = Grid("group", *sizes.columns)
    for name, row in zip(sizes.index, sizes.to_numpy(), strict=True):
        table.add_row(name, *(f"{n:,}" for n in row))
    return table


def _warnings(data: AnnotatedData, found: Description) -> list[str]:
    texts = []
    if not found.annotations:
        texts.append("there are no annotations at all, so there is nothing to learn from.")
    if found.silent_in_training:
        names = ", ".join(found.silent_in_training[:_FEW_NAMES])
        more = ", ..." if len(found.silent_in_training) > _FEW_NAMES else ""
        texts.append(f"{len(found.silent_in_training)} annotators never label a training item, so nothing can be "
                     f"learnt about them: {names}{more}.")  # fmt: skip
    for name, (n, voted) in found.splits.items():
        if name != "test" and n and not voted and found.annotations:
            texts.append(f"no item of split '{name}' has an annotation.")
    unused = [data.classes[k] for k in range(len(data.classes)) if not found.class_votes[k]]
    if unused and found.annotations:
        more = ", ..." if len(unused) > _FEW_NAMES else ""
        texts.append(f"nobody ever says {', '.join(unused[:_FEW_NAMES])}{more}.")
    return texts
