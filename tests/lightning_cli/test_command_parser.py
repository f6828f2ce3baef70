"""What the parser of a command reads, and how it writes."""

import math
from pathlib import Path

import yaml

from hilmix.lightning_cli.command_parser import CommandParser, write_yaml


def test_the_files_of_defaults_are_read_once(tmp_path: Path) -> None:
    """What a caller changes of them does not reach the next one."""
    file = tmp_path / "base.yaml"
    file.write_text("names: [a, b]\nrate: 0.5\n")
    parser = CommandParser(default_config_files=[str(file)])
    parser.add_argument("--names", type=list[str], default=[])
    parser.add_argument("--rate", type=float, default=0.1)
    first = parser.get_defaults(skip_validation=True)
    file.write_text("rate: 0.7\n")
    first.rate = 0.9
    second = parser.get_defaults(skip_validation=True)
    assert (second.names, second.rate) == (["a", "b"], 0.5)
    assert parser.get_defaults().rate == 0.7, "where they are validated, they are read"
    parser.default_config_files = []
    assert parser.get_defaults(skip_validation=True).rate == 0.1


def test_what_is_written_as_yaml_is_read_the_same() -> None:
    content = {
        "z": {"rate": 1e-05, "large": math.inf, "none": None, "yes": "yes", "date": "2026-11-29", "number": "1e3"},
        "a": [True, 0, -1.5, "Ä" * 200, "${run_dir}/x", "a: b", "", "first\nsecond"],
    }
    read = yaml.safe_load(write_yaml(content))
    assert read == content
    assert list(read) == ["z", "a"]
