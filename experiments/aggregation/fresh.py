"""Accuracy of every aggregator on crowds that no decision of the ensemble has seen.

    HILMIX_DATA=FOLDER python -m experiments.aggregation.fresh run
    python -m experiments.aggregation.fresh table   # also into README.md beside this file

FOLDER holds labelme, cifar10, cifar10h, cifar10s and imagenet-real. CIFAR-10H is the 500 images whose labels are known
one by one; of its 51 labels per image, and of the 78 of each gold question of ImageNet ReaL, five are drawn (seed 0)
for a second row each. Truth is the folder of the image (LabelMe), the test label (CIFAR), the majority of five experts
(ImageNet). Methods that draw are fitted once, with seed 0; ties are drawn ten times. M-MSR is left out: 51 labels of an
item by 2,571 annotators are 1.3 million pairs.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.aggregation.crowds import score
from experiments.harness import fill, markdown_table, step_parser
from hilmix.annotations import Annotations
from hilmix.functional.aggregation import AGGREGATORS

HERE = Path(__file__).parent
FEW = 5


def build(item: np.ndarray, annotator: np.ndarray, label: np.ndarray, classes: int) -> Annotations:
    """Returns the last label of each annotator for each item; items are 0 to the largest."""
    return Annotations.build(
        item, annotator, label, num_items=int(item.max()) + 1, classes=classes, annotators=int(annotator.max()) + 1
    ).distinct()


def few(votes: Annotations) -> Annotations:
    """Returns ``FEW`` random labels of each item."""
    order = np.random.default_rng(0).permutation(votes.num_pairs)
    place = pd.Series(votes.item[order]).groupby(votes.item[order]).cumcount().to_numpy()
    rows = np.sort(order[place < FEW])
    return build(votes.item[rows], votes.annotator[rows], votes.label[rows], votes.num_classes)


def crowds(root: Path) -> dict[str, tuple[Annotations, np.ndarray]]:
    """Returns votes and the (N,) true classes of each set, -1 where not known."""
    labelme, ten_h, ten_s, real = (
        np.load(root / name)
        for name in (
            "labelme/labelme.npz",
            "cifar10h/cifar10h.npz",
            "cifar10s/cifar10s.npz",
            "imagenet-real/golden.npz",
        )
    )
    test = np.load(root / "cifar10" / "labels.npz")["y_test"].astype(np.int64)
    h = build(ten_h["raw_item"].astype(np.int64) - 9500, ten_h["raw_annotator"], ten_h["raw_label"], 10)
    images, item = np.unique(ten_s["item"], return_inverse=True)
    gold = build(real["item"], real["annotator"], real["vote"], 3)
    votes = np.zeros((gold.num_items, 3))
    np.add.at(votes, (real["expert_item"], real["expert_vote"]), 1)
    sure = votes.max(axis=1) > votes.sum(axis=1) / 2
    truth = np.where(sure, votes.argmax(axis=1), -1)
    return {
        "labelme": (build(labelme["item"], labelme["annotator"], labelme["label"], 8), labelme["y"].astype(np.int64)),
        "cifar10s": (build(item, ten_s["annotator"], ten_s["label"], 10), test[images]),
        "cifar10h": (h, test[9500:]),
        f"cifar10h, {FEW} each": (few(h), test[9500:]),
        "imagenet-real": (gold, truth),
        f"imagenet-real, {FEW} each": (few(gold), truth),
    }


def run(root: Path, file: Path) -> None:
    """Scores every method on every set and writes the file."""
    rows = [
        score(name, method, votes, truth, "last", drawn=())
        for name, (votes, truth) in crowds(root).items()
        for method in AGGREGATORS
        if method not in ("kos", "m-msr")
    ]
    pd.DataFrame(rows).drop(columns="duplicates").to_csv(file, index=False)


def table(results: pd.DataFrame) -> str:
    """Markdown: accuracy in per cent, the best of a row in bold, their mean, and the mean rank of each method."""
    methods = [name for name in AGGREGATORS if name in set(results["method"])]
    wide = results.pivot(index="set", columns="method", values="accuracy")[methods]
    wide = wide.loc[results["set"].unique()]
    body = []
    for name, row in [*wide.iterrows(), ("mean", wide.mean())]:
        best = round(float(row.max()), 1)
        body.append([str(name), *(f"**{x:.1f}**" if round(x, 1) == best else f"{x:.1f}" for x in row)])
    body.append(["mean rank", *(f"{x:.1f}" for x in wide.rank(axis=1, ascending=False).mean())])
    return markdown_table(["set", *wide], body, left=1)


def main() -> None:
    parser = step_parser(__doc__, ["run", "table"])
    args = parser.parse_args()
    file = HERE / "fresh.csv"
    if args.step == "run":
        if "HILMIX_DATA" not in os.environ:
            parser.error("set HILMIX_DATA to the folder that holds the sets")
        run(Path(os.environ["HILMIX_DATA"]), file)
    text = table(pd.read_csv(file))
    fill(HERE / "README.md", "fresh", text)
    print(text)


if __name__ == "__main__":
    main()
