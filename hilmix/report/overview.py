"""The head of a report: what was run, the headline numbers beside the majority vote, and facts about the data."""

import math
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hilmix.functional.uncertainty import chance_calibration_error, wilson_interval
from hilmix.report.run import Run, temperature_row
from hilmix.report.words import TERMS, percent, rounded, share_error

FEW = 100
"""Below this number of items a number is marked: the interval of a share is then up to 20 points wide."""
USUAL_TEMPERATURES = (0.2, 5.0)
"""Networks are seldom off by more; one that is has little to be fitted on, or has not learnt."""
SHARES = ("acc", "agreement")
NO_CHANCE = 0.5  # AUROC of guessing


class Card(NamedTuple):
    """A headline number."""

    name: str
    value: str
    interval: str
    """The room that so few items leave, in words; empty where that is not known."""
    baseline: str
    """The score of the votes alone."""
    term: str
    """Meaning of the number."""
    warnings: list[str]


def describe_run(run: Run) -> list[tuple[str, str]]:
    """Returns names and values of what was run: method, model, data, weights, epochs, date, commit, command."""
    settings, start = run.settings, (run.starts or [{}])[0]
    model, data = run.facts.get("model", {}), run.facts.get("data", {})
    parts = (settings.get("model") or {}), (settings.get("data") or {})
    rows = [
        ("method", _method(start.get("command", ""), *parts)),
        ("backbone", _backbone(model)),
        ("data", " · ".join(filter(None, (data.get("name"), data.get("inputs"))))),
        ("weights", _weights(run)),
        ("epochs", _epochs(run, settings)),
        ("date", _date(start.get("started"), len(run.starts))),
        ("commit", start.get("commit") or ""),
        ("seed", str(settings.get("seed_everything", ""))),
        ("command", start.get("command", "")),
    ]
    return [(name, value) for name, value in rows if value]


def headline_cards(run: Run) -> list[Card]:
    """Returns the headline metrics, each with its interval, what the majority vote scores, and warnings."""
    found = run.headline
    # Beside true classes, calibration on noisy votes would read as miscalibration.
    hidden = {"vote_ece", "vote_nll"} if "acc" in found else set()
    return [
        _card(run, name, found[name]) for name in TERMS if name in found and name not in hidden and _finite(found[name])
    ] + [*_temperature(run)]


def data_rows(run: Run) -> list[dict[str, str]]:
    """Returns a row of facts for each part of the data."""
    parts = run.facts.get("data", {}).get("splits", {})
    names = {"train": "training", "val": "validation", "test": "test"}
    rows = []
    for name, part in parts.items():
        majority = part["majority"]
        votes = part["votes"] / part["with_votes"] if part["with_votes"] else 0
        rows.append(
            {
                "part": names[name],
                "items": f"{part['items']:,}",
                "with votes": f"{part['with_votes']:,}",
                "votes": f"{part['votes']:,}",
                "votes per item": f"{votes:.1f}",
                "true class known": f"{part['with_truth']:,}",
                "pairwise agreement": _share(part["pairwise_agreement"], part["with_votes"]),
                "Krippendorff's alpha": "" if (a := part["krippendorff_alpha"]) is None else f"{a:.2f}",
                "majority vote right": _share(majority.get("acc"), majority["items"]),
            }
        )
    return rows


def class_rows(run: Run) -> list[dict[str, Any]]:
    """Returns name, share of the training votes, and of the known true classes, of each class."""
    classes = run.facts.get("data", {}).get("classes", {})
    votes = max(sum(one["votes"] for one in classes.values()), 1)
    items = max(sum(one["items"] for one in classes.values()), 1)
    return [
        {"name": name, "votes": one["votes"] / votes, "truth": one["items"] / items} for name, one in classes.items()
    ]


def _card(run: Run, name: str, value: float) -> Card:
    title, term = TERMS[name]
    evaluated = {} if run.test is None else run.test["evaluated"]
    table = run.evaluation
    items = evaluated.get("items_with_truth") or (0 if table is None or "target" not in table else len(table))
    votes = evaluated.get("votes") or run.facts_of_split.get("votes", 0)
    size = votes if name in ("agreement", "vote_ece", "vote_nll", "annotator_auroc") else items
    error, interval = _error(run, name, value, size)
    shown = percent(value, error) if name in SHARES else rounded(value, error)
    warnings = [f"From {size:,} only: too few for a firm number."] if 0 < size < FEW else []
    if name == "annotator_auroc" and value < NO_CHANCE:
        warnings.append("Below 0.5: the model is wrong about whom to trust.")
    baseline, worse = _baseline(run, name, value)
    if worse:
        warnings.append("Worse than the majority vote of the items themselves.")
    return Card(title, shown, interval, baseline, term, warnings)


