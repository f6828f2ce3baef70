"""One HTML file about a run: pictures inside, no network, nothing to install."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hilmix import plotting
from hilmix.diagnostics.weights import with_weights
from hilmix.files import write_atomically
from hilmix.names import printable
from hilmix.report.curves import reliability_figures, risk_figure, training_figures
from hilmix.report.overview import class_rows, data_rows, describe_run, headline_cards
from hilmix.report.run import Run, read_run, temperature_row
from hilmix.report.tables import ANNOTATORS, annotator_matrices, annotator_rows, confusion, suspicious, wrong_pictures
from hilmix.report.words import GLOSSARY, plain

PAGES = Path(__file__).parent / "pages"
PACKAGES = ("hilmix", "torch", "lightning", "torchmetrics", "timm", "numpy")
MADE = {
    "in-sample": "in-sample: the model has trained on these labels, so memorised errors look right, and hilmix "
    "crossfit judges them better",
    "out-of-fold": "out-of-fold: each item is predicted by a network that has not seen its labels",
}


def build_report(run_dir: Path | str) -> Path:
    """Writes ``report.html`` (and, with matplotlib, ``training_curves.png``) into a run folder and returns its path.

    Raises:
        RunError: if the folder holds no run or cannot be written.
    """
    run = read_run(run_dir)
    _draw_curves(run)
    page = _templates().get_template("report.html.j2").render(**_content(run))
    path = run.folder / "report.html"
    with write_atomically(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(PAGES)
    # Names come from strangers: escaped wherever they stand, and what they hide is shown.
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        # A misspelt name in a template is an error here, and not an empty place on the page.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["plain"] = plain
    return environment


def _content(run: Run) -> dict[str, Any]:
    suspects, score = suspicious(run)
    wrong, reference = wrong_pictures(run)
    annotators = annotator_rows(run)
    return {
        "name": run.folder.resolve().name,
        "style": Markup((PAGES / "report.css").read_text(encoding="utf-8")),
        "script": Markup((PAGES / "report.js").read_text(encoding="utf-8")),
        "scored": run.scored,
        "about": describe_run(run),
        "cards": headline_cards(run),
        "facts": data_rows(run),
        "licence": run.facts.get("data", {}).get("licence") or "",
        "classes": class_rows(run),
        "confusion": confusion(run),
        "wrong": wrong,
        "reference": reference,
        "suspects": suspects,
        "score": score.replace("_", " "),
        "suspects_made": with_weights(MADE.get(run.suspects_by, run.suspects_by), run.suspects_weights),
        "detection": _detection(run),
        "reliability": reliability_figures(run),
        "calibration": [] if run.calibration is None else run.calibration.to_dict("records"),
        "temperature_made": _temperature_made(run),
        "risk": risk_figure(run),
        "annotators": annotators,
        "matrices": annotator_matrices(run),
        "annotators_all": 0 if run.annotators is None else len(run.annotators),
        "annotators_shown": ANNOTATORS,
        "annotators_made": _annotators_made(run),
        "training": training_figures(run),
        "glossary": GLOSSARY,
        "files": [path.name for path in run.files if path.name != "report.html"],
        "config": [] if run.config is None else run.config.split("\n"),
        "versions": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
    }


def _detection(run: Run) -> dict[str, Any] | None:
    if run.detection is None:
        return None
    best = run.detection[run.detection["level"] == "label"].head(1).to_dict("records")
    return best[0] if best else None


def _annotators_made(run: Run) -> str:
    if run.annotators is None or run.annotators.empty:
        return ""
    return with_weights(f"estimated by the {run.annotators['estimated_by'].iloc[0]}", run.annotators_weights)


def _temperature_made(run: Run) -> str:
    stages = temperature_row(run)
    return "" if stages is None else with_weights(f"Temperature fitted on {stages[1]['fitted_on']}", stages[1])


def _draw_curves(run: Run) -> None:
    if run.curves is None or "epoch" not in run.curves:
        return
    if not plotting.available():
        plotting.explain_absence()
        return
    figure = plotting.training_curves(run.curves)
    if figure is not None:
        with write_atomically(run.folder / "training_curves.png") as partial:
            figure.savefig(partial)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree
        return None
