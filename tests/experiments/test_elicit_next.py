"""The experiment on proposals: its table is that of the committed results, and its world is as described."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit

from experiments.elicit_next import __main__ as experiment, hmix
from experiments.elicit_next.simulated import CLASSES, IMAGE_SD, ITEMS, UNEXPLAINED_SD, World, random_mixes
from hilmix.human.perception.hmix import DISPERSION


def test_the_table_is_that_of_the_results() -> None:
    rows = pd.read_csv(experiment.FILE)
    assert f"<!-- curves -->\n{experiment.table(rows)}\n<!-- end -->" in experiment.PAGE.read_text()
    assert len(rows) == len(UNEXPLAINED_SD) * experiment.SEEDS * len(experiment.HOW) * experiment.ROUNDS
    first = rows[rows["judgments"] == experiment.PER_ROUND].pivot_table("excess", ["world", "seed"], "how")
    assert (first["next"] == first["random"]).all(), "both begin with the same answers"


def test_the_world_is_as_described() -> None:
    world = World.of(0, "partly explained")
    images = world.features @ world.truth[1 + len(CLASSES) :]
    assert images.std() == pytest.approx(IMAGE_SD)
    assert world.unexplained.std() == pytest.approx(UNEXPLAINED_SD["partly explained"], abs=0.05)
    assert not World.of(0, "explained").unexplained.any()
    assert np.concatenate(world.held_out.pairs).min() >= ITEMS, "no image is asked about and scored"
    assert world.excess(world.truth, world.features) == 0
    shifted = world.truth + np.concatenate([[0], np.ones(len(CLASSES)), np.zeros(len(world.truth) - 1 - len(CLASSES))])
    assert world.strength_error(shifted) == pytest.approx(0), "strengths count up to a constant"


def test_answers_have_the_mean_and_variance_that_the_fit_assumes_and_stay_when_more_follow() -> None:
    world = World.of(1, "explained")
    free = np.where(np.arange(2 * ITEMS) < ITEMS, world.label, -1)
    mixes = random_mixes(free, 4000, np.random.default_rng(0))
    judged = world.answers(mixes, np.arange(4000), 1)
    eta = world.columns(mixes, world.features) @ world.truth
    own = np.random.default_rng([1, 1]).normal(0, 0.2, 4000)
    share = expit(eta + own * logit(mixes.weight))
    assert np.mean(judged.answer - share) == pytest.approx(0, abs=0.01)
    spread = np.mean((judged.answer - share) ** 2) / np.mean(share * (1 - share))
    assert spread == pytest.approx(DISPERSION, rel=0.05)
    few = random_mixes(free, 4000, np.random.default_rng(0))
    few = experiment._rows(few, np.arange(10))
    assert world.answers(few, np.arange(10), 1).answer.tolist() == judged.answer[:10].tolist()


def test_proposals_do_better_on_average_in_the_committed_results() -> None:
    rows = pd.read_csv(experiment.FILE)
    last = rows[rows["judgments"] >= 200].groupby(["world", "judgments", "how"])["excess"].mean().unstack()
    assert (last["next"] < 0.9 * last["random"]).all()


def test_the_table_of_the_answers_of_hmix_is_that_of_the_results() -> None:
    rows = pd.read_csv(hmix.FILE)
    assert f"<!-- hmix -->\n{hmix.table(rows)}\n<!-- end -->" in experiment.PAGE.read_text()
    assert len(rows) == hmix.SEEDS * len(experiment.HOW) * hmix.MOST // hmix.PER_ROUND
    assert set(rows.columns) == {"seed", "how", "judgments", "share"}, "scores, no answers"


def test_the_fit_of_answers_in_hand_learns_what_is_held_out() -> None:
    world = World.of(2, "explained")
    free = np.where(np.arange(2 * ITEMS) < ITEMS, world.label, -1)
    mixes = random_mixes(free, 1000, np.random.default_rng(0))
    judged = world.answers(mixes, np.arange(1000) // 25, 2)
    features = torch.from_numpy(world.features[np.concatenate([judged.id1, judged.id2])])
    apart = judged._replace(id1=np.arange(1000), id2=1000 + np.arange(1000))  # no image twice, so folds are of mixes
    rows = pd.DataFrame(hmix.curve(apart, features, 0, "next"))
    assert rows["judgments"].tolist() == list(range(50, hmix.MOST + 1, 50))
    assert rows["share"].iloc[-1] > 0.1, "it is learned that features matter"
