"""Tables from the results files, into README.md."""

import itertools
from collections.abc import Sequence

import pandas as pd

from experiments.explanations.published import NAMES, RECALLED, THIRD_PARTY
from experiments.explanations.results import RANK, chosen, current, has_search, planned_masks, read
from experiments.explanations.settings import (
    DATA,
    EXACT,
    FINAL_FILE,
    GRID,
    HERE,
    KEY,
    MASK_DATA,
    MASK_METHODS,
    MASK_PLANS,
    MASKS_FILE,
    METHODS,
    SEARCH_FILE,
    mask_cases,
    mask_settings,
)
from experiments.harness import fill, markdown_table, mean_and_std

PAGE = HERE / "README.md"
EMPTY = "No runs yet."
MAIN = "decoy-mnist"
ROBUST = ("rrr", "pgd_ex", "ibp_ex")
COMBINED = ("pgd_ex+rrr", "ibp_ex+rrr")


def write() -> None:
    """Rebuilds the tables of the page."""
    search, final, masks = read(SEARCH_FILE), read(FINAL_FILE), read(MASKS_FILE)
    rows = current(final, search)
    for name in (name for name, plan in DATA.items() if plan.seeds):
        fill(PAGE, name, scores(rows, name))
    for name in MASK_DATA:
        fill(PAGE, f"masks-{name}", few_and_noisy(masks, search, name))
    fill(PAGE, "claims", claims(rows))
    fill(PAGE, "settings", settings(search))
    fill(PAGE, "budget", budget(search, final, masks))
    fill(PAGE, "missing", missing(search, rows, masks))


def scores(rows: pd.DataFrame, data: str) -> str:
    """Markdown: each method's average and worst-group accuracy, beside those of others."""
    rows = rows[rows["data"] == data]
    shown = [method for method in METHODS if method in set(rows["method"])]
    if not shown:
        return EMPTY
    others = {"Heo et al., recalled": RECALLED} if data == MAIN else {}
    others |= {"third party": THIRD_PARTY[data]} if data in THIRD_PARTY else {}
    head = ["method", *others, "last epoch", "best epoch by validation", "seeds", "ms per step", "core-minutes"]
    body = []
    for method in shown:
        own = rows[rows["method"] == method]
        body.append(
            [
                NAMES[method],
                *(_pair(found.get(method)) for found in others.values()),
                *(_both(own, prefix) for prefix in ("test", "best_test")),
                str(len(own)),
                f"{own['ms_per_step'].median():.0f}",
                f"{own['cpu_seconds'].mean() / 60:.1f}",
            ]
        )
    return markdown_table(head, body)


def claims(rows: pd.DataFrame) -> str:
    """Markdown: what must hold on half-image Decoy-MNIST, and whether it does, on means over the seeds there are."""
    rows = rows[rows["data"] == MAIN]
    if rows.empty:
        return EMPTY
    mean = rows.groupby("method")[["best_test_mean_group_acc", "best_test_worst_group_acc"]].mean() * 100
    average, worst = mean["best_test_mean_group_acc"].to_dict(), mean["best_test_worst_group_acc"].to_dict()
    body = []
    for text, method, values, least, most in (
        ("ERM at most 35 % on average", "erm", average, 0, 35),
        ("PGD-Ex + RRR at least 95 % on average", "pgd_ex+rrr", average, 95, 100),
        ("PGD-Ex + RRR at least 92 % in the worst group", "pgd_ex+rrr", worst, 92, 100),
    ):
        if method not in values:
            body.append([text, "not run yet", ""])
        else:
            body.append([text, "holds" if least <= values[method] <= most else "**fails**", f"{values[method]:.1f} %"])
    body += [_order(average, low, high) for low, high in _pairs()]
    return markdown_table(["claim", "", "measured"], body)


def _pairs() -> list[tuple[str, str]]:
    """The published order: the first of each pair is below the second."""
    steps = (("erm",), ("avg_ex",), ROBUST, COMBINED)
    return [pair for low, high in itertools.pairwise(steps) for pair in itertools.product(low, high)]


def _order(average: dict[str, float], low: str, high: str) -> list[str]:
    text = f"{NAMES[low]} below {NAMES[high]}"
    if low not in average or high not in average:
        return [text, "not run yet", ""]
    judged = "holds" if average[low] < average[high] else "**fails**"
    return [text, judged, f"{average[low]:.1f} and {average[high]:.1f} %"]


def settings(search: pd.DataFrame) -> str:
    """Markdown: every setting tried, with the accuracy that it was judged by; the chosen one in bold, those that are in
    the grid no more last.
    """
    searched = [d for d in dict.fromkeys(p.searched for p in DATA.values()) if d in set(search["data"])]
    if not searched:
        return EMPTY
    body = []
    for data in searched:
        for method in METHODS:
            rows = search[(search["data"] == data) & (search["method"] == method) & (search["masks"] == EXACT)]
            best = chosen(search, data, method) if has_search(search, data, method) else None
            value = (100 * rows.set_index("setting")[RANK[0]]).to_dict()
            cells = "; ".join(_tried(s, value[s], s == best) for s in GRID[method] if s in value)
            earlier = "; ".join(_tried(s, v, False) for s, v in value.items() if s not in GRID[method])
            if value:
                body.append([DATA[data].title, NAMES[method], cells + (f"; first tried: {earlier}" if earlier else "")])
    return markdown_table(["data", "method", "setting: worst group on validation, %"], body)


