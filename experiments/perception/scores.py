"""Scores of perception policies, the learned ones above all, on judgments of H-Mix that they were not fitted to.

    HILMIX_DATA=FOLDER python -m experiments.perception.scores run --weights efficientnet_lite0.pth --cache CACHE
    python -m experiments.perception.scores table   # into README.md beside this file

FOLDER holds hmix/ (hilmix hmix download FOLDER/hmix), and CIFAR-10 is downloaded into it; CACHE is a folder outside the
repository for computed features. Only scores
are written, one row per split, seed of the folds and policy.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.harness import fill, markdown_table, missing_jobs, read_rows
from experiments.perception.features import BLOCKS, columns, features, features_parser, require_features
from experiments.perception.network import Network, fit_network
from hilmix.data.sources import Access, cifar10
from hilmix.human.perception import (
    POLICIES,
    LearnedPerception,
    MixFeaturePerception,
    MixJudgments,
    Perception,
    cross_validate,
)
from hilmix.human.study import MixStudy, read_study, rebuild_stimuli

HERE = Path(__file__).parent
FILE, PAGE = HERE / "scores.csv", HERE / "README.md"
KEY = ["seed", "split", "policy"]
"""Columns that distinguish one row from another."""
SPLITS = ("mix", "pair", "participant")
SIMPLE = ("logit", "logistic", "class_strengths", "label_pairs_of_strengths", "participants", "image_table_shrunk")
KINDS = {"statistics": ("statistics",), "final": ("final",), "stages": ("stages",), "all": tuple(BLOCKS)}
NAMES = {**{f"learned_{kind}": "images" for kind in KINDS}, "looking_final": "mixes", "looking_all": "mixes"}
INNER = 3
"""Folds of the nested choice."""


class FeatureTable(NamedTuple):
    """Features of all images that were mixed, and of all mixes."""

    images: Tensor
    """(10000, D), NaN for images in no mix."""
    mixes: Tensor
    """(S, D)."""
    row: dict[tuple[int, int, float], int]
    """Place of a mix by its images and its weight."""

    @classmethod
    def of(cls, study: MixStudy, weights: Path, cache: Path) -> "FeatureTable":
        """Computes or reads the features."""
        folder = Path(os.environ["HILMIX_DATA"])
        pictures, shown = Access(folder, folder).read(cifar10.TEST).images, study.stimuli
        used = np.unique(np.concatenate([shown.id1, shown.id2]))
        read = partial(features, weights=weights, cache=cache)
        mixes = read("mixes", rebuild_stimuli(study, pictures))
        images = torch.full((len(pictures), mixes.shape[1]), torch.nan)
        images[torch.from_numpy(used)] = read("images", pictures[used])
        keys = zip(shown.id1.tolist(), shown.id2.tolist(), shown.weight.tolist(), strict=True)
        return cls(images, mixes, {key: row for row, key in enumerate(keys)})

    def only(self, kind: str) -> "FeatureTable":
        """Some kinds of features."""
        at = torch.from_numpy(columns(KINDS[kind]))
        return self._replace(images=self.images[:, at], mixes=self.mixes[:, at])

    def at(self, judged: MixJudgments) -> Tensor:
        """(M, D) features of judged mixes."""
        keys = zip(judged.id1.tolist(), judged.id2.tolist(), judged.weight.tolist(), strict=True)
        return self.mixes[[self.row[key] for key in keys]]


class FittedPolicy(NamedTuple):
    """A fitted policy with its features, for :func:`cross_validate`."""

    policy: Perception | Network
    features: FeatureTable

    def predict(self, judged: MixJudgments, *, features: Tensor | None = None) -> np.ndarray:
        """Returns the expected answers; ``features`` is ignored, since the policy has its own."""
        return self.policy.predict(judged, features=self.features.images, mix_features=self.features.at(judged))


def fit(judged: MixJudgments, name: str, tables: dict[str, FeatureTable]) -> FittedPolicy:
    """Fits one of the learned policies, its settings the defaults."""
    kind = name.split("_")[1]
    mine, blocks = tables[kind], [BLOCKS[block] for block in KINDS[kind]]
    if NAMES[name] == "mixes":
        policy = MixFeaturePerception.fit(judged, features=mine.images, blocks=blocks, mix_features=mine.at(judged))
        return FittedPolicy(policy, mine)
    return FittedPolicy(LearnedPerception.fit(judged, features=mine.images, blocks=blocks), mine)


def fit_nested(judged: MixJudgments, source: str, tables: dict[str, FeatureTable]) -> FittedPolicy:
    """Fits the policy of one source that is best on held-out image pairs *within* these judgments."""
    candidates = {name: partial(fit, name=name, tables=tables) for name, of in NAMES.items() if of == source}
    inner = cross_validate(judged, candidates, splits=["pair"], folds=INNER, seed=1)
    return fit(judged, str(inner.set_index("policy")["share"].idxmax()), tables)


def fit_networks(judged: MixJudgments, tables: dict[str, FeatureTable]) -> FittedPolicy:
    """Fits the nonlinear counterpart of ``learned_all``."""
    mine = tables["all"]
    return FittedPolicy(fit_network(judged, mine.images, list(BLOCKS.values())), mine)


def list_policies(
    tables: dict[str, FeatureTable], seed: int, split: str
) -> dict[str, Callable[[MixJudgments], Perception]]:
    """Returns what is scored; further fold assignments for the main policies only."""
    found = {name: partial(fit, name=name, tables=tables) for name in NAMES}
    if seed > 0:
        return {"class_strengths": POLICIES["class_strengths"]} | {n: found[n] for n in ("learned_all", "looking_all")}
    extra = {"network_all": partial(fit_networks, tables=tables)}
    extra |= {f"nested_{source}": partial(fit_nested, source=source, tables=tables) for source in ("images", "mixes")}
    return {name: POLICIES[name] for name in SIMPLE} | found | (extra if split == "pair" else {})


def run(weights: Path, cache: Path, seeds: int) -> None:
    """Scores everything that is not in the file yet."""
    study = read_study(Path(os.environ["HILMIX_DATA"]) / "hmix", "infer").without_repeats()
    everything = FeatureTable.of(study, weights, cache)
    tables = {kind: everything.only(kind) for kind in KINDS}
    rows = read_rows(FILE, KEY)
    jobs = [
        (seed, split, name)
        for seed in range(seeds)
        for split in (SPLITS if seed == 0 else ("pair",))
        for name in list_policies(tables, seed, split)
    ]
    # In this process, not in the harness's pool: all share the features, and the table has the order of the rows.
    for seed, split, name in missing_jobs(jobs, rows, KEY, tuple):
        policies = {name: list_policies(tables, seed, split)[name]}
        row = cross_validate(study.to_judgments(), policies, splits=[split], seed=seed)
        row.insert(0, "seed", seed)
        rows = pd.concat([rows, row.round(4)], ignore_index=True) if len(rows) else row.round(4)
        rows.to_csv(FILE, index=False)
        print(seed, split, name, row[["share", "low", "high", "of_ceiling"]].round(3).to_numpy()[0])


def table(rows: pd.DataFrame) -> str:
    """Markdown: share explained of the squared deviation from the weight, of the ceiling in brackets; seed 0."""
    first = rows[rows["seed"] == 0]
    head, body = ["policy", *(f"held-out {split}" for split in SPLITS), "deviance (pair)", "pair, other seeds"], []
    for name in first["policy"].unique():
        cells = []
        for split in SPLITS:
            row = first[(first["policy"] == name) & (first["split"] == split)]
            cells += [_cell(r) for r in row.itertuples()] or [""]
        pairs = rows[(rows["policy"] == name) & (rows["split"] == "pair")]
        cells.append(f"{pairs.loc[pairs['seed'] == 0, 'deviance'].iloc[0]:.4f}")
        more = pairs.loc[pairs["seed"] > 0, "share"]
        cells.append(f"{more.min():.3f} to {more.max():.3f} ({len(more)})" if len(more) else "")
        body.append([name, *cells])
    return markdown_table(head, body, left=1)


def _cell(row: Any) -> str:
    return f"{row.share:.3f} [{row.low:.3f}, {row.high:.3f}] ({row.of_ceiling:.2f})"


def main() -> None:
    parser = features_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="fold assignments")
    args = parser.parse_args()
    if args.step == "run":
        require_features(parser, args)
        run(args.weights, args.cache, args.seeds)
    text = table(pd.read_csv(FILE))
    fill(PAGE, "scores", text)
    print(text)


if __name__ == "__main__":
    main()
