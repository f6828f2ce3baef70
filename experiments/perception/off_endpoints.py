"""python -m experiments.perception.off_endpoints: can the mass off both classes be predicted?

The categorical answers of H-Mix, 200 by eight participants about 100 mixes; ten folds of mixes, assigned three times.
Scored is the share of the variance of single answers that is explained beyond the mean of the training folds.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit

from experiments.harness import fill, markdown_table
from hilmix.data.sources import cifar10
from hilmix.data.sources.base import Access
from hilmix.functional.agreement import one_way
from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.functional.ridge_logit import ridge_logit
from hilmix.human.perception import Identity, OffEndpoints
from hilmix.human.report.categorical import build_label_frame
from hilmix.human.study import read_study, rebuild_stimuli

FILE, PAGE = Path(__file__).with_name("off_endpoints.csv"), Path(__file__).with_name("README.md")
FOLDS, ASSIGNMENTS = 10, 3
FloatArray = NDArray[np.float64]


def standardised(images: NDArray[np.uint8]) -> FloatArray:
    """(N, 15) statistics."""
    values = image_statistics(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).double().numpy()
    found: FloatArray = (values - values.mean(0)) / values.std(0)
    return found


def run() -> pd.DataFrame:
    """Returns the scores of every predictor."""
    folder = Path(os.environ["HILMIX_DATA"])
    study = read_study(folder / "hmix", "categorical").without_repeats()
    images = Access(folder, folder).read(cifar10.TEST).images
    shown, at, participant = study.stimuli, study.judgments.stimulus, study.judgments.participant
    off = build_label_frame(study)["hmix_off_endpoints"].to_numpy()
    assert len(off) == len(at), "an answer without a label"
    weight, one = shown.weight[at], np.ones((len(off), 1))
    hot, participants = np.eye(study.num_classes), np.eye(len(study.participants))[participant]
    single, mixed = standardised(images), standardised(rebuild_stimuli(study, images))
    columns = {
        "classes": hot[shown.label1[at]] + hot[shown.label2[at]],
        "statistics of the images": (single[shown.id1] + single[shown.id2])[at],
        "statistics of the mix": mixed[at],
    }
    scores: dict[str, list[float]] = {name: [] for name in ("curve of the weight", *columns)}
    for assignment in range(ASSIGNMENTS):
        fold = (np.random.default_rng(assignment).permutation(len(shown)) % FOLDS)[at]
        mean, found = np.zeros(len(off)), {name: np.zeros(len(off)) for name in scores}
        for held in range(FOLDS):
            seen, out = fold != held, fold == held
            mean[out] = off[seen].mean()
            curve = OffEndpoints.fit(weight[seen], off[seen], policy=Identity())
            side = np.abs(2 * weight[out] - 1)
            found["curve of the weight"][out] = curve.middle * (1 - side**curve.power)
            for name, values in columns.items():
                design = np.concatenate([one, values, participants], 1)
                block = np.repeat([-1, 0, 1], [1, values.shape[1], participants.shape[1]])
                fitted = ridge_logit(design[seen], block, np.clip(off[seen], 0, 1)).coefficients
                common = 1 + values.shape[1]
                found[name][out] = expit(design[out, :common] @ fitted[:common])
        for name, values in found.items():
            scores[name].append(1 - np.square(off - values).sum() / np.square(off - mean).sum())
    parts = one_way(off, at, num_groups=len(shown))
    shared = (parts.between - parts.within) / (parts.between + (parts.size - 1) * parts.within)
    table = [(name, np.mean(v), np.min(v), np.max(v), shared) for name, v in scores.items()]
    return pd.DataFrame(table, columns=["predictor", "share", "lowest", "highest", "shared"])


def main() -> None:
    rows = run().round(4)
    rows.to_csv(FILE, index=False)
    head = ["predictor of the mass off both classes", "share explained, mean of three assignments", "lowest, highest"]
    body = [[r.predictor, f"{r.share:.3f}", f"{r.lowest:.3f}, {r.highest:.3f}"] for r in rows.itertuples()]
    shared = f"Two participants who see the same mix share {rows['shared'][0]:.3f} of the variance."
    text = f"{markdown_table(head, body, left=1)}\n\n{shared}"
    fill(PAGE, "off", text)
    print(text)


if __name__ == "__main__":
    main()
