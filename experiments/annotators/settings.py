"""Everything that the study fixes: methods, data, training, search space. No other file holds such a choice."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

HERE = Path(__file__).parent
REPO = HERE.parent.parent
CONFIGS = REPO / "configs" / "method"
SEARCH_FILE, FINAL_FILE, ABLATION_FILE = (HERE / f"results_{step}.csv" for step in ("search", "final", "ablation"))
KEY = ["data", "method", "lr", "seed"]
"""What tells one run from another."""

UPPER_BOUND = "true"
"""Trained on the truth: shown beside the others, outside every ranking."""
METHODS = (
    UPPER_BOUND, "mv", "mv-mixup", "ds", "ds-mixup", "soft", "crowd-layer", "trace-reg", "geo-reg-w", "geo-reg-f",
    "union-net", "conal", "madl", "crowd-ar", "annot-mix", "annot-mix-item", "annot-mix-hidden", "hilmix",
)  # fmt: skip
CONTROLS = ("hilmix", "annot-mix")
"""The first of these with results is what the others are tested against."""

LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SEARCH_SEEDS, FINAL_SEEDS = (100,), (0, 1, 2, 3, 4)
PINNED_LR: dict[str, float] = {"hilmix": 0.01}
"""Methods with one learning rate everywhere; they are not searched."""


class Training(NamedTuple):
    """How every method of a family is trained."""

    backbone: dict[str, Any] = {
        "class_path": "hilmix.backbones.MLP", "init_args": {"hidden": [128], "dropout": 0.5},
    }  # fmt: skip
    epochs: int = 50
    batch_size: int = 64
    optimizer: str = "RAdam"
    weight_decay: float = 1e-4
    standardize: Literal["global", "feature", "none"] = "global"


class Family(NamedTuple):
    """Data sets that share one hyperparameter search and one way of training."""

    title: str
    members: tuple[str, ...]
    searched: str
    """The member whose noisy validation chooses the learning rates."""
    training: Training = Training()


def _digits(kind: str) -> tuple[str, ...]:
    return tuple(f"digits-{kind}-{suffix}" for suffix in ("30", "50", "65", "50-1label", "50-4labels"))


FAMILIES = {
    "digits-class": Family("digits, errors by class", _digits("class"), "digits-class-50"),
    "digits-instance": Family("digits, errors by item", _digits("instance"), "digits-instance-50"),
    "fashion": Family("Fashion-MNIST", ("fashion-class", "fashion-instance"), "fashion-class"),
    "mnist": Family("MNIST", ("mnist-class-1label", "mnist-instance-500"), "mnist-instance-500"),
    "sentiment": Family("sentiment polarity", ("sentiment-polarity",), "sentiment-polarity"),
    "labelme": Family(
        "LabelMe features", ("labelme-features", "labelme-features-heldout"), "labelme-features-heldout"
    ),
    "labelme-images": Family("LabelMe images", ("labelme-images",), "labelme-images"),
    "cifar10n": Family("CIFAR-10N", ("cifar10n", "cifar10n-worse"), "cifar10n"),
    "cifar10h": Family("CIFAR-10H", ("cifar10h",), "cifar10h"),
}  # fmt: skip
DATA = tuple(name for family in FAMILIES.values() for name in family.members)
EMBEDDED = {"digits-class": "digits-class", "digits-instance": "digits-instance"}
"""Made on the fly, no folder needed: for a first run and the tests, not part of the grid."""
FAMILY_OF = {name: key for key, family in FAMILIES.items() for name in family.members} | EMBEDDED


def _model(**init_args: Any) -> dict[str, Any]:
    return {"model": {"init_args": init_args}}


def _annotator_model(**init_args: Any) -> dict[str, Any]:
    return _model(annotator_model={"init_args": init_args})


def _mix(mix: dict[str, Any] | None) -> dict[str, Any]:
    return {"data": {"init_args": {"mix": mix}}}


ABLATED = "hilmix"
VARIANTS: dict[str, dict[str, Any]] = {
    ABLATED: {},
    "hilmix-no-em": _model(warmup=1.0),
    "hilmix-no-warmup": _model(warmup=0.0),
    "hilmix-every-1": _model(every=1),
    "hilmix-no-mixing": _mix(None),
    "hilmix-alpha-1": _mix({"init_args": {"alpha": 1.0}}),
    "hilmix-hidden-mix": _mix({"class_path": "hilmix.mix.HiddenMix", "init_args": {"alpha": 0.2}}),
    "hilmix-no-shrinkage": _annotator_model(strength=1e-3),
    "hilmix-one-matrix": _annotator_model(strength=1e6),
    "hilmix-independent": _annotator_model(dependence=0.0),
    "hilmix-one-answer": _annotator_model(dependence=1.0),
    "hilmix-plain-lr": _model(lr_scaling="none"),
    "hilmix-plain-lr-0.001": _model(lr_scaling="none", lr=1e-3),
}
"""What one change does to ``hilmix``: merged over its YAML file."""
ABLATION_DATA = ("digits-class-50", "digits-instance-50", "labelme-features", "fashion-instance", "sentiment-polarity")
