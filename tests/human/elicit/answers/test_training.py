"""Answers of participants as items and labels to train on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.folder import read_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.answers.read import StudyAnswers, collect_answers
from hilmix.human.elicit.answers.training import add_answers
from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.settings import Design
from hilmix.human.elicit.simulation.behaviour import Behaviour
from hilmix.human.elicit.simulation.participants import simulate_study
from hilmix.human.study import render_mix
from tests.human.elicit.study_data import CLASSES, N, pictures

PAIRS, PEOPLE = 12, 3


def collected(data: AnnotatedData, folder: Path, task: str, *, behaviours=("logit",), **design) -> StudyAnswers:
    build_study(data, folder, Design(tasks=(task,), pairs=PAIRS, per_batch=PAIRS, judgments=PEOPLE, **design))
    simulate_study(folder, participants=PEOPLE, behaviours=[Behaviour(name) for name in behaviours])
    return collect_answers(folder)


@pytest.fixture(scope="module")
def data() -> AnnotatedData:
    return pictures()


@pytest.fixture(scope="module")
def infer(data, tmp_path_factory) -> StudyAnswers:
    return collected(data, tmp_path_factory.mktemp("studies") / "mine", "infer")


def test_each_answer_is_a_soft_label_of_the_mix_that_was_shown(data, infer):
    found = add_answers(data, infer, "infer")
    assert len(found) == N + PAIRS
    assert found.annotations.annotators == ("x", "y", "mine-p001", "mine-p002", "mine-p003")
    given = {
        (one.participant.number, one.shown.id): one
        for one in infer.counted(with_excluded=False)
        if one.trial.kind == "main"
    }
    assert len(given) == PAIRS * PEOPLE
    rows = found.annotations.to_frame(found.items).set_index(["item", "annotator"])
    for (number, _), one in given.items():
        shown, weight = one.shown, one.row.answer["weight"]
        name = f"mixed_{shown.weight}_{CLASSES[shown.label1]}_{shown.id1}_{CLASSES[shown.label2]}_{shown.id2}.png"
        row = rows.loc[(name, f"mine-p{number:03d}")]
        expected = np.zeros(3)
        expected[shown.label1], expected[shown.label2] = weight, 1 - weight
        np.testing.assert_allclose(row[[f"prob_{c}" for c in CLASSES]].astype(float), expected, atol=1e-6)
        assert row["confidence"] == pytest.approx(one.row.answer["confidence"])
        assert row["seconds"] == pytest.approx(one.row.seconds)
        picture = found.inputs.fetch(np.array([found.items.index(name)]))[0].permute(1, 2, 0).numpy()
        images = data.inputs.array
        np.testing.assert_array_equal(picture, render_mix(images[shown.id1], images[shown.id2], shown.weight))
    assert len(rows) == 2 * N + len(given), "no repeat, practice or catch trial"


def test_the_split_drawn_around_the_mixes_does_not_leak(data, infer):
    found = add_answers(data, infer, "infer")
    used = {row for one in infer.counted(with_excluded=False) for row in (one.shown.id1, one.shown.id2)}
    assert set(found.split[N:]) == {"train"} == set(found.split[list(used)])
    assert {"val", "test"} <= set(found.split)


def test_categorical_percents_become_distributions(data, tmp_path):
    answers = collected(data, tmp_path / "s", "categorical")
    found = add_answers(data, answers, "categorical")
    one = answers.counted(with_excluded=False)[0]
    label = np.zeros(3)
    label[one.row.answer["top"]] = one.row.answer["top_percent"] / 100
    if one.row.answer["second"] is not None:
        label[one.row.answer["second"]] = one.row.answer["second_percent"] / 100
    rows = found.annotations.to_frame(found.items)
    mine = rows[(rows["annotator"] == "s-p001") & (rows["item"].str.contains(f"_{one.shown.id1}_"))]
    assert (np.abs(mine[[f"prob_{c}" for c in CLASSES]].to_numpy() - label).max(1) < 1e-6).any()


def test_votes_on_mixes_stay_votes(data, tmp_path):
    answers = collected(data, tmp_path / "s", "vote")
    found = add_answers(data, answers, "vote")
    assert found.annotations.probs is None
    mine = found.annotations.to_frame(found.items).iloc[2 * N :]
    main = [one for one in answers.counted(with_excluded=False) if one.trial.kind == "main"]
    expected = sorted(
        (CLASSES[one.row.answer["label"]], f"s-p{one.participant.number:03d}", np.float32(one.row.answer["confidence"]))
        for one in main
    )
    assert sorted(zip(mine["label"], mine["annotator"], mine["confidence"], strict=True)) == expected


@pytest.mark.parametrize("soft", [False, True])
def test_votes_on_single_images_join_those_of_the_data(soft, tmp_path):
    data = pictures()
    if soft:
        base = data.annotations
        probs = np.tile([0.5, 0.3, 0.2], (base.num_pairs, 1))
        data = replace(
            data,
            annotations=Annotations.build(
                base.item, base.annotator, num_items=N, classes=CLASSES, annotators=base.annotators, probs=probs
            ),
        )
    answers = collected(data, tmp_path / "s", "vote", weights=(1.0,))
    found = add_answers(data, answers, "vote")
    assert (found.items, found.split) == (data.items, None)
    counts = np.zeros((N, 3))
    for one in answers.counted(with_excluded=False):
        counts[one.shown.id1, one.row.answer["label"]] += one.trial.kind == "main"
    np.testing.assert_allclose(found.annotations.counts(), data.annotations.counts() + counts, atol=1e-6)
    assert found.annotations.annotators == ("x", "y", "s-p001", "s-p002", "s-p003")
    assert np.isnan(found.annotations.confidence).sum() == 2 * N
    with pytest.raises(DataError, match="annotator 's-p001'"):
        add_answers(found, answers, "vote")


def test_image_files_serve_as_well(tmp_path):
    """A folder of pictures, as a newcomer has it."""
    (tmp_path / "data").mkdir()
    for i, pixels in enumerate(pictures().inputs.array):
        Image.fromarray(pixels).save(tmp_path / "data" / f"{i}.png")
    label = [CLASSES[i % 3] for i in range(N)]
    (tmp_path / "data" / "items.csv").write_text(
        "item,path,target\n" + "".join(f"i{i},{i}.png,{label[i]}\n" for i in range(N))
    )
    (tmp_path / "data" / "annotations.csv").write_text(
        "item,annotator,label\n" + "".join(f"i{i},x,{label[i]}\n" for i in range(N))
    )
    (tmp_path / "data" / "dataset.yaml").write_text("name: files\ninput: image\n")
    data = read_folder(tmp_path / "data")
    found = add_answers(data, collected(data, tmp_path / "s", "infer"), "infer")
    np.testing.assert_array_equal(found.inputs.array[:N], pictures().inputs.array)


def test_excluded_people_count_only_when_asked_for(data, tmp_path):
    answers = collected(data, tmp_path / "s", "infer", behaviours=("logit", "straight-liner", "logit"))
    assert "s-p002" not in add_answers(data, answers, "infer").annotations.annotators
    assert "s-p002" in add_answers(data, answers, "infer", with_excluded=True).annotations.annotators
    alone = collected(data, tmp_path / "alone", "infer", behaviours=("straight-liner",))
    with pytest.raises(DataError, match="no answers to the task 'infer' that count"):
        add_answers(data, alone, "infer")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: pictures(n=N - 3), f"items must be {N}, as in the data of the study, got {N - 3}"),
        (
            lambda d: replace(d, annotations=replace(d.annotations, classes=("a", "b", "c"))),
            "classes must be ant, bee, cow, as in the data of the study, got a, b, c",
        ),
        (lambda d: replace(d, inputs=ArrayInputs(d.inputs.array[::-1], "image")), "must have the images of"),
        (lambda d: replace(d, items=tuple(reversed(d.items))), "must have the images of"),
        (lambda d: replace(d, annotator_features=np.ones((2, 1), np.float32)), "features of annotators"),
        (lambda d: replace(d, split=np.full(N, "train")), "mixes are added to data with 'train' and 'val'"),
    ],
)
def test_other_data_are_refused(data, infer, change, message):
    with pytest.raises(DataError) as refused:
        add_answers(change(data), infer, "infer")
    assert message in str(refused.value)


def test_tasks_that_give_no_labels_are_refused(data, infer):
    with pytest.raises(DataError, match="no answers to the task 'vote' that count"):
        add_answers(data, infer, "vote")
    with pytest.raises(DataError, match=r"select.*infer, categorical, vote"):
        add_answers(data, infer, "select")


def test_no_split_fits_around_too_many_mixes(tmp_path):
    data = pictures(n=24)
    with pytest.raises(DataError, match="has no split, and none can be drawn around the mixes"):
        add_answers(data, collected(data, tmp_path / "s", "infer", practice=0, catch=0), "infer")
