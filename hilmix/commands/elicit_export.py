"""``hilmix elicit export STUDY -o OUT``: the answers of a study for other uses, or its pages for another host."""

import argparse
import shlex
from pathlib import Path

from hilmix.human.elicit.answers.training import TRAINABLE
from hilmix.human.elicit.design.manifest import Task, read_manifest
from hilmix.human.elicit.export import FORMATS, Export, export
from hilmix.terminal import Console, say

_ABOUT = """Formats:
  native   judgments, participants and stimuli as Parquet, and the manifest
  folder   the data folder given with --data, with the labels of its images and mixes: hilmix fit reads it
  hmix     files with the names, columns and orientation of H-Mix: hilmix hmix and other readers of H-Mix read them
  jspsych  no answers, but the study itself as a jsPsych 8 experiment for another host

  hilmix elicit export studies/mine -o exports/mine
  hilmix elicit export studies/mine -o data/relabelled --format folder --data data/mine

Practice and catch trials are in native only, codes and free text of participants nowhere. Participants whom the rules
of quality exclude are left out, and named.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of the study")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder to write")
    parser.add_argument("--format", default="native", metavar="FORMAT", help=f"{', '.join(FORMATS)} (default: native)")
    parser.add_argument("--data", type=Path, metavar="DATA", help="data folder of the images, for --format folder")
    parser.add_argument(
        "--task",
        choices=TRAINABLE,
        metavar="TASK",
        help="whose answers are the labels, for --format folder where there are several",
    )
    parser.add_argument("--with-excluded", action="store_true", help="also participants whom the rules exclude")


def run(args: argparse.Namespace, console: Console) -> None:
    """Writes, and says what is left out.

    Raises:
        ConfigError: for an unknown format, or options that do not belong together.
        DataError: if there are no answers, none that the format can hold, the data are others, or OUT is there.
    """
    written = export(Export(args.study, args.out, args.format, args.data, args.task, args.with_excluded))
    say(console, f"Written to {args.out}", *written.notes, *_next_steps(args, written.task))


def _next_steps(args: argparse.Namespace, task: Task | None) -> list[str]:
    if task is not None:
        method = "annot-mix" if task == "vote" else "soft"
        return [f"Train on it: hilmix fit -c configs/method/{method}.yaml --data.root {args.out}"]
    if args.format == "hmix":
        dataset = read_manifest(args.study).dataset
        options = shlex.join(["--classes", *dataset.classes, "--num-items", str(dataset.num_items)])
        return [f"Read it: hilmix hmix summary {args.out} {options}"]
    return []
