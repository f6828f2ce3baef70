"""Everything that the study fixes: data, training, methods, settings searched. No other file holds such a choice."""

import itertools
from pathlib import Path
from typing import Literal, NamedTuple

HERE = Path(__file__).parent
REPO = HERE.parent.parent
SEARCH_FILE, FINAL_FILE, MASKS_FILE = (HERE / f"results_{step}.csv" for step in ("search", "final", "masks"))
KEY = ["data", "method", "setting", "masks", "seed"]
"""Columns that distinguish one run from another."""
SEARCH_SEED = 100
EXACT = "exact"
"""Every training image is explained, and the masks are right."""


class Data(NamedTuple):
    """A data set and how every method is trained on it."""

    title: str
    source: str
    """Name of the data set in hilmix."""
    searched: str
    """The data of this table whose validation items choose the settings."""
    train_items: int | None = None
    """So many training items, drawn by class; None for all."""
    hidden: tuple[int, ...] = (512, 512, 512)
    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-3
    validate_every: int = 2
    """Epochs between two validations."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the final runs; none for data that settings are searched on only."""
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    """The latter halves the time of a step on a recent processor."""


DATA = {
    "decoy-digits": Data(
        "decoy digits",
        "decoy-digits",
        "decoy-digits",
        hidden=(256, 256, 256),
        epochs=60,
        validate_every=5,
        seeds=(0, 1, 2, 3, 4),
        precision="32-true",
    ),
    "decoy-mnist": Data("half-image Decoy-MNIST", "decoy-mnist", "decoy-mnist-10k"),
    "decoy-mnist-10k": Data(
        "half-image Decoy-MNIST, 10,000 images",
        "decoy-mnist",
        "decoy-mnist-10k",
        train_items=10_000,
        epochs=10,
        seeds=(),
    ),
    "decoy-mnist-corner-10k": Data(
        "corner Decoy-MNIST, 10,000 images", "decoy-mnist-corner", "decoy-mnist-10k", train_items=10_000
    ),
    "decoy-fashion-10k": Data(
        "Decoy-Fashion-MNIST, 10,000 images", "decoy-fashion-mnist", "decoy-mnist-10k", train_items=10_000
    ),
    "color-mnist-10k": Data("ColorMNIST, 10,000 images", "color-mnist", "decoy-mnist-10k", train_items=10_000),
}


class Part(NamedTuple):
    """An explanation loss of a method: its class, the settings that are its own, and what is fixed."""

    kind: str
    owned: tuple[str, ...]
    fixed: dict[str, str] = {}


PARTS = {
    "rrr": Part("RRR", ("weight",)),
    "rrr_log": Part("RRR", ("weight",), {"of": "log_probs"}),
    "cdep": Part("CDEP", ("weight",)),
    "avg_ex": Part("AvgEx", ("radius",)),
    "pgd_ex": Part("PGDEx", ("radius", "steps")),
    "ibp_ex": Part("IBPEx", ("radius",)),
    "r4": Part("R4", ("radius", "weight")),
}
"""Terms that methods are sums of."""
TRAINING = ("lr", "weight_decay")
"""Settings of the training itself."""


