"""The summary of human judgments as a few tables of terminal."""

from collections.abc import Sequence

import pandas as pd

from hilmix.human.report.categorical import RULES
from hilmix.human.report.frame import ALL
from hilmix.human.report.summary import REPEATS, Summary
from hilmix.terminal import Console, Grid, literal, say, warn

_STRONGEST = 5
_MANY_CLASSES = 12
_CEILING = "noise ceiling: any rule"
_LABELS = ("entropy", "off_endpoints", "endpoint_share")


def print_summary(summary: Summary, console: Console) -> None:
    """Prints the headline tables; the files hold all of them."""
    tables = summary.tables
    _counts(tables["counts"], console)
    intervals = f"Intervals: {100 * summary.level:g} %, clustered by participant except those of agreement (ICC)."
    say(console, "", *REPEATS.splitlines(), intervals)
    weights = tables["weights"].query("study == 'infer'")
    if len(weights):
        shown = weights[weights["quantity"].isin(["answer", "deviation", "confidence"])]
        spread = weights[weights["quantity"] == "answer"].assign(quantity="SD", value=weights["sd"], low=None)
        _grid("Seen weight of image 1, by generating weight", pd.concat([shown, spread]), console)
    if "curves" in tables:
        _grid("Relabelling curves, by fit criterion", tables["curves"], console, ["quantity"], "group")
    if "midpoints" in tables:
        _grid("Weight that shows half of each (group: start value)", tables["midpoints"], console, ["study", "group"])
    if "anchoring" in tables:
        row = tables["anchoring"].iloc[0]
        say(console, "", f"Per unit of start value the answer moves by {_estimate(row)}.")
    _grid(
        "Agreement between participants, and of participants with themselves (repeats)",
        _agreement(tables),
        console,
        ["study", "group"],
    )
    if "explained" in tables:
        rules = tables["explained"][tables["explained"]["quantity"] != "share_of_ceiling"].replace(ALL, _CEILING)
        _grid(
            "Share of squared deviation that simple rules remove, fitted on the same answers",
            rules,
            console,
            column="study",
        )
    if "class_strengths" in tables:
        strengths = _cut(tables["class_strengths"])
        _grid("Class strengths: seen that much further towards the class", strengths, console, column="study")
    if "label_pairs" in tables:
        _pairs(tables["label_pairs"], console)
    if "confidence" in tables:
        _grid("What confidence goes with", tables["confidence"], console)
    if "labels" in tables:
        keys = ["mixup_entropy", *(f"{rule}_{measure}" for measure in _LABELS for rule in RULES)]
        labels = tables["labels"]
        _grid(
            "Labels over the classes, by generating weight and clamp rule",
            labels[labels["quantity"].isin(keys)],
            console,
            ["quantity"],
            "group",
        )
    _flags(tables["participants"], console)
    for note in summary.notes:
        warn(console, note, title="not computed:")


def _grid(
    title: str, table: pd.DataFrame, console: Console, row: Sequence[str] = ("group",), column: str = "quantity"
) -> None:
    """One cell per estimate; rows and columns in the order in which they first come."""
    if table.empty:
        return
    cells = table.assign(cell=table.apply(_estimate, axis=1))
    wide = cells.pivot(index=list(row), columns=column, values="cell")
    # pivot sorts; the tables have the order to read in.
    wide = wide.reindex(index=cells.set_index(list(row)).index.unique(), columns=cells[column].unique()).fillna("")
    say(console, "", literal((title, "bold")))
    shown = Grid(header_style="dim")
    for name in (*row, *wide.columns):
        shown.add_column(name.replace("_", " "))
    for key, values in zip(wide.index, wide.to_numpy(), strict=True):
        names = key if isinstance(key, tuple) else (key,)
        shown.add_row(*map(_shown, row, names), *values)
    console.print(shown)


def _shown(column: str, value: object) -> str:
    """A cell; names of groups and studies as they are, those of quantities as words."""
    return str(value).replace("_", " ") if column == "quantity" else str(value)


def _estimate(row: "pd.Series[float]") -> str:
    if pd.isna(row["value"]):
        return "n/a"
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{interval}"


def _counts(table: pd.DataFrame, console: Console) -> None:
    shown = Grid(header_style="dim")
    columns = [
        "study",
        "participants",
        "batches",
        "stimuli",
        "judgments",
        "repeats",
        "shown_twice",
        "median_seconds",
        "untouched_trials",
        "flagged_participants",
    ]
    for name in columns:
        shown.add_column(name.replace("_", " "), justify="left" if name == "study" else "right")
    for row in table[columns].to_dict("records"):
        seconds = "" if pd.isna(row["median_seconds"]) else f"{row['median_seconds']:.1f}"
        shown.add_row(
            *(f"{v:,}" if isinstance(v, int) else str(v) for v in {**row, "median_seconds": seconds}.values())
        )
    console.print(shown)


def _agreement(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [tables[name] for name in ("agreement", "repeats") if name in tables]
    if not parts:
        return pd.DataFrame()
    both = pd.concat(parts)
    names = {
        "icc_single": "ICC of one",
        "icc_average": "ICC of the mean",
        "correlation": "repeats: r",
        "mean_absolute_difference": "repeats: mean |difference|",
    }
    # One clamp rule is enough at a glance; the files hold both.
    both = both[both["quantity"].isin(names) & ~both["group"].str.startswith("cifar10s_")]
    return both.assign(quantity=both["quantity"].map(names))


def _cut(table: pd.DataFrame) -> pd.DataFrame:
    """A long list of groups without its middle: the strongest of the first study."""
    order = table.groupby("group", sort=False)["value"].first()
    if len(order) <= _MANY_CLASSES:
        return table
    order = order.sort_values()
    kept = {*order.index[:_STRONGEST], *order.index[-_STRONGEST:]}
    return table[table["group"].isin(kept)]


def _pairs(table: pd.DataFrame, console: Console) -> None:
    order = table["shrunk"].abs().sort_values(ascending=False).index
    top = table.loc[order].groupby("study", sort=False).head(_STRONGEST)
    top = pd.concat([top[top["study"] == study] for study in table["study"].unique()])
    shrunk = top.assign(quantity="shrunk", value=top["shrunk"], low=None)
    _grid(
        f"Label pairs that deviate most ({_STRONGEST} per study; positive: towards the first class)",
        pd.concat([top, shrunk]),
        console,
        ["study", "group"],
    )


def _flags(table: pd.DataFrame, console: Console) -> None:
    flagged = table[table["flags"] != ""]
    say(console, "", literal(("Flagged participants", "bold"), f": {len(flagged)} of {len(table)}, none left out"))
    for row in flagged.to_dict("records"):
        seconds = "" if pd.isna(row["median_seconds"]) else f", median {row['median_seconds']:.1f} s"
        name = f"{row['study']} {row['participant']}: {row['flags'].replace(' ', ', ')}"
        common = f"{row['commonest_answer']} on {row['commonest_trials']} of {row['trials']} trials"
        say(console, f"  {name} ({common}, {row['untouched_trials']} look untouched{seconds})")
