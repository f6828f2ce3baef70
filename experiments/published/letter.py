"""Letter recognition as in the annot-mix study: four methods, ten seeds, last epoch, beside the printed row.

    hilmix data prepare letter --out data/letter
    python -m experiments.published.letter run --root data/letter
    python -m experiments.published.letter table   # also into the README file

The settings are those of ``configs/experiment/annot-mix-paper/letter.yaml``. Each run is one row of a csv file beside
this script; rows that are there are not run again.
"""

import itertools
import logging
import pkgutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import Trainer, seed_everything
from omegaconf import OmegaConf

from experiments.harness import ended, fill, markdown_table, mean_and_std, read_rows, run_missing, step_parser

HERE = Path(__file__).parent
FILE = HERE / "letter.csv"
CONFIGS = HERE.parent.parent / "configs"
METHODS = ("annot-mix", "mv", "mv-mixup", "geo-reg-f")
PRINTED_ACCURACY = {"mv": 75.6, "mv-mixup": 81.3, "geo-reg-f": 82.4, "annot-mix": 85.1}
PRINTED_AUROC = {"geo-reg-f": 91.9, "annot-mix": 93.1}
"""Test accuracy, and AUROC of "the annotator is right" on test items, after the last epoch, %; means of 10 seeds."""
SEEDS = tuple(range(10))
KEY = ["method", "seed"]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Trains one method with one seed; returns its scores on the test items after the last epoch."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    seed_everything(job["seed"], verbose=False)
    files = (CONFIGS / "method" / f"{job['method']}.yaml", CONFIGS / "experiment" / "annot-mix-paper" / "letter.yaml")
    config: Any = OmegaConf.to_container(OmegaConf.merge(*map(OmegaConf.load, files)))
    data = pkgutil.resolve_name(config["data"]["class_path"])(**config["data"]["init_args"] | {"root": job["root"]})
    model = pkgutil.resolve_name(config["model"]["class_path"])(
        data.num_classes, data.num_annotators, data.input_shape, **config["model"]["init_args"]
    )
    trainer = Trainer(
        **config["trainer"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        accelerator="cpu",
    )
    start = time.process_time()
    trainer.fit(model, data)
    seconds = time.process_time() - start
    scores = trainer.test(model, data, verbose=False)[0]
    found = {
        key: round(float(scores[f"test/{key}"]), 5) for key in ("acc", "annotator_auroc") if f"test/{key}" in scores
    }
    return {name: job[name] for name in KEY} | found | {"cpu_seconds": round(seconds, 1)}


def read(file: Path) -> pd.DataFrame:
    """The rows of the results file; none if it is not there."""
    return read_rows(file, KEY)


def table(rows: pd.DataFrame) -> str:
    """Markdown: mean and standard deviation over the seeds, in per cent, beside the printed means."""
    body = []
    for method in METHODS:
        own = rows[rows["method"] == method]
        auroc = f"{PRINTED_AUROC[method]}" if method in PRINTED_AUROC else "-"
        scores = [mean_and_std(100 * own[key], 1) for key in ("acc", "annotator_auroc")]
        seconds = f"{own['cpu_seconds'].mean():.0f}"
        body.append([method, str(len(own)), scores[0], f"{PRINTED_ACCURACY[method]}", scores[1], auroc, seconds])
    head = ["method", "seeds", "accuracy", "printed", "annotator AUROC", "printed", "CPU s"]
    return markdown_table(head, body)


def main() -> int:
    """Does one step; returns 1 if a run failed, 2 if the input is at fault, 130 if interrupted."""
    parser = step_parser(__doc__, ["run", "table"])
    parser.add_argument("--root", default="data/letter", help="prepared folder")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time")
    args = parser.parse_args()
    return ended(lambda: _do(args.step, args.root, args.workers))


def _do(step: str, root: str, workers: int) -> int:
    if step == "table":
        text = table(read(FILE))
        fill(HERE / "README.md", "letter", text)
        print(text)
        return 0
    # Seed by seed, so that a study that is stopped has all methods with equally many seeds.
    jobs = [{"seed": seed, "method": method, "root": root} for seed, method in itertools.product(SEEDS, METHODS)]
    return bool(
        run_missing(
            FILE,
            jobs,
            key_of=lambda job: tuple(job[name] for name in KEY),
            read=read,
            key=KEY,
            workers=workers,
            work=run,
            name_of=lambda job: f"{job['method']} seed {job['seed']}",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
