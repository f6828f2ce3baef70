"""``hilmix elicit next`` and ``build --pairs-from`` as a user types them."""

import re

import numpy as np
import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data.folder import write_folder
from hilmix.human.elicit.design.manifest import read_manifest
from tests.commands.human import words
from tests.human.elicit.study_data import CLASSES, N, pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """data, a study of it with answers, and one without."""
    here = tmp_path_factory.mktemp("next")
    write_folder(pictures(), here / "data")
    build = ["elicit", "build", str(here / "data"), "--pairs", "10"]
    assert main([*build, "--task", "infer", "-o", str(here / "s")]) == 0
    assert main([*build, "--task", "vote", "-o", str(here / "v")]) == 0
    assert main(["elicit", "simulate", str(here / "s"), "--participants", "3"]) == 0
    return here


@pytest.fixture(autouse=True)
def out(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    return tmp_path


def pairs_of(study: str, kind: str = "main") -> set[tuple[str, str, float]]:
    manifest = read_manifest(study)
    trials = [trial for batch in manifest.batches for trial in batch.trials if trial.kind == kind]
    shown = [manifest.stimuli[trial.stimulus] for trial in trials]
    return {(one.item1, one.item2, one.weight) for one in shown}


def rows(file) -> list[tuple[str, str, float]]:
    return list(pd.read_csv(file)[["item1", "item2", "weight"]].itertuples(index=False, name=None))


def test_from_answers_to_the_next_study(out, capsys):
    argv = ["elicit", "next", "s", "--data", "data", "--number", "12", "-o"]
    assert main([*argv, str(out / "next.csv")]) == 0
    messages = words(capsys.readouterr().out)
    assert "12 mixes written" in messages
    assert re.search(r"remove \d+% of the deviance .* random mixes, \d+%", messages)
    proposed = rows(out / "next.csv")
    assert len(proposed) == 12
    before = {frozenset(pair[:2]) for pair in pairs_of("s")}
    assert not before & {frozenset(pair[:2]) for pair in proposed}
    assert (np.diff(pd.read_csv(out / "next.csv")["score"]) <= 1e-12).all(), "returns diminish"
    assert main([*argv, str(out / "again.csv")]) == 0
    assert rows(out / "again.csv") == proposed
    build = ["elicit", "build", "data", "--task", "infer", "--pairs-from", str(out / "next.csv")]
    assert main([*build, "-o", str(out / "second")]) == 0
    assert pairs_of(str(out / "second")) == set(proposed)
    assert main([*build, "--per-batch", "4", "-o", str(out / "third")]) == 0
    assert len(read_manifest(out / "third").batches) == 3


def test_by_a_model(out):
    probs = np.random.default_rng(0).dirichlet(np.ones(3), N)
    table = pd.DataFrame(probs, columns=[f"prob_{c}" for c in CLASSES]).assign(item=[f"i{i}" for i in range(N)])
    table.to_parquet(out / "p.parquet")
    file = out / "next.csv"
    argv = ["elicit", "next", "v", "--data", "data", "--by", "model", "--predictions", str(out / "p.parquet")]
    assert main([*argv, "--number", "5", "-o", str(file)]) == 0
    label = np.arange(N) % 3
    for one in pd.read_csv(file).itertuples():
        i, j = int(one.item1[1:]), int(one.item2[1:])
        assert one.score == pytest.approx(probs[i, label[j]] + probs[j, label[i]])
    assert sorted(weight for *_, weight in rows(file)) == [0.1, 0.25, 0.5, 0.75, 0.9]
    used = {item for kind in ("main", "practice", "catch") for *pair, _ in pairs_of("v", kind) for item in pair}
    assert not used & {item for *pair, _ in rows(file) for item in pair}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["s", "--number", "0"], "`--number` must be >= 1, got 0"),
        (["s", "--seed", "-1"], "`--seed` must be >= 0, got -1"),
        (["s", "--by", "model"], "--by model needs --predictions, and nothing else does"),
        (["s", "--predictions", "p.parquet"], "--by model needs --predictions"),
        (["v"], "has no answers yet"),
        (["s", "--number", "5000"], "balanced pairs that the study does not show, but 5000 are needed"),
    ],
)
def test_what_cannot_be_is_one_sentence(out, argv, message, capsys):
    assert main(["elicit", "next", *argv, "--data", "data", "-o", str(out / "next.csv")]) == 2
    assert message in capsys.readouterr().err


def test_other_data_and_a_file_that_is_there(out, capsys):
    write_folder(pictures(n=59), out / "other")
    argv = ["elicit", "next", "s", "-o", str(out / "next.csv"), "--data"]
    assert main([*argv, str(out / "other")]) == 2
    assert "items must be 60, as in the data of the study, got 59" in capsys.readouterr().err
    (out / "next.csv").write_text("")
    assert main([*argv, "data"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--weights", ".5"], ["--beta", "1"], ["--least-sure", "p.parquet"]])
def test_mixes_are_given_or_drawn(out, option, capsys):
    argv = ["elicit", "build", "data", "--task", "infer", "--pairs-from", "next.csv", "-o", str(out / "x")]
    assert main([*argv, *option]) == 2
    error = capsys.readouterr().err
    assert option[0] in error
    assert "--pairs-from" in error
