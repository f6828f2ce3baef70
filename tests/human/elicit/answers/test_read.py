"""Answers given over HTTP are read as studies and annotations."""

import numpy as np
import pandas as pd
import pytest

from hilmix.errors import DataError
from hilmix.human.elicit.answers.read import collect_answers, find_vote_mixes, format_mix_name, read_answers, read_votes
from hilmix.human.elicit.design.manifest import read_manifest
from hilmix.human.elicit.store.rows import Rows
from hilmix.human.perception import ImageTable
from hilmix.human.study import label_mixes, read_study, write_released
from tests.human.elicit.studies import CLASSES, at_trials, fitting_answer, make_study, make_tasks, post, submission

SURVEY = {"clarity": 1, "difficulty": None, "strategy": "secret strategy", "comments": "secret comment"}
KINDS = ("practice", "main", "main", "main", "catch", "catch", "repeat")
"""Of trials 0 to 6, 7 to 13 and so on in the studies made by hand."""


def session(client, say=None, *, stop: int = 7) -> tuple[str, list[int]]:
    """One participant answers ``stop`` trials, by ``say(trial id)`` or as usual; gives address and trials in order."""
    me, state = at_trials(client)
    shown: list[int] = []
    while state["trial"] is not None and len(shown) < stop:
        trial = state["trial"]["id"]
        answer = fitting_answer(state) | ({} if say is None else say(trial))
        shown.append(trial)
        sent = submission(state, answer=answer, seconds=1.5 + trial)
        state = post(client, f"{me}/answers", sent)["state"]
    return me, shown


def exclude(served, number: int, reason: str) -> None:
    served.rows(lambda rows: rows.update_participant(number, excluded=reason))


def test_an_infer_study_with_every_number_in_its_place(served):
    weights = {trial: 1.0 if kind == "catch" else trial / 20 for trial, kind in enumerate(KINDS)}
    _, first = session(served.client, lambda trial: {"weight": weights[trial], "confidence": trial / 40})
    study = read_answers(served.folder)["infer"]
    counted = [trial for trial in first if KINDS[trial] in ("main", "repeat")]
    assert len(counted) == 4
    judgments = study.judgments
    np.testing.assert_array_equal(judgments.weight, [trial / 20 for trial in counted])
    np.testing.assert_array_equal(judgments.confidence, [trial / 40 for trial in counted])
    np.testing.assert_array_equal(judgments.seconds, [1.5 + trial for trial in counted])
    np.testing.assert_array_equal(judgments.repeat, [False, False, False, True])
    np.testing.assert_array_equal(judgments.trial, range(4))
    assert (study.participants, study.classes, study.num_items) == (("p001",), CLASSES, 100)
    # all stimuli that are made by hand show the same mix
    shown = study.stimuli
    assert shown.name == ("mixed_0.5_dog_2_horse_5.png",)
    assert [getattr(shown, c)[0] for c in ("id1", "id2", "label1", "label2", "weight")] == [2, 5, 1, 3, 0.5]
    fresh = study.without_repeats()
    label = label_mixes(fresh, ImageTable.fit(fresh.to_judgments()))
    np.testing.assert_allclose(label, [[0, 0.1, 0, 0.9]], atol=1e-6)  # the mean of trials 1, 2 and 3


def test_each_participant_has_a_unique_name_that_stays(served, tmp_path):
    """A batch each; who withdrew is gone, and who is excluded is left out and named with the reason."""
    first, _ = session(served.client)
    session(served.client)
    served.client.delete(first)
    _, shown = session(served.client, stop=4)
    few = sum(KINDS[trial] == "main" for trial in shown)
    assert read_answers(served.folder)["infer"].participants == ("p002", "p003")
    exclude(served, 2, "catch: 2 of 2")
    study = read_answers(served.folder)["infer"]
    assert (study.participants, len(study.judgments)) == (("p003",), few)
    assert collect_answers(served.folder).excluded == {"p002": "catch: 2 of 2"}
    study = read_answers(served.folder, with_excluded=True)["infer"]
    np.testing.assert_array_equal(np.bincount(study.judgments.participant), [4, few])
    np.testing.assert_array_equal(study.judgments.batch, [1] * 4 + [0] * few)
    exclude(served, 3, "fast: 7 of 7")
    with pytest.raises(DataError, match=rf"{served.folder.name}.* no answers"):
        read_answers(served.folder)


