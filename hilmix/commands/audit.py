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
from hilmix.data.reviews import REVIEWED, add_reviews, join_votes, take_items
from hilmix.diagnostics import Audit, audit
from hilmix.diagnostics.clean_pass import PREDICTIONS
from hilmix.diagnostics.fold_temperature import temper
from hilmix.errors import ConfigError, DataError, RunError
from hilmix.files import write_table
from hilmix.spreadsheets import plain_cells
from hilmix.terminal import Console, literal, pairs, say

SCORE = "confidence"
"""Column of ``dynamics.parquet`` by which the audit goes: the mean probability of a label over the passes."""
_ABOUT = "Judge every label by predictions of models that have not seen it, the other annotators and similar items."
_MORE = """output: labels.parquet (one row per label), issues.csv (labels that are probably wrong, with reasons),
review.csv (items to look at, the first ones first), review/, a data folder of these items, and annotators.csv.

  hilmix crossfit -c configs/method/annot-mix.yaml --data.root data/mine --run_dir runs/mine
  hilmix audit data/mine --run runs/mine -o audits/mine
  hilmix audit data/mine --run runs/mine --dynamics runs/mine/dynamics.parquet -o audits/mine
  hilmix audit data/mine --probs probs.csv --predictions out-of-fold --features features.npy -o audits/mine

Fill the column reviewed of review.csv, and take it back, as votes of an annotator or as true classes:

  hilmix audit data/mine --reviewed audits/mine/review.csv --reviewer ann -o data/reviewed
  hilmix audit data/mine --reviewed audits/mine/review.csv -o data/reviewed

Or show the pictures to participants, and take back the votes that they add:

  hilmix elicit review audits/mine -o studies/review
  hilmix elicit serve studies/review
  hilmix elicit export studies/review -o data/answers --format folder --data audits/mine/review
  hilmix audit data/mine --reviewed data/answers -o data/reviewed
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
    parser.add_argument(
        "--predictions", choices=PREDICTIONS, help="how those of --probs were made, if no column predictions says it"
    )
    parser.add_argument(
        "--dynamics", type=Path, metavar="FILE", help="dynamics.parquet of a run with the callback TrainingDynamics"
    )
    parser.add_argument("--features", type=Path, metavar="FILE", help=".npy (items, features), in the folder's order")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder to write")
    parser.add_argument("--review", type=int, default=200, metavar="N", help="most items to review (default: 200)")
    parser.add_argument("--force", action="store_true", help="accept in-sample predictions")
    parser.add_argument(
        "--reviewed",
        type=Path,
        metavar="FILE",
        help="review.csv with labels in its column reviewed, or a data folder with votes of further annotators",
    )
    parser.add_argument("--reviewer", metavar="NAME", help="annotator whose votes they are (default: true classes)")


def run(args: argparse.Namespace, console: Console) -> None:
    """Audit the labels of a folder, or take reviewed labels back.

    Raises:
        ConfigError: for options that do not belong together, predictions of unknown origin, or in-sample ones.
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
    source = args.run or args.probs
    table = _with_kinds(_read_predictions(args), args.predictions, source)
    probs, kinds = _probs_of(data, table, source)
    features = None if args.features is None else _read_features(args.features)
    dynamics = None if args.dynamics is None else _read_dynamics(args.dynamics, data)
    # The strictest kind decides whether they are accepted.
    kind = "in-sample" if "in-sample" in kinds else "out-of-fold"
    with console.status(literal(f"auditing {args.folder}")):
        votes = data.annotations
        result = audit(votes, probs, features, predictions=kind, dynamics=dynamics, items=data.items, force=args.force)
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
        # Without pickle: a file of features can come from anywhere, and unpickling runs what it holds.
        found: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"--features must be an array as numpy.save writes it, got '{file}': {error}") from error
    return found


