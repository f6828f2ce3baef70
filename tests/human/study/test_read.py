"""Reading the released layout: its traps, and one clear error where a file does not hold what it should."""

import re

import numpy as np
import pandas as pd
import pytest

from hilmix.errors import DataError
from hilmix.human.study import TASKS, read_hmix, read_study
from hilmix.human.study.layout import CLASSES, LAYOUTS
from tests.human.study.synthetic import (
    PAIR,
    answer_form,
    categorical_row,
    construct_row,
    infer_row,
    invent,
    select_row,
    write_rows,
)

ROWS = {
    "construct": construct_row,
    "select": select_row,
    "infer": infer_row,
    "categorical": lambda **cells: categorical_row(answer_form("Dog", "90"), **cells),
}


def read_rows(folder, task, rows, **options):
    return read_study(write_rows(folder, LAYOUTS[task].file, rows), task, **options)


def test_the_infer_slider_is_turned_round(tmp_path):
    rows = [infer_row(slider=at, confidence=80, trial_index=6 + i) for i, at in enumerate([0, 26, 100])]
    judgments = read_rows(tmp_path, "infer", rows).judgments
    assert judgments.weight.tolist() == [1.0, 0.74, 0.0]
    assert judgments.confidence.tolist() == [0.8] * 3


def test_an_infer_row_says_what_was_shown(tmp_path):
    study = read_rows(tmp_path, "infer", [infer_row()])
    shown = study.stimuli
    assert shown.name == (f"mixed_0.25_{PAIR}.png",)
    assert (shown.id1.tolist(), shown.id2.tolist(), shown.weight.tolist()) == ([12], [3456], [0.25])
    assert [study.classes[k] for k in (shown.label1[0], shown.label2[0])] == ["Bird", "Deer"]
    assert study.judgments.seconds.tolist() == pytest.approx([1.5005])


def test_who_answered_is_in_subject_not_in_subj_id(tmp_path):
    assert read_rows(tmp_path, "infer", [infer_row(subject="t3p", subj_id="")]).participants == ("t3p",)


@pytest.mark.parametrize("noisy", ["0.6000000000000001", "0.6", "0.59999999999999998"])
def test_float_noise_of_repeated_steps_is_rounded_away(tmp_path, noisy):
    assert read_rows(tmp_path, "construct", [construct_row(noisy)]).judgments.weight.tolist() == [0.6]


def test_an_own_study_may_use_finer_steps(tmp_path):
    assert read_rows(tmp_path, "construct", [construct_row(0.625)]).judgments.weight.tolist() == [0.625]


def test_select_takes_the_number_in_the_text(tmp_path):
    rows = [select_row(text, trial_index=i) for i, text in enumerate(["select0.0", "select0.4", "select1.0"])]
    study = read_rows(tmp_path, "select", rows)
    assert study.judgments.weight.tolist() == [0.0, 0.4, 1.0]
    assert study.judgments.start is None
    assert np.isnan(study.judgments.confidence).all()


@pytest.mark.parametrize("task", ["construct", "select"])
def test_a_pair_is_read_from_its_name(tmp_path, task):
    study = read_rows(tmp_path, task, [ROWS[task]()])
    shown = study.stimuli
    assert (shown.name, shown.id1.tolist(), shown.id2.tolist()) == ((PAIR,), [12], [3456])
    assert [study.classes[k] for k in (shown.label1[0], shown.label2[0])] == ["Bird", "Deer"]
    assert np.isnan(shown.weight).all()


def test_class_names_with_digits_and_underscores_are_distinguished_from_ids(tmp_path):
    rows = [select_row(class_pair="bus_2_7_bus_8"), select_row(class_pair="bus_2_bus_2_8", trial_index=7)]
    shown = read_rows(tmp_path, "select", rows, classes=("bus", "bus_2")).stimuli
    assert (shown.label1.tolist(), shown.id1.tolist()) == ([1, 0], [7, 2])
    assert (shown.label2.tolist(), shown.id2.tolist()) == ([0, 1], [8, 8])


