"""README, methods page and study show one ranking: that of the committed rows, recomputed here by plain loops."""

import csv
import math
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest
from scipy.stats import norm

from experiments.annotators import choice, grid_tables, results, tables
from experiments.annotators.settings import FAMILY_OF, GUIDE

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "experiments" / "annotators"
README, METHODS = ROOT / "README.md", ROOT / "docs" / "methods.md"


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


def first_protocol() -> list[dict[str, str]]:
    """The rows of the first protocol at the chosen rates."""
    best = rates()
    chosen = {(family, "hilmix"): 0.01 for family in FAMILY_OF.values()} | best
    return [r for r in read("results_final.csv") if float(r["lr"]) == chosen[FAMILY_OF[r["data"]], r["method"]]]


ROWS = {"grid": read("results_grid.csv"), "first": first_protocol()}


def scores(protocol: str, name: str = "acc") -> dict[str, dict[str, float]]:
    """Mean of a score over the seeds that all methods have, by data set and method, the upper bound left out."""
    runs = defaultdict(lambda: defaultdict(dict))
    for row in ROWS[protocol]:
        if row["method"] != "true":
            runs[row["data"]][row["seed"]][row["method"]] = float(row[name])
    most = max(len(by) for seeds in runs.values() for by in seeds.values())
    whole = {data: [by for by in seeds.values() if len(by) == most] for data, seeds in runs.items()}
    return {data: {m: mean(by[m] for by in seeds) for m in seeds[0]} for data, seeds in whole.items() if seeds}


