"""One run of the study: (data, method, setting, masks, seed) in, one flat row out."""

import math
import time
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.nn.functional import cross_entropy

from experiments.annotators.train import VERSIONS, quiet
from experiments.explanations.data import prepared
from experiments.explanations.masks import MaskCase
from experiments.explanations.settings import DATA, EXACT, PARTS, TRAINING, parse
from hilmix.backbones import MLP
from hilmix.data import AnnotatedDataModule
from hilmix.functional.explanation.adversarial import pgd
from hilmix.functional.inputs import as_float
from hilmix.modules import Classifier

ATTACKED, ATTACK_STEPS = 1_000, 10
"""Test items that are attacked inside their masks, and steps of the attack."""
RADII = (0.5, 1.0, 2.0, 3.0, 4.0)
SCORES = ("mean_group_acc", "worst_group_acc")


class Job(NamedTuple):
    """Settings of a run."""

    data: str
    method: str
    setting: str
    seed: int
    masks: str = EXACT

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """Its values of :data:`KEY`."""
        return self.data, self.method, self.setting, self.masks, self.seed


class Trained(NamedTuple):
    """A finished run."""

    model: Classifier
    data: AnnotatedDataModule
    trainer: Trainer
    watch: "Watch"


def run(job: Job) -> dict[str, Any]:
    """Trains and returns the row: the key, scores of the last weights and of the best ones, cost and versions."""
    quiet()
    model, data, trainer, watch = trained(job)
    row: dict[str, Any] = {"data": job.data, "method": job.method, "setting": job.setting, "masks": job.masks}
    row |= {"seed": job.seed} | {f"val_{name}": value for name, value in watch.last.items()}
    row |= tested(trainer, model, data)
    row |= attacked(model, data)
    row |= {"best_epoch": watch.epoch} | {f"best_val_{name}": value for name, value in watch.best.items()}
    if watch.weights is not None:
        model.load_state_dict(watch.weights)
        row |= {f"best_{name}": value for name, value in tested(trainer, model, data).items()}
    row |= {"ms_per_step": 1000 * watch.seconds / trainer.global_step, "cpu_seconds": watch.seconds}
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} | VERSIONS


def trained(job: Job) -> Trained:
    """Trains, on one thread of the processor."""
    plan, case, setting = DATA[job.data], MaskCase.of(job.masks), parse(job.setting)
    seed_everything(job.seed, verbose=False)
    settings = {"batch_size": plan.batch_size, "mask_aggregation": case.how, "repeat_explained": case.repeat}
    data = AnnotatedDataModule(prepared(job.data, case), **settings)
    training = {"lr": plan.lr, "weight_decay": 1e-4} | {k: v for k, v in setting.items() if k in TRAINING}
    model = Classifier(
        data.num_classes,
        data.num_annotators,
        data.input_shape,
        MLP(list(plan.hidden), dropout=0.0),
        optimizer="AdamW",
        num_groups=data.num_groups,
        **training,
        **losses(job.method, setting),
    )
    watch = Watch()
    trainer = Trainer(
        max_epochs=plan.epochs,
        check_val_every_n_epoch=plan.validate_every,
        callbacks=[watch],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        precision=plan.precision,
    )
    trainer.fit(model, data)
    return Trained(model, data, trainer, watch)


def losses(method: str, setting: dict[str, float]) -> dict[str, Any]:
    """The arguments of a classifier that make a method of this name, such as ``pgd_ex+rrr``."""
    if method == "erm":
        return {}
    if method == "group_dro":
        return {"group_dro": {"class_path": "hilmix.group_dro.GroupDRO", "init_args": {"step": setting["step"]}}}
    found = []
    for name in method.split("+"):
        kind, owned, fixed = PARTS[name]
        args = {key: int(value) if key == "steps" else value for key, value in setting.items() if key in owned}
        found.append({"class_path": f"hilmix.explanations.{kind}", "init_args": args | fixed})
    return {"explanations": found}


class Watch(Callback):
    """Keeps the weights of the highest worst-group accuracy on validation, ties by the mean, and the training time."""

    def __init__(self) -> None:
        self.last, self.best = dict.fromkeys(SCORES, math.nan), dict.fromkeys(SCORES, math.nan)
        self.epoch = -1
        self.weights: dict[str, Tensor] | None = None
        self.seconds, self._start = 0.0, 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        self._start = time.process_time()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds += time.process_time() - self._start

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logged = {name: trainer.callback_metrics.get(f"val/{name}") for name in SCORES}
        self.last = {name: math.nan if value is None else float(value) for name, value in logged.items()}
        rank, before = (tuple(scores[name] for name in reversed(SCORES)) for scores in (self.last, self.best))
        if self.weights is None or rank > before:
            self.best, self.epoch = self.last, trainer.current_epoch + 1
            self.weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}


def tested(trainer: Trainer, model: Classifier, data: AnnotatedDataModule) -> dict[str, float]:
    """Scores of the weights as they are on test items."""
    (found,) = trainer.test(model, data, verbose=False)
    return {f"test_{name}": found.get(f"test/{name}", math.nan) for name in (*SCORES, "ece")}


def attacked(model: Classifier, data: AnnotatedDataModule) -> dict[str, float]:
    """Accuracy on test items whose irrelevant part is changed for the worst, within radii of the standardised input."""
    model.eval()
    rows = data.rows("test")[:ATTACKED]
    masks = data.data.masks
    assert masks is not None
    mask, target = as_float(masks.fetch(rows)), torch.from_numpy(data.data.target[rows])
    x = model.standardized(data.data.inputs.fetch(rows))

    def logits(x: Tensor) -> Tensor:
        return model.head(model.features(x))

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(logits(x), target, reduction="sum")

    found = {}
    for radius in RADII:
        worst = pgd(loss, x, radius=radius, step=radius / 4, steps=ATTACK_STEPS, mask=mask, low=None, high=None)
        with torch.no_grad():
            found[f"attacked_{radius:g}"] = (logits(worst).argmax(1) == target).float().mean().item()
    return found
