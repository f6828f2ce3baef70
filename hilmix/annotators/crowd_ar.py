"""CrowdAR: a reliability per pair, from the annotator's skill and the item's difficulty, softens the label."""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, one_hot

from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.matrices import diagonal_matrices, gather_annotators, needs_matrices
from hilmix.checks import PositiveInt, Share
from hilmix.functional.confusion import DenseConfusion, LogitConfusion
from hilmix.functional.confusion_tables import LogitTable
from hilmix.functional.losses import annotation_nll
from hilmix.types import Batch, MixPlan


class ReliabilityConfusion(NamedTuple):
    """Right with one probability whatever the class, wrong as a layer of logits predicts; O(L K^2).

    It is hilmix's own reading of CrowdAR, whose paper has no confusion matrix: ``C[c, c] = r``, and off the diagonal
    ``softmax(logits[c])`` without its diagonal, scaled to 1 - r. So p(right) is r. What it does to the class
    probabilities, ``log_marginal``, is the layer's softmax and not the mixture of the rows.

    Args:
        logit: (L,) float, log r / (1 - r).
        logits: (L, K, K) float, rows = true class.
    """

    logit: Tensor
    logits: Tensor

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        return LogitConfusion(self.logits).log_marginal(log_probs)

    def rows(self) -> DenseConfusion:
        """The confusion matrices; of a single class they are 1 whatever r."""
        k = self.logits.shape[1]
        if k == 1:
            return DenseConfusion(torch.zeros_like(self.logits))
        eye = torch.eye(k, dtype=torch.bool, device=self.logits.device)
        wrong = self.logits.masked_fill(eye, -torch.inf).log_softmax(-1)
        t = self.logit.reshape(-1, 1, 1)
        return DenseConfusion(torch.where(eye, logsigmoid(t), wrong + logsigmoid(-t)))

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        return self.rows().log_likelihood(label, probs)

    def diagonal(self) -> Tensor:
        return self.rows().diagonal()

    def dense(self) -> Tensor:
        return self.rows().dense()


class ReliabilityTable(LogitTable):
    """:class:`ReliabilityConfusion` without a matrix for each pair.

    Args:
        table: (A, K, K) float, logits of the annotators.
        annotator: (L,) int64 in [0, A), or -1 for the mean of the table.
        logit: (L,) float, log r / (1 - r).
    """

    def __init__(self, table: Tensor, annotator: Tensor, logit: Tensor) -> None:
        super().__init__(table, annotator)
        self.logit = logit

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        k = self.table.shape[1]
        answers = one_hot(label, k).to(self.logit.dtype) if probs is None else probs.to(self.logit.dtype)
        if k == 1:  # right whatever r
            return torch.zeros_like(answers)
        t = self.logit.unsqueeze(1)
        # What is left of an answer beside its part for the class itself is wrong, with the weights of the layer.
        right, wrong = answers, answers.sum(1, keepdim=True) - answers
        weights = self.multiply(answers, lambda matrix: _without_diagonal(matrix, 0.0).t())
        others = self.each(lambda matrix: _without_diagonal(matrix, -torch.inf).logsumexp(-1))
        return weights + wrong * (logsigmoid(-t) - others) + right * logsigmoid(t)

    def diagonal(self) -> Tensor:
        k = self.table.shape[1]
        return self.logit.sigmoid().unsqueeze(1).expand(-1, k) if k > 1 else torch.ones_like(self.logit).unsqueeze(1)

    def dense(self) -> Tensor:
        return ReliabilityConfusion(self.logit, gather_annotators(self.table, self.annotator)).dense()


def _without_diagonal(matrix: Tensor, value: float) -> Tensor:
    return matrix.masked_fill(torch.eye(len(matrix), dtype=torch.bool, device=matrix.device), value)