def mean_ranks(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Ties, which six decimals leave apart by less than 2e-6, share their mean rank: half a place for every other."""
    methods, tied = list(next(iter(found.values()))), 2e-6
    places = {m: [] for m in methods}
    for by in found.values():
        for m in methods:
            before = sum(by[o] > by[m] + tied for o in methods)
            equal = sum(abs(by[o] - by[m]) <= tied for o in methods if o != m)
            places[m].append(1 + before + equal / 2)
    return {m: mean(found) for m, found in places.items()}


def p_values(ranks: dict[str, float], n: int) -> dict[str, float]:
    """Against hilmix by the normal approximation, Holm's step-down by hand."""
    k = len(ranks)
    error = math.sqrt(k * (k + 1) / (6 * n))
    plain = {m: 2 * norm.sf(abs(r - ranks["hilmix"]) / error) for m, r in ranks.items() if m != "hilmix"}
    adjusted, least = {}, 0.0
    for place, m in enumerate(sorted(plain, key=plain.get)):
        least = adjusted[m] = max(least, min(1.0, plain[m] * (k - 1 - place)))
    return adjusted


def table(page: Path, marker: str) -> list[dict[str, str]]:
    text = page.read_text().split(f"<!-- {marker} -->\n")[1].split("<!-- end -->")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def check_ranks(rows: list[dict[str, str]], found: dict[str, dict[str, float]], rank: str, p: str) -> None:
    ranks = mean_ranks(found)
    adjusted = p_values(ranks, len(found))
    assert {row["method"] for row in rows} == set(ranks)
    half = 0.5 * 10.0 ** -len(rows[0][rank].split(".")[1]) + 1e-9
    assert all(abs(float(row[rank]) - ranks[row["method"]]) <= half for row in rows)
    for row in rows:
        if row["method"] == "hilmix":
            assert row[p] == "-"
        elif row[p].startswith("<"):
            assert adjusted[row["method"]] < float(row[p].strip("< "))
        else:
            assert float(row[p]) == pytest.approx(adjusted[row["method"]], abs=5.1e-4)


def without_bound(page: Path, marker: str) -> list[dict[str, str]]:
    return [row for row in table(page, marker) if row["method"] != "true"]


PAGES = [
    (README, "annotators-summary", "grid"),
    (METHODS, "annotators-grid-ranks", "grid"),
    (STUDY / "README.md", "annotators-grid-ranks", "grid"),
    (STUDY / "README.md", "annotators-first-ranks", "first"),
]


@pytest.mark.parametrize(("page", "marker", "protocol"), PAGES, ids=["readme", "methods", "study", "first"])
def test_every_page_shows_the_ranking_of_the_rows(page, marker, protocol):
    rows, found = without_bound(page, marker), scores(protocol)
    (rank,) = {name for name in rows[0] if re.fullmatch(f"mean rank(, {len(found)} data sets)?", name)}
    check_ranks(rows, found, rank, "p against hilmix")
    ranks = mean_ranks(found)
    order = [ranks[row["method"]] for row in rows]
    assert order == sorted(order), "in the order of the ranking"


def test_label_errors_and_calibration_are_those_of_the_same_rows():
    rows = without_bound(METHODS, "annotators-grid-ranks")
    check_ranks(rows, scores("grid", "label_error_ap"), "mean rank, label errors", "p, label errors")
    ece = scores("grid", "ece")
    for row in rows:
        values = [100 * by[row["method"]] for by in ece.values()]
        assert float(row["ECE, mean"]) == pytest.approx(mean(values), abs=0.051)
        assert float(row["ECE, worst"]) == pytest.approx(max(values), abs=0.051)


@pytest.mark.parametrize(("page", "marker"), [PAGES[0][:2], PAGES[1][:2]], ids=["readme", "methods"])
def test_accuracy_is_that_of_the_same_rows(page, marker):
    found = scores("grid")
    groups = {
        "digits, by class": [d for d in found if d.startswith("digits-class")],
        "digits, by item": [d for d in found if d.startswith("digits-instance")],
        "Fashion, MNIST": [d for d in found if d.startswith(("fashion", "mnist"))],
    }
    groups["people"] = [d for d in found if not any(d in members for members in groups.values())]
    groups = {"accuracy": list(found)} if page == README else groups
    rows = without_bound(page, marker)
    for title, members in groups.items():
        want = {row["method"]: 100 * mean(found[d][row["method"]] for d in members) for row in rows}
        assert all(float(row[title].strip("*")) == pytest.approx(want[row["method"]], abs=0.051) for row in rows)
        assert [row["method"] for row in rows if "*" in row[title]] == [max(want, key=want.get)]


def best_of(kind: str) -> dict[str, float]:
    """Mean accuracy in per cent on the data sets of a kind, best first."""
    found = {data: by for data, by in scores("grid").items() if data in GUIDE[kind]}
    means = {m: 100 * mean(by[m] for by in found.values()) for m in next(iter(found.values()), {})}
    return dict(sorted(means.items(), key=lambda pair: -pair[1]))


def test_the_guide_s_table_is_that_of_the_rows():
    rows = table(METHODS, "annotators-grid-guide")
    assert [row["your data"] for row in rows] == [kind for kind in GUIDE if best_of(kind)]
    for row in rows:
        best = best_of(row["your data"])
        for cell, value in zip((row["first"], row["second"], row["third"]), best.values(), strict=False):
            method, shown = cell.split()
            assert float(shown) == pytest.approx(value, abs=0.051)
            assert best[method.strip("`")] == pytest.approx(value, abs=1e-4), "of equals either may stand first"
        place = int(row["place of `hilmix`"].split()[0])
        assert list(best.values())[place - 1] == pytest.approx(best["hilmix"], abs=1e-4)


KINDS = {
    "errors depend on the class": "errors depend on the class",
    "errors depend on the item": "errors depend on the item",
    "one vote per item": "one label per item",
    "annotators have no identity": "annotators without identity",
}
"""Begin of a line of the decision guide, and the kind of data that shows it."""


@pytest.mark.parametrize("line", KINDS)
def test_the_guide_names_the_best_method_of_the_grid(line):
    guide = METHODS.read_text().split("## Which method for my data")[1].split("\n## ")[0]
    (taken,) = (row.split("|")[2] for row in guide.splitlines() if row.startswith(f"| {line}"))
    named = re.findall(r"`([^`]+)`", taken.split("never")[0])
    best = best_of(KINDS[line])
    assert next(iter(best), named[0]) in named


def test_the_front_page_s_table_fits_and_needs_no_key():
    rows = table(README, "annotators-summary")
    assert len(rows[0]) <= 9
    widths = [max(len(row[name].strip("*")) for row in [*rows, {name: name}]) for name in rows[0]]
    assert sum(widths) + 3 * len(widths) <= 130
    assert not any("(" in cell for row in rows for cell in row.values()), "no brackets to explain"


def test_every_page_holds_what_the_command_writes_for_the_rows():
    """So a landed row without its tables fails here, in the tables that no loop above recomputes too."""
    grid, search, final, cost, ablation, first = (
        results.read(STUDY / f"results_{name}.csv")
        for name in ("grid", "search", "final", "cost", "grid_ablation", "ablation")
    )
    made = grid_tables.texts(grid, choice.read(), ablation, cost) | tables.texts(final, search, first)
    stale, seen = [], set()
    for page in (README, METHODS, STUDY / "README.md"):
        for name, text in re.findall(r"<!-- (annotators-\S+) -->\n(.*?)<!-- end -->", page.read_text(), re.DOTALL):
            seen.add(name)
            stale += [] if text == f"{made[name]}\n" else [(page.name, name)]
    assert stale == [], "run python -m experiments.annotators table"
    assert seen == set(made), "every table stands on some page"
