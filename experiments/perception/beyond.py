"""Two checks beyond single answers: another study with other participants; confidence and spread of answers.

    HILMIX_DATA=FOLDER python -m experiments.perception.beyond run --weights efficientnet_lite0.pth --cache CACHE
    python -m experiments.perception.beyond table   # into README.md beside this file

Midpoints: policies fitted to the infer task, without any image of the midpoint tasks, predict the weight at which a
pair looks even; scored is the share that this explains of the deviation of choices from .5. Confidence and spread:
held-out image pairs.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from experiments.harness import fill, markdown_table
from experiments.perception.features import features, features_parser, require_features
from experiments.perception.scores import KINDS, NAMES, PAGE, FeatureTable, fit
from hilmix.data.sources import Access, cifar10
from hilmix.functional.agreement import explained_share
from hilmix.human.perception import ClassStrengths, ConfidenceSmoothing, MixJudgments, to_mixes
from hilmix.human.perception.evaluation import find_held_out_groups
from hilmix.human.study import MIDPOINT_TASKS, MIDPOINT_WEIGHTS, MixStudy, read_study, rebuild_stimuli

FILE = Path(__file__).parent / "beyond.csv"
INSIDE = MIDPOINT_WEIGHTS[1:-1]
FOLDS = 10


def score_midpoints(
    study: MixStudy, infer: MixJudgments, tables: FeatureTable, weights: Path, cache: Path
) -> list[dict[str, object]]:
    """Returns the scores of one midpoint study, one row per policy."""
    folder, shown, judgments = Path(os.environ["HILMIX_DATA"]), study.stimuli, study.judgments
    pictures = Access(folder, folder).read(cifar10.TEST).images
    used = np.unique(np.concatenate([shown.id1, shown.id2]))
    apart = infer.take(~np.isin(infer.id1, used) & ~np.isin(infer.id2, used))
    images = tables.images.clone()
    read = partial(features, weights=weights, cache=cache)
    images[torch.from_numpy(used)] = read(f"{study.task}-images", pictures[used])
    mixes = rebuild_stimuli(study, pictures)[:, 1:-1].reshape(-1, *pictures.shape[1:])
    pairs = np.repeat(np.arange(len(shown)), len(INSIDE))
    asked = MixJudgments(
        shown.label1[pairs],
        shown.label2[pairs],
        np.tile(INSIDE, len(shown)),
        np.full(len(pairs), 0.5),
        np.full(len(pairs), np.nan),
        np.zeros(len(pairs), np.int64),
        shown.id1[pairs],
        shown.id2[pairs],
        infer.num_classes,
        infer.participants,
    )
    keys = zip(asked.id1.tolist(), asked.id2.tolist(), asked.weight.tolist(), strict=True)
    there = FeatureTable(images, read(f"{study.task}-mixes", mixes), {key: row for row, key in enumerate(keys)})
    rows = []
    for name in ("class_strengths", *NAMES):
        if name == "class_strengths":
            seen = ClassStrengths.fit(apart).predict(asked)
        else:
            kind = name.split("_")[1]
            fitted = fit(apart, name, {kind: tables.only(kind)})
            seen = fitted._replace(features=there.only(kind)).predict(asked)
        even = np.array([_even(row) for row in seen.reshape(len(shown), -1)])
        found = explained_share(
            judgments.weight,
            even[judgments.stimulus],
            0.5 + np.zeros(len(judgments.weight)),
            participant=judgments.participant,
            group=judgments.stimulus,
            num_groups=len(shown),
        )
        mean = np.bincount(judgments.stimulus, judgments.weight) / np.bincount(judgments.stimulus)
        rows.append(
            {
                "what": study.task,
                "policy": name,
                "answers": len(judgments.weight),
                **found._asdict(),
                "correlation": np.corrcoef(mean, even)[0, 1],
            }
        )
    return rows


def _even(seen: NDArray[np.float64]) -> float:
    """The weight at which a rising curve, 0 and 1 at the ends, crosses one half."""
    rising = np.maximum.accumulate(np.concatenate([[0], seen, [1]]))
    return float(np.interp(0.5, rising, MIDPOINT_WEIGHTS))


def score_certainty(infer: MixJudgments, tables: dict[str, FeatureTable]) -> list[dict[str, object]]:
    """Returns scores on held-out image pairs: shares explained of the variance of confidence and of squared errors."""
    groups = find_held_out_groups(infer, "pair")
    fold = (np.random.default_rng(0).permutation(int(groups.max()) + 1) % FOLDS)[groups]
    mix = find_held_out_groups(infer, "mix")
    names = ("line", "learned_statistics", "learned_all", "looking_all")
    sure, mean = {name: np.zeros(len(fold)) for name in names}, np.zeros(len(fold))
    error, spread, level = ({name: np.zeros(len(fold)) for name in names[1:]} for _ in range(3))
    for held in range(FOLDS):
        seen, out = infer.take(fold != held), fold == held
        unseen = infer.take(out)
        mean[out] = seen.confidence.mean()
        sure["line"][out] = ConfidenceSmoothing.fit(seen, policy=ClassStrengths.fit(seen)).confidence(to_mixes(unseen))
        for name in names[1:]:
            policy, mine = fit(seen, name, tables)
            shown = to_mixes(unseen, features=mine.images, mix_features=mine.at(unseen))
            with torch.no_grad():
                h = policy.mean_share(shown)
                sure[name][out] = policy.confidence(shown)
                spread[name][out] = policy.answer_std(shown).square()
            level[name][out] = policy.dispersion * float((h * (1 - h)).mean())
            error[name][out] = np.square(unseen.answer - h.numpy())
    given = {"participant": infer.participant, "group": mix, "num_groups": int(mix.max()) + 1}
    rows = [("confidence", n, explained_share(infer.confidence, sure[n], mean, **given)) for n in names]
    rows += [("squared error", n, explained_share(error[n], spread[n], level[n], **given)) for n in names[1:]]
    return [{"what": what, "policy": n, "answers": len(fold), **found._asdict()} for what, n, found in rows]


def run(weights: Path, cache: Path) -> None:
    """Computes everything and writes the file."""
    folder = Path(os.environ["HILMIX_DATA"]) / "hmix"
    infer = read_study(folder, "infer").without_repeats()
    everything = FeatureTable.of(infer, weights, cache)
    judged = infer.to_judgments().validate()
    studies = [read_study(folder, task).without_repeats() for task in MIDPOINT_TASKS]
    rows = [row for study in studies for row in score_midpoints(study, judged, everything, weights, cache)]
    rows += score_certainty(judged, {kind: everything.only(kind) for kind in KINDS})
    pd.DataFrame(rows).round(4).to_csv(FILE, index=False)


def table(rows: pd.DataFrame) -> str:
    """Markdown, one row per check and policy."""
    head, body = ["what", "policy", "share explained", "of the ceiling", "correlation with pair means"], []
    for row in rows.itertuples():
        bound = f"{row.share:.3f} [{row.low:.3f}, {row.high:.3f}]"
        correlation = "" if np.isnan(row.correlation) else f"{row.correlation:.2f}"
        body.append([row.what, row.policy, bound, f"{row.of_ceiling:.2f}", correlation])
    return markdown_table(head, body, left=2)


def main() -> None:
    parser = features_parser(__doc__)
    args = parser.parse_args()
    if args.step == "run":
        require_features(parser, args)
        run(args.weights, args.cache)
    text = table(pd.read_csv(FILE))
    fill(PAGE, "beyond", text)
    print(text)


if __name__ == "__main__":
    main()
