"""Run folders on request, and the help of ``fit``."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hilmix.cli import main
from hilmix.errors import ConfigError
from hilmix.lightning_cli.chosen_folder import with_named_folder
from hilmix.lightning_cli.short_help import SETTINGS
from hilmix.methods import list_methods
from tests.helpers import ROOT, config, fit, parameters

pytestmark = pytest.mark.usefixtures("no_figures")


def test_a_run_is_replaced_on_request(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    assert fit(data, run, "--model.lr", "0.1") == 0
    before = parameters(run)
    (run / "notes.txt").write_text("mine")
    assert fit(data, run) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert fit(data, run, "--overwrite", "--model.lr", "-1") == 2, "a start that is refused removes nothing"
    assert parameters(run).keys() == before.keys()
    assert fit(data, run, "--overwrite") == 0
    assert fit(data, other) == 0
    for name, tensor in parameters(other).items():
        assert tensor.equal(parameters(run)[name])
    assert (run / "notes.txt").read_text() == "mine"
    assert "overwrite" not in config(run), "the saved config must not replace a run by itself"
    assert len(list((run / "csv").iterdir())) == 1


def test_data_are_never_replaced(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(data, data, "--overwrite") == 2
    assert "data folder" in capsys.readouterr().err
    assert (data / "inputs.npy").is_file()


def test_a_folder_named_by_date_and_method(data: Path, tmp_path: Path) -> None:
    method = ["-c", str(ROOT / "configs/method/mv.yaml")]
    assert fit(data, tmp_path / "{date}-{method}", *method) == 0
    (run,) = tmp_path.iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-mv", run.name)
    assert abs(time.time() - time.mktime(time.strptime(run.name[:15], "%Y%m%d-%H%M%S"))) < 3600
    assert config(run)["run_dir"] == str(run)
    with pytest.raises(ConfigError, match="method"):
        with_named_folder(["fit", "--run_dir", "{method}"])
    plain = ["fit", "--run_dir", "runs/mine"]
    assert with_named_folder(plain) == plain


def test_the_help_shows_defaults_that_are_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{one.name} " in shown for one in SETTINGS)
    assert "--help-all" in shown
    with pytest.raises(SystemExit):
        main(["fit", "--model.backbone", "TimmBackbone", "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    for one in SETTINGS:
        found = _find(printed, one.name.split("."))
        if one.name == "model.backbone":
            found = None  # given here, so that its own settings are there
        if one.name != "overwrite":  # no setting of a config
            assert found == yaml.safe_load(one.default), one.name


def _find(settings: Any, path: list[str]) -> Any:
    for name in path:
        settings = settings.get("init_args", settings)[name]
    return settings


def test_the_whole_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help-all"])
    assert ended.value.code == 0
    assert "--trainer.accumulate_grad_batches" in capsys.readouterr().out


def test_methods_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = sorted(file.stem for file in (ROOT / "configs" / "method").glob("*.yaml"))
    first = [line for line in lines if not line.startswith("  ")]  # others go on with the line above
    assert [line.split()[0] for line in first] == names == [method.name for method in list_methods()]
    assert all(len(line.split()) > 3 for line in first)
    assert main(["methods", "hilmx"]) == 2
    assert "hilmix" in capsys.readouterr().err.partition("Near:")[2]
