"""The results files, and the settings that follow from the search."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.harness import keep_row, read_rows
from experiments.human_mixup.policies import Settings
from hilmix.data.dataset import Augmentation
from hilmix.errors import ConfigError

FOLDER = Path(__file__).parent
SEARCH_FILE, FINAL_FILE = FOLDER / "results_search.csv", FOLDER / "results_final.csv"
CONFIRM_FILE = FOLDER / "results_confirm.csv"
NAMES = tuple(field.name for field in fields(Settings))
KEY = ["policy", "seed", *NAMES]
SEARCHED: dict[str, tuple[str, tuple[float, ...]]] = {
    "lr": ("none", (1e-3, 3e-3, 1e-2)),
    "mixup": ("all-mixup", (0.1, 0.2, 0.5, 1.0)),
    "cutmix": ("all-cutmix", (0.2, 0.5, 1.0)),
    "smoothing": ("label-smoothing", (0.05, 0.1, 0.2)),
}
"""The policy that each setting is chosen by, and the values tried."""


CONFIRMED = (
    ("all-mixup", "all-learned"),
    ("mixup-matched", "human-matched"),
    ("all-mixup", "all-learned-reversed"),
    ("all-learned-reversed", "all-learned"),
)
"""Pairs of policies: the second one did better under corruption with the first seeds, so fresh ones try it again; the
last two pairs are with a control of the first."""


def read(file: Path) -> pd.DataFrame:
    """The rows of a results file; none if it is not there."""
    return read_rows(file, KEY, converters={"commit": str}, keep_default_na=False, na_values=[""])


def add_row(file: Path, row: dict[str, Any]) -> None:
    """Writes a row in place of one with the same key."""
    keep_row(file, row, KEY, read)


def best(search: pd.DataFrame, name: str, **fixed: float) -> float:
    """The value of a setting with the lowest mean cross-entropy on validation.

    Args:
        search: rows of the search.
        name: of the setting.
        **fixed: settings chosen before.

    Raises:
        ConfigError: if the search of it is not complete.
    """
    policy, values = SEARCHED[name]
    rows = search[search["policy"] == policy]
    for key, value in fixed.items():
        rows = rows[rows[key] == value]
    if missing := sorted(set(values) - set(rows[name])):
        raise ConfigError(f"{SEARCH_FILE.name} lacks {name} {missing} of '{policy}'; run `search` first.")
    return float(rows.groupby(name)["val_ce"].mean().idxmin())


def chosen(search: pd.DataFrame, augment: Augmentation) -> Settings:
    """The settings that the search chooses: the learning rate, and with it the others, each by its own policy."""
    search = search[search["augment"] == augment]
    lr = best(search, "lr")
    others = {name: best(search, name, lr=lr) for name in SEARCHED if name != "lr"}
    return Settings(lr=lr, augment=augment, **others)


def current(final: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The rows at these settings."""
    same = [final[name] == getattr(settings, name) for name in NAMES]
    return final[pd.concat(same, axis=1).all(1)]
