"""Judgments of mixed images by participants: tables, figures and terminal for studies in the layout of H-Mix."""

from hilmix.human.report.curve_figures import draw_confidence_figure, draw_relabelling_figure
from hilmix.human.report.figures import draw_figures
from hilmix.human.report.page import write_page
from hilmix.human.report.summary import Studies, Summary, read_studies, summarize_studies, write_summary
from hilmix.human.report.terminal import print_summary

__all__ = [
    "Studies",
    "Summary",
    "draw_confidence_figure",
    "draw_figures",
    "draw_relabelling_figure",
    "print_summary",
    "read_studies",
    "summarize_studies",
    "write_page",
    "write_summary",
]
