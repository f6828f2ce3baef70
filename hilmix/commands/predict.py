"""``hilmix predict RUN NEW``: calibrated class probabilities of new items, from a trained run alone."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.checks import PositiveInt, check_value, refusal
from hilmix.data import AnnotatedDataModule
from hilmix.data.new_items import NewItems, find_new_items
from hilmix.diagnostics.columns import named
from hilmix.errors import ConfigError, DataError, RunError
from hilmix.files import write_atomically, write_table
from hilmix.functional.sizes import bytes_needed, require_memory
from hilmix.integrity import read_checkpoint
from hilmix.lightning_cli.results_folder import owner
from hilmix.predictor import BATCH, Predictor, find_weights, load
from hilmix.selective import HumanThreshold, choose_human_threshold
from hilmix.terminal import Console, Grid, literal, pairs, warn
from hilmix.trusted import add_trust

FORMATS = (".csv", ".parquet", ".jsonl")
_ABOUT = """Predict new items with a trained run, or renew the run's own predictions where none are given.

Classes, preprocessing and temperature are those of the run; its data folder is not needed, but for --risk."""
_MORE = """NEW is an image, a folder of images, a list of paths (.txt, or .csv and .parquet with a column path), an
array (.npy), or a data folder, with votes or without.

output: one row per item: item, predicted, confidence (the largest calibrated probability), prob_<class> for every
class, or with --top-k N top_1, top_1_prob, ... top_N_prob; where the items have votes, and the model annotators,
suggested and posterior_<class>, given the votes too; with --risk ask_human.

  hilmix predict runs/mine photos -o photos.parquet
  hilmix predict runs/mine one.jpg -o one.csv --top-k 3
  hilmix predict runs/mine photos -o photos.csv --risk 0.05
  hilmix predict runs/mine                            # the run's own items, into runs/mine/predictions.parquet

