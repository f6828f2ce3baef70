"""The lists in the help of commands: each choice begins a line of its own."""

import argparse

import pytest

from hilmix.commands.extras import import_command
from hilmix.functional.aggregation import AGGREGATORS

pytest.importorskip("fastapi")
CHOICES = {
    "aggregate": tuple(AGGREGATORS),
    "elicit_build": ("construct", "select", "infer", "categorical", "vote"),
    "elicit_export": ("native", "folder", "hmix", "jspsych"),
    "elicit_next": ("perception", "model"),
}


@pytest.mark.parametrize("command", CHOICES)
def test_each_choice_begins_a_line(command: str) -> None:
    parser = argparse.ArgumentParser()
    import_command(command).add_arguments(parser)
    assert parser.epilog is not None
    first = [line.split()[0] for line in parser.epilog.splitlines() if line.startswith("  ") and line.strip()]
    assert [word for word in first if word in CHOICES[command]] == list(CHOICES[command])
