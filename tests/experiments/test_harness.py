"""The harness that the studies share: missing jobs only, every finished row kept, failures counted."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.harness import Row, keep_row, markdown_table, mean_and_std, missing_jobs, read_rows, run_missing
from hilmix.errors import ConfigError

KEY = ["name", "seed"]
Job = tuple[str, int]


def read(file: Path) -> pd.DataFrame:
    return read_rows(file, KEY, converters={"name": str})


def key_of(job: Job) -> tuple[Any, ...]:
    return job


def work(job: Job) -> Row:
    if job[0] == "refused":
        raise ConfigError("`lr` must be > 0, got -1.")
    if job[0] == "killed":
        os._exit(9)
    return {"name": job[0], "seed": job[1], "score": 10 * job[1]}


def run(file: Path, jobs: list[Job]) -> int:
    return run_missing(file, jobs, key_of=key_of, read=read, key=KEY, workers=2, work=work, name_of=str)


def test_failed_jobs_are_counted_and_the_others_are_kept(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "rows.csv"
    assert run(file, [("b", 1), ("refused", 0), ("killed", 0), ("a", 2)]) == 2
    assert read(file).values.tolist() == [["a", 2, 20], ["b", 1, 10]]
    printed = capsys.readouterr().out
    assert "`lr` must be > 0, got -1." in printed
    assert "exit code 9" in printed


def test_a_job_with_a_row_is_not_run_again(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    keep_row(file, {"name": "a", "seed": 1, "score": -1}, KEY, read)
    assert run(file, [("a", 1), ("a", 0)]) == 0
    assert read(file).values.tolist() == [["a", 0, 0], ["a", 1, -1]]


def test_missing_jobs_keep_their_order(tmp_path: Path) -> None:
    jobs = [("b", 1), ("a", 1), ("a", 0)]
    assert missing_jobs(jobs, read(tmp_path / "none.csv"), KEY, key_of) == jobs
    rows = pd.DataFrame([{"name": "a", "seed": 1}])
    assert missing_jobs(jobs, rows, KEY, key_of) == [("b", 1), ("a", 0)]


def test_keep_row_replaces_the_row_of_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "new" / "rows.csv"
    for score in (1, 2):
        keep_row(file, {"name": "a", "seed": 0, "score": score}, KEY, read)
    assert file.read_text() == "name,seed,score\na,0,2\n"


def test_markdown_table_has_a_rule_as_wide_as_the_head() -> None:
    assert markdown_table(["x", "y"], [["1", "2"]]) == "| x | y |\n|---|---|\n| 1 | 2 |"


@pytest.mark.parametrize(("left", "rule"), [(0, "| ---: | ---: |"), (1, "| --- | ---: |"), (2, "| --- | --- |")])
def test_columns_of_numbers_are_aligned_to_the_right(left: int, rule: str) -> None:
    assert markdown_table(["x", "y"], [], left=left).splitlines()[1] == rule


@pytest.mark.parametrize(
    ("values", "text"),
    [([1, 2, 6], "3.00 ± 2.65"), ([1, 2, 6, None], "3.00 ± 2.65"), ([1.5], "1.50"), ([None], "-"), ([], "-")],
)
def test_a_mean_has_its_spread_if_there_are_several_values(values: list[float | None], text: str) -> None:
    """The variance of 1, 2, 6 is (4 + 1 + 9) / 2 = 7."""
    assert mean_and_std(pd.Series(values, dtype=float), 2) == text
