"""The two files that were released beside the raw judgments, made by our own rules.

As released, a trial that was shown once more at the end of a session counts as if another participant had given it;
take :meth:`~hilmix.human.study.study.MixStudy.without_repeats` first where it should not.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilmix.columns import IntArray
from hilmix.errors import DataError
from hilmix.human.functional.judgments import clamp_hmix, released_weighted_mean
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import ClassAnswers, take_rows


def released_inferences(study: MixStudy) -> dict[str, dict[str, Any]]:
    """Returns the content of ``processed_hmix_inferences.json``: by mix, its answers, their spread and weighted mean.

    Mixes without judgments are left out, as in the file of the judgments.

    Args:
        study: of the infer task.

    Raises:
        DataError: for another task.

    Reference:
        Collins et al.: Human-in-the-Loop Mixup, UAI 2023; reproduces all 2,070 entries to the last bit.
    """
    if study.task != "infer":
        raise DataError(f"Processed inferences need a study of the task 'infer'; this one is '{study.task}'.")
    shown, judgments, size = study.stimuli, study.judgments, len(study.stimuli)
    # Mixes without judgments are left out below; 1 avoids their 0 / 0 until then.
    count = np.maximum(np.bincount(judgments.stimulus, minlength=size), 1)
    mean = np.bincount(judgments.stimulus, judgments.weight, size) / count
    # Divisor n, as released.
    spread = np.sqrt(np.bincount(judgments.stimulus, (judgments.weight - mean[judgments.stimulus]) ** 2, size) / count)
    weighted = released_weighted_mean(judgments.weight, judgments.confidence, judgments.stimulus, num_groups=size)
    factors, confidences = (
        _per_stimulus(judgments.stimulus, v, size) for v in (judgments.weight, judgments.confidence)
    )
    names = [(study.classes[a], study.classes[b]) for a, b in zip(shown.label1, shown.label2, strict=True)]
    return {
        shown.name[i]: {
            "Std Dev": float(spread[i]),
            "Re-Label Diff": float(shown.weight[i] - mean[i]),
            "True Mixing Factor": float(shown.weight[i]),
            "Predicted Mixing Factor": factors[i],
            "Weighted Re-Label": float(weighted[i]),
            "Weighted Re-Label Diff": float(shown.weight[i] - weighted[i]),
            "Predicted Confidence": confidences[i],
            "Endpoints": list(names[i]),
            "Class Pair": f"{names[i][0]}_{shown.id1[i]}_{names[i][1]}_{shown.id2[i]}.png",
        }
        for i in np.unique(judgments.stimulus).tolist()
    }


def released_soft_labels(study: MixStudy) -> dict[str, list[list[float]]]:
    """Returns the content of ``hmix_individ_soft_labels.json``: by mix, one distribution over the classes per judgment.

    They stand in the order of the judgments, which the released file does not keep. Left out are judgments that give no
    class any percent and tick all as impossible, and mixes without others.

    Args:
        study: of the categorical task.

    Raises:
        DataError: for another task.

    Reference:
        Collins et al.: Human-in-the-Loop Mixup, UAI 2023; the rule is
        :func:`~hilmix.human.functional.judgments.clamp_hmix`.
    """
    answers = study.judgments.answers
    if answers is None:
        raise DataError(f"Soft labels need a study of the task 'categorical'; this one is '{study.task}'.")
    usable = ~find_empty_answers(answers)
    kept = take_rows(answers, usable)
    labels = clamp_hmix(kept.top, kept.top_percent, kept.second, kept.second_percent, impossible=kept.impossible)
    lists = _per_stimulus(study.judgments.stimulus[usable], labels, len(study.stimuli))
    return {name: given for name, given in zip(study.stimuli.name, lists, strict=True) if given}


def find_empty_answers(answers: ClassAnswers) -> NDArray[np.bool_]:
    """Returns (L,) bool, which answers give no class any percent and tick all as impossible: no label follows."""
    second = np.nan_to_num(answers.second_percent)
    # As in clamp_hmix: where both are one class, the second percent counts.
    overwritten = (answers.second == answers.top) & ~np.isnan(answers.second_percent)
    first = np.where(overwritten, second, answers.top_percent)
    nothing: NDArray[np.bool_] = (first == 0) & (second == 0) & answers.impossible.all(1)
    return nothing


def _per_stimulus(stimulus: IntArray, values: NDArray[np.float64], size: int) -> list[Any]:
    """S lists: the values of each stimulus, in their order."""
    # stable: within a stimulus the values keep the order of the judgments.
    order = np.argsort(stimulus, kind="stable")
    ends = np.cumsum(np.bincount(stimulus, minlength=size))[:-1]
    return [part.tolist() for part in np.split(values[order], ends)]