@pytest.mark.parametrize("task", TASKS)
def test_repeats_are_flagged_and_other_pages_left_out(tmp_path, task):
    trial = LAYOUTS[task].trial
    rows = [
        ROWS[task](task="", trial_type="instructions", trial_index=2),
        ROWS[task](trial_index=8),
        ROWS[task](trial_index=9, task=f"rerun_{trial}"),
    ]
    study = read_rows(tmp_path, task, rows)
    assert study.judgments.repeat.tolist() == [False, True]
    assert study.judgments.trial.tolist() == [0, 1]
    assert len(study.stimuli) == 1
    assert len(study.without_repeats().judgments) == 1


def test_the_order_within_a_session_is_that_of_the_pages(tmp_path):
    rows = [construct_row(subject=who, trial_index=page) for who, page in [("u", 12), ("v", 6), ("u", 9), ("v", 7)]]
    judgments = read_rows(tmp_path, "construct", rows).judgments
    assert judgments.participant.tolist() == [0, 1, 0, 1]
    assert judgments.trial.tolist() == [1, 0, 0, 1]


def test_batches_are_sessions_of_one_condition_that_share_stimuli(tmp_path):
    def session(who, condition, *ids):
        return [
            construct_row(subject=who, condition=condition, trial_index=i, class_pair=f"Cat_{n}_Dog_{n}")
            for i, n in enumerate(ids)
        ]

    rows = [
        *session("u", 0, 1, 2, 3),
        *session("v", 1, 3, 4),  # batches may overlap in what they show
        *session("w", 0, 8, 9),
        *session("x", 0, 9),  # a later wave, same number; x did not finish
        *session("y", 0, 2),
    ]
    judgments = read_rows(tmp_path, "construct", rows).judgments
    assert [judgments.batch[judgments.participant == p][0] for p in range(5)] == [0, 1, 2, 2, 0]


def test_categorical_answers_are_kept_as_given(tmp_path):
    forms = [
        answer_form("Dog", "90", "Cat", "10", ("Ship",)),
        answer_form("Dog", "100", "No", "15"),  # a percent without an alternative counts for nothing
        answer_form("Dog", "70", "Cat"),  # an alternative without a percent
        answer_form("Dog", "60", "Dog", "20", ("Dog",)),  # the same class twice, and ruled out
    ]
    rows = [categorical_row(form, trial_index=i) for i, form in enumerate(forms)]
    judgments = read_rows(tmp_path, "categorical", rows).judgments
    dog, cat, ship = (CLASSES.index(name) for name in ("Dog", "Cat", "Ship"))
    assert judgments.answers.top.tolist() == [dog] * 4
    assert judgments.answers.top_percent.tolist() == [90, 100, 70, 60]
    assert judgments.answers.second.tolist() == [cat, -1, cat, dog]
    np.testing.assert_array_equal(judgments.answers.second_percent, [10, np.nan, np.nan, 20])
    assert [np.flatnonzero(row).tolist() for row in judgments.answers.impossible] == [[ship], [], [], [dog]]
    assert np.isnan(judgments.weight).all()


