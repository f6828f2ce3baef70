"""Accuracy of every aggregator on 16 public sets of crowd labels.

    HILMIX_DATA=FOLDER python -m experiments.aggregation.crowds run   # --only ibcc ebcc: these rows, others stay
    python -m experiments.aggregation.crowds table   # also into README.md beside this file and docs/aggregation.md

FOLDER/crowds holds one NAME.npz per set, with item, annotator, label (one row per label) and truth (per item). Methods
that draw (ties, random starts) get the mean over ten seeds. One row per set, method and setting in crowds.csv: of
several labels of an annotator for an item the last counts (``last``, the default of hilmix); where there are such, all
are scored too (``keep``, which other tools do).
"""

import os
import time
from collections.abc import Collection
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from experiments.harness import fill, markdown_table, step_parser
from hilmix.annotations import Annotations
from hilmix.errors import DataError
from hilmix.functional.aggregation import AGGREGATORS, aggregate, choose_classes

HERE = Path(__file__).parent
SETS = (
    "bluebirds",
    "dogs",
    "ducks",
    "face_sentiment",
    "music_genre",
    "pos_tagging",
    "product_matching",
    "rte",
    "sentiment_polarity",
    "sentiment_polarity_amt",
    "temporal_order",
    "weather_sentiment_amt",
    "weather_sentiment_cf",
    "word_sense",
    "zencrowd_in",
    "zencrowd_us",
)
PAGES = (HERE / "README.md", HERE.parent.parent / "docs" / "aggregation.md")
SEEDS = range(10)
DRAWN = ("majority", "ebcc", "mace", "kos", "average")
"""Those whose fit depends on the seed; of the others only ties do."""


def load(file: Path) -> tuple[Annotations, np.ndarray]:
    """Returns the votes and the (N,) true classes of one set."""
    if not file.is_file():
        raise DataError(f"There is no {file}; HILMIX_DATA must name a folder whose crowds/ holds the sets.")
    stored = np.load(file, allow_pickle=False)
    truth = stored["truth"].astype(np.int64)
    votes = Annotations.build(
        stored["item"],
        stored["annotator"],
        stored["label"],
        num_items=len(truth),
        classes=len(stored["class_names"]),
        annotators=int(stored["annotator"].max()) + 1,
    )
    return votes, truth


def settings(votes: Annotations) -> dict[str, Annotations]:
    """Returns what is scored: the last labels, and where annotators repeat themselves all labels too."""
    distinct = votes.distinct()
    return {"last": distinct} if distinct is votes else {"last": distinct, "keep": votes}


def score(
    name: str, method: str, votes: Annotations, truth: np.ndarray, duplicates: str, drawn: Collection[str] = DRAWN
) -> dict[str, object]:
    """Mean accuracy and log-loss over the seeds, of the items with a known class."""
    accuracy, loss, start = [], [], time.process_time()
    for seed in SEEDS:
        if seed == SEEDS[0] or method in drawn:
            result = aggregate(method, votes, seed=seed)
        known = truth >= 0
        accuracy.append((choose_classes(result.posterior, seed=seed).label == truth)[known].mean())
        right = result.posterior[known, truth[known]]
        loss.append(np.nan if result.hard else -np.log(np.clip(right, 1e-12, None)).mean())
    seconds = (time.process_time() - start) / (len(SEEDS) if method in drawn else 1)
    return {
        "set": name,
        "method": method,
        "duplicates": duplicates,
        "accuracy": round(100 * np.mean(accuracy), 2),
        "log_loss": round(float(np.mean(loss)), 4),
        "rounds": result.rounds,
        "converged": result.converged,
        "seconds": round(seconds, 3),
    }


def run(root: Path, file: Path, only: Collection[str] = ()) -> None:
    """Scores every method on every set and writes the file; with ``only`` these, beside the file's rows of others."""
    rows = []
    for name in track(SETS, description="crowds"):
        votes, truth = load(root / f"{name}.npz")
        methods = [m for m in only or AGGREGATORS if m != "kos" or votes.num_classes == 2]
        for duplicates, counted in settings(votes).items():
            rows += [score(name, method, counted, truth, duplicates) for method in methods]
    write_rows(pd.DataFrame(rows), file, only)


def write_rows(rows: pd.DataFrame, file: Path, only: Collection[str]) -> None:
    """Writes the rows in the order of sets, settings and methods; rows of the file stay as text, digit by digit."""
    if only:
        # rounds are numbers with a point in a file that also has methods without rounds
        lines = rows.astype({"rounds": float}).to_csv(index=False)
        text = pd.read_csv(StringIO(lines), dtype=str, keep_default_na=False)
        old = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows = pd.concat([old[~old["method"].isin(only)], text])
    order = {"set": SETS, "duplicates": ("last", "keep"), "method": tuple(AGGREGATORS)}
    rank = [rows[column].map(values.index) for column, values in order.items()]
    rows.iloc[np.lexsort(rank[::-1])].to_csv(file, index=False)


def table(results: pd.DataFrame) -> str:
    """Markdown: accuracy in per cent, the best of a row in bold, means, mean ranks and losses to the majority."""
    results = results[results["duplicates"] == "last"]
    wide = results.pivot(index="set", columns="method", values="accuracy")[list(AGGREGATORS)]
    binary = wide.dropna()
    means = {"mean of all": wide.mean().where(wide.notna().all()), f"mean of {len(binary)} binary": binary.mean()}
    body = []
    for name, row in [*wide.iterrows(), *means.items()]:
        best = round(float(row.max()), 1)  # as Python rounds the cells: numpy rounds 80.45 down
        cells = ["" if np.isnan(x) else f"**{x:.1f}**" if round(x, 1) == best else f"{x:.1f}" for x in row]
        body.append([str(name), *cells])
    of_all = wide.loc[:, wide.notna().all()]
    rank = of_all.rank(axis=1, ascending=False).mean().reindex(wide.columns)
    loss = wide.sub(wide["majority"], axis=0).min()
    for name, row in {"mean rank": rank, "worst against majority": loss}.items():
        body.append([name, *("" if np.isnan(x) else f"{x:.1f}" for x in row)])
    return markdown_table(["set", *wide], body, left=1)


def repeats_table(results: pd.DataFrame) -> str:
    """Markdown: accuracy in per cent of the sets with repeats, under both settings."""
    both = results[results["set"].isin(results["set"][results["duplicates"] == "keep"])]
    wide = both.pivot(index=["set", "duplicates"], columns="method", values="accuracy")[list(AGGREGATORS)]
    body = [[*name, *("" if np.isnan(x) else f"{x:.1f}" for x in row)] for name, row in wide.iterrows()]
    return markdown_table(["set", "duplicates", *wide], body, left=2)


def main() -> None:
    parser = step_parser(__doc__, ["run", "table"])
    parser.add_argument("--only", nargs="+", default=(), choices=list(AGGREGATORS), help="methods to run")
    args = parser.parse_args()
    file = HERE / "crowds.csv"
    if args.step == "run":
        if "HILMIX_DATA" not in os.environ:
            parser.error("set HILMIX_DATA to the folder that holds crowds/")
        run(Path(os.environ["HILMIX_DATA"]) / "crowds", file, args.only)
    results = pd.read_csv(file)
    texts = {"crowds": table(results), "crowds-repeats": repeats_table(results)}
    for page in PAGES:
        for name, text in texts.items():
            fill(page, name, text)
    print("\n\n".join(texts.values()))


if __name__ == "__main__":
    main()
