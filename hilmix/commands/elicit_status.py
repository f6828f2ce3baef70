"""``hilmix elicit status STUDY``: how far a study is, in the terminal; the numbers of the live page."""

import argparse
import time
from pathlib import Path

from rich import box
from rich.console import Group
from rich.live import Live

from hilmix.human.elicit.answers.read import format_participant_name
from hilmix.human.elicit.answers.status import ParticipantStatus, Status, TaskStatus, read_status
from hilmix.terminal import Console, Grid, RenderableType, literal

_ABOUT = """Reads the answers file, with or without a running server. Judgments are answers to main trials; those of
excluded participants do not count. docs/elicit.md explains the numbers.

  hilmix elicit status studies/mine
  hilmix elicit status studies/mine --watch
"""
_SECONDS = 5.0
"""Between two readings with --watch."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of the study")
    parser.add_argument("--watch", action="store_true", help=f"repeat every {_SECONDS:g} s, until Ctrl-C")


def run(args: argparse.Namespace, console: Console) -> None:
    """Prints the numbers.

    Raises:
        DataError: if the study cannot be read or was not served yet.
    """
    shown = render(read_status(args.study, time.time()))
    if not args.watch:
        console.print(shown)
        return
    # rich would otherwise draw four times a second what changes every few.
    with Live(shown, console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(_SECONDS)
                live.update(render(read_status(args.study, time.time())), refresh=True)
        except KeyboardInterrupt:
            return


def render(status: Status) -> RenderableType:
    """Returns what the terminal shows."""
    phases = ", ".join(f"{count:,} {phase}" for phase, count in status.phases.items()) or "none yet"
    gone = f"; {status.withdrawn:,} withdrew and left no answers" if status.withdrawn else ""
    parts: list[RenderableType] = [
        literal((status.name, "bold"), time.strftime("  %H:%M:%S", time.localtime(status.now))),
        literal(f"Participants: {phases}{gone}"),
        _tasks(status.tasks),
    ]
    # Of hundreds of participants only those that need a look.
    noticed = [one for one in status.participants if one.flags or one.excluded]
    parts.append(_participants_table(noticed) if noticed else literal("No participant is flagged."))
    return Group(*parts)


def _tasks(tasks: tuple[TaskStatus, ...]) -> Grid:
    numbers = "judgments", "complete mixes", "complete batches", "mixes by judgments", "agreement", "seconds"
    table = Grid("task", *numbers, right=numbers, box=box.SIMPLE)
    for one in tasks:
        last = len(one.counts) - 1
        counts = "  ".join(f"{n}{'+' if n == last else ''}: {count:,}" for n, count in enumerate(one.counts))
        table.add_row(
            one.task,
            f"{one.judgments:,} of {one.wanted:,}",
            f"{one.complete:,} of {one.stimuli:,}",
            f"{one.complete_batches:,} of {one.batches:,}",
            counts,
            _agreement(one),
            _number(one.median_seconds, ".1f"),
        )
    return table


def _agreement(one: TaskStatus) -> str:
    if one.agreement is not None:
        return f"{one.agreement:.0%} same class"
    if one.difference is None:
        return "-"
    return f"ICC {_number(one.icc, '.2f')}, differ by {one.difference:.2f}"


def _participants_table(noticed: list[ParticipantStatus]) -> Grid:
    table = Grid("participant", "phase", "answers", "seconds", "flags", "excluded by", box=box.SIMPLE)
    for one in noticed:
        table.add_row(
            format_participant_name(one.number),
            one.phase,
            f"{one.done} of {one.total}",
            _number(one.median_seconds, ".1f"),
            "; ".join(f"{flag.rule}: {flag.detail}" for flag in one.flags),
            one.excluded or "-",
        )
    return table


def _number(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)
