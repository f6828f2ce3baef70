"""What a model says of a batch, as metrics and callbacks read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hilmix.annotators import AnnotatorOutput
from hilmix.functional.confusion import pair_chunks
from hilmix.functional.precision import at_least_float32
from hilmix.types import Batch, StepOutput

if TYPE_CHECKING:
    from hilmix.modules.classifier import Classifier

DENSE_CLASSES = 128
"""Most classes for which outputs carry whole confusion matrices: O(L K^2)."""


def training_output(batch: Batch, logits: Tensor, said: AnnotatorOutput) -> StepOutput:
    """Returns the output of a training step: (R, K) logits, maybe of mixed rows, and what annotators would say."""
    return StepOutput(
        batch.index,
        batch.target,
        logits,
        batch.row,
        batch.annotator,
        batch.label,
        batch.probs,
        batch.plan,
        said.label_log_probs,
        group=batch.group,
    )


def evaluate(model: Classifier, batch: Batch) -> StepOutput:
    """Returns everything the model says of an un-mixed batch; the path of validation, test and prediction."""
    features = model.features(model.standardized(batch.input))
    logits = at_least_float32(model.head(features))
    log_probs = logits.log_softmax(-1)
    k = logits.shape[1]
    parts: list[dict[str, Tensor]] = []
    for some in pair_chunks(len(batch.row), k):
        row, who = batch.row[some], batch.annotator[some]
        label_log_probs, confusion = model.annotator_model(features[row], log_probs[row], who)
        parts.append({"label_log_probs": label_log_probs})
        if confusion is not None:
            answer = batch.label[some], None if batch.probs is None else batch.probs[some]
            parts[-1]["log_likelihood"] = confusion.log_likelihood(*answer)
            parts[-1]["diagonal"] = confusion.diagonal()
            if k <= DENSE_CLASSES:
                parts[-1]["confusion"] = confusion.dense()
    said = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if "log_likelihood" in said:
        said["posterior"] = model.annotator_model.posterior(log_probs, said["log_likelihood"], batch.row)
    return StepOutput(
        batch.index,
        batch.target,
        logits,
        batch.row,
        batch.annotator,
        batch.label,
        batch.probs,
        None,
        group=batch.group,
        **said,
    )
