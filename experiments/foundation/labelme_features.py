"""All methods on LabelMe's ready features: hyperparameters on validation, then five seeds, last epoch.

    hilmix data prepare labelme-features --allow-unverified --out data/labelme-features
    python -m experiments.foundation.labelme_features search --root data/labelme-features
    python -m experiments.foundation.labelme_features final --root data/labelme-features
    python -m experiments.foundation.labelme_features table   # also into the README files

One hidden layer of 128, dropout 0.5, 50 epochs, batch 64, RAdam with cosine schedule, weight decay 1e-4.
Every method gets the same search (learning rate x scaling of the inputs, two seeds), chosen by accuracy on the 500
validation items; test items are scored in `final` only. Each run is one row of a csv file beside this script; rows that
are there are not run again.
"""

import itertools
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything

from experiments.harness import ended, fill, markdown_table, mean_and_std, read_rows, run_missing, step_parser
from hilmix.backbones import MLP
from hilmix.data import AnnotatedDataModule
from hilmix.modules import Classifier

HERE = Path(__file__).parent
SEARCH_FILE, FINAL_FILE = HERE / "labelme_search.csv", HERE / "labelme_final.csv"
CONFIGS = HERE.parent.parent / "configs" / "method"
METHODS = ("true", "mv", "mv-mixup", "ds", "ds-mixup", "soft", "annot-mix", "annot-mix-item", "annot-mix-hidden")
LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SCALINGS = ("global", "none")
SEARCH_SEEDS, FINAL_SEEDS = (100, 101), (0, 1, 2, 3, 4)
KEY = ["method", "lr", "standardize", "seed"]
SCORES = {"acc": "accuracy", "ece": "ECE", "nll": "NLL", "brier": "Brier"}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Trains one setting and returns its scores on one split after the last epoch."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    seed_everything(job["seed"], verbose=False)
    config = yaml.safe_load((CONFIGS / f"{job['method']}.yaml").read_text())
    data = AnnotatedDataModule(job["root"], **config["data"]["init_args"])
    model = Classifier(
        data.num_classes,
        data.num_annotators,
        data.input_shape,
        MLP([128], dropout=0.5),
        lr=job["lr"],
        standardize=job["standardize"],
        **config["model"]["init_args"],
    )
    trainer = Trainer(
        max_epochs=50,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        accelerator="cpu",
    )
    start = time.perf_counter()
    trainer.fit(model, data)
    seconds = time.perf_counter() - start
    split = job["split"]
    evaluate = Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", enable_model_summary=False)
    scores = getattr(evaluate, "validate" if split == "val" else "test")(model, data, verbose=False)[0]
    row = {name: job[name] for name in (*KEY, "split")}
    return {**row, **{k.split("/")[1]: round(float(v), 5) for k, v in scores.items()}, "seconds": round(seconds, 1)}


def read(file: Path) -> pd.DataFrame:
    """The rows of a results file; none if it is not there."""
    return read_rows(file, KEY, converters={"method": str})  # "true" is a method


def run_all(jobs: list[dict[str, Any]], file: Path) -> int:
    """Runs what the file lacks, two at a time; returns the number of failed runs."""
    return run_missing(
        file,
        jobs,
        key_of=lambda job: tuple(job[name] for name in KEY),
        read=read,
        key=KEY,
        workers=2,
        work=run,
        name_of=lambda job: " ".join(f"{name} {job[name]}" for name in KEY),
    )


def chosen(search: pd.DataFrame) -> pd.DataFrame:
    """The setting of each method with the best mean validation accuracy; ties go to the lower NLL."""
    mean = search.groupby(KEY[:3], as_index=False)[["acc", "nll"]].mean()
    return mean.sort_values(["acc", "nll"], ascending=[False, True]).drop_duplicates("method").set_index("method")


def table(final: pd.DataFrame, search: pd.DataFrame) -> str:
    """Markdown: mean and standard deviation over the seeds, in per cent but for NLL and Brier."""
    best = chosen(search)
    body = []
    for method in METHODS:
        rows, setting = final[final["method"] == method], best.loc[method]
        scores = [
            mean_and_std(100 * rows[key], 1) if key in ("acc", "ece") else mean_and_std(rows[key], 3) for key in SCORES
        ]
        body.append([method, f"{setting['lr']:g}", setting["standardize"], *scores])
    return markdown_table(["method", "learning rate", "input scaling", *SCORES.values()], body)


def main() -> int:
    """Does one step; returns 1 if a run failed, 2 if the input is at fault, 130 if interrupted."""
    parser = step_parser(__doc__, ["search", "final", "table"])
    parser.add_argument("--root", help="prepared folder of labelme-features")
    args = parser.parse_args()
    if args.step != "table" and args.root is None:
        parser.error(
            "--root is needed: hilmix data prepare labelme-features --allow-unverified --out data/labelme-features"
        )
    return ended(lambda: _do(args.step, args.root))


def _do(step: str, root: str) -> int:
    if step == "search":
        grid = itertools.product(METHODS, LEARNING_RATES, SCALINGS, SEARCH_SEEDS)
        jobs = [dict(zip(KEY, point, strict=True), root=root, split="val") for point in grid]
        failed = run_all(jobs, SEARCH_FILE)
        print(chosen(read(SEARCH_FILE)))
        return 1 if failed else 0
    if step == "final":
        best = chosen(read(SEARCH_FILE))
        points = [
            (method, best.loc[method, "lr"], best.loc[method, "standardize"], seed)
            for method in METHODS
            for seed in FINAL_SEEDS
        ]
        jobs = [dict(zip(KEY, point, strict=True), root=root, split="test") for point in points]
        if run_all(jobs, FINAL_FILE):
            return 1
    text = table(read(FINAL_FILE), read(SEARCH_FILE))
    fill(HERE / "README.md", "labelme-features", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
