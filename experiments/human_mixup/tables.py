"""Tables and the figure from the results files, into README.md."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy import stats

from experiments.annotators.statistics import holm
from experiments.harness import fill, markdown_table, mean_and_std
from experiments.human_mixup.policies import ALL_MIXES, ELICITED
from experiments.human_mixup.results import (
    CONFIRM_FILE,
    CONFIRMED,
    FINAL_FILE,
    FOLDER,
    SEARCH_FILE,
    SEARCHED,
    chosen,
    current,
    read,
)
from hilmix.data.dataset import Augmentation
from hilmix.errors import ConfigError

PAGE, FIGURE = FOLDER / "README.md", FOLDER / "policies.png"
SCORES = {
    "ce": "CE",
    "ce_calibrated": "CE, scaled",
    "acc": "accuracy %",
    "rms_calibration": "RMS error %",
    "entropy_correlation": "entropy r",
    "fgsm_ce": "CE, FGSM",
    "pgd_ce": "CE, PGD",
    "ce_corrupted": "CE, corrupted",
}
COMPARED = ("ce", "ce_corrupted")
PERCENT = {"acc", "rms_calibration"}
GROUPS = {"elicited": (ELICITED, "mixup"), "all": (("none", "label-smoothing", *ALL_MIXES), "all-mixup")}
"""Policies of a table and the one that the others are compared with."""
REGIMES: dict[Augmentation, str] = {"none": "", "crop-flip": "-augmented"}


def write() -> None:
    """Rebuilds the tables of the page and the figure."""
    search, final = read(SEARCH_FILE), read(FINAL_FILE)
    for augment, suffix in REGIMES.items():
        try:
            rows = current(final, chosen(search, augment))
        except ConfigError:
            continue
        if augment == "none":
            draw(rows, FIGURE)
        for group, (policies, reference) in GROUPS.items():
            shown = [p for p in policies if p in set(rows["policy"])]
            if reference in shown:
                fill(PAGE, f"{group}{suffix}", table(rows, shown, reference))
    fill(PAGE, "settings", settings(search))
    fill(PAGE, "confirm", confirmed(read(CONFIRM_FILE)))


def differences(rows: pd.DataFrame, policies: list[str], reference: str, score: str) -> pd.DataFrame:
    """Paired differences to the reference over common seeds: mean, half a 95 % interval, p by Holm, number of seeds."""
    wide = rows.pivot(index="seed", columns="policy", values=score)
    found = []
    for policy in policies:
        gap = (wide[policy] - wide[reference]).dropna()
        spread = stats.sem(gap) * stats.t.ppf(0.975, len(gap) - 1) if len(gap) > 1 else np.nan
        p = stats.ttest_1samp(gap, 0).pvalue if policy != reference and len(gap) > 1 else np.nan
        found.append((policy, gap.mean(), spread, p, len(gap)))
    frame = pd.DataFrame(found, columns=["policy", "mean", "half", "p", "seeds"]).set_index("policy")
    tested = frame["p"].notna()
    frame.loc[tested, "p"] = holm(frame.loc[tested, "p"].to_numpy())
    return frame


def table(rows: pd.DataFrame, policies: list[str], reference: str) -> str:
    """Markdown: mean and standard deviation over seeds, and paired differences of the cross-entropy."""
    gaps = {name: differences(rows, policies, reference, name) for name in COMPARED}
    head = ["policy", *SCORES.values()]
    head += [cell for name in COMPARED for cell in (f"{SCORES[name]} less `{reference}`", "p")]
    body = []
    for policy in policies:
        own = rows[rows["policy"] == policy]
        cells = [_cell(own[name] * (100 if name in PERCENT else 1), name) for name in SCORES]
        for found in gaps.values():
            cells += ["", ""] if policy == reference else _gap(found.loc[policy])
        body.append([f"`{policy}`", *cells])
    counts = rows[rows["policy"].isin(policies)].groupby("policy")["seed"].nunique()
    seeds = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    note = (
        f"{seeds} seeds; ± is the standard deviation over them, in the last columns half the 95 % interval of the "
        "paired difference; p of paired t tests, corrected by Holm within a column."
    )
    return f"{markdown_table(head, body, left=1)}\n\n{note}"


def confirmed(rows: pd.DataFrame) -> str:
    """Markdown: paired differences of the pairs that were tried again, fresh seeds only."""
    head = ["compared", *(cell for name in COMPARED for cell in (SCORES[name], "p"))]
    body = []
    for reference, policy in CONFIRMED:
        gaps = [differences(rows, [policy], reference, name).loc[policy] for name in COMPARED]
        body.append([f"`{policy}` less `{reference}`", *(cell for gap in gaps for cell in _gap(gap))])
    seeds = rows.groupby("policy")["seed"].nunique()
    return f"{markdown_table(head, body, left=1)}\n\n{seeds.min()} fresh seeds; p of paired t tests, uncorrected."


def _gap(found: "pd.Series[float]") -> list[str]:
    p = "" if np.isnan(found["p"]) else f"{found['p']:.3f}" if found["p"] >= 0.001 else "< .001"
    return [f"{found['mean']:+.3f} ± {found['half']:.3f}", p]


def _cell(values: "pd.Series[float]", name: str) -> str:
    digits = 1 if name in PERCENT else 3 if name in ("ce", "ce_calibrated", "entropy_correlation") else 2
    return mean_and_std(values, digits)


def settings(search: pd.DataFrame) -> str:
    """Markdown: every searched value with its cross-entropy on validation."""
    body = []
    for augment in REGIMES:
        if augment not in set(search["augment"]):
            continue
        found = chosen(search, augment)
        for name, (policy, _) in SEARCHED.items():
            rows = search[(search["policy"] == policy) & (search["augment"] == augment)]
            rows = rows if name == "lr" else rows[rows["lr"] == found.lr]
            values = "; ".join(f"{row[name]:g}: {row['val_ce']:.3f}" for _, row in rows.sort_values(name).iterrows())
            body.append([augment, name, values, f"{getattr(found, name):g}"])
    return markdown_table(["augmentation", "setting", "value: validation CE", "chosen"], body, left=3)


def draw(rows: pd.DataFrame, file: Path) -> None:
    """Differences of cross-entropy to plain mixup, every seed a dot, means with 95 % intervals."""
    shown = {name: [p for p in group[0] if p in set(rows["policy"])] for name, group in GROUPS.items()}
    heights = [len(names) for names in shown.values()]
    figure, panels = plt.subplots(2, 2, figsize=(9, 8.5), height_ratios=heights, layout="constrained", sharey="row")
    titles = ("2,070 judged mixes added to 7,000 images", "nothing added, all mixes of training labelled")
    for row, title, (name, (_, reference)) in zip(panels, titles, GROUPS.items(), strict=True):
        for panel, score in zip(row, COMPARED, strict=True):
            _panel(panel, rows, list(reversed(shown[name])), reference, score)
        row[0].set_title(title, fontsize=9, loc="left")
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _panel(panel: Axes, rows: pd.DataFrame, policies: list[str], reference: str, score: str) -> None:
    gaps, wide = differences(rows, policies, reference, score), rows.pivot(index="seed", columns="policy", values=score)
    for place, policy in enumerate(policies):
        dots, gap = (wide[policy] - wide[reference]).dropna(), gaps.loc[policy]
        panel.plot(dots, np.full(len(dots), place), "o", color="0.7", markersize=3)
        colour = "0.3" if policy == reference else "tab:blue" if gap["mean"] < 0 else "tab:red"
        half = gap["half"] if gap["seeds"] > 2 else 0  # of two seeds it would say nothing and fill the panel
        panel.errorbar(gap["mean"], place, xerr=half, fmt="D", color=colour, markersize=4, capsize=2)
    panel.axvline(0, color="0.3", linewidth=0.8)
    panel.set_yticks(range(len(policies)), policies, fontsize=8)
    panel.tick_params(axis="x", labelsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    images = "corrupted images" if score == "ce_corrupted" else "clean images"
    panel.set_xlabel(
        f"{images}: cross-entropy to people's labels,\nless that of {reference} (left is better)", fontsize=8
    )
    panel.spines[["top", "right"]].set_visible(False)
