"""Human judgments of mixed images: H-Mix as released, and any study in the same layout.

Example:
    >>> study = read_study("path/to/h_mix", "infer").without_repeats()  # doctest: +SKIP
    >>> study.judgments.weight.mean()  # the answers, as weight of image 1  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from hilmix.human.study.labels import label_judgments, label_mixes, mean_by_mix
from hilmix.human.study.read import read_hmix, read_study
from hilmix.human.study.released import released_inferences, released_soft_labels
from hilmix.human.study.stimuli import MIDPOINT_WEIGHTS, rebuild_stimuli, render_mix
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import MIDPOINT_TASKS, TASKS, ClassAnswers, Judgments, Stimuli, Task
from hilmix.human.study.training import append_mixes, check_images, split_around_mixes
from hilmix.human.study.write import write_released
from hilmix.moved import former_names

__all__ = [
    "MIDPOINT_TASKS",
    "MIDPOINT_WEIGHTS",
    "TASKS",
    "ClassAnswers",
    "Judgments",
    "MixStudy",
    "Stimuli",
    "Task",
    "append_mixes",
    "check_images",
    "label_judgments",
    "label_mixes",
    "mean_by_mix",
    "read_hmix",
    "read_study",
    "rebuild_stimuli",
    "released_inferences",
    "released_soft_labels",
    "render_mix",
    "split_around_mixes",
    "write_released",
]

if not TYPE_CHECKING:  # a type checker that sees __getattr__ would accept any name
    __getattr__ = former_names(
        __name__,
        {
            "answer_labels": "label_judgments",
            "mix_labels": "label_mixes",
            "render": "render_mix",
            "with_mixes": "append_mixes",
        },
    )