def _error(run: Run, name: str, value: float, size: int) -> tuple[float, str]:
    """Standard error of a headline number, and what to say of it."""
    if size <= 0:
        return 0.001, ""
    if name in SHARES:
        low, high = (float(end) for end in wilson_interval(value * size, size))
        return share_error(value, size), f"{100 * low:.0f} to {100 * high:.0f} % (95 % interval)"
    table = run.evaluation
    if name in ("nll", "brier") and table is not None and "target" in table:
        # Floored: a single probability that is 0 in float32 would make the error infinite.
        values = table["brier"] if name == "brier" else -np.log(np.maximum(table["p_target"], 1e-12))
        error = float(values.std() / math.sqrt(max(values.count(), 1)))
        return error, f"± {rounded(1.96 * error, error)} (95 % interval)"
    if name == "ece" and table is not None:
        chance = _chance(run)
        if _finite(chance):
            return max(chance, 0.001), f"{rounded(chance, chance)} would be chance on {size:,} items"
    return 1 / (2 * math.sqrt(size)), ""


def _chance(run: Run) -> float:
    bins = run.reliability
    if bins is None:
        return math.nan
    own = bins[(bins["split"] == run.split) & (bins["what"] == "class") & (bins["stage"] == "before")]
    return chance_calibration_error(own["samples"], own["confidence"])


def _baseline(run: Run, name: str, value: float) -> tuple[str, bool]:
    """Score of the votes alone, and whether it is better."""
    part = run.facts_of_split
    majority = part.get("majority", {})
    if name == "annotator_auroc":
        return f"guessing {NO_CHANCE}", False
    if name == "ece_calibrated" and "ece" in majority:
        return f"majority vote {majority['ece']:.2f}", False
    if name in majority:
        error = share_error(majority[name], majority["items"]) if name == "acc" else 0.01
        shown = percent(majority[name], error) if name == "acc" else rounded(majority[name], error)
        better = majority[name] > value if name == "acc" else majority[name] < value
        # The warning leaves ECE out: a constant guess of the class shares is calibrated, and useless.
        return f"majority vote {shown}", bool(better and name in ("acc", "nll", "brier"))
    if name == "agreement" and part.get("pairwise_agreement") is not None:
        return f"one vote with another {percent(part['pairwise_agreement'], 0.01)}", False
    if name in ("acc", "nll", "brier", "ece") and part:
        return "no majority vote: no votes on these items", False
    return "", False


def _temperature(run: Run) -> Iterator[Card]:
    stages = temperature_row(run)
    if stages is None:
        return
    after = stages[1]
    temperature, fitted_on = float(after["temperature"]), str(after["fitted_on"])
    number = next((int(word.replace(",", "")) for word in fitted_on.replace(",", "").split() if word.isdigit()), 0)
    low, high = USUAL_TEMPERATURES
    warnings = []
    if not low <= temperature <= high:
        warnings.append(f"Outside {low:g} to {high:g}: do not trust the calibrated probabilities.")
    if str(after.get("determined")) == "False":
        warnings.append("The data do not determine it.")
    if number < FEW:
        warnings.append(f"Fitted on {number:,} only.")
    term = "All logits are divided by it. Above 1 it lowers the confidences, below 1 it raises them."
    yield Card("temperature", f"{temperature:.2g}", f"fitted on {fitted_on}", "1 changes nothing", term, warnings)


def _method(command: str, model: dict[str, Any], data: dict[str, Any]) -> str:
    arguments, served = model.get("init_args") or {}, data.get("init_args") or {}
    words = command.split()
    files = [after for word, after in pairwise(words) if word in ("-c", "--config")]
    named = [Path(file).stem for file in files if Path(file).parent.name == "method"] or [Path(f).stem for f in files]
    parts = [model, arguments.get("annotator_model"), served.get("targets"), served.get("mix")]
    built = [
        str(part["class_path"]).rpartition(".")[2] for part in parts if isinstance(part, dict) and "class_path" in part
    ]
    return " · ".join(filter(None, [named[0] if named else "", " + ".join(built)]))


def _backbone(model: dict[str, Any]) -> str:
    if not model.get("backbone"):
        return ""
    return f"{model['backbone']} · {model['parameters']:,} parameters in all"


def _weights(run: Run) -> str:
    weights = run.weights
    if not weights:
        return ""
    names = {"last": "last.ckpt, the last epoch", "best": "best.ckpt, the best epoch by validation"}
    name = names.get(str(weights["checkpoint"]), str(weights["checkpoint"]))
    return f"{name}: epoch {int(weights['epoch'])} counted from 0, step {int(weights['step']):,}"


def _epochs(run: Run, settings: dict[str, Any]) -> str:
    planned = (settings.get("trainer") or {}).get("max_epochs")
    curves = run.curves
    trained = None
    if curves is not None and "val/loss" in curves and "epoch" in curves:
        known = curves.dropna(subset=["val/loss", "epoch"])["epoch"]
        trained = int(known.max()) + 1 if len(known) else None
    if trained is None:
        return "" if planned is None else f"{planned} planned"
    return f"{trained} trained" if planned is None else f"{trained} of {planned} trained"


def _date(started: str | None, times: int) -> str:
    if not started:
        return ""
    text = datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M %Z")
    return text + (f", resumed {times - 1} time{'s' * (times > 2)}" if times > 1 else "")


def _share(value: float | None, number: int) -> str:
    return "" if value is None or not number else percent(value, share_error(value, number))


def _finite(value: float) -> bool:
    return math.isfinite(value)
