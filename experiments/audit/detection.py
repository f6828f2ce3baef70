"""Average precision of each view and of the fused verdict, where the wrong labels are known.

    HILMIX_DATA=FOLDER python -m experiments.audit.detection run --only digits labelme
    HILMIX_DATA=FOLDER python -m experiments.audit.detection run --only cifar10 --features cifar10_test_features.npy
    python -m experiments.audit.detection table   # into README.md beside this file

Digits: scikit-learn's, 20 simulated annotators, five seeds. LabelMe: the 2,547 labels of 1,000 photographs. Their
out-of-fold predictions are those of a logistic regression on the majority labels. CIFAR-10: the 275 test labels that
cleanlab's authors had reviewed, with the stored cross-validated probabilities; wrong is a label without a majority of
reviewers. Nothing was chosen by CIFAR-10, which was run once, last.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from experiments.harness import fill, markdown_table, mean_and_std, step_parser
from hilmix.annotations import Annotations
from hilmix.diagnostics import audit
from hilmix.functional.aggregation import majority
from hilmix.functional.confident_learning import confidence_weighted_entropy
from hilmix.functional.crowd import crowdlab
from hilmix.functional.label_errors import normalized_margin

HERE = Path(__file__).parent
FILE, PAGE = HERE / "detection.csv", HERE / "README.md"
SETS = ("digits", "labelme", "cifar10")
SEEDS = range(5)
ANNOTATORS = 20


class Case(NamedTuple):
    """Votes with known errors."""

    name: str
    seed: int
    votes: Annotations
    probs: np.ndarray
    features: np.ndarray | None
    wrong: np.ndarray
    """(L,) 1 wrong, 0 right, -1 not judged."""


def main() -> None:
    parser = step_parser(__doc__, ["run", "table"])
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--features", type=Path, help="of experiments.audit.features; without it CIFAR-10 has none")
    args = parser.parse_args()
    if args.step == "run":
        if "HILMIX_DATA" not in os.environ:
            parser.error("set HILMIX_DATA to the folder that holds labelme/, label-errors/ and cifar10h/")
        root = Path(os.environ["HILMIX_DATA"])
        rows = [row for name in args.only for case in cases(name, root, args.features) for row in score(case)]
        new = pd.DataFrame(rows)
        if FILE.exists():
            old = pd.read_csv(FILE)
            new = pd.concat([old[~old["case"].isin(new["case"])], new])
        new.to_csv(FILE, index=False)
    fill(PAGE, "detection", table(pd.read_csv(FILE)))


def cases(name: str, root: Path, features: Path | None) -> list[Case]:
    """Returns the votes, predictions and known errors of a data set."""
    if name == "digits":
        return [digits(seed, rate, labels) for rate in (0.1, 0.3) for labels in (1, 3) for seed in SEEDS]
    if name == "labelme":
        return [labelme(root / "labelme", seed) for seed in SEEDS]
    return cifar10(root, features)


def digits(seed: int, rate: float, labels: int) -> Case:
    """Annotators differ in accuracy (standard deviation 0.15); a wrong label is any other class."""
    x, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    n = len(truth)
    accuracy = np.clip(1 - rate + rng.normal(0, 0.15, ANNOTATORS), 0.2, 0.98)
    item = np.repeat(np.arange(n), labels)
    annotator = np.argsort(rng.random((n, ANNOTATORS)), axis=1)[:, :labels].ravel()
    right = rng.random(len(item)) < accuracy[annotator]
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, 10, len(item))) % 10)
    votes = Annotations.build(item, annotator, label, num_items=n, classes=10, annotators=ANNOTATORS)
    name = f"digits, {rate:.0%} wrong, {labels} per item"
    return Case(name, seed, votes, out_of_fold(x / 16, votes, seed), x / 16, (votes.label != truth[votes.item]) * 1)


def labelme(folder: Path, seed: int) -> Case:
    """VGG-16 features; the seed draws the folds alone."""
    stored, x = np.load(folder / "labelme.npz"), np.load(folder / "vgg16_features.npz")["x_train"].astype(float)
    truth, annotator = stored["y"].astype(int), stored["annotator"]
    votes = Annotations.build(
        stored["item"], annotator, stored["label"], num_items=len(truth), classes=8, annotators=int(annotator.max()) + 1
    )
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    return Case("LabelMe", seed, votes, out_of_fold(x, votes, seed), x, (votes.label != truth[votes.item]) * 1)


def cifar10(root: Path, features: Path | None) -> list[Case]:
    """The 275 reviewed test labels, alone and beside the votes of CIFAR-10H."""
    stored = np.load(root / "label-errors" / "cifar10.npz")
    given, probs = stored["original_labels"].astype(int), stored["pred_probs"].astype(float)
    probs /= probs.sum(axis=1, keepdims=True)
    confirmed = stored["votes"][:, 0] < 3
    item, kinds = np.arange(len(given)), [None]
    counts = np.load(root / "cifar10h" / "cifar10h.npz")["counts"].astype(int)
    where, vote = np.nonzero(counts)
    times = counts[where, vote]
    if features is not None:
        kinds.append(np.load(features).astype(np.float32))
    found = []
    for x in kinds:
        for crowd in (False, True):
            votes = Annotations.build(
                np.concatenate([item, np.repeat(where, times * crowd)]),
                np.concatenate([item * 0, np.repeat(where, times * crowd) * 0 + 1]),
                np.concatenate([given, np.repeat(vote, times * crowd)]),
                num_items=len(given),
                classes=10,
                annotators=["test label", "crowd"],
            )
            wrong = np.full(votes.num_pairs, -1)
            judged = np.full(len(given), -1)
            judged[stored["item"]] = confirmed
            first = votes.annotator == 0
            wrong[first] = judged[votes.item[first]]
            name = "CIFAR-10 reviewed" + ", CIFAR-10H votes" * crowd + ", features" * (x is not None)
            found.append(Case(name, 0, votes, probs, x, wrong))
    return found


def out_of_fold(x: np.ndarray, votes: Annotations, seed: int) -> np.ndarray:
    """(N, K) of a logistic regression on majority labels, five folds."""
    label = majority(votes, seed=seed).label
    order = np.random.default_rng(seed).permutation(len(label))
    model = LogisticRegression(C=0.01 if x.shape[1] > 100 else 0.3, max_iter=300)
    probs = np.empty((len(label), votes.num_classes))
    probs[order] = cross_val_predict(model, x[order], label[order], cv=5, method="predict_proba")
    return probs


def score(case: Case) -> list[dict[str, object]]:
    """Average precision, AUROC, recall at the number of true errors, and calibration of the verdict."""
    result = audit(case.votes, case.probs, case.features)
    labels, given = result.labels, case.probs[case.votes.item]
    scores = {"fused": labels["p_wrong"]}
    scores |= {name: 1 - labels[name] for name in ("prediction", "annotators", "neighbors") if name in labels}
    scores["cleanlab: margin"] = 1 - normalized_margin(given, case.votes.label)
    scores["cleanlab: entropy"] = 1 - confidence_weighted_entropy(given, case.votes.label)
    if (case.votes.labels_per_item > 1).any():
        scores["cleanlab: CROWDLAB"] = 1 - crowdlab(case.votes, [case.probs]).label_quality
    judged = case.wrong >= 0
    wrong = case.wrong[judged]
    rows = []
    for name, values in scores.items():
        # Labels that a view says nothing about lie in the middle.
        value = pd.Series(np.asarray(values)[judged]).fillna(float(np.nanmean(values))).to_numpy()
        top = np.argsort(-value, kind="stable")[: wrong.sum()]
        row = {"case": case.name, "seed": case.seed, "score": name}
        row |= {"average_precision": average_precision_score(wrong, value), "auroc": roc_auc_score(wrong, value)}
        row |= {"recall": wrong[top].mean(), "ece": calibration(value, wrong) if name == "fused" else np.nan}
        rows.append({key: round(cell, 4) if isinstance(cell, float) else cell for key, cell in row.items()})
    return rows


def calibration(p: np.ndarray, wrong: np.ndarray) -> float:
    """Mean gap between the stated and the observed share of wrong labels, in ten bins of equal width."""
    place = np.minimum((p * 10).astype(int), 9)
    return float(np.abs(np.bincount(place, p - wrong, minlength=10)).sum() / len(p))


def table(rows: pd.DataFrame) -> str:
    """Markdown: one line per case and score."""
    body = []
    for (case, name), some in rows.groupby(["case", "score"], sort=False):
        cells = [mean_and_std(some[column], 3) for column in ("average_precision", "auroc", "recall", "ece")]
        body.append([str(case), f"**{name}**" if name == "fused" else str(name), *cells])
    return markdown_table(
        ["labels", "score", "average precision", "AUROC", "recall", "calibration error"], body, left=2
    )


if __name__ == "__main__":
    main()
