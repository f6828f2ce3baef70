"""The report of a run folder: one HTML file and a summary for the terminal; ``hmix``: that of human judgments."""

from hilmix.report.collection import Collection, average_runs, collect_runs
from hilmix.report.html import build_report
from hilmix.report.run import OTHER_DATA, Run, has_results, read_run
from hilmix.report.terminal import summarize

__all__ = [
    "OTHER_DATA",
    "Collection",
    "Run",
    "average_runs",
    "build_report",
    "collect_runs",
    "has_results",
    "read_run",
    "summarize",
]
