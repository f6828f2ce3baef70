"""The same with the answers of H-Mix, taken in the order of the proposals or at random.

    HILMIX_DATA=FOLDER python -m experiments.elicit_next.hmix   # FOLDER holds hmix/ and cifar10/

Writes hmix.csv, scores only, and the table in README.md beside this file; half a minute on one core.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from torch import Tensor

from experiments.elicit_next.__main__ import HERE, HOW, PAGE
from experiments.harness import fill, markdown_table, mean_and_std
from hilmix.data.sources import Access, cifar10
from hilmix.human.elicit.design.pairs import Pairs
from hilmix.human.elicit.design.propose import Candidates, propose
from hilmix.human.elicit.next_mixes import fit_belief
from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.perception import MixJudgments
from hilmix.human.study import read_study

FILE = HERE / "hmix.csv"
SEEDS, PER_ROUND, MOST, HELD_OUT = 20, 50, 600, 0.3


def read() -> tuple[MixJudgments, Tensor]:
    """One answer to each mix, the first in the file, and the statistics of all images."""
    folder = Path(os.environ["HILMIX_DATA"])
    study = read_study(folder / "hmix", "infer").without_repeats()
    first = np.unique(study.judgments.stimulus, return_index=True)[1]
    images = torch.from_numpy(np.asarray(Access(folder, folder).read(cifar10.TEST).images))
    return study.to_judgments().take(first), image_statistics(images.permute(0, 3, 1, 2).float() / 255).double()


def curve(judged: MixJudgments, features: Tensor, seed: int, how: str) -> list[dict[str, object]]:
    """One row per round: the share of the squared deviation from the weight that is explained on held-out images."""
    rng, size = np.random.default_rng(seed), len(features)
    graph = coo_matrix((np.ones(len(judged.id1)), (judged.id1, judged.id2)), shape=(size, size))
    part = connected_components(graph, directed=False)[1][judged.id1]
    held = rng.random(part.max() + 1)[part] < HELD_OUT
    pool, test = judged.take(~held), judged.take(held)
    label = np.zeros(size, dtype=np.int64)
    label[judged.id1], label[judged.id2] = judged.label1, judged.label2
    used, order, rows = np.unique([judged.id1, judged.id2]), rng.permutation(len(pool.weight)), []
    mixes = Candidates(Pairs(pool.id1, pool.id2), pool.weight, np.arange(len(pool.weight)))
    asked = order[:PER_ROUND]
    while True:
        belief, components = fit_belief(pool.take(asked), features, used)
        scored = Candidates(Pairs(test.id1, test.id2), test.weight, np.arange(len(test.weight)))
        expected = expit(scored.columns(label, components, num_classes=judged.num_classes) @ belief.mean)
        share = 1 - np.square(test.answer - expected).sum() / np.square(test.answer - test.weight).sum()
        rows.append({"seed": seed, "how": how, "judgments": len(asked), "share": float(share)})
        if len(asked) >= MOST:
            return rows
        left = np.setdiff1d(np.arange(len(pool.weight)), asked)
        if how == "random":
            more = order[len(asked) : len(asked) + PER_ROUND]
        else:
            columns = mixes.columns(label, components, num_classes=judged.num_classes)[left]
            more = left[propose(belief, columns, pool.weight[left], left, PER_ROUND).rows]
        asked = np.concatenate([asked, more])


def table(rows: pd.DataFrame) -> str:
    """Markdown: mean and standard deviation over the seeds, and in how many ``next`` explains more."""
    body = []
    for judgments, here in rows.groupby("judgments"):
        by = {how: here[here["how"] == how].set_index("seed")["share"] for how in HOW}
        better = f"{int((by['next'] > by['random']).sum())} of {len(by['next'])}"
        body.append([str(judgments), *(mean_and_std(by[how], 3) for how in HOW), better])
    return markdown_table(
        ["judgments", *(f"share explained, {how}" for how in HOW.values()), "next better in"], body, left=0
    )


def main() -> None:
    """Runs every seed in both ways, writes the scores and the table."""
    judged, features = read()
    rows = [row for seed in range(SEEDS) for how in HOW for row in curve(judged, features, seed, how)]
    pd.DataFrame(rows).round(5).to_csv(FILE, index=False)
    fill(PAGE, "hmix", table(pd.read_csv(FILE)))


if __name__ == "__main__":
    main()
