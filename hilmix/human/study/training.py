"""The elicited mixes themselves as training items, beside the images that they were made of."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations
from hilmix.columns import IntArray
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.splits import draw_stratified_split, find_strata
from hilmix.errors import ConfigError, DataError
from hilmix.human.study.labels import refuse_midpoints
from hilmix.human.study.stimuli import rebuild_stimuli
from hilmix.human.study.study import MixStudy
from hilmix.types import UNKNOWN

Per = Literal["mix", "judgment"]
CROWD = "crowd"


def append_mixes(
    data: AnnotatedData,
    study: MixStudy,
    labels: ArrayLike,
    *,
    per: Per = "mix",
    keep: ArrayLike | None = None,
) -> AnnotatedData:
    """Returns the data with the mixes of a study as further training items, which follow the N items of the data.

    A mix is named as its stimulus, shows what participants saw (:func:`~hilmix.human.study.rebuild_stimuli`), has no
    target, group or mask, and has its labels as soft annotations; those of the data become soft with it (one-hot, where
    they are hard).

    Labels per mix come from the annotator ``crowd``. Where the annotators of the data are exchangeable, that is the
    crowd of the data. Labels per judgment come from the participants, who join the annotators of the data by name,
    with their confidence and time; repeats are left out. The table then distinguishes participants, so it is not
    exchangeable any more, and an exchangeable crowd stands in it as one annotator among the others.

    Args:
        data: N uint8 images in one array, which the ids of the study point into (for H-Mix the CIFAR-10 test images in
            their official order), with a split. Both ``train`` and ``val`` must be there, since training would
            otherwise draw validation items from the mixes too; :func:`split_around_mixes` makes one.
        study: of the infer or categorical task.
        labels: over the study's classes, in its order: per mix (S, K), per judgment (L, K), rows of non-negative
            numbers with a positive sum. See :func:`~hilmix.human.study.label_mixes` and
            :func:`~hilmix.human.study.label_judgments`.
        per: what a row of ``labels`` belongs to.
        keep: (S,) bool, which mixes to add; by default all.

    Raises:
        ConfigError: for another ``per``.
        DataError: if the data have another size, other classes (capitals aside) or inputs, or no split; if most images
            have another class than the study says, so that they are other images or in another order; if a mix that is
            to be added was made of an image outside ``train``, or bears the name of an item; for labels or ``keep`` of
            another shape, or a label that is no distribution; for a midpoint study.
    """
    refuse_midpoints(study)
    if per not in get_args(Per):
        raise ConfigError(f"`per` must be one of {', '.join(get_args(Per))}, got '{per}'.")
    images = _images(data, study)
    kept = _kept(study, keep)
    split = _split(data, study, kept)
    names = tuple(np.asarray(study.stimuli.name, dtype=object)[kept])
    if taken := set(names) & set(data.items):
        raise DataError(f"{data.name}: the item '{min(taken)}' has the name of a mix. Give data without the mixes.")
    extra = _annotations(data, study, labels, per, kept)
    check_images(data, study)
    if data.annotator_features is not None and extra.annotators != data.annotations.annotators:
        raise DataError(f"{data.name} must have no features of annotators, since participants lack them. Drop them.")
    return AnnotatedData(
        name=f"{data.name}+mixes",
        items=data.items + names,
        inputs=ArrayInputs(np.concatenate([images, rebuild_stimuli(study, images)[kept]]), "image"),
        annotations=_joined(data.annotations, extra),
        target=np.concatenate([data.target, np.full(len(kept), UNKNOWN)]),
        split=np.concatenate([split, np.full(len(kept), "train")]),
        licence=f"{data.licence or 'not stated'}; labels of the mixes as their study",
        annotator_features=data.annotator_features,
        masks=None if data.masks is None else replace(data.masks, num_items=len(data) + len(kept)),
        group=np.concatenate([data.group, np.full(len(kept), UNKNOWN)]),
        groups=data.groups,
    )


def split_around_mixes(
    data: AnnotatedData, study: MixStudy, *, test_fraction: float = 0.3, val_fraction: float = 0.1, seed: int = 0
) -> AnnotatedData:
    """Returns the data with a stratified split in which every image of a mix is a training item.

    Args:
        data: N items, which the ids of the study point into; a split of theirs is replaced.
        study: any.
        test_fraction: share of all items to hold out for testing.
        val_fraction: share of all items to hold out for validation.
        seed: equal seeds give equal splits.

    Raises:
        ConfigError: if the fractions are no shares, or ask for more items than are in no mix.
        DataError: if the data have another size than the set that the study's ids point into.
    """
    _check_size(data, study)
    free = np.setdiff1d(np.arange(len(data)), [study.stimuli.id1, study.stimuli.id2])
    held = (test_fraction + val_fraction) * len(data)
    if not (test_fraction >= 0 and val_fraction > 0 and held <= len(free)):
        raise ConfigError(
            f"`test_fraction` must be >= 0, `val_fraction` > 0 and both together at most {len(free)} of {len(data)} "
            f"items, those in no mix, got {test_fraction} and {val_fraction}."
        )
    # The fractions are of all items, the draw is among those in no mix.
    shares = np.array([test_fraction, val_fraction]) * len(data) / len(free)
    strata = find_strata(data.annotations, data.target, seed=seed)[free]
    test, val, _ = draw_stratified_split(strata, [*shares, 1 - shares.sum()], seed=seed)
    # The dtype must hold the longest name, or assignment would cut it.
    split = np.full(len(data), "train", dtype="<U5")
    split[free[test]], split[free[val]] = "test", "val"
    return replace(data, split=split)


def _check_size(data: AnnotatedData, study: MixStudy) -> None:
    if len(data) != study.num_items:
        raise DataError(
            f"{data.name} must have the {study.num_items} items that the ids of the study point into, in their order, "
            f"got {len(data)}."
        )


def _images(data: AnnotatedData, study: MixStudy) -> NDArray[np.uint8]:
    """(N, H, W, C) the images of the data."""
    _check_size(data, study)
    inputs = data.inputs
    if not (isinstance(inputs, ArrayInputs) and inputs.kind == "image" and inputs.array.dtype == np.uint8):
        raise DataError(
            f"{data.name}: mixes are made from uint8 images in one array (inputs.npy of a data folder); these inputs "
            f"are {getattr(getattr(inputs, 'array', None), 'dtype', 'files')} of kind '{inputs.kind}'."
        )
    return inputs.array if inputs.array.ndim == 4 else inputs.array[..., None]


def check_images(data: AnnotatedData, study: MixStudy) -> None:
    """Refuses images that are not those of the study, or are in another order, as far as known targets tell.

    Raises:
        DataError: if the data have another size, or most images of mixes another class (by name, capitals aside).
    """
    _check_size(data, study)
    shown = study.stimuli
    ids, labels = np.concatenate([shown.id1, shown.id2]), np.concatenate([shown.label1, shown.label2])
    # H-Mix writes the CIFAR-10 classes with capitals, the sources do not.
    theirs, ours = (np.array([name.casefold() for name in names]) for names in (study.classes, data.classes))
    target = data.target[ids]
    known = target != UNKNOWN
    wrong = np.flatnonzero(known & (theirs[labels] != ours[target]))
    if 2 * len(wrong) > known.sum():  # a few may be a matter of opinion
        first = wrong[0]
        raise DataError(
            f"{data.name}: the item '{data.items[ids[first]]}' (row {ids[first]}) is of class "
            f"{data.classes[target[first]]}; the study shows {study.classes[labels[first]]} there, and differs in "
            f"{len(wrong)} of {known.sum()} cases. Give the images that the study used, in their order."
        )


def _kept(study: MixStudy, keep: ArrayLike | None) -> IntArray:
    """(S',) places of the stimuli to add."""
    size = len(study.stimuli)
    chosen = np.ones(size, dtype=bool) if keep is None else np.asarray(keep)
    if chosen.shape != (size,) or chosen.dtype != bool:
        raise DataError(f"`keep` must be bool of the shape ({size},), got {chosen.dtype} of {chosen.shape}.")
    return np.flatnonzero(chosen)


def _split(data: AnnotatedData, study: MixStudy, kept: IntArray) -> NDArray[np.str_]:
    """(N,) the data's own, if the mixes leave its held-out items alone."""
    # Without val the data module would draw validation items itself, from the mixes too.
    if data.split is None or not {"train", "val"} <= set(data.split.tolist()):
        found = "no split" if data.split is None else f"the splits {sorted(set(data.split.tolist()))}"
        raise DataError(
            f"{data.name} has {found}; mixes are added to data with 'train' and 'val', or they would be drawn into the "
            "held-out items. Fill the column 'split' of the items table, or have it drawn: split_around_mixes; hilmix "
            "hmix mixes does so if there is no such column."
        )
    for ids in (study.stimuli.id1, study.stimuli.id2):
        outside = np.flatnonzero(data.split[ids[kept]] != "train")
        if len(outside):
            mix = kept[outside[0]]
            raise DataError(
                f"The mix '{study.stimuli.name[mix]}' was made of the item '{data.items[ids[mix]]}', which is in the "
                f"split '{data.split[ids[mix]]}': training on it would leak. Leave such mixes out (keep), or take a "
                "split around them (split_around_mixes; hilmix hmix mixes draws one if there is no column 'split')."
            )
    return data.split


def _annotations(data: AnnotatedData, study: MixStudy, labels: ArrayLike, per: Per, kept: IntArray) -> Annotations:
    """The annotations of the mixes alone, with the vocabularies and rows of the joined data."""
    given = np.asarray(labels, dtype=np.float64)
    rows = len(study.stimuli) if per == "mix" else len(study.judgments)
    if given.shape != (rows, study.num_classes):
        raise DataError(
            f"labels must have the shape {(rows, study.num_classes)}, one row per {per}, one column per class of the "
            f"study, got {given.shape}."
        )
    # -1 for mixes that are left out, so that their judgments drop out by comparison.
    place = np.full(len(study.stimuli), -1)
    place[kept] = np.arange(len(kept))
    judgments, participants = study.judgments, study.participants
    if per == "mix":
        row, stimulus, participants, participant = kept, kept, (CROWD,), np.zeros(len(kept), dtype=np.int64)
    else:
        row = np.flatnonzero(~judgments.repeat & (place[judgments.stimulus] >= 0))
        stimulus, participant = judgments.stimulus[row], judgments.participant[row]
    _check_labels(given[row], np.asarray(study.stimuli.name, dtype=object)[stimulus])
    base = data.annotations
    # Annotators of the data first, so that their ids stay.
    names = tuple(dict.fromkeys((*base.annotators, *participants)))
    columns = _class_columns(study.classes, data)
    probs = np.zeros((len(row), len(data.classes)))
    probs[:, columns] = given[row]
    return Annotations.build(
        len(data) + place[stimulus],
        np.array([names.index(name) for name in participants], dtype=np.int64)[participant],
        num_items=len(data) + len(kept),
        classes=data.classes,
        annotators=names,
        probs=probs,
        confidence=judgments.confidence[row] if per == "judgment" else None,
        seconds=judgments.seconds[row] if per == "judgment" else None,
        exchangeable=base.exchangeable and per == "mix",
    )


def _check_labels(labels: NDArray[np.float64], mixes: NDArray[np.object_]) -> None:
    bad = np.flatnonzero(~(np.isfinite(labels).all(1) & (labels >= 0).all(1) & (labels.sum(1) > 0)))
    if len(bad):
        raise DataError(
            f"The label of the mix '{mixes[bad[0]]}' must be numbers >= 0 with a positive sum, got "
            f"{labels[bad[0]].tolist()}. Leave mixes without a label out with `keep`."
        )


def _class_columns(classes: Sequence[str], data: AnnotatedData) -> IntArray:
    """(K,) the data's class of each class of the study, by name, capitals aside."""
    theirs = {name.casefold(): place for place, name in enumerate(data.classes)}
    found = [theirs.get(name.casefold(), UNKNOWN) for name in classes]
    if sorted(found) != list(range(len(data.classes))):
        raise DataError(
            f"{data.name} must have the classes of the study, {', '.join(classes)}, in any order and case, got "
            f"{', '.join(data.classes)}."
        )
    return np.array(found, dtype=np.int64)


def _joined(base: Annotations, mixes: Annotations) -> Annotations:
    """Both tables; the mixes' items come last, so the rows stay sorted."""
    # One-hot rows are the same information as hard labels; a table cannot hold both kinds.
    hard = np.eye(base.num_classes, dtype=np.float32)
    columns: dict[str, Any] = {
        "probs": np.concatenate([hard[base.label] if base.probs is None else base.probs, mixes.probs])
    }
    for name in ("confidence", "seconds"):
        parts = [getattr(table, name) for table in (base, mixes)]
        if any(part is not None for part in parts):
            silent = [np.full(table.num_pairs, np.nan, dtype=np.float32) for table in (base, mixes)]
            columns[name] = np.concatenate([s if p is None else p for p, s in zip(parts, silent, strict=True)])
    for name in ("item", "annotator", "label"):
        columns[name] = np.concatenate([getattr(base, name), getattr(mixes, name)])
    return replace(mixes, **columns)
