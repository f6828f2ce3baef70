"""The tables: known parameters are recovered, repeats and odd participants treated as promised, closed forms hold."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from hilmix.human.report import read_studies, summarize_studies
from hilmix.human.report.participants import compute_participant_table
from hilmix.human.study import TASKS, MixStudy
from tests.human.report import simulated
from tests.human.study.synthetic import invent

LEVEL = 0.999  # so that a seed is not chosen for its luck


def row(table: pd.DataFrame, quantity: str, group: str = "all", study: str | None = None) -> pd.Series:
    (found,) = table[
        (table["quantity"] == quantity)
        & (table["group"] == group)
        & (True if study is None else table["study"] == study)
    ].itertuples()
    return found


def covers(found, truth: float, widest: float) -> bool:
    return found.low <= truth <= found.high and found.high - found.low < widest


@pytest.mark.parametrize("seed", range(3))
def test_infer_gives_its_parameters_back(seed):
    tables = summarize_studies({"infer": simulated.infer(seed)}, level=LEVEL).tables
    a, b = simulated.CURVE
    assert covers(row(tables["curves"], "logit_a", "likelihood"), a, 0.1)
    assert covers(row(tables["curves"], "logit_b", "likelihood"), b, 0.15)
    for name, strength in zip(simulated.CLASSES, simulated.STRENGTH, strict=True):
        assert covers(row(tables["class_strengths"], "strength", name), strength, 0.03)
    assert covers(row(tables["confidence"], "joint_slope", "one_sidedness"), simulated.CONFIDENCE[1], 0.1)
    assert covers(row(tables["confidence"], "joint_slope", "absolute_deviation"), 0, 0.15)
    at_half = row(tables["weights"], "answer", "0.5")
    assert covers(at_half, 1 / (1 + np.exp(-a)), 0.06)
    assert at_half.sd == pytest.approx(np.sqrt(2 * np.mean(simulated.STRENGTH**2) * 4 / 3 + 0.04**2 + 0.05**2), rel=0.2)
    repeats = row(tables["repeats"], "mean_absolute_difference", "answer")
    assert covers(repeats, simulated.NOISE_SD * 2 / np.sqrt(np.pi), 0.03)
    assert repeats.n == 120


def test_agreement_is_the_share_of_variance_put_in():
    """Strengths and curve are common to all participants too, so that all but the noise is."""
    study = simulated.infer()
    frame = study.to_frame()
    shared = (frame["weight"] - frame["generating_weight"]).var() - simulated.NOISE_SD**2
    found = row(summarize_studies({"infer": study}, level=LEVEL).tables["agreement"], "icc_single", "deviation")
    assert covers(found, shared / (shared + simulated.NOISE_SD**2), 0.15)


@pytest.mark.parametrize("seed", range(3))
def test_construct_gives_its_parameters_back(seed):
    tables = summarize_studies({"construct": simulated.construct(seed)}, level=LEVEL).tables
    shift = 0.4 * simulated.ANCHORING
    assert covers(row(tables["anchoring"], "anchoring"), simulated.ANCHORING, 0.08)
    low, high = (row(tables["midpoints"], "midpoint", start) for start in ("0.1", "0.9"))
    assert high.value - low.value == pytest.approx(2 * shift, abs=0.02)
    assert (low.participants, high.participants) == (25, 25)
    for name, strength in zip(simulated.CLASSES, simulated.STRENGTH, strict=True):
        assert covers(row(tables["class_strengths"], "strength", name), strength, 0.06)


def test_labels_equal_their_closed_form():
    tables = summarize_studies({"categorical": simulated.categorical()}).tables
    sure = {"hmix": 0.1 / 1.1, "cifar10s": 0.1}  # shared by 3 others, of which one is the second endpoint
    doubt = -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))
    for rule, rest in sure.items():
        assert row(tables["labels"], f"{rule}_off_endpoints").value == pytest.approx(0.75 * 0.4 + 0.25 * rest * 2 / 3)
        assert row(tables["labels"], f"{rule}_image2").value == pytest.approx(0.25 * rest / 3)
        spread = -(1 - rest) * np.log(1 - rest) - rest * np.log(rest / 3)
        assert row(tables["labels"], f"{rule}_entropy", "0.75").value == pytest.approx(0.75 * doubt + 0.25 * spread)
    assert row(tables["labels"], "mixup_entropy").value == pytest.approx(-0.25 * np.log(0.25) - 0.75 * np.log(0.75))
    assert row(tables["top_classes"], "top_is_endpoint").value == 1
    shared = row(tables["top_classes"], "top_shared_by_two")
    assert (shared.value, shared.n) == (1, 20 * 8 * 7 / 2)


@pytest.mark.parametrize("make", [simulated.infer, simulated.construct])
def test_repeats_change_reliability_and_nothing_else(make):
    study = make(pairs=40, people=6, each=20)
    judgments = study.judgments
    wrong = replace(judgments, weight=np.where(judgments.repeat, 1 - judgments.weight, judgments.weight))
    before, after = (summarize_studies({study.task: s}).tables for s in (study, replace(study, judgments=wrong)))
    changed = {name for name in before if not before[name].equals(after[name])}
    assert changed == {"repeats", "participants"}


def test_a_second_look_that_no_flag_marks_is_counted_but_no_witness_of_agreement():
    study = simulated.infer(pairs=40, people=6, each=20)
    unflagged = replace(study.judgments, repeat=np.zeros(len(study.judgments), dtype=bool))
    tables = summarize_studies({"infer": replace(study, judgments=unflagged)}).tables
    expected = summarize_studies({"infer": study}).tables
    assert tables["counts"]["shown_twice"].tolist() == [12]
    assert tables["counts"]["judgments"].tolist() == [132]
    pd.testing.assert_frame_equal(tables["agreement"], expected["agreement"])
    assert "repeats" not in tables


def swapped(study: MixStudy) -> MixStudy:
    """Every mix with its images swapped."""
    shown, judgments = study.stimuli, study.judgments
    stimuli = replace(
        shown, id1=shown.id2, id2=shown.id1, label1=shown.label2, label2=shown.label1, weight=1 - shown.weight
    )
    return replace(study, stimuli=stimuli, judgments=replace(judgments, weight=1 - judgments.weight))


@pytest.mark.parametrize("make", [simulated.infer, simulated.construct])
def test_classes_do_not_care_which_image_is_the_first(make):
    study = make()
    one, other = (summarize_studies({s.task: s}).tables for s in (study, swapped(study)))
    for name in ("class_strengths", "label_pairs"):
        pd.testing.assert_frame_equal(one[name], other[name])
    pairs = one["label_pairs"].set_index("group")
    assert list(pairs.index) == ["ant / bee", "ant / cow", "ant / dog", "bee / cow", "bee / dog", "cow / dog"]
    assert pairs.loc["ant / dog", "value"] == pytest.approx(0.11, abs=0.02)


def test_shrinking_moves_pairs_towards_their_centre():
    table = summarize_studies({"construct": simulated.construct()}).tables["label_pairs"]
    assert (table["shrunk"].max() < table["value"].max()) & (table["shrunk"].min() > table["value"].min())
    assert np.corrcoef(table["shrunk"], table["value"])[0, 1] > 0.95


def flagged(weight: list[float], seconds: list[float], *, start: list[float]) -> str:
    """The flags of a person beside nine ordinary ones."""
    rng, rows = np.random.default_rng(0), len(weight)
    study = MixStudy.build(
        "construct",
        classes=["a", "b"],
        participants=[f"p{k}" for k in range(10)],
        num_items=99,
        stimuli={
            "name": [f"s{k}" for k in range(rows)],
            "id1": np.arange(rows),
            "id2": np.arange(rows) + rows,
            "label1": np.zeros(rows, int),
            "label2": np.ones(rows, int),
        },
        judgments={
            "participant": np.repeat(np.arange(10), rows),
            "stimulus": np.tile(np.arange(rows), 10),
            "trial": np.tile(np.arange(rows), 10),
            "seconds": [*seconds, *rng.uniform(8, 12, 9 * rows)],
            "weight": [*weight, *rng.uniform(0.3, 0.7, 9 * rows)],
            "start": [*start, *np.full(9 * rows, 0.1)],
        },
    )
    table = compute_participant_table(study)
    assert (table["flags"][1:] == "").all()
    assert summarize_studies({"construct": study}).tables["counts"]["judgments"].tolist() == [10 * rows]
    return table["flags"][0]


def test_flags():
    various, slow, away = np.linspace(0.2, 0.8, 10).tolist(), [9.0] * 10, [0.1] * 10
    assert flagged(various, slow, start=away) == ""
    assert flagged([1.0] * 8 + [0.4, 0.6], slow, start=away) == "straight_liner"
    assert flagged([1.0] * 7 + [0.4, 0.5, 0.6], slow, start=away) == ""
    assert flagged(various, slow, start=[*various[:2], *away[2:]]) == "untouched"
    assert flagged(various, [2.0] * 10, start=away) == "fast"
    assert flagged([1.0] * 10, [2.0] * 10, start=[1.0] * 10) == "straight_liner untouched fast"


def test_sliders_in_the_middle_look_untouched_only_together():
    study = simulated.infer(pairs=40, people=4, each=20)
    judgments = study.judgments
    half = np.where(judgments.participant == 1, 0.5, judgments.weight)
    still = replace(
        study, judgments=replace(judgments, weight=half, confidence=np.where(judgments.participant == 1, 0.5, 0.9))
    )
    moved = replace(study, judgments=replace(judgments, weight=half, confidence=np.full(len(judgments), 0.9)))
    assert compute_participant_table(still)["untouched_trials"].tolist() == [0, 22, 0, 0]
    assert compute_participant_table(still)["flags"].tolist() == ["", "straight_liner untouched", "", ""]
    assert compute_participant_table(moved)["untouched_trials"].tolist() == [0, 0, 0, 0]


def test_mixes_within_a_class_say_nothing_about_classes():
    study = simulated.infer(pairs=40, people=6, each=20)
    same = replace(study, stimuli=replace(study.stimuli, label2=study.stimuli.label1))
    summary = summarize_studies({"infer": same})
    assert not {"class_strengths", "label_pairs"} & set(summary.tables)
    assert any("every mix is of two images of one class" in note for note in summary.notes)
    assert any("label pairs, share explained by label_pairs: label pairs: 0 answers" in note for note in summary.notes)
    assert row(summary.tables["explained"], "noise_ceiling").value > 0


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_study_is_described_or_refused_with_the_reason(seed):
    """However few participants, any classes: same-class mixes, pure images, no participant twice."""
    studies = {task: invent(task, seed) for task in TASKS}
    summary = summarize_studies(studies)
    assert set(summary.tables["counts"]["study"]) == set(TASKS)
    assert np.isfinite(summary.tables["weights"]["value"]).all()
    assert all(note.startswith(TASKS) for note in summary.notes)
    assert set(summary.long()["table"]) == set(summary.tables) - {"counts", "participants"}


FACTS = {
    ("curves", "logit_a", "likelihood"): -0.098,
    ("curves", "logit_b", "likelihood"): 0.875,
    ("curves", "logistic_k", "squares"): 4.58,
    ("curves", "logistic_x0", "squares"): 0.522,
    ("weights", "confidence", "0.1"): 0.79,
    ("weights", "confidence", "0.25"): 0.72,
    ("weights", "confidence", "0.5"): 0.63,
    ("weights", "confidence", "0.75"): 0.72,
    ("weights", "confidence", "0.9"): 0.78,
    ("explained", "explained_share", "weight_means"): 0.03,
    ("agreement", "icc_single", "deviation"): 1 / 3,
}
"""What was found before, by other code, rounded."""


def test_released_data_give_the_facts_known_of_them(real_data):
    studies = read_studies(real_data / "hmix")
    summary = summarize_studies(studies)
    tables = summary.tables
    assert summary.notes == ()
    for (table, quantity, group), value in FACTS.items():
        digits = 3 if quantity in ("logit_a", "logit_b", "logistic_x0") else 2
        assert row(tables[table], quantity, group, "infer").value == pytest.approx(value, abs=0.51 * 10**-digits), group
    for predictor in ("class_strengths", "label_pairs"):
        assert 0.04 < row(tables["explained"], "explained_share", predictor, "infer").value < 0.06
    for rule in ("hmix", "cifar10s"):
        assert row(tables["labels"], f"{rule}_off_endpoints").low > 0.3
        assert row(tables["labels"], f"{rule}_off_endpoints").value > 1 / 3
    assert row(tables["confidence"], "correlation", "one_sidedness").low > 0.5
    assert abs(row(tables["confidence"], "correlation", "absolute_deviation").value) < 0.1
    counts = tables["counts"].set_index("study")
    assert counts["participants"].to_dict() == {"construct": 45, "select": 25, "infer": 81, "categorical": 8}
    assert counts["judgments"].to_dict() == {"construct": 1350, "select": 750, "infer": 4788, "categorical": 200}
    assert counts["repeats"].to_dict() == {"construct": 90, "select": 50, "infer": 162, "categorical": 16}
    assert counts["batches"].to_dict() == {"construct": 9, "select": 9, "infer": 35, "categorical": 4}
    liner = tables["participants"].query("commonest_trials == 31 and trials == 32")
    assert liner["flags"].tolist() == ["straight_liner fast"]
    assert liner["commonest_answer"].tolist() == ["1"]
