"""The figures beside the tables: which there are, and the file each goes into. Needs the extra ``plots``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hilmix import plotting
from hilmix.files import write_atomically
from hilmix.human.report.agreement_figures import (
    draw_label_figure,
    draw_pair_figure,
    draw_reliability_figure,
    draw_strength_figure,
)
from hilmix.human.report.curve_figures import draw_confidence_figure, draw_midpoint_figure, draw_relabelling_figure
from hilmix.human.report.summary import Studies, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, tuple[str, Callable[[Studies, Summary], "Figure"]]] = {
    "relabelling.png": ("confidence_bins", draw_relabelling_figure),
    "confidence.png": ("confidence_bins", draw_confidence_figure),
    "midpoints.png": ("midpoints", draw_midpoint_figure),
    "reliability.png": ("agreement", draw_reliability_figure),
    "class_strengths.png": ("class_strengths", draw_strength_figure),
    "label_pairs.png": ("label_pairs", draw_pair_figure),
    "labels.png": ("labels", draw_label_figure),
}
"""By file: the table without which there is nothing to draw, and who draws."""


def draw_figures(studies: Studies, summary: Summary, folder: Path) -> list[Path]:
    """Draws what the tables allow and returns the files; without matplotlib none, and one line says so.

    Args:
        studies: what was summarised.
        summary: of these studies.
        folder: made if it is not there.

    Raises:
        RunError: if a file cannot be written.
    """
    if not plotting.available():
        plotting.explain_absence()
        return []
    files = []
    for name, (table, draw) in FIGURES.items():
        if table in summary.tables:
            files.append(folder / name)
            with plotting.styled():
                figure = draw(studies, summary)
            with write_atomically(files[-1]) as partial:
                figure.savefig(partial, format="png")
    return files
