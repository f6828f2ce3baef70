"""The metrics of one evaluation stage: the class model, held-out votes, and what is known of the annotators."""

from typing import Any

from torch import nn

from hilmix.metrics import Accuracy, AnnotatorAUROC, CalibratedNLL, ClassMetrics, GroupAccuracy
from hilmix.types import UNKNOWN, StepOutput

METRICS = (
    *("loss", "loss_calibrated", "acc", "nll", "brier", "ece", "vote_acc", "vote_nll", "vote_brier", "vote_ece"),
    *("agreement", "annotator_auroc", "worst_group_acc", "mean_group_acc"),
)
"""Names of everything that a stage may log; which of them it does depends on what the data know."""


class StageMetrics(nn.Module):
    """Collects what a stage's step outputs allow.

    * ``acc``, ``nll``, ``brier``, ``ece``: class probabilities against known targets;
    * ``vote_acc``, ``vote_nll``, ``vote_brier``, ``vote_ece``: label probabilities of annotators against their
      labels; ``agreement``: share of votes for the predicted class;
    * ``annotator_auroc``: p(annotator is right) against whether the label is right;
    * ``worst_group_acc``, ``mean_group_acc``: the lowest, and the plain mean, of the accuracies of the groups;
    * ``loss``: ``vote_nll`` where the stage has votes ("noisy validation"), else ``nll``;
    * ``loss_calibrated``: the same at the temperature of the class model that makes it lowest, through the annotator
      model where there is one, so that the confidence that grows with training does not count against an epoch.

    Args:
        num_groups: G, 0 where the data have no groups.
    """

    def __init__(self, num_groups: int = 0) -> None:
        super().__init__()
        self.groups = GroupAccuracy(num_groups) if num_groups else None
        self.classes = ClassMetrics()
        self.votes = ClassMetrics("vote_")
        self.agreement = Accuracy()
        self.calibrated, self.vote_calibrated = CalibratedNLL(), CalibratedNLL()
        self.annotator_auroc = AnnotatorAUROC()

    def update(self, output: StepOutput) -> None:
        """Adds the un-mixed outputs of a batch."""
        probs = output.class_probs
        self.classes.update(probs, output.target)
        self.votes.update(output.label_log_probs.exp(), output.label)
        self.agreement.update(probs[output.row], output.label)
        if len(output.label):
            evidence = output.label if output.log_likelihood is None else output.log_likelihood
            self.vote_calibrated.update(output.logits[output.row], evidence)
        else:
            known = output.target != UNKNOWN
            self.calibrated.update(output.logits[known], output.target[known])
        if self.groups is not None and output.group is not None:
            self.groups.update(probs, output.target, output.group)
        if (p_right := output.p_right) is not None:
            self.annotator_auroc.update(p_right, output.right)

    def compute(self) -> dict[str, Any]:
        """Returns the metrics that saw something, equal on all ranks."""
        values = {**self.classes.compute(), **self.votes.compute(), "agreement": self.agreement.compute()}
        values["annotator_auroc"] = self.annotator_auroc.compute()
        votes, classes = self.vote_calibrated.compute(), self.calibrated.compute()
        values["loss_calibrated"] = classes if votes.isnan() else votes
        if self.groups is not None:
            values.update(self.groups.compute())
        # NaN stands for "saw nothing", and Lightning would log it.
        values = {name: value for name, value in values.items() if not value.isnan()}
        if (loss := values.get("vote_nll", values.get("nll"))) is not None:
            values["loss"] = loss
        return values

    def reset(self) -> None:
        """Forgets everything, at the start of a stage."""
        sums = (self.calibrated, self.vote_calibrated)
        for metric in (self.classes, self.votes, self.agreement, *sums, self.annotator_auroc, self.groups):
            if metric is not None:
                metric.reset()
