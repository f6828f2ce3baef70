"""Everything that the study fixes: methods, data, training, search space. No other file holds such a choice."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

HERE = Path(__file__).parent
REPO = HERE.parent.parent
CONFIGS = REPO / "configs" / "method"
SEARCH_FILE, FINAL_FILE, ABLATION_FILE, COST_FILE = (
    HERE / f"results_{step}.csv" for step in ("search", "final", "ablation", "cost")
)
KEY = ["data", "method", "lr", "seed"]
"""Columns that distinguish one run from another."""

UPPER_BOUND = "true"
"""Trained on the truth: shown beside the others, outside every ranking."""
METHODS = (
    UPPER_BOUND,
    "mv",
    "mv-mixup",
    "ds",
    "ds-mixup",
    "soft",
    "crowd-layer",
    "trace-reg",
    "geo-reg-w",
    "geo-reg-f",
    "union-net",
    "conal",
    "madl",
    "crowd-ar",
    "annot-mix",
    "annot-mix-item",
    "annot-mix-hidden",
    "hilmix",
)
CONTROLS = ("hilmix", "annot-mix")
"""The first of these with results is what the others are tested against."""

LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SEARCH_SEEDS, FINAL_SEEDS = (100,), (0, 1, 2, 3, 4)
PINNED_LR: dict[str, float] = {"hilmix": 0.01}
"""Methods with one learning rate everywhere; they are not searched."""


class Training(NamedTuple):
    """Training settings of a family, the same for each of its methods."""

    backbone: dict[str, Any] = {
        "class_path": "hilmix.backbones.MLP",
        "init_args": {"hidden": [128], "dropout": 0.5},
    }
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
    "labelme": Family("LabelMe features", ("labelme-features", "labelme-features-heldout"), "labelme-features-heldout"),
    "labelme-images": Family("LabelMe images", ("labelme-images",), "labelme-images"),
    "cifar10n": Family("CIFAR-10N", ("cifar10n", "cifar10n-worse"), "cifar10n"),
    "cifar10h": Family("CIFAR-10H", ("cifar10h",), "cifar10h"),
}
DATA = tuple(name for family in FAMILIES.values() for name in family.members)
DEVELOPMENT = (
    "digits-class-50",
    "digits-instance-50",
    "digits-instance-50-1label",
    "fashion-instance",
    "mnist-class-1label",
    "labelme-features",
    "labelme-features-heldout",
    "labelme-images",
    "cifar10n",
    "cifar10n-worse",
)
"""Data whose scores may guide the design of a default."""
CONFIRMATION = tuple(name for name in DATA if name not in DEVELOPMENT)
"""Data that a new default runs on once, when its design is final."""
EMBEDDED = {"digits-class": "digits-class", "digits-instance": "digits-instance"}
"""Made on the fly, no folder needed: for a first run and the tests, not part of the grid."""
FAMILY_OF = {name: key for key, family in FAMILIES.items() for name in family.members} | EMBEDDED


def _model(**init_args: Any) -> dict[str, Any]:
    return {"model": {"init_args": init_args}}


def _annotator_model(**init_args: Any) -> dict[str, Any]:
    return _model(annotator_model={"init_args": init_args})


def _mix(mix: dict[str, Any] | None) -> dict[str, Any]:
    return {"data": {"init_args": {"mix": mix}}}


class Variant(NamedTuple):
    """A method with something changed."""

    method: str
    change: dict[str, Any]
    """Merged over the method's YAML file."""


OWN_RATE = _model(lr=0.01, lr_scaling="fan-in")
VARIANTS = {
    "hilmix": Variant("hilmix-fast", {}),
    "hilmix-no-em": Variant("hilmix-fast", _model(warmup=1.0)),
    "hilmix-no-warmup": Variant("hilmix-fast", _model(warmup=0.0)),
    "hilmix-every-1": Variant("hilmix-fast", _model(every=1)),
    "hilmix-no-mixing": Variant("hilmix-fast", _mix(None)),
    "hilmix-alpha-1": Variant("hilmix-fast", _mix({"init_args": {"alpha": 1.0}})),
    "hilmix-no-shrinkage": Variant("hilmix-fast", _annotator_model(strength=1e-3)),
    "hilmix-one-matrix": Variant("hilmix-fast", _annotator_model(strength=1e6)),
    "hilmix-independent": Variant("hilmix-fast", _annotator_model(dependence=0.0)),
    "hilmix-one-answer": Variant("hilmix-fast", _annotator_model(dependence=1.0)),
    "hilmix-plain-lr": Variant("hilmix-fast", _model(lr_scaling="none")),
    "hilmix-plain-lr-0.001": Variant("hilmix-fast", _model(lr_scaling="none", lr=1e-3)),
    "mv-own-rate": Variant("mv", OWN_RATE),
    "ds-mixup-own-rate": Variant("ds-mixup", OWN_RATE),
    "geo-reg-w-own-rate": Variant("geo-reg-w", OWN_RATE),
    "annot-mix-item-own-rate": Variant("annot-mix-item", OWN_RATE),
}
"""The ablation: one change to ``hilmix`` at a time, and other methods at its learning rate. ``hilmix`` is the first
version of the default, ``hilmix-fast.yaml`` now; ``hilmix-2`` is ``hilmix.yaml``, and is not in the grid yet."""
NEXT = {"hilmix-2": Variant("hilmix", {})}
"""Runs by ``run`` alone, on development data."""
ABLATION_DATA = ("digits-class-50", "digits-instance-50", "labelme-features", "fashion-instance", "sentiment-polarity")
COST_DATA = ("digits-instance-50", "labelme-features", "sentiment-polarity")
"""Two to six votes per item, 64 to some thousand inputs, 20 to 203 annotators."""