def _grid(**values: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(spell(dict(zip(values, point, strict=True))) for point in itertools.product(*values.values()))


def spell(setting: dict[str, float]) -> str:
    """``{"radius": 2, "weight": 64}`` as ``radius=2 weight=64``."""
    return " ".join(f"{name}={value:g}" for name, value in setting.items())


def parse(setting: str) -> dict[str, float]:
    """The opposite of :func:`spell`."""
    return {name: float(value) for name, value in (part.split("=") for part in setting.split())}


GRID: dict[str, tuple[str, ...]] = {
    "erm": _grid(lr=(3e-4, 1e-3, 3e-3), weight_decay=(1e-4, 1e-2)),
    "group_dro": _grid(step=(1e-3, 1e-2, 1e-1), lr=(3e-4, 1e-3)),
    "rrr": _grid(weight=(16, 64, 256, 1024, 4096, 16384)),
    "rrr_log": _grid(weight=(0.125, 0.5, 2, 8, 32, 128)),
    "cdep": _grid(weight=(0.1, 0.3, 1, 3, 10, 100)),
    "avg_ex": _grid(radius=(0.5, 1, 2, 4, 8, 16)),
    "pgd_ex": _grid(radius=(1, 2, 3), steps=(3, 7)),
    "ibp_ex": _grid(radius=(0.5, 1, 1.5, 2, 3, 4)),
    "r4": _grid(radius=(0.1, 0.5), weight=(1e-5, 1e-4, 1e-3)),
    "pgd_ex+rrr": _grid(radius=(1.5, 2, 2.5), steps=(3,), weight=(160, 640)),
    "pgd_ex+rrr_log": _grid(radius=(1.5, 2, 2.5), steps=(3,), weight=(2, 8)),
    "ibp_ex+rrr": _grid(radius=(0.05, 0.15, 0.3), weight=(512, 1024)),
}
"""The same number of settings for every method. Weights are of means over the batch: published ones, of sums, times
their batch size of 16; R4's is of a sum over pixels, so a published one over their number. Radii are in standard
deviations of the pixels."""
METHODS = tuple(GRID)

MASK_METHODS = tuple(name for name in METHODS if name not in ("erm", "group_dro"))
"""Methods that read masks."""
BEST_METHODS = ("rrr_log", "pgd_ex", "pgd_ex+rrr", "pgd_ex+rrr_log", "ibp_ex+rrr")
"""The methods that are best with all masks, by one seed of each; they get more seeds of other masks."""
SHARES = (0.01, 0.05, 0.1, 0.25)
TWICE = "repeat=2"
"""All images are explained, and an epoch is as long as one with few of them, repeated: what the length alone does."""
FEW = (EXACT, TWICE, *(f"share={s:g}" for s in SHARES), *(f"share={s:g} repeat={round(1 / s)}" for s in SHARES))
"""Repeated so often that half of what an epoch shows is explained."""
NOISY = (
    "shift=4",
    "dilate=4",
    "wrong=0.1",
    "wrong=0.3",
    "wrong=0.3 people=3",
    "wrong=0.3 people=3 how=agreement",
)
MORE_NOISY = ("shift=7", "dilate=7", "wrong=0.1 people=3", "wrong=0.1 people=3 how=agreement")

MNIST_CASES = (
    EXACT,
    TWICE,
    "share=0.01",
    "share=0.05",
    "share=0.25",
    "share=0.01 repeat=100",
    "share=0.05 repeat=20",
    "shift=4",
    "wrong=0.1",
)


class MaskPlan(NamedTuple):
    """Runs of the study of masks: all of these together."""

    data: str
    cases: tuple[str, ...]
    """Spelled as :class:`~experiments.explanations.masks.MaskCase` reads them."""
    methods: tuple[str, ...]
    seeds: tuple[int, ...]


MASK_PLANS = (
    MaskPlan("decoy-digits", (*FEW, *NOISY), BEST_METHODS, (0,)),
    MaskPlan("decoy-digits", (*FEW, *NOISY), MASK_METHODS, (0,)),
    MaskPlan("decoy-digits", MORE_NOISY, ("rrr", "pgd_ex+rrr"), (0,)),
    MaskPlan("decoy-mnist-10k", MNIST_CASES, BEST_METHODS, (0,)),
    MaskPlan("decoy-digits", (*FEW, *NOISY), BEST_METHODS, (1, 2)),
)
"""Order of the runs, the most wanted first."""
MASK_DATA = tuple(dict.fromkeys(plan.data for plan in MASK_PLANS))


def mask_cases(data: str) -> tuple[str, ...]:
    """All ways of giving masks that are planned for a data set."""
    return tuple(dict.fromkeys(case for plan in MASK_PLANS if plan.data == data for case in plan.cases))


def mask_settings(masks: str, method: str, setting: str) -> tuple[str, ...]:
    """The settings that a method is tried with: its own, and with few masks also its penalty's weight over the share.

    Args:
        masks: a way of giving masks; see :class:`MaskPlan`.
        method: one of :data:`MASK_METHODS`.
        setting: chosen with exact masks of every training image.
    """
    values, case = parse(setting), {} if masks == EXACT else dict(part.split("=") for part in masks.split())
    if "weight" not in values or "share" not in case or "repeat" in case:
        return (setting,)
    return setting, spell(values | {"weight": values["weight"] / float(case["share"])})
