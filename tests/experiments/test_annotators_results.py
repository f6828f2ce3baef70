"""The study's bookkeeping: which rows count, which rate is chosen, that a kill or a second writer loses nothing."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.annotators import choice, figures, grid_tables, tables
from experiments.annotators.cost import relative_cost
from experiments.annotators.data import RECIPES
from experiments.annotators.epochs import CRITERIA
from experiments.annotators.results import add_row, chosen, current, ranking, read, whole_families
from experiments.annotators.settings import (
    ABLATION_DATA,
    APART,
    FAMILIES,
    FAMILY_OF,
    FINAL_SEEDS,
    KEY,
    LEARNING_RATES,
)


def search_rows(*rows: tuple[str, float, int, float, float], data: str = "digits-class-50") -> pd.DataFrame:
    columns = ["method", "lr", "seed", "val_agreement", "val_vote_nll"]
    return pd.DataFrame(rows, columns=columns).assign(data=data)


def final_rows(accuracy: dict[str, dict[str, list[float]]], lr: float = 0.001) -> pd.DataFrame:
    """``accuracy[method][data]`` lists the values of the seeds 0, 1, ..."""
    rows: list[dict[str, Any]] = []
    for method, by_data in accuracy.items():
        for data, values in by_data.items():
            for seed, value in enumerate(values):
                cost = {"cpu_seconds_per_epoch": 0.1, "cpu_seconds": 5.0, "peak_growth_mb": 80.0}
                scores = dict.fromkeys(["ece", "ece_calibrated", "nll", "brier"], 1 - value)
                extra = {"annotator_auroc": math.nan, "label_error_ap": 0.5, "best_acc": value, "wrong_votes": 0.5}
                key = dict(zip(KEY, (data, method, lr, seed), strict=True))
                rows.append(key | {"acc": value, "commit": "c", "torch": "t"} | scores | extra | cost)
    return pd.DataFrame(rows)


def uniform_search(methods: list[str]) -> pd.DataFrame:
    return pd.concat(
        search_rows(*((m, 0.001, s, 0.5, 1.0) for m in methods for s in (100, 101)), data=family.searched).assign(
            cpu_seconds=1.0, commit="c", torch="t"
        )
        for family in FAMILIES.values()
    )


def test_families_and_members_are_those_of_the_recipes():
    assert {name: recipe.family for name, recipe in RECIPES.items()}.items() <= FAMILY_OF.items()
    assert set(RECIPES) - set(APART) == {name for family in FAMILIES.values() for name in family.members}
    assert all(family.searched in family.members for family in FAMILIES.values())


def test_the_rate_is_the_best_mean_agreement_then_the_lower_nll_then_the_smaller_rate():
    rows = search_rows(
        ("mv", 0.0003, 100, 0.9, 1.0),
        ("mv", 0.0003, 101, 0.1, 1.0),  # best seed, worse mean
        ("mv", 0.001, 100, 0.6, 1.0),
        ("mv", 0.001, 101, 0.6, 1.2),
        ("mv", 0.003, 100, 0.6, 1.0),
        ("mv", 0.003, 101, 0.6, 1.1),  # a tie in agreement, lower NLL
        ("mv", 0.01, 100, 0.6, 1.0),
        ("mv", 0.01, 101, 0.6, 1.1),  # a tie in both, larger rate
        ("ds", 0.001, 100, 0.5, 1.0),
        ("ds", 0.001, 101, 0.5, 1.0),
        ("ds", 0.01, 100, 0.9, math.nan),
        ("ds", 0.01, 101, 0.9, 1.0),  # diverged once
        ("soft", 0.01, 100, math.nan, math.nan),
        ("soft", 0.01, 101, 0.9, 1.0),
    )
    assert chosen(rows) == {("digits-class", "mv"): 0.003, ("digits-class", "ds"): 0.001}
    assert chosen(rows.iloc[:0]) == {}


def test_rows_are_sorted_replaced_by_key_and_read_back_exactly(tmp_path: Path):
    file = tmp_path / "new" / "results.csv"
    assert read(file).empty
    for lr in reversed(LEARNING_RATES):
        add_row(file, dict(zip(KEY, ("b", "mv", lr, 0), strict=True)) | {"acc": 1 / 3})
    add_row(file, dict(zip(KEY, ("a", "mv", 0.1, 7), strict=True)) | {"acc": math.nan, "other": "x"})
    add_row(file, dict(zip(KEY, ("b", "mv", 0.0003, 0), strict=True)) | {"acc": 0.25})
    table = read(file)
    assert list(table[KEY].itertuples(index=False, name=None)) == [
        ("a", "mv", 0.1, 7),
        *(("b", "mv", lr, 0) for lr in LEARNING_RATES),
    ]
    assert table["acc"].tolist()[1:] == pytest.approx([0.25, 1 / 3, 1 / 3, 1 / 3])
    assert np.isnan(table["acc"][0])
    assert [f.name for f in file.parent.iterdir()] == ["results.csv"]


def test_names_that_look_like_other_types_stay_names(tmp_path: Path):
    for seed in (0, 1):
        row = dict(zip(KEY, ("a", "true", 0.1, seed), strict=True)) | {"commit": "12e4567890"}
        add_row(tmp_path / "results.csv", row)
    table = read(tmp_path / "results.csv")
    assert table["method"].tolist() == ["true", "true"]
    assert table["commit"].tolist() == ["12e4567890"] * 2


def test_writers_at_once_lose_no_row(tmp_path: Path):
    rows = [dict(zip(KEY, ("a", "mv", 0.1, seed), strict=True)) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: add_row(tmp_path / "results.csv", row), rows))
    assert read(tmp_path / "results.csv")["seed"].tolist() == list(range(24))


def test_only_rows_at_the_chosen_rate_and_the_study_s_seeds_count():
    final = final_rows({"mv": {"digits-class-30": [0.9] * 7}})
    stale = final.assign(lr=0.01, acc=0.1)
    rows = current(pd.concat([final, stale]), uniform_search(["mv"]))
    assert (rows["acc"] == 0.9).all()
    assert rows["seed"].tolist() == list(FINAL_SEEDS)
    assert set(rows["family"]) == {"digits-class"}
    assert current(final, uniform_search(["ds"])).empty


def three_methods(**replaced: dict[str, list[float]]) -> pd.DataFrame:
    data = ["digits-class-30", "digits-class-50", "mnist-instance-500", "sentiment-polarity"]
    accuracy = {
        "true": {name: [0.99] * 5 for name in data},
        "annot-mix": {name: [0.90] * 5 for name in data},
        "mv": {name: [0.80] * 5 for name in data},
        "ds": {name: [0.84, 0.86, 0.85, 0.85, 0.85] for name in data},
    }
    for method, values in replaced.items():
        accuracy[method.replace("_", "-")] |= values
    methods = list(accuracy)
    return current(final_rows(accuracy), uniform_search(methods))


def test_ranks_leave_the_bound_out_and_put_failures_last():
    found = ranking(three_methods(annot_mix={"digits-class-30": [0.9, math.nan, 0.9, 0.9, 0.9]}))
    assert found is not None
    assert found.control == "annot-mix"
    assert found.mean_ranks.to_dict() == {"annot-mix": 1.5, "mv": 2.75, "ds": 1.75}
    assert set(found.scores.index) == {"digits-class-30", "digits-class-50", "mnist-instance-500", "sentiment-polarity"}


def test_families_count_once_and_incomplete_data_not_at_all():
    rows = three_methods(mv={"digits-class-30": [0.95] * 5, "digits-class-50": [0.86] * 5})
    found = ranking(rows[(rows["method"] != "ds") | (rows["data"] != "sentiment-polarity")], "family")
    assert found is not None
    assert sorted(found.scores.index) == ["digits-class", "mnist"]
    assert found.scores.loc["digits-class", "mv"] == pytest.approx(0.905)  # above annot-mix by the mean, not on both
    assert found.mean_ranks["mv"] == 2


def test_tables_mark_the_best_those_near_it_and_failures():
    rows = three_methods(
        mv={"digits-class-30": [0.899] * 5, "digits-class-50": [0.9, math.nan, 0.9, 0.9, 0.9]},
        annot_mix={"digits-class-30": [0.88, 0.92, 0.9, 0.9, 0.9]},
    )
    text = tables.score_table(rows, FAMILIES["digits-class"].members, "data", "acc", tables.Score())
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    assert lines["method"] == "| method | digits-class-30 | digits-class-50 |"
    assert lines["annot-mix"] == "| annot-mix | **90.0 ± 1.4** | **90.0 ± 0.0** |"
    assert lines["mv"] == "| mv | *89.9 ± 0.0* | 1 of 5 failed |"
    assert lines["ds"] == "| ds | 85.0 ± 0.7 | 85.0 ± 0.7 |"
    assert list(lines)[-1] == "true"
    assert lines["true"] == "| true | 99.0 ± 0.0 | 99.0 ± 0.0 |"
    ece = tables.score_table(rows, list(FAMILIES), "family", "ece", tables.Score(higher=False))
    assert "| annot-mix | **10.0 ± 0.7** | **10.0 ± 0.0** | **10.0 ± 0.0** |" in ece
    none = tables.score_table(rows, list(FAMILIES), "family", "annotator_auroc", tables.Score())
    assert none == tables.EMPTY


def times() -> pd.DataFrame:
    """mv takes 1, 2 and 4 seconds in three rounds, annot-mix three, three and five times as much."""
    mv, more = (1.0, 2.0, 4.0), (3, 3, 5)
    rows = [(r, "digits-class-50", m, mv[r] * f) for r in range(3) for m, f in (("mv", 1), ("annot-mix", more[r]))]
    return pd.DataFrame(rows, columns=["round", "data", "method", "cpu_seconds_per_epoch"])


def test_cost_is_the_median_ratio_within_a_round():
    ratio = relative_cost(times())
    assert ratio.loc["annot-mix", "digits-class-50"] == 3
    assert ratio.loc["mv", "digits-class-50"] == 1


def test_a_family_is_averaged_over_the_same_data_for_every_method_and_seed():
    rows = three_methods(mv={"digits-class-30": [0.9] * 2, "digits-class-50": [0.5] * 5})
    kept = whole_families(rows)
    assert set(kept[(kept["method"] == "mv") & (kept["family"] == "digits-class")]["seed"]) == {0, 1}
    assert set(kept[(kept["method"] == "mv") & (kept["family"] == "mnist")]["seed"]) == {0, 1, 2, 3, 4}
    assert len(kept[kept["method"] == "ds"]) == len(rows[rows["method"] == "ds"])
    text = tables.score_table(rows, list(FAMILIES), "family", "acc", tables.Score())
    assert "| mv | 70.0 ± 0.0 (2) |" in text


def test_every_text_and_figure_can_be_made(tmp_path: Path):
    rows = three_methods()
    ablation = rows[rows["data"].isin(ABLATION_DATA)].replace({"method": {"mv": "hilmix", "ds": "hilmix-no-mixing"}})
    ablation = ablation[ablation["method"].str.startswith("hilmix")]
    search, grid = uniform_search(["true", "annot-mix", "mv", "ds"]), rows.drop(columns="family").assign(**criteria())
    first = tables.texts(rows.drop(columns="family"), search, ablation)
    assert all(first.values())
    assert "| annot-mix | 1.00 | - |" in first["annotators-first-ranks"]
    assert "| hilmix-no-mixing | **85.0 ± 0.7** |" in first["annotators-first-ablation-acc"]
    shipped = grid_tables.texts(grid, choice.read(), ablation, times())
    assert all(shipped.values())
    assert "| hilmix-no-mixing | **85.0 ± 0.7** |" in shipped["annotators-ablation-acc"]
    assert "| annot-mix | 1.0 | - |" in shipped["annotators-summary"]
    assert "first protocol" in shipped["annotators-cost"]
    assert figures.draw(rows, tmp_path)
    none = pd.DataFrame(columns=KEY)
    assert set(tables.texts(none, none, none).values()) == {tables.EMPTY}
    empty = grid_tables.texts(none, none, none, none)
    assert {text for name, text in empty.items() if name != "annotators-defaults"} == {tables.EMPTY}
    assert figures.draw(rows.iloc[:0]) == []


def criteria() -> dict[str, float]:
    return {f"{name}_epoch": 3.0 for name in CRITERIA} | {f"{name}_acc": 0.8 for name in CRITERIA}


def test_time_is_the_median_ratio_over_data_and_seeds():
    seconds = {("a", 0): (1.0, 3.0), ("a", 1): (2.0, 8.0), ("b", 0): (10.0, 20.0)}
    rows = [(d, s, m, t) for (d, s), pair in seconds.items() for m, t in zip(("mv", "hilmix"), pair, strict=True)]
    found = tables.relative_time(pd.DataFrame(rows, columns=["data", "seed", "method", "cpu_seconds_per_epoch"]))
    assert found.to_dict() == {"mv": 1.0, "hilmix": 3.0}


def test_a_better_method_comes_before_hilmix_in_the_guide():
    """Of two data sets with one label per item the second lacks a method: it does not count."""
    accuracy = {"hilmix": (0.90, 0.99), "mv": (0.80, 0.99), "geo-reg-f": (0.95, 0.1), "true": (1.0, 1.0)}
    names = ("digits-class-50-1label", "mnist-class-1label")
    rows = final_rows({m: {d: [a] for d, a in zip(names, by, strict=True)} for m, by in accuracy.items()})
    rows = rows[(rows["data"] != names[1]) | (rows["method"] != "mv")].assign(family="x")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in grid_tables.guide_table(rows).splitlines()]
    found = {line[0]: line[1:] for line in lines}
    assert found["one label per item"] == ["1 of 4", "`geo-reg-f` 95.0", "`hilmix` 90.0", "`mv` 80.0", "2 of 3"]
    assert "annotators without identity" not in found
