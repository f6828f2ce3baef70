"""Names of classes and annotators that a model was trained with, and data recoded to match them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.data.items import AnnotatedData
from hilmix.errors import RunError
from hilmix.names import printable
from hilmix.types import UNKNOWN

log = logging.getLogger(__name__)


class ModelNames(NamedTuple):
    """The names behind a model's codes."""

    classes: tuple[str, ...]
    """K names, in the order of the model's outputs."""
    annotators: tuple[str, ...]
    """A names, in the order of the annotator model's tables; empty for one that had no training label."""


class RecodedData(NamedTuple):
    """Data in the codes of a model."""

    data: AnnotatedData
    """Classes are those of the model; annotators are those of the model, followed by the others of the data."""
    known: NDArray[np.bool_] | None
    """(A,) whether the model knows each of these annotators; None where it is to be trained on them."""


def read_model_names(state: Mapping[str, Any] | None) -> ModelNames | None:
    """Return the names in the saved state of the data module of a training, or None where it holds none."""
    if state is None or "classes" not in state or "annotators" not in state:
        return None
    annotators = () if state.get("aggregated") else state["annotators"]  # a model of aggregates knows no annotator
    return ModelNames(tuple(state["classes"]), tuple(annotators))


def recode_for_model(data: AnnotatedData, names: ModelNames) -> RecodedData:
    """Return the data in the codes of a model, matched by name, whatever the order of the data's own lists.

    Args:
        data: with vocabularies of their own.
        names: of the model.

    Raises:
        RunError: if the data have a class that the model lacks.
    """
    require_known_classes(data.classes, names.classes, data.name)
    own, annotators = data.annotations, data.annotations.annotators
    # An annotator without a training label has no name in the checkpoint: any name at its place fits.
    same = len(annotators) == len(names.annotators) and all(
        name in ("", mine) for name, mine in zip(names.annotators, annotators, strict=True)
    )
    modelled = set(names.annotators)
    # New annotators come behind those of the model, whose codes index its tables.
    union = annotators if same else (*names.annotators, *(name for name in annotators if name not in modelled))
    known = np.zeros(len(union), dtype=bool)
    known[: len(names.annotators)] = [name != "" for name in names.annotators]
    if same and data.classes == names.classes:
        return RecodedData(data, known)
    place = _find_places(data.classes, names.classes)
    moved = _recode_annotations(own, names.classes, place, union, _find_places(annotators, union))
    # An unknown target, -1, looks up the last class, which is then left out.
    target = np.where(data.target == UNKNOWN, UNKNOWN, place[data.target]) if len(place) else data.target
    features = _pad_features(data.annotator_features, annotators, union)
    return RecodedData(replace(data, annotations=moved, target=target, annotator_features=features), known)


def require_known_classes(own: Sequence[str], model: Sequence[str], data: str) -> None:
    """Check that a model has every class of the data.

    Raises:
        RunError: naming the classes that it lacks.
    """
    known = set(model)  # built once: inside the loop it costs K * K
    if unknown := [name for name in own if name not in known]:
        raise RunError(
            f"The model was trained on the classes {list(model)}; the data '{data}' have others: {unknown}. Rename or "
            "remove these in dataset.yaml and in the tables, or train a model on them."
        )


def _recode_annotations(
    own: Annotations, classes: tuple[str, ...], class_place: IntArray, annotators: tuple[str, ...], place: IntArray
) -> Annotations:
    probs = None
    if own.probs is not None:
        probs = np.zeros((own.num_pairs, len(classes)), dtype=own.probs.dtype)
        probs[:, class_place] = own.probs
    return replace(
        own,
        label=class_place[own.label],
        annotator=place[own.annotator],
        classes=classes,
        annotators=annotators,
        probs=probs,
    )


def _pad_features(
    features: NDArray[Any] | None, annotators: tuple[str, ...], union: tuple[str, ...]
) -> NDArray[Any] | None:
    """(A', F) metadata in the order of ``union``, NaN for annotators that the data do not have."""
    if features is None:
        return None
    # NaN, not 0: metadata of 0 would pass for those of an average annotator.
    padded = np.full((len(union), features.shape[1]), np.nan, dtype=features.dtype)
    padded[_find_places(annotators, union)] = features
    return padded


def _find_places(names: Sequence[str], among: Sequence[str]) -> IntArray:
    where = {name: place for place, name in enumerate(among)}
    return np.array([where[name] for name in names], dtype=np.int64)


def warn_about_unknown(annotators: Sequence[str], ids: IntArray) -> None:
    """Log which annotators have no place in the model: those without a label when it was trained."""
    names = [name for name, place in zip(annotators, ids, strict=True) if name and place == UNKNOWN]
    if names:
        shown = ", ".join(printable(name) for name in names[:5])
        log.warning("%d annotator(s) have no training label and are treated as unknown: %s", len(names), shown)
