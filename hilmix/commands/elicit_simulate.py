"""``hilmix elicit simulate STUDY|LINK``: simulated participants, to try a study out before it is served."""

import argparse
from collections import Counter
from pathlib import Path

from hilmix.errors import ConfigError
from hilmix.human.elicit.design.manifest import read_manifest
from hilmix.human.elicit.simulation.behaviour import NAMES, Behaviour
from hilmix.human.elicit.simulation.participants import simulate, simulate_study
from hilmix.terminal import Console, say, warn

_ABOUT = f"""Behaviours, taken in turn where several are given: {", ".join(NAMES)}.
A mix of weight w of image 1 is perceived as s(a + b logit w); answers scatter around that with sd (at one half).

  hilmix elicit simulate studies/mine
  hilmix elicit simulate studies/mine --participants 40 --behaviour logit:a=-0.3,b=0.7 --behaviour straight-liner
  hilmix elicit simulate http://127.0.0.1:8000/join/TOKEN --study studies/mine

With a folder, the study is served here for as long as it takes; the study must have no participants. With the link of
a study that is being served, --study names its folder, since the pages do not hold the weights.
"""
_PARTICIPANTS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    parser.add_argument("target", metavar="STUDY|LINK", help="study folder, or participants' link of a served study")
    parser.add_argument("--study", type=Path, metavar="STUDY", help="folder of the study behind a link")
    parser.add_argument("--participants", type=int, metavar="N", help=f"how many take part (default: {_PARTICIPANTS})")
    parser.add_argument("--people", type=int, help=argparse.SUPPRESS)  # the former name, until 0.2
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all answers (default: 0)")
    parser.add_argument(
        "--behaviour",
        action="append",
        metavar="NAME[:a=A,b=B,sd=SD]",
        help="one of those below, or several (default: logit:a=-0.1,b=0.875,sd=0.1)",
    )


def run(args: argparse.Namespace, console: Console) -> None:
    """Simulates, and prints how far the participants came.

    Raises:
        ConfigError: for options that cannot be, alone or together.
        DataError: if the study cannot be served or reached, is another one, or has answers already.
    """
    # Before anything is served: a misspelt behaviour must not leave a study with a server and no participants.
    behaviours = [Behaviour.parse(text) for text in args.behaviour or ["logit"]]
    link = args.target.startswith(("http://", "https://"))
    if link != (args.study is not None):
        raise ConfigError(
            "--study must name the folder of the study behind a link, got none."
            if link
            else f"--study must be left out for a folder, got '{args.study}' beside '{args.target}'."
        )
    # The link of the status page has the same form; joining through it could only fail later.
    if link and "/join/" not in args.target:
        raise ConfigError(f"The link must be that of participants, http://HOST/join/TOKEN, got '{args.target}'.")
    if args.people is not None:
        warn(console, "--people will go in 0.2; write --participants.")
    given = args.people if args.participants is None else args.participants
    participants = _PARTICIPANTS if given is None else given
    if link:
        study = read_manifest(args.study)
        found = simulate(args.target, study, participants=participants, behaviours=behaviours, seed=args.seed)
    else:
        found = simulate_study(Path(args.target), participants=participants, behaviours=behaviours, seed=args.seed)
    # Not all reach the end: a simulated participant may fail the check, or find no batch left.
    ends = ", ".join(f"{count:,} {phase}" for phase, count in Counter(one.phase for one in found).items())
    folder = args.study if link else args.target
    say(
        console,
        f"{len(found):,} simulated participants gave {sum(one.answers for one in found):,} answers, practice and catch "
        f"trials included. Where they ended: {ends}.",
        f"Look: hilmix elicit export {folder} -o OUT",
    )
