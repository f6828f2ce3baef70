"""Points of a sweep file, against the agent of W&B."""

import itertools
import sys
from pathlib import Path

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from experiments import sweep
from hilmix.errors import ConfigError

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs" / "sweep").glob("*.yaml"))


def written(folder: Path, **content: object) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def test_points_are_the_options_of_an_agent(tmp_path):
    values = {"config": ["a.yaml", "b.yaml"], "model.lr": [0.1, 0.003], "seed_everything": [0, 1, 2]}
    grid = sweep.read_grid(
        written(tmp_path, method="grid", parameters={name: {"values": v} for name, v in values.items()})
    )
    products = [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]
    agent = [create_sweep_command_args({"args": {k: {"value": v} for k, v in p.items()}})["args"] for p in products]
    assert [sweep.point_options(grid, i) for i in range(sweep.count_points(grid))] == agent
    assert sweep.count_points(grid) == 12


def test_values_arrive_as_what_they_are(tmp_path):
    values = {"a": None, "b": [1, 2], "c": True, "d": {"x": 1}, "e": 1e-5, "f": "0.5"}
    grid = sweep.read_grid(written(tmp_path, method="grid", parameters={k: {"value": v} for k, v in values.items()}))
    options = [option.removeprefix("--").partition("=")[::2] for option in sweep.point_options(grid, 0)]
    read = {name: yaml.safe_load(text) for name, text in options}
    assert {name: read[name] for name in "abcd"} == {name: values[name] for name in "abcd"}
    assert float(read["e"]) == 1e-5


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"method": "bayes", "parameters": {"a": {"value": 1}}}, "method"),
        ({"method": "grid"}, "parameters"),
        ({"method": "grid", "parameters": {"a": {"min": 0, "max": 1}}}, "parameters.a"),
        ({"method": "grid", "parameters": {"a": {"values": []}}}, "parameters.a"),
        ({"method": "grid", "parameters": {"a": {"parameters": {}}}}, "parameters.a"),
    ],
)
def test_what_has_no_points_is_refused(content, key, tmp_path):
    with pytest.raises(ConfigError, match=r"sweep\.yaml") as error:
        sweep.read_grid(written(tmp_path, **content))
    assert f"`{key}`" in str(error.value)


@pytest.mark.parametrize("point", [-1, 2])
def test_a_point_that_is_not_there(point, tmp_path, monkeypatch, capsys):
    file = written(tmp_path, method="grid", parameters={"a": {"values": [1, 2]}})
    monkeypatch.setattr(sys, "argv", ["sweep", str(file), "--point", str(point)])
    assert sweep.main() == 2
    assert "[0, 1]" in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        sweep.read_grid(tmp_path / "none.yaml")


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_configs_of_shipped_sweeps_exist(file):
    assert sweep.count_points(sweep.read_grid(file)) > 1
    content = yaml.safe_load(file.read_text())
    configs = [*content["parameters"]["config"]["values"], *content["command"]]
    files = [value.partition("=")[2] or value for value in configs if value.endswith(".yaml")]
    assert len(files) >= 2
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_shipped_sweeps_are_found():
    assert SHIPPED
