"""Made the golden files beside it: what hilmix wrote before its files moved.

Run once, at commit 1897d2d (hilmix 0.1.0, lightning 2.6, jsonargparse 4.53), whose code is gone: its class paths were
those of files. The golden files stand for everything that users have saved. NEVER run it again to make a test pass;
a golden file that no longer loads is a fault of the code. Today's code would write other class paths than these.

    python tests/golden/make.py EMPTY_FOLDER
"""

import inspect
import json
import os
import shutil
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from PIL import Image
from torchmetrics import Metric, MetricCollection

import hilmix
from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.data.masks import Masks
from hilmix.parts import Part
from hilmix.perception import (
    ClassStrengths,
    ConfidenceSmoothing,
    GlobalCurve,
    HMixPerception,
    Identity,
    ImageTable,
    LabelPairs,
    LearnedPerception,
    Mixes,
    MixFeaturePerception,
    OffEndpoints,
    ParticipantCurves,
    UniformSmoothing,
)

HERE = Path(__file__).parent
QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
KINDS = (Part, LightningModule, LightningDataModule, Callback, Logger, CheckpointIO, Metric, MetricCollection)
"""Base classes of everything that a config, a checkpoint or a saved policy can name."""


def make_vectors(folder: Path) -> None:
    rng = np.random.default_rng(0)
    n, truth = 24, np.arange(24) % 3
    vectors = (rng.normal(size=(n, 4)) + np.eye(4)[truth] * 2).astype(np.float32)
    label = np.where(rng.random((n, 3)) < 0.75, truth[:, None], rng.integers(3, size=(n, 3)))
    marked = (rng.random((n // 2, 4)) < 0.4).astype(np.float32)
    data = AnnotatedData(
        name="golden",
        items=tuple(f"item {i}" for i in range(n)),
        inputs=ArrayInputs(vectors, "vector"),
        annotations=Annotations.build(
            np.repeat(np.arange(n), 3), np.tile(np.arange(3), n), label.ravel(), num_items=n,
            classes=["ant", "bee", "cow"], annotators=["ann", "bob", "cyd"],
        ),
        target=truth,
        split=np.array(["train"] * 12 + ["val"] * 6 + ["test"] * 6),
        group=rng.integers(2, size=n),
        groups=("lab", "field"),
        masks=Masks.build(
            np.arange(n // 2), np.zeros(n // 2, int), ArrayInputs(marked, "vector"), num_items=n, annotators=["ann"]
        ),
    )  # fmt: skip
    write_folder(data, folder)


def make_run(name: str) -> None:
    """Trains as ``given.yaml`` says, with private paths, and predicts."""
    run = Path("runs") / name
    run.mkdir(parents=True)
    shutil.copyfile(HERE / "given" / f"{name}.yaml", run / "given.yaml")
    assert main(["fit", "-c", str(run / "given.yaml"), "--run_dir", str(run), *QUIET]) == 0
    if name == "own":
        make_rebuilt(run / "checkpoints")
        model = import_module("own_model").OwnModel.load_from_checkpoint(run / "checkpoints/last.ckpt")
        logits = model(torch.from_numpy(np.load("vectors/inputs.npy"))).detach().numpy()
        pd.DataFrame(logits).to_csv(run / "predictions.csv", index=False)
    else:
        assert main(["predict", "--run_dir", str(run), "--ckpt_path", "last", *QUIET]) == 0
        table = pd.read_parquet(run / "predictions.parquet")
        flat = pd.DataFrame({key: _plain(column) for key, column in table.items()})
        flat.to_csv(run / "predictions.csv", index=False)
    keep = ["config.yaml", "predictions.csv", "metrics.json", "checkpoints/last.ckpt", "checkpoints/rebuilt.ckpt"]
    for file in sorted(run.rglob("*")):
        if file.is_file() and str(file.relative_to(run)) not in keep:
            file.unlink()
    for folder in sorted((f for f in run.rglob("*") if f.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def make_rebuilt(folder: Path) -> None:
    """The checkpoint as a plain LightningCLI writes it, which rebuilds the model by jsonargparse."""
    saved = torch.load(folder / "last.ckpt", weights_only=True)
    named = {"_instantiator": "lightning.pytorch.cli.instantiate_module", "_class_path": "own_model.OwnModel"}
    saved["hyper_parameters"] = {**saved["hyper_parameters"], **named}
    torch.save(saved, folder / "rebuilt.ckpt")


def _plain(column: "pd.Series") -> list:
    return [json.dumps(v.tolist()) if isinstance(v, np.ndarray) else v for v in column]


def make_state(file: Path) -> None:
    """The state of a data module by itself, as Lightning's users save it."""
    data = AnnotatedDataModule(root="vectors", batch_size=5)
    data.setup("fit")
    torch.save(data.state_dict(), file)


def policies() -> dict:
    strengths, weights = [0.4, -0.1, -0.3], [0.2, -0.3, 0.1, 0.0, 0.5]
    offsets = [[0.0, 0.2, -0.1], [-0.2, 0.0, 0.3], [0.1, -0.3, 0.0]]
    slopes = [[1.0, 0.8, 1.1], [0.8, 1.0, 0.9], [1.1, 0.9, 1.0]]
    curve = GlobalCurve("logistic", (4.5, 0.5))
    return {
        "identity": Identity(),
        "global_curve": curve,
        "class_strengths": ClassStrengths(strengths, 0.9),
        "label_pairs": LabelPairs(offsets, slopes),
        "participants": ParticipantCurves(["ann", "bob"], [0.7, 1.2], 0.9, [0.1, -0.2], 0.05),
        "learned": LearnedPerception(strengths, 0.9, weights, 0.3, (0.5, 1.0, 0.3), [0.1, 0.0, -0.1, 0.2, 0.0]),
        "looking": MixFeaturePerception(
            strengths, 0.9, weights, [0.5, 1.5, -0.2, 0.8, 1.1], [2, 3], [0.1] * 5, [1.3] * 5,
            [[0.1, 0.2, 0.3, 0.4, 0.5], [0.0, -0.1, 0.2, 0.1, 0.3], [0.3, 0.1, 0.0, -0.2, 0.1]],
        ),
        "hmix": HMixPerception(),
        "image_table": ImageTable([0, 1, 2, 0], [1, 2, 3, 2], [0.25, 0.5, 0.75, 0.4], [0.2, 0.6, 0.9, 0.3],
                                  [0.9, 0.4, 0.8, 0.7], fallback=ClassStrengths(strengths, 0.9)),
        "confidence_smoothing": ConfidenceSmoothing(ClassStrengths(strengths, 0.9), (0.3, 0.9)),
        "uniform_smoothing": UniformSmoothing(curve, 0.2),
        "off_endpoints": OffEndpoints(curve, 0.1, 2.0),
    }  # fmt: skip


def mixes(num_classes: int, width: int) -> Mixes:
    rng = np.random.default_rng(1)
    label = torch.eye(num_classes)
    features = [torch.tensor(rng.normal(size=(4, width)), dtype=torch.float32) for _ in range(3)]
    return Mixes(
        label[[0, 1, 2, 0]], label[[1, 2, 0, 2]], torch.tensor([0.25, 0.5, 0.75, 0.4]), torch.tensor([0, 1, 2, 0]),
        torch.tensor([1, 2, 3, 2]), torch.tensor([0, 1, -1, 0]), *features,
    )  # fmt: skip


def make_policies(folder: Path) -> None:
    folder.mkdir()
    rows = []
    for name, policy in policies().items():
        policy.save(folder / f"{name}.json")
        width = len(policy.image_weights) if isinstance(policy, LearnedPerception) else 5
        seen = policy(mixes(10 if name == "hmix" else 3, width)).double()
        rows += [{"policy": name, "row": row, "label": json.dumps(label)} for row, label in enumerate(seen.tolist())]
    pd.DataFrame(rows).to_csv(folder / "expected.csv", index=False)


def make_study(data: Path, folder: Path, out: Path) -> None:
    (data / "images").mkdir(parents=True)
    pictures = np.random.default_rng(2).integers(0, 4, (6, 8, 8, 3), dtype=np.uint8) * 60
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(data / "images" / f"{i}.png")
    pd.DataFrame({"item": range(6), "path": [f"images/{i}.png" for i in range(6)]}).to_csv(
        data / "items.csv", index=False
    )
    labels = {"item": range(6), "annotator": "ann", "label": ["cat", "dog", "owl"] * 2}
    pd.DataFrame(labels).to_csv(data / "annotations.csv", index=False)
    (data / "dataset.yaml").write_text("name: pictures\ninput: image\nlicence: CC0\n")
    tasks = [token for task in ("infer", "vote") for token in ("--task", task)]
    counts = [
        "--pairs",
        "3",
        "--weights",
        ".4",
        "--per-batch",
        "3",
        "--repeats",
        "1",
        "--catch",
        "1",
        "--practice",
        "1",
    ]
    assert main(["elicit", "build", str(data), "-o", str(folder), *tasks, *counts, "--judgments", "1"]) == 0
    assert main(["elicit", "simulate", str(folder), "--people", "4"]) == 0
    assert main(["elicit", "export", str(folder), "-o", str(out), "--with-excluded"]) == 0
    for name in ("answers.sqlite-shm", "answers.sqlite-wal", "server.lock"):  # of the server, which is gone
        (folder / name).unlink(missing_ok=True)
    for file in sorted(out.glob("*.parquet")):
        table = pd.read_parquet(file)
        table.to_csv(file.with_suffix(".csv"), index=False)
        file.unlink()


def paths() -> list[str]:
    """Paths of every class of these kinds: of its file, and of each package that exports it.

    But for private classes and the callback that the command line itself adds.
    """
    found = set()
    for module in walk_packages(hilmix.__path__, "hilmix."):
        if module.name == "hilmix.__main__":
            continue
        there = import_module(module.name)
        for name, kind in vars(there).items():
            ours = inspect.isclass(kind) and issubclass(kind, KINDS) and kind.__module__.startswith("hilmix.")
            ours = ours and not name.startswith("_") and name != "SaveRunConfig"
            if ours and (kind.__module__ == module.name or name in getattr(there, "__all__", [])):
                found.add(f"{module.name}.{name}")
    roots = {f"hilmix.{n}" for n in hilmix.__all__ if inspect.isclass(k := getattr(hilmix, n)) and issubclass(k, KINDS)}
    return sorted(found | roots)


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    sys.path.insert(0, str(HERE))
    make_vectors(Path("vectors"))
    make_state(Path("data_module_state.pt"))
    make_policies(Path("policies"))
    for each in ("annot_mix", "em", "human", "own"):
        make_run(each)
    make_study(Path("pictures"), Path("study"), Path("study_export"))
    Path("paths_before_move.txt").write_text("\n".join(paths()) + "\n")
