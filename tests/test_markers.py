"""Generated tables in the pages are those of the committed results."""

from pathlib import Path

import pandas as pd
import pytest

from experiments.aggregation import crowds
from experiments.foundation import labelme_features
from experiments.harness import fill
from hilmix.functional.aggregation import AGGREGATORS

ROOT = Path(__file__).parent.parent


def test_fill_replaces_between_its_own_markers_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nkeep\n<!-- end -->\n")
    fill(page, "x", "new")
    fill(page, "x", "newer")
    assert page.read_text() == "a\n<!-- x -->\nnewer\n<!-- end -->\nb\n<!-- y -->\nkeep\n<!-- end -->\n"
    with pytest.raises(ValueError, match="no markers <!-- z -->"):
        fill(page, "z", "new")


def test_the_labelme_table_is_that_of_the_results() -> None:
    folder = ROOT / "experiments" / "foundation"
    final, search = (pd.read_csv(folder / f"labelme_{step}.csv") for step in ("final", "search"))
    table = labelme_features.table(final, search)
    assert f"<!-- labelme-features -->\n{table}\n<!-- end -->" in (folder / "README.md").read_text()
    assert set(final.groupby("method")["seed"].nunique()) == {5}


@pytest.mark.parametrize("page", crowds.PAGES, ids=lambda page: page.name)
def test_the_table_of_the_aggregators_is_that_of_the_results(page: Path) -> None:
    results = pd.read_csv(ROOT / "experiments" / "aggregation" / "crowds.csv")
    assert f"<!-- crowds -->\n{crowds.table(results)}\n<!-- end -->" in page.read_text()
    assert f"<!-- crowds-repeats -->\n{crowds.repeats_table(results)}\n<!-- end -->" in page.read_text()
    assert set(results["set"]) == set(crowds.SETS)
    assert set(results["method"]) == set(AGGREGATORS)


def test_both_settings_of_repeats_are_scored_where_there_are_some() -> None:
    results = pd.read_csv(ROOT / "experiments" / "aggregation" / "crowds.csv")
    kept = set(results["set"][results["duplicates"] == "keep"])
    assert kept == {"weather_sentiment_amt", "zencrowd_in", "zencrowd_us"}
    votes = crowds.Annotations.build([0, 0, 1], [0, 0, 1], [0, 1, 1], num_items=2, classes=2, annotators=2)
    assert {name: one.num_pairs for name, one in crowds.settings(votes).items()} == {"last": 2, "keep": 3}
    assert list(crowds.settings(votes.distinct())) == ["last"]


def test_rows_of_other_methods_stay_digit_by_digit(tmp_path: Path) -> None:
    file = tmp_path / "crowds.csv"
    file.write_bytes((ROOT / "experiments" / "aggregation" / "crowds.csv").read_bytes())
    before = file.read_text().splitlines()
    results = pd.read_csv(file)
    rows = results[results["method"] == "ibcc"].assign(accuracy=50.25)
    crowds.write_rows(rows, file, ["ibcc"])
    after = file.read_text().splitlines()
    assert [line for line in after if ",ibcc," not in line] == [line for line in before if ",ibcc," not in line]
    changed = [number for number, line in enumerate(after) if ",ibcc," in line]
    assert changed == [number for number, line in enumerate(before) if ",ibcc," in line]
    assert set(pd.read_csv(file).iloc[[number - 1 for number in changed]]["accuracy"]) == {50.25}