def _tried(setting: str, value: float, best: bool) -> str:
    text = f"{setting}: {value:.1f}"
    return f"**{text}**" if best else text


def few_and_noisy(masks: pd.DataFrame, search: pd.DataFrame, data: str) -> str:
    """Markdown, ways of giving masks by methods: worst-group / average accuracy of the best epoch by validation.

    Of two weights the one that is better on validation counts. In brackets the number of seeds, if there are several.
    """
    masks = masks[masks["data"] == data]
    methods = [m for m in MASK_METHODS if m in set(masks["method"]) and has_search(search, data, m)]
    if not methods:
        return EMPTY
    body = []
    for case in mask_cases(data):
        cells = [_case(masks, case, method, chosen(search, data, method)) for method in methods]
        if any(cells):
            body.append([case, *cells])
    return markdown_table(["masks", *(NAMES[method] for method in methods)], body)


def case_rows(masks: pd.DataFrame, case: str, method: str, setting: str) -> pd.DataFrame:
    """The rows of one way of giving masks and one method; of two weights those that are better on validation."""
    tried = mask_settings(case, method, setting)
    rows = masks[(masks["masks"] == case) & (masks["method"] == method) & masks["setting"].isin(tried)]
    if rows.empty:
        return rows
    best = rows.groupby("setting")[RANK].mean().sort_values(RANK, ascending=False).index[0]
    return rows[rows["setting"] == best]


def _case(masks: pd.DataFrame, case: str, method: str, setting: str) -> str:
    rows = case_rows(masks, case, method, setting)
    if rows.empty:
        return ""
    worst, mean = (100 * rows[f"best_test_{name}_group_acc"].mean() for name in ("worst", "mean"))
    seeds = f" ({len(rows)})" if len(rows) > 1 else ""
    return f"{worst:.0f} / {mean:.0f}" + ("*" if rows["setting"].iloc[0] != setting else "") + seeds


def budget(search: pd.DataFrame, final: pd.DataFrame, masks: pd.DataFrame) -> str:
    """Describes number and time of the runs, and the versions of the code."""
    tables = {"search": search, "final": final, "masks": masks}
    both = pd.concat([table for table in tables.values() if len(table)] or [search])
    if both.empty:
        return EMPTY
    parts = [f"{len(t)} runs of `{n}` {t['cpu_seconds'].sum() / 3600:.2f}" for n, t in tables.items() if len(t)]
    commits = ", ".join(sorted(set(both["commit"].astype(str))))
    return f"{'; '.join(parts)} core-hours of training. Code: {commits}; torch {', '.join(sorted(set(both['torch'])))}."


def missing(search: pd.DataFrame, rows: pd.DataFrame, masks: pd.DataFrame) -> str:
    """Lists what the plan of settings.py has and the results lack, with the command that goes on."""
    lines = []
    searched = dict.fromkeys(plan.searched for plan in DATA.values())
    open_search = {d: [m for m in METHODS if not has_search(search, d, m)] for d in searched}
    lines += [_todo("search", d, names, METHODS, "settings") for d, names in open_search.items() if names]
    for name, plan in DATA.items():
        seeds = rows[rows["data"] == name].groupby("method")["seed"].nunique()
        lacking = [m for m in METHODS if seeds.get(m, 0) < len(plan.seeds)]
        lines += [_todo("final", name, lacking, METHODS, f"some of {len(plan.seeds)} seeds")] if lacking else []
    found = set(masks[KEY].itertuples(index=False, name=None))
    for name in MASK_DATA:
        methods = [m for m in MASK_METHODS if any(plan.data == name and m in plan.methods for plan in MASK_PLANS)]
        lacking = [
            m for m in methods if not has_search(search, name, m) or set(planned_masks(search, [name], [m])) - found
        ]
        lines += [_todo("masks", name, lacking, MASK_METHODS, "some masks or seeds")] if lacking else []
    return "\n".join(lines) or "Nothing."


def _todo(step: str, data: str, methods: Sequence[str], every: Sequence[str], what: str) -> str:
    whole = len(methods) == len(every)
    names = "all methods" if whole else ", ".join(NAMES[m] for m in methods)
    choice = "" if whole else f" --methods {' '.join(methods)}"
    return f"* {DATA[data].title}: {what} of {names}: `python -m experiments.explanations {step} --data {data}{choice}`"


def _pair(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{found[0]:.1f} / {found[1]:.1f}"


def _both(rows: pd.DataFrame, prefix: str) -> str:
    return " / ".join(_mean(100 * rows[f"{prefix}_{name}_group_acc"]) for name in ("mean", "worst"))


def _mean(values: "pd.Series[float]") -> str:
    return mean_and_std(values, 1)
