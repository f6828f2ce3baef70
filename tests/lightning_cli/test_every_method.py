"""Every method of ``configs/method/`` by the command line, figures included."""

import json
from pathlib import Path

import pytest

from hilmix.cli import main
from tests.helpers import QUIET, ROOT, fit

MAJORITY = {"mv", "mv-elr", "mv-gce", "mv-mixup", "mv-smoothing", "mv-temperature"}
FACE_VALUE = {"ds", "ds-mixup", "soft", "true", *MAJORITY}  # methods that say nothing about annotators
METHODS = sorted(p.stem for p in (ROOT / "configs" / "method").glob("*.yaml"))
pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_is_tested(method: str, data: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", f"configs/method/{method}.yaml"
    assert fit(data, run, "-c", file) == 0
    for name in ("last", "best"):
        path = run / "checkpoints" / f"{name}.ckpt"
        assert path.is_file()
        assert not path.is_symlink()
    assert (
        main(["test", "-c", file, "--data.root", str(data), "--run_dir", str(run), "--ckpt_path", "best", *QUIET]) == 0
    )
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"test/acc", "test/ece", "test/nll", "test/brier"} <= set(metrics)
    assert all(0 <= metrics[f"test/{name}"] <= 1 for name in ("acc", "ece"))
    assert ("test/annotator_auroc" in metrics) == (method not in FACE_VALUE)
