"""A run in twenty lines of terminal."""

from pathlib import Path

from hilmix.diagnostics.label_errors import ranking_score
from hilmix.diagnostics.weights import with_weights
from hilmix.report.html import build_report
from hilmix.report.run import Run, read_run, temperature_row, top_suspects
from hilmix.terminal import Console, Grid, literal, say, terminal

NAMES = {
    "acc": "accuracy",
    "ece": "calibration error (ECE)",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
    "vote_acc": "votes predicted",
    "vote_ece": "calibration error on votes",
    "vote_nll": "NLL of votes",
    "agreement": "agreement with votes",
    "annotator_auroc": "AUROC of 'annotator is right'",
}
SHARES = ("acc", "vote_acc", "agreement")


def summarize(run_dir: Path | str, *, console: Console | None = None, metrics: bool = True) -> None:
    """Writes ``report.html`` and prints what matters of a run.

    Args:
        run_dir: the run folder.
        console: where to print; default: the terminal.
        metrics: whether to print the headline, which a command may have printed already.

    Raises:
        RunError: if the folder holds no run or cannot be written.
    """
    console = console or terminal()
    # First, as the list of files below names the report.
    report = build_report(run_dir)
    run = read_run(run_dir)
    if metrics:
        _headline(run, console)
    _suspects(run, console)
    _annotators(run, console)
    say(console, "", literal(("Files", "bold")))
    for path in run.files:
        say(console, literal((f"  {path}", "bold green" if path == report else "")))


def _headline(run: Run, console: Console) -> None:
    say(console, "", literal(("Result", "bold"), f" on {run.scored}"))
    rows = headline_rows(run)
    for name, value in rows:
        say(console, f"  {name:<34} {value}")
    if not rows:
        say(console, "  nothing to score: none of them has a true class or a vote")


def headline_rows(run: Run) -> list[tuple[str, str]]:
    """Returns the names and values of the metrics worth a headline."""
    found = run.headline
    names = [n for n in NAMES if n in found and not (n in ("vote_acc", "vote_ece", "vote_nll") and "acc" in found)]
    rows = [(NAMES[n], f"{found[n]:.1%}" if n in SHARES else f"{found[n]:.3f}") for n in names]
    if (stages := temperature_row(run)) is not None:
        before, after = stages
        rows.append(
            (
                f"ECE at temperature {after['temperature']:.2f}",
                with_weights(f"{before['ece']:.3f} -> {after['ece']:.3f}, fitted on {after['fitted_on']}", after),
            )
        )
    return rows


def _suspects(run: Run, console: Console) -> None:
    top = top_suspects(run, 5)
    if top is None or top.empty:
        return
    table = Grid(pad_edge=False, padding=(0, 2))
    columns = [c for c in ("item", "annotator", "label", "suggested", "target") if c in top]
    score = ranking_score(top)
    for column in (*columns, f"p(label) by {score}" if score in ("posterior", "self_confidence") else score):
        table.add_column(column)
    for row in top.to_dict("records"):
        # NaN, of an unknown target, alone differs from itself.
        cells = ["" if row[c] != row[c] or row[c] is None else str(row[c]) for c in columns]
        table.add_row(*cells, f"{row[score]:.1e}" if row[score] < 1e-3 else f"{row[score]:.3f}")
    say(
        console,
        "",
        literal(
            ("Most suspicious labels", "bold"),
            with_weights(f" (one per item, {run.suspects_by} predictions)", run.suspects_weights),
        ),
    )
    console.print(table)


def _annotators(run: Run, console: Console) -> None:
    if run.annotators is None or run.annotators.empty:
        return
    table = Grid(pad_edge=False, padding=(0, 2))
    truth = run.annotators["true_accuracy"].notna().any()
    for column in ("annotator", "labels", "estimated accuracy", *(["true accuracy"] if truth else [])):
        table.add_column(column, justify="left" if column == "annotator" else "right")
    for row in run.annotators.head(5).to_dict("records"):
        accuracies = [row["estimated_accuracy"], *([row["true_accuracy"]] if truth else [])]
        shown = ["" if a != a else f"{a:.0%}" for a in accuracies]
        table.add_row(str(row["annotator"]), f"{row['labels']:,}", *shown)
    say(
        console,
        "",
        literal(
            ("Least reliable annotators", "bold"), with_weights(f" of {len(run.annotators)}", run.annotators_weights)
        ),
    )
    console.print(table)
