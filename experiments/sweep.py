"""Points of a W&B sweep file of method ``grid``, for clusters without a network.

``python -m experiments.sweep FILE`` prints how many there are; with ``--point I`` the options of point I (from 0), a
line each, as an agent of W&B would give them.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import yaml

from hilmix.errors import ConfigError, HilmixError
from hilmix.terminal import refuse
from hilmix.yaml_files import load_yaml


def read_grid(file: Path) -> dict[str, list[Any]]:
    """Returns the values of each parameter, in the order of the file.

    Raises:
        ConfigError: naming the file and the key, if it is no grid: only such a sweep has points that can be counted
            beforehand.
    """
    try:
        sweep = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read {file}: {error}.") from error
    if not isinstance(sweep, dict) or sweep.get("method") != "grid":
        method = sweep.get("method") if isinstance(sweep, dict) else sweep
        raise ConfigError(f"{file}: `method` must be grid, got {method!r}. Other sweeps need an agent of W&B.")
    parameters = sweep.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise ConfigError(f"{file}: `parameters` must be a mapping of names, got {parameters!r}.")
    return {name: _values(given, name, file) for name, given in parameters.items()}


def _values(given: Any, name: str, file: Path) -> list[Any]:
    if isinstance(given, dict) and set(given) == {"value"}:
        return [given["value"]]
    if isinstance(given, dict) and set(given) == {"values"} and isinstance(given["values"], list) and given["values"]:
        return given["values"]
    raise ConfigError(f"{file}: `parameters.{name}` must have `value` or a list of `values`, got {given!r}.")


def count_points(grid: dict[str, list[Any]]) -> int:
    """Returns the number of points: the product of the numbers of values."""
    return len(list(itertools.product(*grid.values())))


def point_options(grid: dict[str, list[Any]], point: int) -> list[str]:
    """Returns the options ``--NAME=VALUE`` of one point; the last parameter changes fastest.

    Raises:
        ConfigError: if there is no such point.
    """
    if not 0 <= point < count_points(grid):
        raise ConfigError(f"`point` must be in [0, {count_points(grid) - 1}], got {point}.")
    values = next(itertools.islice(itertools.product(*grid.values()), point, None))
    return [f"--{name}={_text(value)}" for name, value in zip(grid, values, strict=True)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # flow style in one line, as an option of the command line reads it
    return str(yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize)).partition("\n")[0]


def main() -> int:
    """Prints the number of points or the options of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="such as configs/sweep/learning_rate.yaml")
    parser.add_argument("--point", type=int, metavar="I", help="print the options of this point")
    args = parser.parse_args()
    try:
        grid = read_grid(args.file)
        lines = [str(count_points(grid))] if args.point is None else point_options(grid, args.point)
    except HilmixError as error:
        return refuse(error)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
