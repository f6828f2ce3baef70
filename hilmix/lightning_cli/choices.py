"""The choices that ``fit`` makes from the data: identity of annotators, votes per item, form of the matrices."""

import numpy as np
from lightning.pytorch import LightningModule

from hilmix.data import AnnotatedDataModule
from hilmix.modules import CrossFitClassifier, CrowdModel


def describe_choices(data: AnnotatedDataModule, model: LightningModule) -> dict[str, str]:
    """Returns a line for each choice by its name: ``annotators``, ``votes per item``, ``matrices``.

    Args:
        data: that the model trains on.
        model: as built for them; ``matrices`` is left out for one of another package.
    """
    choices = {"annotators": _identity(data), "votes per item": _votes(data)}
    networks = len(model.networks) if isinstance(model, CrossFitClassifier) else 0
    trained = model.networks[0] if isinstance(model, CrossFitClassifier) else model
    if isinstance(trained, CrowdModel):
        folds = networks or len(getattr(trained, "out_of_fold", None) or ())
        kind = f"{folds} fold networks" if folds else "no fold networks, in-sample predictions"
        choices["matrices"] = f"{trained.annotator_model.structure}; {kind}"
    return choices


def _identity(data: AnnotatedDataModule) -> str:
    known = data.data.annotations
    if data.targets.aggregates:
        return "one: votes are aggregated before training"
    if known.exchangeable:
        return "one for all votes: their annotators are exchangeable"
    trained = int(data.trained_annotators.sum())
    return f"one each of {trained:,} with training votes" + (
        f", {known.num_annotators - trained:,} without" if trained < known.num_annotators else ""
    )


def _votes(data: AnnotatedDataModule) -> str:
    rows = data.rows("train")
    count = data.data.annotations.labels_per_item[rows]
    voted = count[count > 0]
    if not len(voted):
        return "none on training items"
    spread = (
        f"{voted.mean():.3g}" if voted.min() == voted.max() else f"{voted.mean():.3g} ({voted.min()}-{voted.max()})"
    )
    bare = int(np.sum(count == 0))
    return f"{spread} on {len(voted):,} training items" + (f", none on {bare:,}" if bare else "")
