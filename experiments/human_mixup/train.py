"""One run of the study: (policy, seed) in, one flat row of scores out."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchvision.transforms import InterpolationMode, v2

from experiments.annotators.train import VERSIONS, quiet
from experiments.human_mixup.data import source
from experiments.human_mixup.network import SmallResNet
from experiments.human_mixup.policies import Settings, training
from hilmix.data import AnnotatedDataModule
from hilmix.functional import (
    bin_sums,
    brier_score,
    calibration_error,
    fit_temperature,
    rms_calibration_error,
    top_label,
)
from hilmix.functional.explanation.adversarial import fgsm, pgd
from hilmix.human.functional.soft_targets import entropy_correlation, soft_cross_entropy, total_variation
from hilmix.modules import Classifier

EPOCHS, BATCH = 15, 64
ATTACKED = 1_000
"""Test images that are attacked."""
RADIUS, PGD_STEP, PGD_STEPS = 4 / 255, 1 / 255, 10
NOISE_SEED = 0


class Job(NamedTuple):
    """Settings of a run."""

    policy: str
    seed: int
    settings: Settings
    tested: bool = True
    """Whether test images are scored; the choice of settings stops at validation."""


def run(job: Job) -> dict[str, Any]:
    """Trains and returns the row: policy, seed, settings, scores, cost and versions."""
    start = time.process_time()
    quiet()
    seed_everything(job.seed, verbose=False)
    plan = training(job.policy, job.settings)
    data = AnnotatedDataModule(plan.data, mix=plan.mix, batch_size=BATCH, augment=job.settings.augment)
    model = Classifier(
        data.num_classes,
        data.num_annotators,
        data.input_shape,
        SmallResNet(),
        optimizer="AdamW",
        lr=job.settings.lr,
        weight_decay=0.05,
    )
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    trainer.fit(model, data)
    row = {"policy": job.policy, "seed": job.seed} | job.settings.__dict__
    row |= validated(model)
    row |= tested(model, row["temperature"]) if job.tested else {}
    row |= {"cpu_seconds": time.process_time() - start}
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} | VERSIONS


def pixels(rows: NDArray[np.int64]) -> Tensor:
    """(B, 3, H, W) float32 images in [0, 1]."""
    return source().base.inputs.fetch(rows).float() / 255


def logits_of(model: Classifier, images: Tensor) -> Tensor:
    """(B, 10) logits, un-mixed."""
    with torch.inference_mode():
        return torch.cat([model(part) for part in images.split(500)])


def _rows(split: str) -> NDArray[np.int64]:
    assert source().base.split is not None
    return np.flatnonzero(source().base.split == split)


def validated(model: Classifier) -> dict[str, float]:
    """Cross-entropy with the official labels of the validation images, accuracy, and the temperature fitted on them."""
    model.eval()
    rows = _rows("val")
    logits, target = logits_of(model, pixels(rows)), torch.from_numpy(source().base.target[rows])
    right = (logits.argmax(1) == target).double().mean().item()
    fitted = fit_temperature(logits, target)
    return {"val_ce": cross_entropy(logits, target).item(), "val_acc": right, "temperature": fitted.temperature}


def tested(model: Classifier, temperature: float) -> dict[str, float]:
    """All scores of the test images, given the temperature that was fitted on the validation images."""
    model.eval()
    rows = _rows("test")
    images, target = pixels(rows), torch.from_numpy(source().base.target[rows])
    shares = torch.from_numpy(source().shares[rows])
    logits = logits_of(model, images)
    found = scores(logits, target, shares)
    found["ce_calibrated"] = _mean_ce(logits / temperature, shares)
    found |= attacked(model, images[:ATTACKED], shares[:ATTACKED], target[:ATTACKED])
    shifted = [logits_of(model, changed) for changed in corrupted(images).values()]
    found["ce_corrupted"] = float(np.mean([_mean_ce(some, shares) for some in shifted]))
    found["acc_corrupted"] = float(np.mean([_accuracy(some, target) for some in shifted]))
    return found


def scores(logits: Tensor, target: Tensor, shares: Tensor) -> dict[str, float]:
    """Scores of clean images.

    Args:
        logits: (B, K).
        target: (B,) official labels.
        shares: (B, K) label distributions of participants.
    """
    probs = logits.double().softmax(1)
    confidence, correct = top_label(probs, target)
    hits = (probs.argmax(1) == target).double()
    by_class = torch.stack([hits[target == k].mean() for k in range(probs.shape[1])])
    return {
        "ce": _mean_ce(logits, shares),
        "acc": hits.mean().item(),
        "worst_class": by_class.min().item(),
        "top2": (probs.topk(2, 1).indices == target[:, None]).any(1).double().mean().item(),
        "rms_calibration": rms_calibration_error(confidence, correct).item(),
        "ece": calibration_error(bin_sums(confidence, correct)).item(),
        "brier": brier_score(probs, target).mean().item(),
        "entropy_correlation": entropy_correlation(probs, shares).item(),
        "total_variation": total_variation(probs, shares).mean().item(),
    }


def attacked(model: Classifier, images: Tensor, shares: Tensor, target: Tensor) -> dict[str, float]:
    """Cross-entropy and accuracy after attacks that raise the cross-entropy with the participants' labels."""
    found = {}
    for name in ("fgsm", "pgd"):
        moved = []
        for some, targets in zip(images.split(250), shares.split(250), strict=True):
            moved.append(_attack(name, model, some, targets))
        logits = logits_of(model, torch.cat(moved))
        found |= {f"{name}_ce": _mean_ce(logits, shares), f"{name}_acc": _accuracy(logits, target)}
    return found


def _attack(name: str, model: Classifier, images: Tensor, shares: Tensor) -> Tensor:
    def loss(x: Tensor) -> Tensor:
        return soft_cross_entropy(model(x).log_softmax(1), shares)

    if name == "fgsm":
        return fgsm(loss, images, radius=RADIUS)
    return pgd(loss, images, radius=RADIUS, step=PGD_STEP, steps=PGD_STEPS)


def corrupted(images: Tensor) -> dict[str, Tensor]:
    """The images under five corruptions of torchvision, at about the greatest strengths of CIFAR-10-C."""
    small = v2.Compose([v2.Resize(16, antialias=True), v2.Resize(32, interpolation=InterpolationMode.NEAREST_EXACT)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(NOISE_SEED)
        noisy = v2.GaussianNoise(sigma=0.1)(images)
    return {
        "noise": noisy,
        "blur": v2.GaussianBlur(9, sigma=(1.0, 1.0))(images),
        "contrast": v2.ColorJitter(contrast=(0.3, 0.3))(images),
        "jpeg": torch.stack([v2.JPEG((40, 40))(image) for image in (images * 255).round().byte()]).float() / 255,
        "pixelate": small(images),
    }


def _mean_ce(logits: Tensor, shares: Tensor) -> float:
    return soft_cross_entropy(logits.double().log_softmax(1), shares).mean().item()


def _accuracy(logits: Tensor, target: Tensor) -> float:
    return (logits.argmax(1) == target).double().mean().item()
