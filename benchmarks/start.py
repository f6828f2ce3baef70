"""Start of the commands on votes: CPU seconds on small data, as a multiple of importing pandas and scipy."""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.timing import Result, ratio

COMMANDS = {
    "hilmix data check": ["-m", "hilmix", "data", "check", "mine"],
    "hilmix aggregate": ["-m", "hilmix", "aggregate", "mine", "-o", "labels.csv"],
}
REPEATS = 11


def write(folder: Path) -> None:
    """Ten images with three labels each."""
    folder.mkdir()
    rows = [f"{i},{who},{'xy'[i % 2]}\n" for i in range(10) for who in ("ann", "bob", "cyd")]
    for i in range(10):
        Image.new("RGB", (8, 8)).save(folder / f"{i}.png")
    (folder / "items.csv").write_text("item,path\n" + "".join(f"{i},{i}.png\n" for i in range(10)))
    (folder / "annotations.csv").write_text("item,annotator,label\n" + "".join(rows))
    (folder / "dataset.yaml").write_text("input: image\n")


def seconds(arguments: list[str], cwd: Path) -> float:
    """CPU seconds of a process of Python, that of its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure() -> list[Result]:
    variants = {"reference": ["-c", "import pandas, scipy"], **COMMANDS}
    times: dict[str, list[float]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "mine")
        for _ in range(REPEATS):
            for name, arguments in variants.items():
                times[name].append(seconds(arguments, Path(folder)))
    results = [Result("start: import pandas, scipy", 1000 * statistics.median(times["reference"]), "ms")]
    what = "x import pandas, scipy"
    return results + [
        Result(f"start: {name}, ten images", ratio(times[name], times["reference"]), what, goal=1.5)
        for name in COMMANDS
    ]
