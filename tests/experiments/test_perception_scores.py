"""The perception experiment: its tables are those of the committed scores, and its parts fit together."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from experiments.perception import beyond, scores
from experiments.perception.features import BLOCKS, columns
from experiments.perception.network import fit_network
from tests.human.perception.simulated import D, judged

PAGE = scores.PAGE.read_text()


def test_the_tables_are_those_of_the_results() -> None:
    assert f"<!-- scores -->\n{scores.table(pd.read_csv(scores.FILE))}\n<!-- end -->" in PAGE
    assert f"<!-- beyond -->\n{beyond.table(pd.read_csv(beyond.FILE))}\n<!-- end -->" in PAGE


def test_every_policy_was_scored_on_every_split() -> None:
    rows = pd.read_csv(scores.FILE)
    first = rows[rows["seed"] == 0]
    for name in (*scores.SIMPLE, *scores.NAMES):
        assert set(first.loc[first["policy"] == name, "split"]) == set(scores.SPLITS), name
    for name in ("learned_all", "looking_all"):
        assert rows.loc[(rows["policy"] == name) & (rows["split"] == "pair"), "seed"].nunique() == 3, name


def test_only_scores_are_committed() -> None:
    files = {file.name for file in Path(scores.HERE).iterdir() if file.suffix not in (".py", ".pyc")}
    assert files - {"__pycache__"} == {"README.md", "scores.csv", "beyond.csv", "off_endpoints.csv"}


def test_kinds_of_features_are_columns() -> None:
    assert columns(tuple(BLOCKS)).tolist() == list(range(sum(BLOCKS.values())))
    assert columns(("final",))[0] == BLOCKS["statistics"]


def test_where_a_pair_looks_even() -> None:
    assert beyond._even(beyond.INSIDE) == 0.5
    assert 0.69 < beyond._even(beyond.INSIDE**2) < 0.72


def test_networks_do_not_depend_on_the_order_and_learn() -> None:
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(500, D)))
    judgments = judged(pairs=400, images=500)
    lead = 1.5 * (features[judgments.id1] - features[judgments.id2])[:, 0].numpy()
    odds = 1 / (1 + np.exp(-lead - np.log(judgments.weight / (1 - judgments.weight))))
    judgments = judgments._replace(answer=odds)
    network = fit_network(judgments.take(np.arange(900)), features, [D])
    unseen = judgments.take(np.arange(900, 1200))
    found = network.predict(unseen, features=features)
    turned = network.predict(unseen.swap_images(np.ones(300, dtype=bool)), features=features)
    np.testing.assert_allclose(found, 1 - turned, atol=1e-5)
    assert np.mean((found - unseen.answer) ** 2) < 0.5 * np.mean((unseen.weight - unseen.answer) ** 2)
