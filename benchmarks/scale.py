"""Cost of a crowd of the size of ImageNet: CPU time and peak memory of each step, in processes of their own.

``python -m benchmarks.scale`` measures a small crowd, with ``--full`` 1.28 million items, 5 million votes, 10,000
annotators and 1,000 classes; ``--rows load check`` some rows. Goals are of the full size. Memory is the most that the
process held, less what it held once its libraries were imported (and, of aggregators, the votes were read). A step
that refuses the size counts as infinite, with its sentence.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.crowd_data import FULL, SMALL, Size, load_votes, save_votes, simulate, write_crowd
from benchmarks.timing import Result

AGGREGATORS = ("majority", "soft", "wawa", "zero-based-skill")
FITTED = ("dawid-skene", "mace", "glad", "average")
GOALS = {
    "load": (5, 300),
    "check": (30, 2048),
    **dict.fromkeys(AGGREGATORS, (20, 2048)),
    **dict.fromkeys(FITTED, (300, 4096)),
}
"""CPU seconds and MiB at full size."""


def peak() -> float:
    """MiB, the most that this process has held; getrusage would count the parent before the exec, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def prepare_load(folder: Path) -> Callable[[], object]:
    from hilmix.data.folder.labels import read_labels

    return lambda: read_labels(folder / "crowd")


def prepare_check(folder: Path) -> Callable[[], object]:
    from hilmix.cli import main

    return lambda: main(["data", "check", str(folder / "crowd")])


def prepare_aggregate(method: str) -> Callable[[Path], Callable[[], object]]:
    def prepare(folder: Path) -> Callable[[], object]:
        from hilmix.functional.aggregation import aggregate

        votes = load_votes(folder / "votes.npz")
        return lambda: aggregate(method, votes)

    return prepare


ROWS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "load": prepare_load,
    "check": prepare_check,
    **{method: prepare_aggregate(method) for method in (*AGGREGATORS, *FITTED)},
}


def run_row(row: str, folder: Path) -> None:
    """Measures one row in this process and prints the numbers as the last line."""
    call = ROWS[row](folder)
    held, start = peak(), time.process_time()
    failure = ""
    try:
        if call() == 2:
            failure = "refused"
    except Exception as error:  # any end but success is the result that is measured
        failure = f"{type(error).__name__}: {error}"
    print(json.dumps({"seconds": time.process_time() - start, "mib": peak() - held, "failure": failure}))


def measured(row: str, folder: Path) -> dict[str, float | str]:
    """Returns the numbers of a row, measured in a child process."""
    command = [sys.executable, "-m", "benchmarks.scale", "--measure", row, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"seconds": float("inf"), "mib": float("inf"), "failure": f"status {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_inputs(folder: Path, size: Size) -> None:
    """Writes what the rows read, once."""
    if not (folder / "crowd").exists():
        write_crowd(folder / "crowd", size)
        save_votes(simulate(size)[0], folder / "votes.npz")


def results_of(row: str, size: Size, found: dict[str, float | str]) -> list[Result]:
    goals = GOALS[row] if size == FULL else (None, None)
    values = [float("inf") if found["failure"] else float(found[key]) for key in ("seconds", "mib")]
    units = ("s", "MiB")
    what = f"scale, {size.items:,} items: {row}"
    return [Result(f"{what}, {u}", v, u, g) for v, u, g in zip(values, units, goals, strict=True)]


def measure(size: Size = SMALL, rows: tuple[str, ...] = tuple(ROWS), folder: Path | None = None) -> list[Result]:
    """Every row, each in a process of its own."""
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return measure(size, rows, Path(temporary))
    write_inputs(folder, size)
    results = []
    for row in rows:
        found = measured(row, folder)
        if found["failure"]:
            print(f"{row}: {found['failure']}", file=sys.stderr)
        results += results_of(row, size, found)
        print(*results[-2:], sep="\n", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the size of ImageNet, not the small one")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, help="which to measure")
    parser.add_argument("--folder", type=Path, help="where the crowd lies, or is written (default: a temporary one)")
    parser.add_argument("--measure", nargs=2, metavar=("ROW", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        run_row(args.measure[0], Path(args.measure[1]))
        return
    size = FULL if args.full else SMALL
    print(size)
    measure(size, tuple(args.rows), args.folder)


if __name__ == "__main__":
    main()
