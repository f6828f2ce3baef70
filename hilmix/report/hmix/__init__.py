"""What people said about mixed images: tables, figures and terminal for studies in the layout of H-Mix."""

from hilmix.report.hmix.figures import draw_figures
from hilmix.report.hmix.summary import Studies, Summary, read_studies, summarize_studies, write_summary
from hilmix.report.hmix.terminal import print_summary

__all__ = [
    "Studies", "Summary", "draw_figures", "print_summary", "read_studies", "summarize_studies", "write_summary",
]  # fmt: skip