BROKEN = {
    "a missing column": ("infer", [{"subject": "u", "task": "rate_mixture"}], "lacks the column(s) ['condition'"),
    "trials of another task": ("infer", [infer_row(task="spec_conf")], "row 0, column 'task': ... got 'spec_conf'"),
    "no trials": ("infer", [infer_row(task="")], "holds no trials"),
    "no participant": ("infer", [infer_row(subject="")], "column 'subject'"),
    "no name": ("infer", [infer_row(name="")], "column 'filename'"),
    "an unknown label": (
        "infer",
        [infer_row(), infer_row(label2="Deere", trial_index=7)],
        "row 1, column 'label2': must be one of Airplane, ... got 'Deere'",
    ),
    "an unknown label in a pair": ("select", [select_row(class_pair="Bird_1_Bat_2")], "must be ... got 'Bird_1_Bat_2'"),
    "a pair without ids": ("construct", [construct_row(class_pair="Bird_Deer")], "<class>_<id>_<class>_<id>"),
    "an id outside the set": (
        "infer",
        [infer_row(id1=10000.0)],
        "must be a whole number from 0 to 9999, since num_items is 10000, got '10000.0'. Correct the row or take it "
        "out.",
    ),
    "an id in a pair outside the set": ("select", [select_row(class_pair="Bird_10000_Deer_2")], "from 0 to 9999"),
    "half an id": ("infer", [infer_row(id2=0.5)], "column 'id2': ... got '0.5'"),
    "no id": ("infer", [infer_row(id2="")], "column 'id2': ... got ''"),
    "a weight above 1": (
        "infer",
        [infer_row(mixtureCoeff=1.5)],
        "column 'mixtureCoeff': must be a number ... got '1.5'",
    ),
    "a factor above 100": ("infer", [infer_row(slider=126)], "must be a number from 0 to 100"),
    "a confidence below 0": ("infer", [infer_row(confidence=-1)], "must be a number from 0 to 100"),
    "an empty slider": ("infer", [infer_row(slider=None)], "must be a number from 0 to 100"),
    "an answer in words": ("construct", [construct_row("half")], "column 'final_value': ... got 'half'"),
    "an answer outside": ("construct", [construct_row(1.1)], "must be a number from 0 to 1"),
    "a choice that is none": ("select", [select_row("selectnan")], "row 0, column 'response'"),
    "an answer in another column": ("infer", [infer_row(responses="")], "a JSON object with mixingcoeff, confidence"),
    "an answer that is no object": ("select", [select_row(response="[1]")], "a JSON object with select"),
    "a percent that is none": ("categorical", [categorical_row(answer_form("Dog", "8p"))], "must be a number from 0"),
    "a percent above 100": ("categorical", [categorical_row(answer_form("Dog", "120"))], "from 0 to 100"),
    "an unknown top class": ("categorical", [categorical_row(answer_form("Dig", "80"))], "must be one of Airplane"),
    "an unknown second": ("categorical", [categorical_row(answer_form("Dog", "8", "Kat"))], "must be one of No, Air"),
    "an unknown tick": ("categorical", [categorical_row(answer_form("Dog", "8", ruled_out=("Kat",)))], "improbClass"),
    "a session twice": ("infer", [infer_row(), infer_row()], "row 1, column 'trial_index': ... got '6'"),
    "one name for two mixes": ("infer", [infer_row(), infer_row(id1=13.0, trial_index=7)], "row 1, column 'filename'"),
    "negative time": ("infer", [infer_row(rt=-1)], "column 'rt'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_gives_one_error_with_file_and_place(tmp_path, case):
    task, rows, message = BROKEN[case]
    with pytest.raises(DataError, match=".*".join(map(re.escape, message.split(" ... ")))) as error:
        read_rows(tmp_path, task, rows)
    assert LAYOUTS[task].file in str(error.value)


def test_rows_are_counted_with_the_pages_that_are_no_trials(tmp_path):
    with pytest.raises(DataError, match="row 2, column 'id1'"):
        read_rows(tmp_path, "infer", [infer_row(task=""), infer_row(), infer_row(id1="x", trial_index=7)])


def test_a_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"hmix_construct_midpoint\.csv.*h_mix"):
        read_hmix(tmp_path)


def test_a_broken_table_is_refused(tmp_path):
    (tmp_path / LAYOUTS["select"].file).write_text("subject,task\nu,v,w,x\n")
    with pytest.raises(DataError, match=rf"Cannot read .*{LAYOUTS['select'].file}"):
        read_study(tmp_path, "select")


def test_an_unknown_task_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"task.*construct, select, infer, categorical.*midpoint"):
        read_study(tmp_path, "midpoint")


def test_a_class_called_no_is_refused_where_it_means_no_alternative(tmp_path):
    rows = [categorical_row(answer_form("Yes", "90"), label1="Yes", label2="No")]
    with pytest.raises(DataError, match="class is called 'No'"):
        read_rows(tmp_path, "categorical", rows, classes=("No", "Yes"))


def test_an_unmeasured_time_is_nan(tmp_path):
    assert np.isnan(read_rows(tmp_path, "select", [select_row(rt="")]).judgments.seconds).all()


def test_a_study_is_immutable():
    study = invent("categorical", 0)
    for values in (
        study.stimuli.weight,
        study.judgments.trial,
        study.judgments.answers.impossible,
        study.without_repeats().judgments.weight,
    ):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


SIZES = {  # participants, judgments, without repeats, stimuli, batches
    "construct": (45, 1_440, 1_350, 249, 9),
    "select": (25, 800, 750, 249, 9),
    "infer": (81, 4_950, 4_788, 2_070, 35),
    "categorical": (8, 216, 200, 100, 4),
}


@pytest.fixture(scope="module")
def released(real_data):
    return read_hmix(real_data / "hmix")


