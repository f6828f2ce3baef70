"""README, methods page and study show one ranking: that of the committed rows, recomputed here by plain loops."""

import csv
import math
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest
from scipy.stats import norm

from experiments.annotators.settings import FAMILIES, FAMILY_OF

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "experiments" / "annotators"


def read(name: str) -> list[dict[str, str]]:
    with (STUDY / name).open() as file:
        return [row for row in csv.DictReader(file) if row["data"] in FAMILY_OF]


def rates() -> dict[tuple[str, str], float]:
    """The rate of every family and method with the highest agreement, then the lowest loss, then the smallest."""
    tried = defaultdict(list)
    for row in read("results_search.csv"):
        order = (-float(row["val_agreement"]), float(row["val_vote_nll"]), float(row["lr"]))
        tried[FAMILY_OF[row["data"]], row["method"]].append(order)
    return {key: min(orders)[2] for key, orders in tried.items()}


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, float]]:
    """Mean accuracy of every data set and method over seeds, the upper bound left out."""
    best, runs = rates(), defaultdict(lambda: defaultdict(dict))
    for row in read("results_final.csv"):
        rate = 0.01 if row["method"] == "hilmix" else best[FAMILY_OF[row["data"]], row["method"]]
        if row["method"] != "true" and float(row["lr"]) == rate:
            runs[row["data"]][row["seed"]][row["method"]] = float(row["acc"])
    most = max(len(by) for seeds in runs.values() for by in seeds.values())
    whole = {data: [by for by in seeds.values() if len(by) == most] for data, seeds in runs.items()}
    return {data: {m: mean(by[m] for by in seeds) for m in seeds[0]} for data, seeds in whole.items()}


@pytest.fixture(scope="module")
def mean_ranks(scores) -> dict[str, float]:
    """Ties, which six decimals leave apart by less than 2e-6, share their mean rank: half a place for every other."""
    methods, tied = list(next(iter(scores.values()))), 2e-6
    places = {m: [] for m in methods}
    for by in scores.values():
        for m in methods:
            before = sum(by[o] > by[m] + tied for o in methods)
            equal = sum(abs(by[o] - by[m]) <= tied for o in methods if o != m)
            places[m].append(1 + before + equal / 2)
    return {m: mean(found) for m, found in places.items()}


@pytest.fixture(scope="module")
def p_values(scores, mean_ranks) -> dict[str, float]:
    """Against hilmix by the normal approximation, Holm's step-down by hand."""
    k, n = len(mean_ranks), len(scores)
    error = math.sqrt(k * (k + 1) / (6 * n))
    plain = {m: 2 * norm.sf(abs(r - mean_ranks["hilmix"]) / error) for m, r in mean_ranks.items() if m != "hilmix"}
    adjusted, least = {}, 0.0
    for place, m in enumerate(sorted(plain, key=plain.get)):
        least = adjusted[m] = max(least, min(1.0, plain[m] * (k - 1 - place)))
    return adjusted


def table(page: Path, marker: str) -> list[dict[str, str]]:
    text = page.read_text().split(f"<!-- {marker} -->\n")[1].split("<!-- end -->")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


PAGES = [
    (ROOT / "README.md", "annotators-summary"),
    (ROOT / "docs" / "methods.md", "annotators-summary"),
    (STUDY / "README.md", "annotators-ranks"),
]


@pytest.mark.parametrize(("page", "marker"), PAGES, ids=["readme", "methods", "study"])
def test_every_page_shows_the_ranking_of_the_rows(page, marker, scores, mean_ranks, p_values):
    assert len(scores) == sum(len(family.members) for family in FAMILIES.values()) == 21
    rows = [row for row in table(page, marker) if row["method"] != "true"]
    assert {row["method"] for row in rows} == set(mean_ranks)
    (rank,) = {name for name in rows[0] if re.fullmatch("mean rank(, 21 data sets)?", name)}
    shown = {row["method"]: float(row[rank]) for row in rows}
    half = 0.5 * 10.0 ** -len(rows[0][rank].split(".")[1]) + 1e-9
    assert all(abs(shown[m] - mean_ranks[m]) <= half for m in mean_ranks)
    assert [row["method"] for row in rows] == sorted(mean_ranks, key=mean_ranks.get), "in the order of the ranking"
    for row in rows:
        cell = row["p against hilmix"]
        if row["method"] == "hilmix":
            assert cell == "-"
        elif cell.startswith("<"):
            assert p_values[row["method"]] < float(cell.strip("< "))
        else:
            assert float(cell) == pytest.approx(p_values[row["method"]], abs=5.1e-4)


@pytest.mark.parametrize("page", [PAGES[0][0], PAGES[1][0]], ids=["readme", "methods"])
def test_accuracy_is_that_of_the_same_rows(page, scores):
    groups = {
        "digits, by class": [d for d in scores if d.startswith("digits-class")],
        "digits, by item": [d for d in scores if d.startswith("digits-instance")],
        "Fashion, MNIST": [d for d in scores if d.startswith(("fashion", "mnist"))],
    }
    groups["people"] = [d for d in scores if not any(d in members for members in groups.values())]
    rows = [row for row in table(page, "annotators-summary") if row["method"] != "true"]
    for title, members in groups.items():
        want = {row["method"]: 100 * mean(scores[d][row["method"]] for d in members) for row in rows}
        assert all(float(row[title].strip("*")) == pytest.approx(want[row["method"]], abs=0.051) for row in rows)
        assert [row["method"] for row in rows if "*" in row[title]] == [max(want, key=want.get)]


def test_the_front_page_s_table_fits_and_needs_no_key():
    rows = table(ROOT / "README.md", "annotators-summary")
    assert len(rows[0]) <= 9
    widths = [max(len(row[name].strip("*")) for row in [*rows, {name: name}]) for name in rows[0]]
    assert sum(widths) + 3 * len(widths) <= 130
    assert not any("(" in cell for row in rows for cell in row.values()), "no brackets to explain"
