"""``hilmix aggregate SOURCE``: one label and one distribution per item, where nothing else is needed."""

import argparse
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from hilmix.aggregates import aggregate_table, annotator_quality_table
from hilmix.checks import NonNegativeInt, check_choice, check_value, refusal
from hilmix.codes import UNKNOWN
from hilmix.commands.export_options import add_export_arguments, read_export_settings
from hilmix.data.exports.gold import read_gold
from hilmix.data.exports.labels import load_labels
from hilmix.data.exports.predictions import label_studio_predictions
from hilmix.data.items import LabelledItems
from hilmix.errors import ConfigError
from hilmix.files import write_json, write_table
from hilmix.functional.aggregation import AGGREGATORS, Aggregate, SparsePosterior, Votes, aggregate, with_gold
from hilmix.functional.aggregation.class_prior import aggregate_under, read_class_prior
from hilmix.functional.aggregation.decisions import Decision, Ties, decide
from hilmix.functional.aggregation.vote_table import IntArray
from hilmix.functional.vote_quality import judge_annotators
from hilmix.terminal import Console, Grid, literal, pairs, say_notes, warn
from hilmix.values import quoted

DEFAULT_METHOD = "ensemble"
_TIES = {"draw": "drawn with seed {seed}", "abstain": "without a label", "first": "for the first class of them"}
_SUFFIXES = (".csv", ".parquet", ".jsonl")
_LEAST_TRUSTED = 5
_METHODS = """methods:
  majority          most votes; ties drawn by --seed
  soft              shares of the votes
  dawid-skene       one confusion matrix per annotator
  one-coin          one accuracy per annotator, wrong classes alike
  zencrowd          the same, with classes equally likely
  ibcc              confusion matrices with priors, integrated out
  ebcc              the same, with subtypes of classes: annotators may share mistakes
  ptbcc             annotators mix a few confusion matrices that all share
  wds               votes weighted by the diagonals of dawid-skene
  bwa               votes weighted per annotator and class
  m-msr             votes weighted by skills from pairs of annotators, against adversaries
  glad              one ability per annotator, one difficulty per item
  mace              each annotator knows, or spams with a habit
  wawa              votes weighted by agreement with the majority
  zero-based-skill  the same, repeated until it settles
  iwmv              votes weighted by how far that agreement is above chance, repeated
  plantnet          votes weighted by the number of classes that an annotator identified
  kos               message passing, for two classes
  average           mean of soft, dawid-skene, glad, mace, wawa and zero-based-skill
  ensemble          mean of dawid-skene, bwa and ebcc, or the votes where they refute such models (the default)

output: columns item, label (empty without votes), prob_<class> for every class, votes, confidence (the largest
probability) and entropy (in nats); a .json holds predictions of Label Studio. --annotators writes a row per annotator.

  hilmix aggregate data/mine -o labels.csv
  hilmix aggregate data/mine --method glad -o labels.parquet
  hilmix aggregate votes.csv -o labels.csv --annotators annotators.csv
  hilmix aggregate votes.csv -o labels.csv --gold gold.csv

docs/aggregation.md says which method suits which data.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Aggregate the labels of many annotators into one label and one distribution per item. The inputs "
        "(images,\nvectors) are not looked at."
    )
    parser.epilog = _METHODS
    parser.add_argument("source", type=Path, help="data folder, or an export of votes such as votes.csv")
    parser.add_argument("--method", default=DEFAULT_METHOD, metavar="METHOD", help=f"default: {DEFAULT_METHOD}")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="labels.csv, .parquet or .jsonl")
    parser.add_argument(
        "--annotators", type=Path, metavar="FILE", help="table of the annotators: skill, agreement, flags"
    )
    parser.add_argument(
        "--class_prior",
        "--class-prior",
        nargs="+",
        metavar="CLASS=SHARE",
        help="known shares of the classes, or uniform (default: as the method has it)",
    )
    parser.add_argument("--ties", choices=get_args(Ties), default="draw", help="label of items whose classes tie")
    parser.add_argument("--seed", type=int, default=0, help="decides ties and random starts (default: 0)")
    parser.add_argument("--gold", type=Path, metavar="FILE", help="known classes of items: columns item, label")
    add_export_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Aggregate, write the table and print a summary.

    Raises:
        ConfigError: for an unknown method or output, or a negative seed.
        DataError: if the folder cannot be read, or the method does not fit it.
    """
    # Checked before the folder is read, which takes minutes where there are millions of votes.
    check_choice("--method", args.method, AGGREGATORS)
    for flag, file, suffixes in (("-o", args.out, (*_SUFFIXES, ".json")), ("--annotators", args.annotators, _SUFFIXES)):
        if file is not None and file.suffix not in suffixes:
            raise ConfigError(refusal(flag, f"a file name that ends in {', '.join(suffixes)}", str(file)))
    check_value("--seed", args.seed, NonNegativeInt)
    settings = read_export_settings(args, args.source)
    with console.status(literal(f"reading {args.source}")) as status:
        labels = load_labels(args.source, settings)
        votes: Votes = labels.annotations
        if args.gold is not None:
            votes = with_gold(votes, read_gold(args.gold, labels))

        def show(rounds: int) -> None:
            status.update(literal(f"{args.method}: round {rounds}"))

        status.update(args.method)
        if args.class_prior is None:
            result = aggregate(args.method, votes, seed=args.seed, on_round=show)
        else:
            prior = read_class_prior(args.class_prior, labels.annotations.classes)
            result = aggregate_under(prior, args.method, votes, seed=args.seed, on_round=show)
        decision = decide(args.method, result, votes, ties=args.ties, seed=args.seed)
        status.update(literal(f"writing {args.out}"))
        table = aggregate_table(labels.items, labels.annotations, decision)
        if args.out.suffix == ".json":
            version = f"hilmix {args.method}"
            write_json(label_studio_predictions(table, args.source, settings.columns, model_version=version), args.out)
        else:
            write_table(table, args.out)
        annotators = None
        if args.annotators is not None:
            quality = judge_annotators(labels.annotations, result.posterior)
            annotators = annotator_quality_table(labels.annotations, quality)
            write_table(annotators, args.annotators)
    console.print(_summary(args, labels, result, decision, votes.gold))
    if annotators is not None:
        console.print(_flagged(args.annotators, annotators))
    say_notes(console, labels.notes)
    if result.converged is False:
        warn(console, f"{args.method} has not converged.")


