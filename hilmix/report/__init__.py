"""The report of a run folder: one HTML file and a summary for the terminal; ``hmix``: that of human judgments."""

from hilmix.report.html import build_report
from hilmix.report.run import OTHER_DATA, Run, has_results, read_run
from hilmix.report.terminal import summarize

__all__ = ["OTHER_DATA", "Run", "build_report", "has_results", "read_run", "summarize"]