@pytest.mark.parametrize("task", TASKS)
def test_the_released_studies_have_their_sizes(released, task):
    study = released[task]
    judgments = study.judgments
    found = (
        len(study.participants),
        len(judgments),
        len(study.without_repeats().judgments),
        len(study.stimuli),
        len(np.unique(judgments.batch)),
    )
    assert found == SIZES[task]
    assert np.isfinite(judgments.seconds).all()
    assert (study.stimuli.label1 < study.stimuli.label2).all()
    if task != "categorical":
        assert len(np.unique(study.stimuli.label1 * 10 + study.stimuli.label2)) == 45


@pytest.mark.parametrize("task", TASKS)
def test_each_batch_is_one_set_of_stimuli_and_each_session_ends_with_two_repeats(released, task):
    judgments = released[task].judgments
    sets = pd.Series(judgments.stimulus).groupby(judgments.participant).agg(frozenset)
    batch = pd.Series(judgments.batch).groupby(judgments.participant).agg(["min", "max"])
    assert (batch["min"] == batch["max"]).all()
    assert sets.groupby(batch["min"]).nunique().tolist() == [1] * SIZES[task][4]
    last = pd.Series(judgments.trial).groupby(judgments.participant).transform("max")
    np.testing.assert_array_equal(judgments.repeat, judgments.trial >= last - 1)


def test_the_three_waves_of_the_infer_study_follow_each_other(released):
    judgments = released["infer"].judgments
    waves = np.digitize(judgments.batch, [9, 23])
    found = [
        (len(np.unique(judgments.participant[waves == w])), len(np.unique(judgments.stimulus[waves == w])))
        for w in range(3)
    ]
    assert found == [(20, 540), (33, 810), (28, 720)]
    assert (np.diff(waves) >= 0).all()


def test_each_mix_was_judged_by_two_to_four_people(released):
    study = released["infer"]
    judgments = study.without_repeats().judgments
    people = pd.Series(judgments.participant).groupby(judgments.stimulus).nunique()
    assert people.value_counts().to_dict() == {2: 1_539, 3: 414, 4: 117}
    weights, count = np.unique(study.stimuli.weight, return_counts=True)
    assert (weights.tolist(), count.tolist()) == ([0.1, 0.25, 0.5, 0.75, 0.9], [413, 371, 524, 409, 353])
    pairs = set(zip(study.stimuli.id1, study.stimuli.id2, study.stimuli.label1, study.stimuli.label2, strict=True))
    assert len(pairs) == 1_530
    assert np.corrcoef(judgments.weight, study.stimuli.weight[judgments.stimulus])[0, 1] > 0.5


def test_the_midpoint_studies_show_the_same_pairs_and_lie_on_the_grid(released):
    construct, select = released["construct"], released["select"]
    assert set(construct.stimuli.name) == set(select.stimuli.name)
    for study in (construct, select):
        assert np.isin(study.judgments.weight, np.arange(11) / 10).all()
    starts = pd.Series(construct.judgments.start).groupby(construct.judgments.participant).agg(["min", "max"])
    assert starts.value_counts().to_dict() == {(0.1, 0.1): 22, (0.9, 0.9): 23}
    stuck = construct.participants.index("61rpt4g7xxz6heg")
    assert (construct.judgments.weight[construct.judgments.participant == stuck] == 1).sum() == 31


def test_the_odd_categorical_answers_are_all_there(released):
    judgments = released["categorical"].judgments.answers
    row = np.arange(len(judgments.top))
    assert (judgments.second == judgments.top).sum() == 1
    named = judgments.impossible[row, judgments.top] | (
        (judgments.second >= 0) & judgments.impossible[row, judgments.second]
    )
    assert named.sum() == 3
    assert (judgments.second < 0).sum() == 69
    assert set(released["categorical"].stimuli.name) <= set(released["infer"].stimuli.name)


@pytest.mark.parametrize(("task", "twice"), [("construct", 10), ("select", 7), ("infer", 0), ("categorical", 0)])
def test_two_batches_of_pairs_show_one_pair_twice_without_calling_it_a_repeat(released, task, twice):
    judgments = released[task].without_repeats().judgments
    assert pd.MultiIndex.from_arrays([judgments.participant, judgments.stimulus]).duplicated().sum() == twice
