"""The run folder of a trainer, and figures in it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import Trainer

from hilmix import logging as board, plotting
from hilmix.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_folder(trainer: Trainer) -> Path:
    """Returns the folder that a run writes into."""
    return Path(trainer.default_root_dir)


def write_figure(trainer: Trainer, name: str, draw: Callable[[], "Figure"]) -> None:
    """Draws a figure into the run folder and logs it to the boards; without matplotlib, logs once why there is none.

    Args:
        trainer: of the run.
        name: file name, ``<key>.png``.
        draw: returns the figure; called only where it can be drawn.
    """
    if not plotting.available():
        plotting.explain_absence()
        return
    path = run_folder(trainer) / name
    with write_atomically(path) as partial:
        draw().savefig(partial)
    board.log_image(trainer, f"figures/{path.stem}", path)