def test_tasks_come_apart(tmp_path, serve):
    tasks = ["vote", "categorical", "select", "construct", "infer"]
    served = serve(make_tasks(tmp_path / "s", tasks, target_judgments=1))
    for _ in tasks:
        session(served.client)
    studies = read_answers(served.folder)
    assert list(studies) == ["construct", "select", "infer", "categorical"]
    assert {len(study.judgments) for study in studies.values()} == {4}
    np.testing.assert_array_equal(studies["construct"].judgments.start, [0.0] * 4)
    np.testing.assert_array_equal(studies["select"].judgments.weight, [0.5] * 4)
    judgments = studies["categorical"].judgments.answers
    assert [judgments.top[0], judgments.top_percent[0], judgments.second[0], judgments.second_percent[0]] == [
        1,
        60,
        3,
        12.5,
    ]
    np.testing.assert_array_equal(judgments.impossible, [[True, False, False, False]] * 4)
    votes = read_votes(served.folder)
    assert votes.num_pairs == 3, "without the repeat"


@pytest.mark.parametrize("second", [None, 2])
def test_a_second_class_may_be_missing(second, tmp_path, serve):
    served = serve(make_study(tmp_path / "s", "categorical", target_judgments=1))
    session(served.client, lambda _: {"second": second, "second_percent": second and 7})
    judgments = read_answers(served.folder)["categorical"].judgments.answers
    assert set(judgments.second) == {-1 if second is None else 2}
    np.testing.assert_array_equal(np.unique(judgments.second_percent), [np.nan if second is None else 7])


@pytest.mark.parametrize("task", ["construct", "select", "infer", "categorical"])
def test_the_released_files_give_back_the_same_study(task, tmp_path, serve):
    served = serve(make_study(tmp_path / "s", task, target_judgments=1))
    session(served.client)
    session(served.client, stop=5)
    study = read_answers(served.folder)[task]
    write_released(study, tmp_path / "out")
    again = read_study(tmp_path / "out", task, classes=CLASSES, num_items=100)
    left, right = study.to_frame(), again.to_frame()
    if task in ("construct", "select"):
        assert set(left["stimulus"]) == {"dog_2_horse_5"}
    apart = [
        "weight",
        "batch",
    ]  # a slider's float noise; both batches show the same mix, by which files tell them apart
    pd.testing.assert_frame_equal(left.drop(columns=apart), right.drop(columns=apart))
    np.testing.assert_allclose(left["weight"], right["weight"], atol=1e-9)


def test_votes_are_about_items_and_mixes(tmp_path, serve):
    served = serve(make_study(tmp_path / "s", "vote", target_judgments=1))
    _, shown = session(served.client, lambda trial: {"label": trial % 4, "confidence": trial / 10})
    votes = read_votes(served.folder)
    manifest = read_manifest(served.folder)
    assert [format_mix_name(manifest, one) for one in find_vote_mixes(manifest)] == ["mixed_0.5_dog_2_horse_5.png"]
    main = [trial for trial in shown if KINDS[trial] == "main"]
    assert (votes.num_items, set(votes.item), votes.annotators, votes.classes) == (101, {100}, ("p001",), CLASSES)
    np.testing.assert_array_equal(votes.label, [trial % 4 for trial in main])
    np.testing.assert_allclose(votes.confidence, [trial / 10 for trial in main])
    np.testing.assert_allclose(votes.seconds, [1.5 + trial for trial in main])
    with pytest.raises(DataError, match="read_votes"):
        read_answers(served.folder)


def test_a_vote_on_a_single_image_is_about_its_row(tmp_path, serve):
    folder = make_study(tmp_path / "s", "vote", target_judgments=1)
    text = (folder / "study.json").read_text()
    single = (
        text.replace('"id2": 5', '"id2": 2')
        .replace('"label2": 3', '"label2": 1')
        .replace('"weight": 0.5', '"weight": 1.0')
    )
    (folder / "study.json").write_text(single)
    served = serve(folder)
    session(served.client)
    votes = read_votes(folder)
    assert (votes.num_items, votes.item.tolist()) == (100, [2, 2, 2])
    assert find_vote_mixes(read_manifest(folder)) == ()


def test_no_answers_yet(tmp_path, serve):
    folder = make_study(tmp_path / "s")
    with pytest.raises(DataError, match=r"no answers yet\. Serve it: hilmix elicit serve"):
        read_answers(folder)
    served = serve(folder)
    with pytest.raises(DataError, match="no answers yet"):
        read_answers(folder)
    session(served.client)
    with pytest.raises(DataError, match="holds no votes that count"):
        read_votes(folder)


def test_answers_to_another_manifest_are_refused(served):
    session(served.client)
    file = served.folder / "study.json"
    file.write_text(file.read_text().replace("Thanks!", "Thank you!"))
    with pytest.raises(DataError, match=r"another study\.json"):
        read_answers(served.folder)


def test_the_order_is_that_of_the_session_even_within_one_tick_of_the_clock(served):
    _, shown = session(served.client)
    judgments = collect_answers(served.folder).judgments
    assert [one.trial.id for one in judgments] == shown
    assert [one.place for one in judgments] == list(range(7))
    assert {one.participant.number for one in judgments} == {
        person.number for person in served.rows(Rows.read_participants)
    }
