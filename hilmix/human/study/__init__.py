"""Human judgments of mixed images: H-Mix as released, and any study in the same layout.

Example:
    >>> study = read_study("path/to/h_mix", "infer").without_repeats()  # doctest: +SKIP
    >>> study.judgments.weight.mean()  # the answers, as weight of image 1  # doctest: +SKIP
"""

from hilmix.human.study.labels import answer_labels, mean_by_mix, mix_labels
from hilmix.human.study.read import read_hmix, read_study
from hilmix.human.study.released import released_inferences, released_soft_labels
from hilmix.human.study.stimuli import MIDPOINT_WEIGHTS, rebuild_stimuli, render
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import MIDPOINT_TASKS, TASKS, ClassAnswers, Judgments, Stimuli, Task
from hilmix.human.study.training import check_images, split_around_mixes, with_mixes
from hilmix.human.study.write import write_released

__all__ = [
    "MIDPOINT_TASKS",
    "MIDPOINT_WEIGHTS",
    "TASKS",
    "ClassAnswers",
    "Judgments",
    "MixStudy",
    "Stimuli",
    "Task",
    "answer_labels",
    "check_images",
    "mean_by_mix",
    "mix_labels",
    "read_hmix",
    "read_study",
    "rebuild_stimuli",
    "released_inferences",
    "released_soft_labels",
    "render",
    "split_around_mixes",
    "with_mixes",
    "write_released",
]
