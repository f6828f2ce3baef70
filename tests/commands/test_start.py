"""What a command imports to run on small data: its start is most of what it takes."""

import subprocess
import sys

import pytest
from PIL import Image

from tests.helpers import ROOT

LATE = ("torch", "lightning", "torchvision", "torchmetrics", "timm", "sklearn", "scipy.optimize", "scipy.special")
"""With torch alone a command on small data takes three times as long."""


@pytest.mark.parametrize(
    "command", [["data", "check", "mine"], ["aggregate", "mine", "--method", "dawid-skene", "-o", "labels.csv"]]
)
def test_commands_on_votes_run_without_torch(workplace, command):
    folder = workplace / "mine"
    folder.mkdir()
    for name in "ab":
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    (folder / "items.csv").write_text("item,path\na,a.png\nb,b.png\n")
    (folder / "annotations.csv").write_text("item,annotator,label\na,ann,x\nb,ann,y\na,bob,x\n")
    (folder / "dataset.yaml").write_text("input: image\n")
    code = f"from hilmix.cli import main; import sys; code = main({command}); "
    code += f"print([code, *(name for name in {LATE} if name in sys.modules)])"
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=workplace, env=environment
    )
    assert shown.stdout.strip().splitlines()[-1] == "[0]"