class CrowdAR(AnnotatorModel):
    """A layer of logits per annotator, trained with labels that are softened where they are not reliable.

        d = W_2 sigmoid(W_1 stopgrad(h) + b_1) + b_2                                    (K) difficulty of the item
        r = sigmoid(w . ((sigmoid(e_a) - sigmoid(d)) * p) + b),   w >= 0                reliability of the pair
        q = softmax(p C_a),   C_a = I at the start                                      (K)
        loss = mean  weight * CE(r one_hot(z) + (1 - r) / K, q) + (1 - weight) * BCE(r, [argmax p = z])

    e_a (K) is the annotator's skill per class, p the class probabilities. Before each training step a negative w
    is set to zero: more skill never makes less reliable. e starts at 0, w at 1, b at 0. An annotator never seen in
    training gets the mean e and the mean C. The gradient of r reaches the class model through p, not through h.
    p(right) is r; the confusion matrices behind it are ours, see :class:`ReliabilityConfusion`.

    Args:
        hidden_dim: width of the layer behind the difficulty.
        weight: lambda, in [0, 1].

    Raises:
        ConfigError: if the width is not positive or the weight is not in [0, 1].

    Reference: Cao et al., "Learning from Crowds with Annotation Reliability", SIGIR 2023.
    """

    # Both values are those of the annot-mix study (Herde et al., ECAI 2024).
    def __init__(self, hidden_dim: PositiveInt = 128, weight: Share = 0.9) -> None:
        super().__init__()
        self.hidden_dim, self.weight = hidden_dim, float(weight)

    @property
    def matrix_per_pair(self) -> bool:
        return False

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        self.difficulty = nn.Sequential(
            nn.Linear(num_features, self.hidden_dim), nn.Sigmoid(), nn.Linear(self.hidden_dim, num_classes)
        )
        self.skill = nn.Parameter(torch.zeros(num_annotators, num_classes))
        self.slope = nn.Parameter(torch.ones(num_classes))
        self.offset = nn.Parameter(torch.zeros(()))
        self.logits = diagonal_matrices(num_annotators, num_classes, 1.0, 0.0)
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, ReliabilityConfusion | ReliabilityTable]:
        skill = gather_annotators(self.skill, annotator, plan).sigmoid()
        with torch.autocast(features.device.type, enabled=False):  # skills that differ by little would be rounded away
            difficulty = self.difficulty(features.detach().to(self.skill.dtype)).sigmoid()
        reliability = (self._slope() * (skill - difficulty) * log_probs.exp()).sum(1) + self.offset
        confusion: ReliabilityConfusion | ReliabilityTable = ReliabilityTable(self.logits, annotator, reliability)
        if needs_matrices(self.logits, plan):
            confusion = ReliabilityConfusion(reliability, gather_annotators(self.logits, annotator, plan))
        return confusion.log_marginal(log_probs), confusion

    def _slope(self) -> Tensor:
        """(K,) w >= 0. Training projects the parameter itself, as a gradient does not pass a clamp at zero."""
        if not self.training:
            return self.slope.clamp_min(0)
        self.slope.data.clamp_(min=0)  # autograd would refuse a step that asks twice, though nothing changes then
        return self.slope

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Returns the weighted sum of both cross-entropies of each of the L pairs, (L,)."""
        if not isinstance(output.confusion, ReliabilityConfusion | ReliabilityTable):
            raise TypeError(f"CrowdAR.loss needs the confusion of CrowdAR.forward, got {type(output.confusion)}.")
        t = output.confusion.logit.unsqueeze(1)
        r = t.sigmoid()
        soft = r * output.label_log_probs + (1 - r) * output.label_log_probs.mean(1, keepdim=True)
        # The argmax has no gradient: the second term trains the reliability, and the classes only through it.
        agrees = torch.arange(soft.shape[1], device=t.device) == output.log_probs.argmax(1, keepdim=True)
        judged = torch.where(agrees, logsigmoid(t), logsigmoid(-t))
        scores = self.weight * soft + (1 - self.weight) * judged
        return annotation_nll(scores, batch.label, batch.probs, batch.row, batch.plan)
