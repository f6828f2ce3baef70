"""Judgments of mixed images by participants: tables, figures and terminal for studies in the layout of H-Mix."""

from hilmix.human.report.curve_figures import confidence_figure, relabelling_figure
from hilmix.human.report.figures import draw_figures
from hilmix.human.report.summary import Studies, Summary, read_studies, summarize_studies, write_summary
from hilmix.human.report.terminal import print_summary

__all__ = [
    "Studies",
    "Summary",
    "confidence_figure",
    "draw_figures",
    "print_summary",
    "read_studies",
    "relabelling_figure",
    "summarize_studies",
    "write_summary",
]
