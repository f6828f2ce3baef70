"""CIFAR-10S: soft labels elicited from single annotators on 1,000 CIFAR-10 test images."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import cifar10
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile

LICENCE = "none stated; CIFAR-10 images: none stated"
_REDISTRIBUTED = 0.1  # mass for the classes that an annotator left possible but gave nothing, as released


class Answers(NamedTuple):
    """One row per answer, (L,) each; percents in [0, 100], NaN and -1 where there is none."""

    item: NDArray[np.int64]
    annotator: NDArray[np.str_]
    first: NDArray[np.int64]
    first_percent: NDArray[np.float64]
    second: NDArray[np.int64]
    second_percent: NDArray[np.float64]
    possible: NDArray[np.bool_]
    """(L, 10) classes not ruled out."""
    seconds: NDArray[np.float64]


def compute_soft_labels(answers: Answers) -> NDArray[np.float64]:
    """(L, K) the released "T2 Clamp" label of each answer.

    The two stated percents; what they lack of 100 goes in equal parts to the other classes that were not ruled out.
    Where they lack nothing, they are scaled to 90 % if there is such a class, which then shares the other 10 %.

    Reference:
        Collins, Bhatt, Weller: Eliciting and Learning with Soft Labels from Every Annotator, HCOMP 2022, section 4.2.
    """
    row = np.arange(len(answers.first))
    stated = np.zeros(answers.possible.shape)
    stated[row, answers.first] = np.nan_to_num(answers.first_percent) / 100
    second = (answers.second >= 0) & ~np.isnan(answers.second_percent)
    stated[row[second], answers.second[second]] = answers.second_percent[second] / 100
    total = stated.sum(1, keepdims=True)
    full = total > 1 - 1e-6
    others = answers.possible & (stated == 0)
    # As released: also where a stated class was ruled out, so that it is missing from the possible ones.
    number = np.maximum(answers.possible.sum(1, keepdims=True) - (stated > 0).sum(1, keepdims=True), 0)
    rest = np.where(full, _REDISTRIBUTED, 1 - total)
    kept = np.where(full, stated / np.maximum(total, 1e-12) * np.where(number > 0, 1 - _REDISTRIBUTED, 1), stated)
    soft = kept + (number > 0) * others * rest / np.maximum(number, 1)
    soft = np.where(soft.sum(1, keepdims=True) > 0, soft, 1.0)  # an answer that rules out everything says nothing
    labels: NDArray[np.float64] = soft / soft.sum(1, keepdims=True)
    return labels


def read_answers(paths: list[Path]) -> Answers:
    """The elicitation trials of ``raw_human_data.csv``, repeats included."""
    frame = pd.read_csv(paths[0], usecols=["subject", "rt", "response", "task", "img_id"])
    frame = frame[frame["task"].isin(["spec_conf", "rerun_spec_conf"])]
    replies = [json.loads(text) for text in frame["response"]]
    names = pd.Index([c.capitalize() for c in cifar10.CLASSES])
    return Answers(
        item=frame["img_id"].to_numpy(dtype=np.int64),
        annotator=frame["subject"].to_numpy(dtype=str),
        first=names.get_indexer([s["classSelect"].removeprefix("mostProb") for s in replies]).astype(np.int64),
        first_percent=_parse_percents([s["prob"] for s in replies]),
        second=names.get_indexer([s["classSelect2"].removeprefix("secondProb") for s in replies]).astype(np.int64),
        second_percent=_parse_percents([s["prob2"] for s in replies]),
        possible=np.array([[f"improbClassSelect{c}" not in s for c in names] for s in replies]),
        seconds=pd.to_numeric(frame["rt"]).to_numpy(dtype=np.float64) / 1000,
    )


def _parse_percents(texts: list[str]) -> NDArray[np.float64]:
    """Typed percents such as ``75`` or ``75%``, NaN where no number was given, at most 100."""
    numbers = pd.Series(texts, dtype=str).str.extract(r"(\d+(?:\.\d+)?)")[0]
    percents: NDArray[np.float64] = np.minimum(numbers.to_numpy(dtype=np.float64), 100)
    return percents


def _read_mirrored(paths: list[Path]) -> Answers:
    # The mirror's soft_t2clamp rows stand in another order than the answers of the same image, so they are not used.
    with np.load(paths[0]) as archive:
        columns = {key: archive[key] for key in archive.files}
    return Answers(
        item=columns["item"].astype(np.int64),
        annotator=columns["annotator"].astype(str),
        first=columns["label"].astype(np.int64),
        first_percent=columns["label_prob"].astype(np.float64),
        second=columns["second"].astype(np.int64),
        second_percent=columns["second_prob"].astype(np.float64),
        # The mirror packs ten flags of impossible classes into the bits of one number.
        possible=(columns["impossible_mask"].astype(np.int64)[:, None] >> np.arange(10)) & 1 == 0,
        seconds=columns["reaction_ms"].astype(np.float64) / 1000,
    )


_ANSWERS = Resource(
    (
        RemoteFile(
            "https://github.com/cambridge-mlg/cifar-10s/raw/86b114f0/cifar10s_data/raw_human_data.csv",
            "cifar10s/raw_human_data.csv",
            3_471_751,
        ),
    ),
    read_answers,
    ("cifar10s/cifar10s.npz",),
    _read_mirrored,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    answers = access.read(_ANSWERS)
    images, target, classes = access.read(cifar10.TEST)
    shown, item = np.unique(answers.item, return_inverse=True)
    names, annotator = np.unique(answers.annotator, return_inverse=True)
    soft = compute_soft_labels(answers)
    stated = np.take_along_axis(soft, answers.first[:, None], axis=1)[:, 0]
    # A tie goes to the class stated first.
    label = np.where(stated >= soft.max(1) - 1e-9, answers.first, soft.argmax(1))
    require_published("CIFAR-10S: images and annotators", (len(shown), len(names)), (1_000, 248))
    return AnnotatedData(
        name=SOURCE.name,
        items=tuple(f"test-{i:05d}" for i in shown),
        inputs=ArrayInputs(images[shown], "image"),
        annotations=Annotations.build(
            item,
            annotator,
            label,
            num_items=len(shown),
            classes=classes,
            annotators=names.tolist(),
            probs=soft,
            seconds=answers.seconds,
        ),
        target=target[shown],
        licence=LICENCE,
    )


SOURCE = Source(
    name="cifar10s",
    summary="1,000 CIFAR-10 test images with 6 to 11 soft labels each, by 248 annotators",
    licence=LICENCE,
    citation="K. Collins, U. Bhatt, A. Weller, Eliciting and Learning with Soft Labels from Every Annotator, "
    f"HCOMP 2022; {cifar10.CITATION}",
    build=_build,
    resources=(_ANSWERS, cifar10.TEST),
    profile=Profile(
        "1,000",
        "248",
        "6 to 11, mean 6.7",
        "15.7 % (most probable class)",
        "soft labels and times of people",
    ),
    note="The soft label (T2 Clamp, 10 % redistributed) is recomputed from each annotator's own answer. Some answers "
    "repeat an item for the same annotator. No checksum is published; size and counts are checked.",
)
