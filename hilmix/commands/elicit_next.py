"""``hilmix elicit next STUDY --data DATA -o NEXT.csv``: the mixes to ask about next."""

import argparse
from pathlib import Path

from hilmix.checks import NonNegativeInt, PositiveInt, check_value
from hilmix.commands.outputs import require_free
from hilmix.data.folder import read_folder
from hilmix.errors import ConfigError
from hilmix.human.elicit.design.chosen import write_chosen
from hilmix.human.elicit.next_mixes import find_next_by_model, find_next_by_perception
from hilmix.terminal import Console, say

_ABOUT = """By:
  perception  mixes whose judgments would tell most about what participants see: classes and image statistics, fitted
              to the answers to infer so far
  model       mixes of images that a model takes most for each other's class (--predictions)

  hilmix elicit next studies/mine --data data/mine -o next.csv
  hilmix elicit next studies/mine --data data/mine --by model --predictions runs/mine/predictions.parquet -o next.csv
  hilmix elicit build data/mine -o studies/second --task infer --pairs-from next.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of the study so far")
    parser.add_argument("--data", type=Path, required=True, metavar="DATA", help="data folder it was built from")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="NEXT.csv", help="file to write")
    parser.add_argument("--number", type=int, default=50, metavar="N", help="mixes to propose (default: 50)")
    parser.add_argument("--by", choices=("perception", "model"), default="perception", help="(default: perception)")
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="predictions.parquet of a run, for --by model")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the candidates (default: 0)")


def run(args: argparse.Namespace, console: Console) -> None:
    """Proposes, and says what to do next.

    Raises:
        ConfigError: for options that cannot be, alone or together.
        DataError: if study, data or predictions cannot be used, or the output is there already.
    """
    check_value("--number", args.number, PositiveInt)
    check_value("--seed", args.seed, NonNegativeInt)
    # Predictions that another way of choosing would ignore are refused, not ignored.
    if (args.by == "model") != (args.predictions is not None):
        raise ConfigError("--by model needs --predictions, and nothing else does; give both or none.")
    require_free(args.out, flag="-o", what="file")
    data = read_folder(args.data)
    if args.predictions is None:
        asked = find_next_by_perception(args.study, data, args.number, seed=args.seed)
    else:
        asked = find_next_by_model(args.study, data, args.number, predictions=args.predictions, seed=args.seed)
    write_chosen(args.out, asked.chosen, asked.score.tolist(), data, asked.label)
    say(
        console,
        f"{args.number:,} mixes written to {args.out}. {asked.note}",
        f"Ask: hilmix elicit build {args.data} -o STUDY --task infer --pairs-from {args.out}",
    )
