"""``hilmix audit FOLDER --run RUN``: which labels are wrong, with reasons and a review queue, and back again."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.checks import PositiveInt, check_value
from hilmix.commands.outputs import require_free, write_data
from hilmix.data.folder import read_folder
from hilmix.data.folder.tables import read_csv, read_parquet
from hilmix.data.items import AnnotatedData
from hilmix.data.reviews import REVIEWED, add_reviews, take_items
from hilmix.diagnostics import Audit, audit
from hilmix.errors import ConfigError, DataError, RunError
from hilmix.files import write_table
from hilmix.spreadsheets import plain_cells
from hilmix.terminal import Console, literal, pairs, say

_ABOUT = "Judge every label by predictions of models that have not seen it, the other annotators and similar items."
_MORE = """output: labels.parquet (one row per label), issues.csv (labels that are probably wrong, with reasons),
review.csv (items to look at, the first ones first), review/, a data folder of these items, and annotators.csv.

  hilmix crossfit -c configs/method/annot-mix.yaml --data.root data/mine --run_dir runs/mine
  hilmix audit data/mine --run runs/mine -o audits/mine
  hilmix audit data/mine --probs probs.csv --features features.npy -o audits/mine

Fill the column reviewed of review.csv, and take it back, as votes of an annotator or as true classes:

  hilmix audit data/mine --reviewed audits/mine/review.csv --reviewer ann -o data/reviewed
  hilmix audit data/mine --reviewed audits/mine/review.csv -o data/reviewed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description, parser.epilog = _ABOUT, _MORE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, help="data folder")
    parser.add_argument(
        "--run", type=Path, metavar="RUN", help="run of hilmix crossfit, else of hilmix fit and predict"
    )
    parser.add_argument("--probs", type=Path, metavar="FILE", help=".csv or .parquet with item and prob_<class>")
    parser.add_argument("--features", type=Path, metavar="FILE", help=".npy (items, features), in the folder's order")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder to write")
    parser.add_argument("--review", type=int, default=200, metavar="N", help="most items to review (default: 200)")
    parser.add_argument("--force", action="store_true", help="accept in-sample predictions")
    parser.add_argument("--reviewed", type=Path, metavar="FILE", help="review.csv with labels in its column reviewed")
    parser.add_argument("--reviewer", metavar="NAME", help="annotator whose votes they are (default: true classes)")


def run(args: argparse.Namespace, console: Console) -> None:
    """Audit the labels of a folder, or take reviewed labels back.

    Raises:
        ConfigError: for options that do not belong together, or in-sample predictions.
        DataError: if the folder or a table cannot be used, or the output exists.
        RunError: if the run has no predictions.
    """
    require_free(args.out, flag="-o")
    check_value("--review", args.review, PositiveInt)
    given = [name for name in ("run", "probs", "reviewed") if getattr(args, name) is not None]
    if len(given) != 1:
        raise ConfigError(f"Give exactly one of --run, --probs and --reviewed, got {len(given)}.")
    data = read_folder(args.folder)
    if args.reviewed is not None:
        _take_back(args, data, console)
        return
    table = _read_predictions(args)
    probs, kinds = _probs_of(data, table, args.run or args.probs)
    features = None if args.features is None else _read_features(args.features)
    # The strictest kind decides whether they are accepted.
    kind = "in-sample" if "in-sample" in kinds else "out-of-fold"
    with console.status(literal(f"auditing {args.folder}")):
        votes = data.annotations
        result = audit(votes, probs, features, predictions=kind, items=data.items, force=args.force)
        result.labels["predictions"] = kinds[votes.item]
        _write(result, data, args.out, args.review)
    console.print(_summary(result, args.out))


def _read_predictions(args: argparse.Namespace) -> pd.DataFrame:
    if args.probs is not None:
        return _read_table(args.probs)
    for name in ("out_of_fold.parquet", "predictions.parquet"):
        if (args.run / name).is_file():
            return read_parquet(args.run / name)
    raise RunError(f"{args.run} must hold out_of_fold.parquet, got none. Make it with hilmix crossfit.")


def _read_table(file: Path) -> pd.DataFrame:
    if not file.is_file():
        raise DataError(f"There is no file '{file}'.")
    if file.suffix == ".parquet":
        return read_parquet(file)
    return plain_cells(read_csv(file))


def _read_features(file: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"--features must be an array as numpy.save writes it, got '{file}': {error}") from error
    return found


def _probs_of(
    data: AnnotatedData, table: pd.DataFrame, source: Path
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """(N, K) probabilities of the folder's items, NaN where the table has none, and how each was made."""
    columns = [f"prob_{name}" for name in data.classes]
    if missing := [name for name in ("item", *columns) if name not in table]:
        raise DataError(f"{source}: the predictions must have a column {missing[0]}, as the folder has this class.")
    place = pd.Index(table["item"].astype(str))
    if place.has_duplicates:
        raise DataError(
            f"{source}: every item must have one prediction, got several of {place[place.duplicated()][0]}."
        )
    row = place.get_indexer(pd.Index(data.items))
    if not (row >= 0).any():
        raise DataError(f"{source}: the predictions must be of items of the folder, got none of them.")
    probs = table[columns].to_numpy(np.float64)[row]
    probs[row < 0] = np.nan
    kinds = np.full(len(data), None, dtype=object)
    seen = row >= 0
    kinds[seen] = table["predictions"].astype(object).to_numpy()[row[seen]] if "predictions" in table else "out-of-fold"
    return probs, kinds


def _write(result: Audit, data: AnnotatedData, out: Path, most: int) -> None:
    issues = result.labels[result.labels["is_issue"]].sort_values("p_wrong", ascending=False, kind="stable")
    review = result.review.head(most).assign(**{REVIEWED: ""})
    write_table(result.labels, out / "labels.parquet")
    write_table(issues, out / "issues.csv")
    write_table(review, out / "review.csv")
    write_table(result.annotators, out / "annotators.csv")
    if len(review):
        rows = pd.Index(data.items).get_indexer(review["item"]).astype(np.int64)
        write_data(take_items(data, rows), out / "review")


def _take_back(args: argparse.Namespace, data: AnnotatedData, console: Console) -> None:
    reviews = _read_table(args.reviewed)
    found = add_reviews(data, reviews, reviewer=args.reviewer)
    write_data(found, args.out)
    # Where each label is from, beside the data.
    write_table(reviews.assign(reviewer=args.reviewer or "target"), args.out / "reviews.csv")
    added = "true classes" if args.reviewer is None else f"votes of {args.reviewer}"
    say(console, literal(f"reviewed labels of {args.reviewed} are {added} in {args.out}"))


def _summary(result: Audit, out: Path) -> Any:
    labels = result.labels
    weights = ", ".join(f"{view} {w:.2f}" for view, w in zip(result.views["view"], result.views["weight"], strict=True))
    rows = [
        ("labels", f"{len(labels):,}"),
        ("probably wrong", f"{int(labels['is_issue'].sum()):,}, expected {labels['p_wrong'].sum():,.0f}"),
        ("items to review", f"{len(result.review):,}"),
        ("weights of views", weights),
        ("written", str(out)),
    ]
    return pairs(rows)
