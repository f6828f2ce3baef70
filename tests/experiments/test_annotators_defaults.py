"""The one choice of network and rate, the epoch that each criterion keeps, and runs of files as they are shipped."""

import math
from typing import Any

import pandas as pd
import pytest

from experiments.annotators import choice, grid
from experiments.annotators.epochs import CRITERIA, EpochScores
from experiments.annotators.grid_tables import current, epoch_table, state
from experiments.annotators.job import build
from experiments.annotators.settings import (
    CHOICE_METHODS,
    CONFIRMATION,
    DATA,
    DEVELOPMENT,
    GRID_METHODS,
    NETWORKS,
    SEARCH_SEEDS,
)
from hilmix.backbones import default_backbone
from hilmix.modules.optimization import DEFAULT_RATES


def test_the_choice_sees_development_data_and_no_test_item():
    jobs = choice.choice_jobs("root")
    assert len(jobs) == len(set(jobs))
    assert not any(job.tested for job in jobs)
    assert {job.seed for job in jobs} == set(SEARCH_SEEDS)
    assert not {job.data for job in jobs} & set(CONFIRMATION)
    assert {job.data for job in jobs} - set(DEVELOPMENT) == {"clusters-26"}
    rates = {(job.network, job.lr_scaling, job.lr) for job in jobs if job.data == "clusters-26"}
    for setting in rates:  # a setting runs on all methods of the choice or on none
        kept = [
            job.method for job in jobs if job.data == "clusters-26" and (job.network, job.lr_scaling, job.lr) == setting
        ]
        assert sorted(kept) == sorted(CHOICE_METHODS)


def test_losses_are_against_the_best_of_the_same_method_and_data():
    rows = pd.DataFrame(
        [
            ("a", "mv", "x", "none", 0.1, 100, 0.5),
            ("a", "mv", "y", "none", 0.1, 100, 0.6),
            ("b", "mv", "x", "none", 0.1, 100, 0.9),
            ("b", "mv", "y", "none", 0.1, 100, math.nan),  # diverged: as if nothing agreed
            ("b", "ds", "x", "none", 0.1, 100, 0.2),
        ],
        columns=[*choice.CHOICE_KEY[:3], "lr_scaling", "lr", "seed", "val_agreement"],
    )
    found = choice.regrets(rows)
    assert list(found.index) == [("x", "none", 0.1), ("y", "none", 0.1)]
    assert found["mean"].tolist() == pytest.approx([0.1 / 3, 0.9 / 2])
    assert found["worst"].tolist() == pytest.approx([0.1, 0.9])
    assert found["runs"].tolist() == [3, 2]


def test_the_default_is_the_setting_with_the_lowest_mean_loss():
    rows = choice.by_kind(choice.read())["Vectors"]
    network, scaling, lr = choice.regrets(rows).index[0]
    assert (lr, scaling) == DEFAULT_RATES["vectors"]
    assert NETWORKS[network].backbone == default_backbone([5]).spec() | {
        "init_args": {"hidden": [256, 128], "dropout": 0.5, "norm": "batch"}
    }


def test_every_criterion_keeps_the_first_of_its_best_epochs():
    scores = EpochScores()
    for agreement, nll, calibrated, acc in [(0.5, 2.0, 1.5, 0.1), (0.7, 1.0, 1.1, 0.2), (0.7, 1.2, 1.0, 0.3)]:
        values = {"agreement": agreement, "vote_nll": nll, "vote_nll_calibrated": calibrated, "acc": acc}
        scores.epochs.append(values)
    assert scores.row() == {
        "agreement_epoch": 1,
        "agreement_acc": 0.2,
        "vote_nll_epoch": 1,
        "vote_nll_acc": 0.2,
        "vote_nll_calibrated_epoch": 2,
        "vote_nll_calibrated_acc": 0.3,
    }
    scores.epochs = [{"acc": 0.5}]
    assert scores.row() == {}, "without votes on validation items nothing chooses"


def test_the_grid_runs_every_file_untouched_seed_by_seed():
    jobs = grid.shipped_jobs(["digits-class"], GRID_METHODS, [0, 1], "")
    assert [job.seed for job in jobs] == [0] * len(GRID_METHODS) + [1] * len(GRID_METHODS)
    for method in ("mv", "hilmix-fast"):
        model, data = build(next(job for job in jobs if job.method == method))
        assert data.batch_size == type(data)("digits-class").batch_size
        assert (model.lr, model.optimization.lr_scaling) == DEFAULT_RATES["vectors"]
        assert model.hparams["backbone"] == default_backbone([64]).spec()


def rows_of(**gains: Any) -> pd.DataFrame:
    row = {"data": DATA[0], "seed": 0, "acc": 0.8, "cpu_seconds": 36.0, "commit": "c", "torch": "t"}
    epochs = {f"{name}_epoch": 7 for name in CRITERIA} | {f"{name}_acc": 0.8 for name in CRITERIA}
    return pd.DataFrame([row | epochs | {"method": method, "vote_nll_acc": acc} for method, acc in gains.items()])


def test_tables_of_the_grid():
    rows = current(rows_of(mv=0.7, soft=0.85, unknown=0.1, true=0.0))
    assert set(rows["method"]) == {"mv", "soft", "true"}
    text = epoch_table(rows)
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines()}
    assert cells["`mv`"][:4] == ["1", "0.00", "-10.00", "0.00"]
    assert cells["all but `true`"][:4] == ["2", "0.00", "-2.50", "0.00"]
    assert cells["worst run"][2] == "-10.0"
    assert "3 of" in state(rows)
    assert "0.0 core-hours" in state(rows)
