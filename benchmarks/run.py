"""Runs benchmarks: ``python -m benchmarks.run`` writes results.json and the table of README.md beside this file.

``python -m benchmarks.run NAME ...`` runs some of them and keeps the stored results of the others.
"""

import argparse
import importlib
import json
import platform
from pathlib import Path

import torch

from benchmarks.timing import Result

BENCHMARKS = {
    "mix": "mix",
    "collate": "collate",
    "step": "step",
    "evaluate": "evaluate",
    "epoch": "epoch",
    "fit": "fit",
    "explanations": "explanations",
    "aggregation": "aggregation",
    "diagnostics": "diagnostics",
    "aggregation-growth": "aggregation_growth",
    "scale": "scale",
    "scale-growth": "scale_growth",
    "elicit": "elicit_load",
    "start": "start",
}
"""Their modules, imported where they run: some need packages that the others do without."""
HERE = Path(__file__).parent
BEGIN, END = "<!-- results: written by benchmarks/run.py -->", "<!-- end of results -->"


def shown(value: float) -> str:
    """Three digits; an exponent for tiny numbers only."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def table(results: list[Result], machine: dict[str, str]) -> str:
    """Markdown table of the results, and what they were measured on."""
    lines = ["| what | value | goal |", "| --- | ---: | ---: |"]
    for r in results:
        goal = "" if r.goal is None else f"<= {r.goal:.3g}" + ("" if r.value <= r.goal else " (missed)")
        lines.append(f"| {r.what} | {shown(r.value)} {r.unit} | {goal} |")
    return "\n".join(lines) + "\n\n" + ", ".join(f"{key} {value}" for key, value in machine.items()) + ".\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    names = parser.parse_args().names
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"`NAME` must be one of {', '.join(BENCHMARKS)}, got {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    kept = [Result(**r) for r in json.loads((HERE / "results.json").read_text())["results"]] if names else []
    new: list[Result] = []
    for name in names or BENCHMARKS:
        for result in importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").measure():
            print(f"{result.what}: {shown(result.value)} {result.unit}", flush=True)
            new.append(result)
    replaced = {result.what for result in new}
    results = [result for result in kept if result.what not in replaced] + new
    machine = {"processor": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
    stored = {"machine": machine, "results": [r._asdict() for r in results]}
    (HERE / "results.json").write_text(json.dumps(stored, indent=2) + "\n")
    readme = (HERE / "README.md").read_text()
    before, after = readme.split(BEGIN)[0], readme.split(END)[1]
    (HERE / "README.md").write_text(f"{before}{BEGIN}\n{table(results, machine)}{END}{after}")


if __name__ == "__main__":
    main()
