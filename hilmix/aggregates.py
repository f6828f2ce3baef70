"""Tables of an aggregate: one row per item, and one row per annotator with its flags."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hilmix.annotations import Annotations
from hilmix.functional.aggregation import SparsePosterior
from hilmix.functional.aggregation.decisions import Decision
from hilmix.functional.vote_quality import AnnotatorQuality


def aggregate_table(items: Sequence[str], votes: Annotations, decision: Decision) -> pd.DataFrame:
    """Returns one row per item: ``item``, ``label`` (None without one), ``prob_<class>``, ``votes``, ``confidence``,
    the largest probability, and ``entropy``, of the probabilities, in nats.

    Without ``prob_<class>`` where the distributions are sparse, as they would be too many numbers.

    Args:
        items: N names.
        votes: the annotations.
        decision: of :func:`~hilmix.functional.aggregation.decisions.decide` on them.
    """
    posterior = decision.posterior
    names = np.asarray([*votes.classes, None], dtype=object)  # -1 picks the None
    probs = {}
    if isinstance(posterior, SparsePosterior):
        confidence, entropy = posterior.max, posterior.entropy
    else:
        probs = {f"prob_{name}": posterior[:, k] for k, name in enumerate(votes.classes)}
        # 0 log 0 counts 0.
        log = np.log(np.where(posterior > 0, posterior, 1.0))
        # abs() and not a minus sign, by which a certain item would have -0.
        confidence, entropy = posterior.max(axis=1), np.abs((posterior * log).sum(axis=1))
    columns = {"item": list(items), "label": names[decision.label], **probs, "votes": votes.labels_per_item}
    return pd.DataFrame(columns | {"confidence": confidence, "entropy": entropy})


def annotator_quality_table(votes: Annotations, quality: AnnotatorQuality) -> pd.DataFrame:
    """Returns one row per annotator, those with the lowest skill first.

    Columns: ``annotator``, ``labels``, ``skill`` with ``skill_low`` and ``skill_high``, ``guessing``, ``agreement``,
    the worst confusion as ``worst_class``, ``worst_label`` and ``worst_share``, ``copy_of``, and ``flags``, separated
    by blanks.

    Args:
        votes: the annotations.
        quality: of :func:`~hilmix.functional.vote_quality.judge_annotators`.
    """
    classes = np.asarray([*votes.classes, None], dtype=object)
    annotators = np.asarray([*votes.annotators, None], dtype=object)
    flags = pd.DataFrame(quality.flags())
    names = flags.columns.to_numpy(dtype=object)
    table = pd.DataFrame(
        {
            "annotator": annotators[:-1],
            "labels": quality.labels,
            "skill": quality.skill,
            "skill_low": quality.low,
            "skill_high": quality.high,
            "guessing": quality.guessing,
            "agreement": quality.agreement,
            "worst_class": classes[quality.worst_class],
            "worst_label": classes[quality.worst_label],
            "worst_share": quality.worst_share,
            "copy_of": annotators[np.where(flags["copies"], quality.copy_of, -1)],
            "flags": [" ".join(names[row]) for row in flags.to_numpy()],
        }
    )
    return table.sort_values("skill", kind="stable", ignore_index=True)
