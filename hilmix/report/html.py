"""One HTML file about a run: pictures inside, no network, nothing to install."""

import base64
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix import plotting
from hilmix.diagnostics.weights import Weights, with_weights
from hilmix.files import write_atomically
from hilmix.names import html_text
from hilmix.report.run import Run, read_run, temperature_row, top_suspects

STYLE = """
:root { --ink: #22303c; --muted: #6b7785; --line: #e3e7ec; --blue: #2f6db3; }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0; background: #f6f7f9 }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 0 0 12px }
p { margin: 4px 0 12px; color: var(--muted) }
section { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 20px 24px; margin-top: 20px }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 20px }
.card { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px }
.card b { display: block; font-size: 26px; color: var(--blue) } .card span { color: var(--muted); font-size: 13px }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin-bottom: 12px }
td { font-variant-numeric: tabular-nums }
th { text-align: left; color: var(--muted); font-weight: 600 }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line) }
img { max-width: 100%; height: auto; display: block; margin: 8px 0 }
pre { overflow-x: auto; font-size: 12.5px; background: #f6f7f9; padding: 12px; border-radius: 6px }
summary { cursor: pointer; font-weight: 600 }
.scroll { overflow-x: auto }
"""
CARDS = {
    "acc": "accuracy",
    "ece": "ECE",
    "ece_calibrated": "ECE after temperature",
    "nll": "NLL",
    "brier": "Brier score",
    "agreement": "agreement with votes",
    "vote_ece": "ECE on votes",
    "vote_nll": "NLL of votes",
    "annotator_auroc": "AUROC, annotator is right",
}
PACKAGES = ("hilmix", "torch", "lightning", "torchmetrics", "timm", "numpy")


def build_report(run_dir: Path | str) -> Path:
    """Writes ``report.html`` (and, with matplotlib, ``training_curves.png``) into a run folder and returns its path.

    Raises:
        RunError: if the folder holds no run or cannot be written.
    """
    run = read_run(run_dir)
    _draw_curves(run)
    parts = [_cards(run), _calibration(run), _suspects(run), _annotators(run), _curves(run), _config(run)]
    name = html_text(run.folder.resolve().name)
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>hilmix: {name}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style><main><h1>{name}</h1>"
        f"<p>Result on {html_text(run.scored)}.</p>{''.join(parts)}</main></html>\n"
    )
    path = run.folder / "report.html"
    with write_atomically(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


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


def _cards(run: Run) -> str:
    found = run.headline
    # Beside true classes, calibration on noisy votes would read as miscalibration.
    hidden = {"vote_ece", "vote_nll"} if "acc" in found else set()
    cards = [
        f"<div class=card><b>{found[n]:.1%}</b><span>{label}</span></div>"
        if n in ("acc", "agreement")
        else f"<div class=card><b>{found[n]:.3f}</b><span>{label}</span></div>"
        for n, label in CARDS.items()
        if n in found and n not in hidden
    ]
    return f"<div class=cards>{''.join(cards)}</div>"


def _calibration(run: Run) -> str:
    if run.calibration is None or run.calibration.empty:
        return ""
    known = [name for name in Weights._fields if name in run.calibration]
    columns = [
        "split",
        *known,
        "against",
        "stage",
        "temperature",
        "ece",
        "ece_classwise",
        "ece_adaptive",
        "nll",
        "brier",
    ]
    text = ""
    if (stages := temperature_row(run)) is not None:
        fitted_on = with_weights(f"Temperature fitted on {stages[1]['fitted_on']}", stages[1])
        text = f"<p>{html_text(fitted_on)}.</p>"
    picture = _image(run, "reliability_test.png") or _image(run, "reliability.png")
    return _section("Calibration", text + picture + _table(run.calibration[columns]))


def _suspects(run: Run) -> str:
    top = top_suspects(run, 10)
    if top is None or top.empty:
        return ""
    made = {
        "in-sample": "the model has trained on these labels (in-sample), so memorised errors look right",
        "out-of-fold": "each item is predicted by a network that has not seen its labels (out-of-fold)",
    }[run.suspects_by]
    text = (
        f"<p>Ranked by how unlikely the given label is, one per item; {made}"
        f"{html_text(with_weights('', run.suspects_weights))}.</p>"
    )
    if run.detection is not None:
        best = run.detection[run.detection["level"] == "label"].head(1).to_dict("records")
        for row in best:
            text += (
                f"<p>Against the truth: average precision {row['average_precision']:.3f}, AUROC {row['auroc']:.3f} in "
                f"finding {row['wrong']:,} wrong among {row['scored']:,} labels.</p>"
            )
    return _section("Suspicious labels", text + _image(run, "label_errors.png") + _table(top))


def _annotators(run: Run) -> str:
    if run.annotators is None or run.annotators.empty:
        return ""
    by = run.annotators["estimated_by"].iloc[0]
    estimated = with_weights(f"estimated by the {by}", run.annotators_weights)
    text = f"<p>The least reliable of {len(run.annotators):,}, {html_text(estimated)}.</p>"
    shown = run.annotators.head(10).drop(columns=["estimated_by", "trained"]).dropna(axis=1, how="all")
    return _section("Annotators", text + _image(run, "annotators.png") + _table(shown))


def _curves(run: Run) -> str:
    picture = _image(run, "training_curves.png")
    return _section("Training", picture) if picture else ""


def _config(run: Run) -> str:
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    text = f"<p>Report made with {html_text(versions)}.</p>"
    if run.config is not None:
        lines = "\n".join(map(html_text, run.config.split("\n")))
        text += f"<details><summary>Config</summary><pre>{lines}</pre></details>"
    files = "".join(f"<li>{html_text(path.name)}</li>" for path in run.files)
    return _section("Provenance", f"{text}<details><summary>Files</summary><ul>{files}</ul></details>")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{html_text(c).replace('_', ' ')}</th>" for c in table.columns)
    rows = (
        "<tr>" + "".join(f"<td>{html_text(_cell(v))}</td>" for v in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    return f"<div class=scroll><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _cell(value: Any) -> str:
    # NaN alone differs from itself; isnan() refuses text, and pd.NA has no truth value.
    if value is None or value is pd.NA or value != value:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _image(run: Run, name: str) -> str:
    path = run.folder / name
    if not path.is_file():
        return ""
    # Inside the page: a report that is mailed or moved keeps its pictures.
    code = base64.b64encode(path.read_bytes()).decode()
    return f"<img alt='{Path(name).stem.replace('_', ' ')}' src='data:image/png;base64,{code}'>"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree
        return None
