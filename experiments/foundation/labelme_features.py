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

import argparse
import itertools
import logging
import multiprocessing
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything
from rich.progress import track

from experiments.harness import fill
from hilmix.backbones import MLP
from hilmix.data import AnnotatedDataModule
from hilmix.modules import Classifier

HERE = Path(__file__).parent
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


def run_all(jobs: list[dict[str, Any]], file: Path) -> pd.DataFrame:
    """Runs what the file lacks, two at a time; every finished run is kept."""
    done = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=KEY)
    have = set(map(tuple, done[KEY].itertuples(index=False)))
    open_jobs = [job for job in jobs if tuple(job[k] for k in KEY) not in have]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for row in track(pool.imap_unordered(run, open_jobs), total=len(open_jobs), description=file.stem):
            done = pd.concat([done, pd.DataFrame([row])], ignore_index=True)
            done.sort_values(KEY).to_csv(file, index=False)
    return done


def chosen(search: pd.DataFrame) -> pd.DataFrame:
    """The setting of each method with the best mean validation accuracy; ties go to the lower NLL."""
    mean = search.groupby(KEY[:3], as_index=False)[["acc", "nll"]].mean()
    return mean.sort_values(["acc", "nll"], ascending=[False, True]).drop_duplicates("method").set_index("method")


def table(final: pd.DataFrame, search: pd.DataFrame) -> str:
    """Markdown: mean and standard deviation over the seeds, in per cent but for NLL and Brier."""
    best = chosen(search)
    lines = ["| method | learning rate | input scaling | " + " | ".join(SCORES.values()) + " |", "|---" * 7 + "|"]
    for method in METHODS:
        rows = final[final["method"] == method]
        cells = []
        for key in SCORES:
            scale, digits = (100, 1) if key in ("acc", "ece") else (1, 3)
            cells.append(f"{scale * rows[key].mean():.{digits}f} ± {scale * rows[key].std():.{digits}f}")
        lines.append(
            f"| {method} | {best.loc[method, 'lr']:g} | {best.loc[method, 'standardize']} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["search", "final", "table"])
    parser.add_argument("--root", help="prepared folder of labelme-features")
    args = parser.parse_args()
    if args.step != "table" and args.root is None:
        parser.error(
            "--root is needed: hilmix data prepare labelme-features --allow-unverified --out data/labelme-features"
        )
    search_file, final_file = HERE / "labelme_search.csv", HERE / "labelme_final.csv"
    if args.step == "search":
        grid = itertools.product(METHODS, LEARNING_RATES, SCALINGS, SEARCH_SEEDS)
        jobs = [dict(zip(KEY, point, strict=True), root=args.root, split="val") for point in grid]
        print(chosen(run_all(jobs, search_file)))
    elif args.step == "final":
        best = chosen(pd.read_csv(search_file))
        points = [
            (method, best.loc[method, "lr"], best.loc[method, "standardize"], seed)
            for method in METHODS
            for seed in FINAL_SEEDS
        ]
        jobs = [dict(zip(KEY, point, strict=True), root=args.root, split="test") for point in points]
        run_all(jobs, final_file)
    if args.step != "search":
        text = table(pd.read_csv(final_file), pd.read_csv(search_file))
        for page in (HERE / "README.md", HERE.parent.parent / "README.md"):
            fill(page, "labelme-features", text)
        print(text)


if __name__ == "__main__":
    main()
