"""Annotated data from what a program holds: arrays, tables, torch and Hugging Face data sets, each with votes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.annotations.in_memory import read_votes
from hilmix.codes import UNKNOWN
from hilmix.data.folder.class_folders import build_image_inputs
from hilmix.data.inputs import ArrayInputs, Inputs, require_pixels
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.values import is_whole, natural_order, places, quoted, read_names, spell


def from_arrays(
    inputs: Any,
    votes: Any,
    *,
    target: ArrayLike | None = None,
    split: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    name: str = "arrays",
    image_size: int | None = None,
) -> AnnotatedData:
    """Return N inputs with votes as annotated data.

    Args:
        inputs: images (N, H, W) or (N, H, W, C), or a tensor (N, C, H, W), uint8 or float in [0, 1]; vectors (N, D) or
            a table of them; or N paths of image files.
        votes: a wide array or table (N, A), NaN or None for no label; a long table ``item`` (row of the input),
            ``annotator``, ``label``; N mappings from annotator to label; or :class:`~hilmix.Annotations`.
        target: (N,) true classes, None or NaN where unknown.
        split: (N,) of ``train``, ``val`` and ``test``.
        classes: K names; by default the labels and targets that occur, in natural order. Of ``Annotations`` theirs.
        items: N names; by default the numbers of the rows.
        name: of the data.
        image_size: of image files, as for :class:`~hilmix.data.inputs.ImageFiles`.

    Raises:
        DataError: for images in another range or type, or votes or targets that do not fit.

    Example:
        >>> data = from_arrays(np.zeros((2, 4)), [["cat", "dog"], ["dog", None]])
        >>> data.classes, data.annotations.num_pairs
        (('cat', 'dog'), 3)
    """
    read = read_inputs(inputs, image_size=image_size)
    annotations = read_annotations(votes, len(read), target, classes)
    return AnnotatedData(
        name=name,
        items=tuple(map(str, range(len(read)) if items is None else items)),
        inputs=read,
        annotations=annotations,
        target=np.empty(0, dtype=np.int64) if target is None else _code(target, annotations.classes, "target"),
        split=None if split is None else np.asarray(split, dtype=str),
    )


def from_dataset(dataset: Any, votes: Any = None, **settings: Any) -> AnnotatedData:
    """Return a map-style torch ``Dataset`` as annotated data; all of it is read into memory.

    Args:
        dataset: of inputs, or of pairs of an input and its class: tensors, arrays or Pillow images of one size.
        votes: as of :func:`from_arrays`; the classes of the pairs are then targets. None takes them as the labels of
            one annotator, ``label``.
        **settings: further arguments of :func:`from_arrays`; ``classes`` names the classes of the pairs by number.

    Raises:
        DataError: as :func:`from_arrays`; without votes, if there are no classes either.
    """
    rows = [dataset[row] for row in range(len(dataset))]
    paired = bool(rows) and isinstance(rows[0], tuple | list)
    inputs = _stack([row[0] for row in rows] if paired else rows)
    names = settings.get("classes") or getattr(dataset, "classes", None)
    label = [_class_name(row[1], names) for row in rows] if paired else None
    if names is not None:
        settings = {**settings, "classes": [str(one) for one in names]}
    return _with_label(inputs, votes, label, settings)


def from_hugging_face(
    dataset: Any,
    votes: Any = None,
    *,
    image: str = "image",
    annotators: Sequence[str] = (),
    label: str | None = None,
    **settings: Any,
) -> AnnotatedData:
    """Return a Hugging Face ``Dataset`` as annotated data; all of it is read into memory.

    Args:
        dataset: of rows with a column of images.
        votes: as of :func:`from_arrays`; not with ``annotators``.
        image: column of the images, all of one size.
        annotators: columns that hold the labels of one annotator each.
        label: column of the classes; targets where there are votes, else the labels of one annotator, ``label``.
        **settings: further arguments of :func:`from_arrays`.

    Raises:
        DataError: for a column that is missing, votes that are given twice, or as :func:`from_arrays`.
    """
    names = list(dataset.column_names)
    if missing := [one for one in (image, *annotators, *([] if label is None else [label])) if one not in names]:
        raise DataError(f"The data set has no column {quoted(missing)}; it has {quoted(names)}.")
    if votes is not None and annotators:
        raise DataError("`votes` must be left out where `annotators` names columns of labels.")

    def column(name: str) -> list[str | None]:
        known = getattr(dataset.features[name], "names", None)  # of a ClassLabel
        return [_class_name(value, known) for value in dataset[name]]

    if annotators:
        votes = pd.DataFrame({name: pd.Series(column(name), dtype=object) for name in annotators})
    inputs = _stack(list(dataset[image]))
    return _with_label(inputs, votes, None if label is None else column(label), settings)


def read_inputs(inputs: Any, *, image_size: int | None = None) -> Inputs:
    """Return random access to inputs; arguments and errors as of :func:`from_arrays`."""
    if isinstance(inputs, Sequence) and inputs and all(isinstance(one, str | Path) for one in inputs):
        return build_image_inputs(list(map(Path, inputs)), image_size)
    array = _channels_last(inputs)
    if array.ndim == 2:
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise DataError("Vectors must be finite numbers, got NaN, infinity or text.")
        return ArrayInputs(array, "vector")
    require_pixels(array)
    return ArrayInputs(array, "image")


def _channels_last(inputs: Any) -> NDArray[Any]:
    """An array; of a tensor of images with the channels last."""
    if isinstance(inputs, pd.DataFrame):
        return np.asarray(inputs.to_numpy())
    if not hasattr(inputs, "detach"):  # no tensor, which is found out without torch
        return np.asarray(inputs)
    array = np.asarray(inputs.detach().cpu().numpy())
    return np.moveaxis(array, 1, 3) if array.ndim == 4 else array


def _stack(inputs: Sequence[Any]) -> NDArray[Any]:
    """Inputs of one shape as an array with the channels last."""
    arrays = [
        _channels_last(one[None])[0] if hasattr(one, "detach") and one.ndim == 3 else np.asarray(one) for one in inputs
    ]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        shown = quoted([str(shape) for shape in sorted(shapes)])
        raise DataError(f"Inputs must have one shape, got {shown or 'none'}. Resize them, or give paths of files.")
    return np.stack(arrays)


def _with_label(
    inputs: NDArray[Any], votes: Any, label: Sequence[str | None] | None, settings: Mapping[str, Any]
) -> AnnotatedData:
    """Classes are targets where there are votes, else the labels of one annotator."""
    if votes is None and label is None:
        raise DataError("`votes` must be given for a data set without classes.")
    if votes is None:
        return from_arrays(inputs, pd.DataFrame({"label": pd.Series(label, dtype=object)}), **settings)
    return from_arrays(inputs, votes, **{"target": label, **settings})


def _class_name(value: Any, names: Sequence[str] | None) -> str | None:
    if value is None or pd.isna(value):
        return None
    if names is None or isinstance(value, str):
        return str(value)
    # -1 is how Hugging Face marks a missing ClassLabel.
    return None if int(value) == -1 else str(names[int(value)])


def read_annotations(
    votes: Any, num_items: int, target: ArrayLike | None = None, classes: Sequence[str] | None = None
) -> Annotations:
    """Return votes for N items in codes; arguments and errors as of :func:`from_arrays`."""
    if isinstance(votes, Annotations) and votes.num_items == num_items:
        return votes
    given = read_votes(votes, num_items)
    labels = read_names(given.label)
    if classes is None:
        spelled = spell(labels, *([] if target is None else [read_names(np.asarray(target, dtype=object))]))
        labels = spelled[0]
        classes = sorted({text for column in spelled for text in column.texts}, key=natural_order)
        # Only where classes are collected from the labels: there a -1 for "no label" would silently become a class.
        if negative := [text for text in classes if text.startswith("-") and is_whole(text)]:
            raise DataError(f"`votes` must be NaN or None where there is no label, got {quoted(negative)}.")
    who = read_names(given.annotator)
    names = sorted(who.texts, key=natural_order)
    frame = (given.item, who.of(places(who.texts, names), UNKNOWN), _code(given.label, classes, "votes"))
    return Annotations.build(*frame, num_items=num_items, classes=list(classes), annotators=names)


def _code(values: ArrayLike, classes: Sequence[str], where: str) -> IntArray:
    """(L,) int64 places of names among the classes, -1 where missing."""
    names = read_names(np.asarray(values, dtype=object))
    place = places(names.texts, classes)
    if unknown := [names.texts[u] for u in np.flatnonzero(place < 0)]:
        raise DataError(f"`{where}` must be one of the classes {quoted(classes)}, got {quoted(unknown)}.")
    return names.of(place, UNKNOWN).astype(np.int64)