hilmix predict --run_dir RUN takes the options of the trainer: hilmix predict --help.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description, parser.epilog = _ABOUT, _MORE
    parser.add_argument("run", type=Path, help="the --run_dir of a run")
    parser.add_argument("new", type=Path, nargs="?", metavar="NEW", help="new items (default: those of the run)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="labels.csv, .parquet or .jsonl")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument("--ckpt_path", default="last", metavar="WEIGHTS", help="last (the default), best, or a file")
    parser.add_argument("--top-k", type=int, metavar="N", help="columns of the N most probable classes alone")
    parser.add_argument(
        "--risk",
        type=float,
        metavar="SHARE",
        help="ask a human where else more than this share of the predictions would be wrong, as certified on the run's "
        "validation items",
    )
    parser.add_argument("--batch-size", type=int, default=BATCH, metavar="N", help=f"default: {BATCH}")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: the accelerator, if there is one)")
    add_trust(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Predict, write the table and print a summary.

    Raises:
        ConfigError: for an option out of range.
        DataError: if the output exists, or new items cannot be read.
        RunError: if there is no such run, or it has no temperature.
    """
    if args.new is None:
        _renew(args)
        return
    out = _check_output(args)
    if args.top_k is not None:
        check_value("--top-k", args.top_k, PositiveInt)
    check_value("--batch-size", args.batch_size, PositiveInt)
    predictor = load_weights(args.run, args.ckpt_path, device=args.device)
    with console.status(literal(f"reading {args.new}")) as status:
        items = find_new_items(args.new)
        n, k = len(items.names), len(predictor.classes)
        # Before the prediction, which may take hours, and not when its table is put together.
        require_memory("The table of predictions", bytes_needed(items=n, classes=k, per_item=2), items=n, classes=k)
        threshold = None
        if args.risk is not None:
            status.update("choosing a threshold on the validation items")
            threshold = choose_human_threshold(predictor, data_of_run(args.run, args.ckpt_path, predictor), args.risk)
        done = 0

        def show(number: int) -> None:
            nonlocal done
            done += number
            status.update(literal(f"predicted {done:,} of {n:,}"))

        probs = predictor.predict_proba(items.x, batch_size=args.batch_size, on_batch=show)
        posterior = _posterior(predictor, items, args.batch_size)
        status.update(literal(f"writing {out}"))
        _write(prediction_frame(items.names, predictor, probs, posterior, args.top_k, threshold), out)
    console.print(_summary(items, predictor, probs, threshold, out))
    if threshold is not None and threshold.confidence > 1:
        warn(console, "no threshold keeps the risk on the validation items, so that a human is asked about every item.")


def prediction_frame(
    names: tuple[str, ...],
    predictor: Predictor,
    probs: NDArray[np.float32],
    posterior: NDArray[np.float32] | None = None,
    top_k: int | None = None,
    threshold: HumanThreshold | None = None,
) -> pd.DataFrame:
    """Returns the output table, one row per item.

    Args:
        names: of the B items.
        predictor: whose classes count.
        probs: (B, K) calibrated.
        posterior: (B, K) given the votes too, or None.
        top_k: number of classes that have columns, the most probable ones; by default all K.
        threshold: decides where a human is asked, or None.
    """
    classes = predictor.classes
    columns: dict[str, Any] = {
        "item": np.asarray(names, dtype=object),
        "predicted": named(probs.argmax(1), classes),
        "confidence": probs.max(1),
    }
    if threshold is not None:
        columns["ask_human"] = threshold.asks(probs)
    if top_k is None:
        columns |= {f"prob_{name}": probs[:, k] for k, name in enumerate(classes)}
    else:
        best = np.argsort(-probs, axis=1, kind="stable")[:, :top_k]
        for place in range(best.shape[1]):
            columns[f"top_{place + 1}"] = named(best[:, place], classes)
            columns[f"top_{place + 1}_prob"] = np.take_along_axis(probs, best[:, place, None], 1)[:, 0]
    if posterior is not None:
        columns["suggested"] = named(posterior.argmax(1), classes)
        columns |= {f"posterior_{name}": posterior[:, k] for k, name in enumerate(classes)}
    return pd.DataFrame(columns)


def load_weights(run: Path, weights: str, *, device: str | None = None) -> Predictor:
    """Returns the model of a run; ``weights`` is ``last``, ``best`` or a file."""
    return load(weights_file(run, weights), device=device)


def weights_file(run: Path, weights: str) -> Path:
    """Returns the checkpoint that is meant: a path as it is, or ``last``, ``best`` or a file of the run."""
    return Path(weights) if Path(weights).is_file() else find_weights(run, weights)


def data_of_run(run: Path, weights: str, predictor: Predictor) -> AnnotatedDataModule:
    """Returns the data that a run was trained on, in the codes of its model, with the split that it drew.

    Raises:
        RunError: if the run was trained on data of another class.
        DataError: if they are where they were no longer.
    """
    settings = read_checkpoint(weights_file(run, weights)).get("datamodule_hyper_parameters")
    if not settings or predictor.trained_on is None:
        raise RunError(f"The run {run} was not trained by an AnnotatedDataModule, so that its data are not known.")
    # The run folder records the whole path; that of the settings starts from where training was run.
    root = owner(run).get("root") or settings["root"]
    data = AnnotatedDataModule(**{**settings, "root": root})
    # Sets codes and drawn split of the model; the seed only shuffles training, which does not happen here.
    data.load_state_dict({"seed": 0, **predictor.trained_on})
    return data


def _renew(args: argparse.Namespace) -> None:
    given = {"-o": args.out, "--top-k": args.top_k, "--risk": args.risk, "--device": args.device}
    if unused := [name for name, value in given.items() if value is not None]:
        raise ConfigError(f"{unused[0]} is for new items: give their path after {args.run}.")
    from hilmix.lightning_cli.run import run as run_trainer

    run_trainer(["predict", "--run_dir", str(args.run), "--ckpt_path", str(weights_file(args.run, args.ckpt_path))])


def _check_output(args: argparse.Namespace) -> Path:
    if args.out is None:
        raise ConfigError(refusal("-o", f"given with new items, a file that ends in {', '.join(FORMATS)}", None))
    out: Path = args.out
    if out.suffix not in FORMATS:
        raise ConfigError(refusal("-o", f"a file name that ends in {', '.join(FORMATS)}", str(out)))
    if out.exists() and not (args.overwrite and out.is_file()):
        raise DataError(f"'{out}' exists already. Choose another file with -o, or give --overwrite.")
    return out


def _posterior(predictor: Predictor, items: NewItems, batch_size: int) -> NDArray[np.float32] | None:
    if items.votes is None or not items.votes.num_pairs or not predictor.models_annotators:
        return None
    return predictor.posterior(items.x, items.votes, batch_size=batch_size)


def _write(table: pd.DataFrame, out: Path) -> None:
    if out.suffix != ".jsonl":
        write_table(table, out)
        return
    with write_atomically(out) as partial:
        # 15 digits: pandas' default of 10 would turn a small probability into 0.
        table.to_json(partial, orient="records", lines=True, force_ascii=False, double_precision=15)


def _summary(
    items: NewItems, predictor: Predictor, probs: NDArray[Any], threshold: HumanThreshold | None, out: Path
) -> Grid:
    number = np.bincount(probs.argmax(1), minlength=len(predictor.classes))
    most = [f"{predictor.classes[k]} {number[k]:,}" for k in np.argsort(-number, kind="stable")[:8] if number[k]]
    rows = [
        ("items", f"{len(items.names):,}"),
        ("predicted", ", ".join(most)),
        ("temperature", f"{predictor.temperature:.4g}"),
    ]
    if threshold is not None:
        asked = int(threshold.asks(probs).sum())
        rows.append(
            (
                "ask a human",
                f"{asked:,}, below confidence {min(threshold.confidence, 1):.4g}; on validation "
                f"{threshold.answered:.1%} are answered ({threshold.reference})",
            )
        )
    return pairs([*rows, ("written", str(out))])
