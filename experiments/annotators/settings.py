"""Everything that the study fixes: methods, data, training, search space. No other file holds such a choice."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

HERE = Path(__file__).parent
REPO = HERE.parent.parent
CONFIGS = REPO / "configs" / "method"
SEARCH_FILE, FINAL_FILE, ABLATION_FILE, COST_FILE, CHOICE_FILE, GRID_FILE, GRID_ABLATION_FILE = (
    HERE / f"results_{step}.csv"
    for step in ("search", "final", "ablation", "cost", "defaults", "grid", "grid_ablation")
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


IMAGE_NETWORK = "resnet10t"
NETWORKS = {
    "128": Training(standardize="auto"),
    "256-128-batch": Training(
        backbone={
            "class_path": "hilmix.backbones.MLP",
            "init_args": {"hidden": [256, 128], "dropout": 0.5, "norm": "batch"},
        },
        standardize="auto",
    ),
    IMAGE_NETWORK: Training(
        backbone={"class_path": "hilmix.backbones.TimmBackbone", "init_args": {"name": IMAGE_NETWORK}}, epochs=15
    ),
}
"""Candidates of the default network for vectors: the former default, and the published one of annot-mix."""


SHIPPED = "shipped"
"""In place of a network's name: whatever the method's file and the defaults of hilmix say, and nothing else."""


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
GUIDE = {
    "errors depend on the class": (*_digits("class"), "fashion-class", "mnist-class-1label"),
    "errors depend on the item": (*_digits("instance"), "fashion-instance", "mnist-instance-500"),
    "labels by people": tuple(
        name
        for key in ("sentiment", "labelme", "labelme-images", "cifar10n", "cifar10h")
        for name in FAMILIES[key].members
    ),
    "one label per item": (
        "digits-class-50-1label",
        "digits-instance-50-1label",
        "mnist-class-1label",
        "cifar10n-worse",
    ),
    "three labels per item or more": (
        "digits-class-50-4labels",
        "digits-instance-50-4labels",
        "fashion-class",
        "mnist-instance-500",
        "sentiment-polarity",
        "cifar10n",
    ),
    "two thirds of the labels wrong": ("digits-class-65", "digits-instance-65"),
    "hundreds of annotators": ("fashion-class", "mnist-instance-500", "sentiment-polarity"),
    "annotators without identity": ("cifar10n", "cifar10n-worse", "cifar10h"),
}
"""Kinds of data of the decision guide, and the data sets that show them."""
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
CHOICE_DATA = ("digits-instance-50", "labelme-features-heldout", "mnist-class-1label", "labelme-images", "clusters-26")
CHOICE_METHODS = ("mv", "crowd-layer", "annot-mix", "hilmix-fast")
CHOICE_SETTINGS = {
    **{("256-128-batch", "none", lr): CHOICE_DATA for lr in (1e-3, 3e-3, 1e-2)},
    ("256-128-batch", "fan-in", 1e-2): ("digits-instance-50", "labelme-features-heldout", "clusters-26"),
    ("256-128-batch", "fan-in", 3e-3): ("digits-instance-50",),
    ("128", "none", 1e-3): ("digits-instance-50",),
    ("128", "none", 1e-2): ("digits-instance-50",),
}
"""Network, scaling and rate, each on the data sets that it was tried on; to stay within half a core-hour not on all."""
IMAGE_DATA, IMAGE_METHODS = ("digits-instance-50",), ("mv", "hilmix-fast")
IMAGE_SETTINGS = ((IMAGE_NETWORK, "none", 1e-3), (IMAGE_NETWORK, "none", 3e-3), (IMAGE_NETWORK, "fan-in", 1e-2))
CHOICE_KEY = ["data", "method", "network", "lr_scaling", "lr", "seed"]
"""The one choice of network and rate, on development data, by the votes of validation items."""
RIVALS = ("mv-gce", "mv-elr", "mv-smoothing", "mv-temperature", "label-fusion", "ccc")
"""Methods that came after the first protocol: in the grid alone."""
GRID_METHODS = (*(method for method in METHODS if method != "hilmix"), *RIVALS, "hilmix-fast", "hilmix")
GRID_KEY = ["data", "method", "seed"]
"""The grid of all shipped files, untouched; no search."""
EMBEDDED = {"digits-class": "digits-class", "digits-instance": "digits-instance"}
"""Made on the fly, no folder needed: for a first run and the tests, not part of the grid."""
APART = {"clusters-26": "clusters"}
"""Made for the choice of the defaults: few items, many classes, low dimension. Not part of the grid."""
FAMILY_OF = {name: key for key, family in FAMILIES.items() for name in family.members} | EMBEDDED | APART


def _model(**init_args: Any) -> dict[str, Any]:
    return {"model": {"init_args": init_args}}


def _mix(mix: dict[str, Any] | None) -> dict[str, Any]:
    return {"data": {"init_args": {"mix": mix}}}


class Variant(NamedTuple):
    """A method with something changed."""

    method: str
    change: dict[str, Any]
    """Merged over the method's YAML file."""


FIRST = {"hilmix": Variant("hilmix-fast", _model(lr=0.01, lr_scaling="fan-in"))}
"""``hilmix`` in the first protocol: its first version, at one rate."""
SHIPPED_VARIANTS = {
    "hilmix": Variant("hilmix", {}),
    "hilmix-in-sample": Variant("hilmix", _model(fold_networks=0)),
    "hilmix-two-folds": Variant("hilmix", _model(fold_networks=2)),
    "hilmix-no-em": Variant("hilmix", _model(warmup=1.0)),
    "hilmix-no-warmup": Variant("hilmix", _model(warmup=0.0)),
    "hilmix-every-1": Variant("hilmix", _model(every=1)),
    "hilmix-no-mixing": Variant("hilmix", _mix(None)),
    "hilmix-alpha-1": Variant("hilmix", _mix({"init_args": {"alpha": 1.0}})),
    "hilmix-no-shrinkage": Variant("hilmix", _model(annotator_model={"init_args": {"strength": 1e-3}})),
    "hilmix-one-matrix": Variant("hilmix", _model(annotator_model={"init_args": {"strength": 1e6}})),
    "hilmix-independent": Variant("hilmix", _model(annotator_model={"init_args": {"dependence": 0.0}})),
    "hilmix-one-answer": Variant("hilmix", _model(annotator_model={"init_args": {"dependence": 1.0}})),
}
"""The ablation of ``hilmix.yaml``: one change at a time, all else as shipped."""
ABLATION_DATA = ("digits-class-50", "digits-instance-50", "labelme-features", "fashion-instance", "sentiment-polarity")
COST_DATA = ("digits-instance-50", "labelme-features", "sentiment-polarity")
"""Two to six votes per item, 64 to some thousand inputs, 20 to 203 annotators."""