def _summary(
    args: argparse.Namespace, labels: LabelledItems, result: Aggregate, decision: Decision, gold: IntArray | None
) -> Grid:
    votes = labels.annotations
    table = pairs([])
    voted = votes.labels_per_item > 0
    unlabelled = f"; {(~voted).sum():,} without votes have an empty label" * bool((~voted).any())
    table.add_row("method", args.method)
    table.add_row(
        "items", f"{votes.num_items:,}, {votes.num_pairs:,} labels in {votes.num_classes} classes{unlabelled}"
    )
    if tied := int(decision.tied.sum()):
        table.add_row("ties", f"{tied:,}, {_TIES[args.ties].format(seed=args.seed)}")
    if result.structure:
        table.add_row("structure", result.structure)
    if isinstance(result.posterior, SparsePosterior):
        n, k = result.posterior.shape
        table.add_row("probabilities", f"not written, as they are {n:,} x {k:,} numbers; confidence and entropy are")
    if result.rounds is not None:
        table.add_row("rounds", f"{result.rounds}, {'converged' if result.converged else 'not converged'}")
    label = decision.label
    if gold is not None:
        table.add_row("gold items", f"{(gold != UNKNOWN).sum():,}, left out of the accuracy")
        # Their class is an input, so that counting them would score what the method was given.
        label = np.where(gold == UNKNOWN, label, UNKNOWN)
    if accuracy := _accuracy(labels, label):
        table.add_row("accuracy", accuracy)
    if votes.exchangeable:
        table.add_row("annotators", "identities unknown: all labels count as those of one annotator")
    elif result.skill is not None:
        table.add_row("least trusted", _least_trusted(labels, result))
    table.add_row("written", str(args.out))
    return table


def _accuracy(labels: LabelledItems, label: np.ndarray) -> str | None:
    """Against known targets, or None where there is nothing to compare."""
    both = (labels.target != UNKNOWN) & (label != UNKNOWN)
    if not both.any():
        return None
    right = (label == labels.target)[both].mean()
    return f"{100 * right:.1f} % of the {both.sum():,} items with votes and a known target"


def _least_trusted(labels: LabelledItems, result: Aggregate) -> str:
    votes, skill = labels.annotations, result.skill
    assert skill is not None
    number = np.bincount(votes.annotator, minlength=votes.num_annotators)
    # Without a vote, a skill is what the method starts from.
    heard = np.flatnonzero(number)
    worst = heard[np.argsort(skill[heard], kind="stable")][:_LEAST_TRUSTED]
    shown = [f"{votes.annotators[a]} {skill[a]:.2f} ({number[a]:,} labels)" for a in worst]
    return f"{', '.join(shown)}; {result.skill_name}, of {len(heard):,} annotators"


def _flagged(file: Path, annotators: pd.DataFrame) -> Grid:
    """Number and first names of the annotators with each flag."""
    table = pairs([])
    for flag in ("spammer", "adversarial", "copies", "few"):
        names = annotators.loc[annotators["flags"].str.split().map(lambda flags, flag=flag: flag in flags), "annotator"]
        if len(names):
            table.add_row(flag, f"{len(names):,}: {quoted(names.tolist())}")
    table.add_row("written", str(file))
    return table
