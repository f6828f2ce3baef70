"""The reports of docs/reports.md: three short runs on data that are drawn here or come along.

python -m docs.make_reports build/reports
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from docs.draw_photos import CLASSES, draw
from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, ArrayInputs, write_folder
from hilmix.data.simulation import draw_confusion_matrices, list_annotator_kinds, simulate_confusions

PEOPLE = ("Ana", "Ben", "Chloé", "Deniz", "Emi", "Farid", "Grace", "Hugo", "Ines", "Jun")
KINDS = {"good": 4, "weak": 3, "biased": 2, "spammer": 1}
SIDE, PHOTOS = 48, 60
QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")


def make_reports(out: Path) -> None:
    """Writes ``out/reports/NAME/report.html`` of each run, with the files that it links to."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos = str(write_folder(draw_photos(), folder / "photos"))
        features = str(write_folder(draw_features(), folder / "features"))
        runs = {
            "digits": ("-c", "configs/demo.yaml"),
            "photos": ("-c", "configs/method/hilmix-fast.yaml", "--data.root", photos, "--trainer.max_epochs", "20"),
            "features": ("-c", "configs/method/crowd-layer.yaml", "--data.root", features),
        }
        for name, options in runs.items():
            run = out / "reports" / name
            shutil.rmtree(run, ignore_errors=True)
            commands = (
                ["fit", *options, "--run_dir", str(run), *QUIET],
                ["test", "--run_dir", str(run), "--ckpt_path", "last", *QUIET],
            )
            if name == "photos":
                commands += (["predict", str(run), photos, "-o", str(run / "calibrated.csv")],)
            for command in commands:
                if main(command) != 0:
                    sys.exit(f"hilmix {' '.join(command)} has failed.")
            shutil.rmtree(run / "checkpoints")
            shutil.rmtree(run / "csv")


def draw_photos() -> AnnotatedData:
    """Returns drawn photos of four things, each labelled by two or three people."""
    number, classes = PHOTOS, len(CLASSES)
    target = np.tile(np.arange(classes), number)
    images = [
        np.asarray(draw(CLASSES[k], np.random.default_rng([k, i])).resize((SIDE, SIDE)))
        for i, k in enumerate(target.tolist())
    ]
    return _voted("drawn photos", ArrayInputs(np.stack(images), "image"), target, CLASSES)


def draw_features() -> AnnotatedData:
    """Returns vectors of six overlapping classes, such as features of another network, with votes."""
    rng, names = np.random.default_rng(0), tuple(f"species {letter}" for letter in "ABCDEF")
    target = np.arange(720) % len(names)
    vectors = rng.normal(size=(720, 16)) + 1.6 * np.eye(len(names), 16)[target]
    return _voted("drawn features", ArrayInputs(vectors.astype(np.float32), "vector"), target, names)


def _voted(name: str, inputs: ArrayInputs, target: NDArray[np.int64], classes: tuple[str, ...]) -> AnnotatedData:
    kinds = list_annotator_kinds(KINDS)
    matrices = draw_confusion_matrices(kinds, len(classes), seed=1)
    votes: Annotations = simulate_confusions(target, matrices, classes=classes, annotators=PEOPLE, seed=1)
    part = np.random.default_rng(1).permutation(len(target)) / len(target)
    split = np.where(part < 0.6, "train", np.where(part < 0.8, "val", "test"))
    items = tuple(f"{name.split()[-1].rstrip('s')}-{i:03}" for i in range(len(target)))
    return AnnotatedData(name, items, inputs, votes, target, split)


if __name__ == "__main__":
    make_reports(Path(sys.argv[1]))
