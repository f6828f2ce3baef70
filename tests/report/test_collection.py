"""Many run folders as one table."""

import json
import math
import statistics
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hilmix.cli import main
from hilmix.errors import ConfigError, RunError
from hilmix.report import average_runs, collect_runs

ACCURACY = {(0.1, 0): 0.7, (0.1, 1): 0.9, (0.1, 2): 0.8, (0.5, 0): 0.3, (0.5, 1): 0.5}


def write_run(folder: Path, *, lr: float = 0.1, seed: int = 0, acc: float | None = None, epochs: int = 0) -> Path:
    """A run folder; with ``acc`` a tested one, else one with as many validated epochs."""
    (folder / "checkpoints").mkdir(parents=True)
    trainer = {"max_epochs": 5, "logger": [{"init_args": {"save_dir": str(folder)}}]}
    config = {"seed_everything": seed, "trainer": trainer, "model": {"init_args": {"lr": lr}}, "run_dir": str(folder)}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if acc is not None:
        evaluated = {"data": "toy", "split": "test", "items": 40, "items_with_truth": 40, "votes": 80}
        weights = {"checkpoint": "last", "epoch": 4, "step": 100}
        found = {"test/acc": acc, "test/ece": acc / 10, "truth": True, "evaluated": evaluated, "weights": weights}
        (folder / "metrics.json").write_text(json.dumps(found))
    if epochs:
        log = folder / "csv" / "version_0"
        log.mkdir(parents=True)
        rows = [{"epoch": e, "step": 10 * e + 9, "val/loss": 1.0 / (e + 1), "val/acc": 0.1 * e} for e in range(epochs)]
        pd.DataFrame(rows).to_csv(log / "metrics.csv", index=False)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for (lr, seed), acc in ACCURACY.items():
        write_run(tmp_path / "runs" / f"lr{lr}" / str(seed), lr=lr, seed=seed, acc=acc)
    return tmp_path / "runs"


def test_a_row_per_run_with_what_differs(runs):
    found = collect_runs([runs])
    assert set(found.settings) == {"model.init_args.lr", "seed_everything"}
    rows = {(r["model.init_args.lr"], r["seed_everything"]): r["test/acc"] for r in found.table.to_dict("records")}
    assert rows == ACCURACY
    assert set(found.table["state"]) == {"tested"}
    assert (found.table[["weights", "epoch", "step", "items"]] == ["last", 4, 100, 40]).all(axis=None)
    assert found.unreadable == ()


def test_means_over_seeds(runs):
    means = average_runs(collect_runs([runs])).set_index("model.init_args.lr")
    for lr in (0.1, 0.5):
        values = [acc for (rate, _), acc in ACCURACY.items() if rate == lr]
        assert means.loc[lr, "runs"] == len(values)
        assert means.loc[lr, "test/acc"] == pytest.approx(statistics.mean(values))
        assert means.loc[lr, "test/acc std"] == pytest.approx(statistics.stdev(values))
        assert means.loc[lr, "test/ece"] == pytest.approx(statistics.mean(values) / 10)


def test_one_seed_has_no_spread(tmp_path):
    write_run(tmp_path / "a", lr=0.1, seed=0, acc=0.7)
    write_run(tmp_path / "b", lr=0.2, seed=1, acc=0.8)
    means = average_runs(collect_runs([tmp_path]))
    assert means["test/acc"].tolist() == [0.7, 0.8]
    assert means["test/acc std"].isna().all()


def test_a_run_that_is_not_tested_makes_no_mean_of_the_others(runs):
    write_run(runs / "late", lr=0.5, seed=2, epochs=2)
    means = average_runs(collect_runs([runs])).set_index("model.init_args.lr")
    assert means.loc[0.5, "runs"] == 3
    assert math.isnan(means.loc[0.5, "test/acc"])
    assert means.loc[0.1, "test/acc"] == pytest.approx(0.8)


def test_runs_that_ended_early(tmp_path):
    write_run(tmp_path / "begun")
    write_run(tmp_path / "trained", epochs=5)
    write_run(tmp_path / "killed", epochs=2)
    table = collect_runs([tmp_path]).table.set_index(collect_runs([tmp_path]).table["run"].map(lambda r: Path(r).name))
    assert table["state"].to_dict() == {"begun": "no result", "trained": "epoch 5 of 5", "killed": "epoch 2 of 5"}
    assert table.loc["killed", "val/acc"] == pytest.approx(0.1)
    assert table.loc["trained", "val/loss"] == pytest.approx(0.2)


def test_what_lies_inside_a_run_or_is_named_twice_counts_once(tmp_path):
    run = write_run(tmp_path / "run", acc=0.5)
    write_run(run / "on-other-1234", acc=0.1)
    write_run(run / "inner", acc=0.2)
    assert collect_runs([tmp_path, run, tmp_path / "run"]).table["test/acc"].tolist() == [0.5]


def test_runs_that_cannot_be_read_are_named_and_left_out(runs):
    (write_run(runs / "bad", acc=0.5) / "metrics.json").write_text("{")
    (write_run(runs / "worse", acc=0.5) / "config.yaml").write_text("a: [")
    (write_run(runs / "list", acc=0.5) / "config.yaml").write_text("- 1\n")
    found = collect_runs([runs])
    assert len(found.table) == len(ACCURACY)
    assert [sum(name in reason for reason in found.unreadable) for name in ("bad", "worse", "list")] == [1, 1, 1]


def test_refusals(runs, tmp_path):
    with pytest.raises(RunError, match="nowhere"):
        collect_runs([runs, tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="empty"):
        collect_runs([tmp_path / "empty"])
    with pytest.raises(ConfigError, match=r"(?s)model\.init_args\.lr.*'model\.lr'"):
        average_runs(collect_runs([runs]), over="model.lr")


def test_the_command(runs, tmp_path, capsys):
    out = tmp_path / "runs.csv"
    assert main(["collect", str(runs), "-o", str(out)]) == 0
    assert sorted(pd.read_csv(out)["test/acc"]) == sorted(ACCURACY.values())
    assert main(["collect", str(runs), "-o", str(out)]) == 2
    assert "runs.csv" in capsys.readouterr().err
    means = tmp_path / "means.parquet"
    assert main(["collect", str(runs), "-o", str(means), "--over", "seed_everything"]) == 0
    assert pd.read_parquet(means)["runs"].tolist() == [3, 2]
    assert "0.8000 ± 0.1000" in capsys.readouterr().out