def _read_dynamics(file: Path, data: AnnotatedData) -> NDArray[np.float64]:
    """(L,) mean probability of each vote over the passes, NaN where the file has none.

    Two votes for one class of an item have the same dynamics.
    """
    table = _read_table(file)
    if missing := [name for name in ("item", "label", SCORE) if name not in table]:
        raise DataError(f"--dynamics must be dynamics.parquet of a run, got '{file}' without the column {missing[0]}.")
    known = table.drop_duplicates(["item", "label"])
    key = pd.MultiIndex.from_arrays([known["item"].astype(str), known["label"].astype(str)])
    votes = data.annotations
    items, classes = np.asarray(data.items, dtype=object), np.asarray(data.classes, dtype=object)
    row = key.get_indexer(pd.MultiIndex.from_arrays([items[votes.item], classes[votes.label]]))
    if not (row >= 0).any():
        raise DataError(f"--dynamics must be of labels of the folder, got none of them in '{file}'.")
    found: NDArray[np.float64] = np.where(row >= 0, known[SCORE].to_numpy(np.float64)[row], np.nan)
    return found


def _with_kinds(table: pd.DataFrame, stated: str | None, source: Path) -> pd.DataFrame:
    """The predictions with how they were made: nothing is taken for out of fold that does not say so."""
    if "predictions" in table and stated is not None:
        raise ConfigError(f"--predictions must be left out where the column predictions says it, as in '{source}'.")
    if "predictions" not in table and stated is None:
        raise ConfigError(
            f"--predictions must say how those of '{source}' were made, {', '.join(PREDICTIONS)}, as it has no column "
            "predictions. A model that was trained on a label finds it right."
        )
    return table if stated is None else table.assign(predictions=stated)


def _probs_of(
    data: AnnotatedData, table: pd.DataFrame, source: Path
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """(N, K) probabilities of the folder's items, NaN where the table has none, and how each was made."""
    columns = [f"prob_{name}" for name in data.classes]
    if missing := [name for name in ("item", *columns) if name not in table]:
        raise DataError(f"{source}: the predictions must have a column {missing[0]}, as the folder has this class.")
    # As text, like the names of items in a folder: a table of 1, 2, 3 is read as numbers.
    place = pd.Index(table["item"].astype(str))
    if place.has_duplicates:
        raise DataError(
            f"{source}: every item must have one prediction, got several of {place[place.duplicated()][0]}."
        )
    row = place.get_indexer(pd.Index(data.items))
    if not (row >= 0).any():
        raise DataError(f"{source}: the predictions must be of items of the folder, got none of them.")
    probs = table[columns].to_numpy(np.float64)
    if "temperature" in table:  # of the network of each fold: networks differ in sharpness
        probs = temper(probs, table["temperature"].to_numpy(np.float64))
    probs = probs[row]
    probs[row < 0] = np.nan
    kinds = np.full(len(data), None, dtype=object)
    seen = row >= 0
    kinds[seen] = table["predictions"].astype(object).to_numpy()[row[seen]]
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
    if args.reviewed.is_dir():
        _join(args, data, console)
        return
    reviews = _read_table(args.reviewed)
    found = add_reviews(data, reviews, reviewer=args.reviewer)
    write_data(found, args.out)
    # Where each label is from, beside the data.
    write_table(reviews.assign(reviewer=args.reviewer or "target"), args.out / "reviews.csv")
    added = "true classes" if args.reviewer is None else f"votes of {args.reviewer}"
    say(console, literal(f"reviewed labels of {args.reviewed} are {added} in {args.out}"))


def _join(args: argparse.Namespace, data: AnnotatedData, console: Console) -> None:
    if args.reviewer is not None:
        raise ConfigError("--reviewer must be left out for a data folder, whose annotators have names.")
    joined = join_votes(data, read_folder(args.reviewed))
    write_data(joined.data, args.out)
    write_table(joined.added, args.out / "reviews.csv")
    who = joined.added["reviewer"].nunique()
    what = f"{len(joined.added):,} votes of {who:,} annotators of {args.reviewed} are in {args.out}"
    say(console, literal(what))


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
