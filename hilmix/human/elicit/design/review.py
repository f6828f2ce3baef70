"""A review as a study: single images with the label that they have and the one suggested, to be looked at again."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import hilmix
from hilmix.checks import PositiveInt, check_value
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.design import texts
from hilmix.human.elicit.design.build import OwnTexts, whole_study
from hilmix.human.elicit.design.images import Mix, hash_data, write_images
from hilmix.human.elicit.design.items import check_showable
from hilmix.human.elicit.design.manifest import IMAGES, Manifest, read_manifest, write_manifest
from hilmix.human.elicit.design.pairs import IntArray
from hilmix.human.elicit.design.schema import Batch, Dataset, Settings, Stimulus, Trial
from hilmix.human.elicit.design.words import take_page_words

COLUMNS = ("item", "label", "suggested")
"""Of a table of labels to review, as ``hilmix audit`` writes ``review.csv``."""


class Review(NamedTuple):
    """Sizes of a review.

    Args:
        per_batch: most images of a participant.
        repeats: images shown once more at the end of a batch.
        judgments: wanted for each image.
        seed: of batches, file names and ids of trials.
    """

    per_batch: int = 30
    repeats: int = 2
    judgments: int = 3
    seed: int = 0


def build_review(
    data: AnnotatedData, reviews: pd.DataFrame, folder: Path, review: Review, *, own: OwnTexts | None = None
) -> Manifest:
    """Writes a study of the task ``vote`` that shows single images with label and suggestion; returns its manifest.

    Args:
        data: images, by item; ``hilmix audit`` writes them beside the table.
        reviews: :data:`COLUMNS`, one row per image.
        folder: to be made; its name is the name of the study.
        review: how many of what.
        own: texts of the study's own.

    Raises:
        ConfigError: for sizes out of range.
        DataError: naming missing columns, unknown items and classes, repeated items; if the data cannot be shown, or
            the folder is there.
    """
    check_value("per_batch", review.per_batch, PositiveInt)
    check_value("judgments", review.judgments, PositiveInt)
    own = own or OwnTexts()
    check_showable(data)
    row, given, suggested = _code(data, reviews)
    with whole_study(folder) as partial:
        written = write_images(data, (Mix(r, r, 1.0) for r in row.tolist()), partial / IMAGES, seed=review.seed)
        stimuli = tuple(
            Stimulus(
                id=place,
                task="vote",
                id1=r,
                id2=r,
                item1=data.items[r],
                item2=data.items[r],
                label1=label,
                label2=label,
                weight=1.0,
                images=(written[Mix(r, r, 1.0)].name,),
                weights=None,
                sha256=(written[Mix(r, r, 1.0)].sha256,),
                suggested=other,
            )
            for place, (r, label, other) in enumerate(
                zip(*map(np.ndarray.tolist, (row, given, suggested)), strict=True)
            )
        )
        write_manifest(_manifest(data, row, stimuli, review, own, name=folder.name), partial)
    return read_manifest(folder)


def _manifest(
    data: AnnotatedData, row: IntArray, stimuli: tuple[Stimulus, ...], review: Review, own: OwnTexts, *, name: str
) -> Manifest:
    batches, words = _batches(len(stimuli), review), own.messages
    trials = max(len(batch.trials) for batch in batches)
    minutes = own.minutes or texts.estimate_minutes([texts.REVIEW], trials=trials)
    return Manifest(
        name=name,
        seed=review.seed,
        hilmix=hilmix.__version__,
        dataset=Dataset(
            name=data.name,
            licence=data.licence,
            num_items=len(data),
            classes=data.classes,
            sha256=hash_data(data, row),
        ),
        wording="first",
        consent=own.consent
        or texts.build_consent("first", trials=trials, minutes=minutes, contact=own.contact, words=words),
        instructions={
            "vote": texts.build_instructions("vote", "first", trials=trials, practice=0, review=True, words=words)
        },
        thanks=words["text.thanks"],
        completion_code=own.completion_code,
        settings=Settings(target_judgments=review.judgments),
        checks={"vote": texts.build_checks("vote", "first", review=True, words=words)},
        stimuli=stimuli,
        batches=batches,
        language=own.language,
        words=take_page_words(words),
        contact=own.contact,
        minutes=minutes,
        pay=own.pay,
        completion_url=own.completion_url,
    )


def _batches(number: int, review: Review) -> tuple[Batch, ...]:
    """Batches of equal size up to one, in random order, so that none has the most doubtful images alone."""
    rng = np.random.default_rng(review.seed)
    parts = np.array_split(rng.permutation(number), math.ceil(number / review.per_batch))
    repeats = [min(review.repeats, len(part)) for part in parts]
    ids = iter(rng.permutation(number + sum(repeats)).tolist())
    batches: list[Batch] = []
    for part, again in zip(parts, repeats, strict=True):
        main = [Trial(id=next(ids), stimulus=int(s), kind="main", of=None, start=None) for s in part]
        shown = [main[(r + 1) * len(main) // (again + 1)] for r in range(again)]
        last = [Trial(id=next(ids), stimulus=t.stimulus, kind="repeat", of=t.id, start=None) for t in shown]
        batches.append(Batch(id=len(batches), task="vote", trials=(*main, *last)))
    return tuple(batches)


def _code(data: AnnotatedData, reviews: pd.DataFrame) -> tuple[IntArray, IntArray, IntArray]:
    """(M,) rows of the items, classes of the labels and of the suggestions."""
    if missing := [name for name in COLUMNS if name not in reviews]:
        raise DataError(
            f"The table to review must have the columns {', '.join(COLUMNS)}, got none called {missing[0]}."
        )
    items, labels, others = (reviews[name].astype(str) for name in COLUMNS)
    row = pd.Index(data.items).get_indexer(items)
    classes = pd.Index(data.classes)
    given, suggested = classes.get_indexer(labels), classes.get_indexer(others)
    faults = [f"item {name!r} is unknown" for name in items[row < 0]]
    unknown = {*labels[given < 0], *others[suggested < 0]}
    faults += [f"{name!r} is none of the classes {', '.join(data.classes)}" for name in sorted(unknown)]
    faults += [f"item {name!r} occurs twice" for name in items[items.duplicated()]]
    if not len(items):
        faults = ["there is no row"]
    if faults:
        raise DataError(f"{len(faults)} faults in the table to review: {'; '.join(faults[:20])}. Correct them.")
    return row.astype(np.int64), given.astype(np.int64), suggested.astype(np.int64)
