"""Coupled confusion correction: two networks, each corrected by the labels that look clean to the other."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from hilmix.annotators import AnnotatorOutput, CrowdLayer
from hilmix.annotators.matrices import gather_annotators
from hilmix.checks import NonNegative, PositiveInt, Share, check_settings
from hilmix.errors import ConfigError
from hilmix.functional.confusion import LogitConfusion
from hilmix.functional.confusion_correction import (
    descent_direction,
    meta_gradient,
    scale_correction,
    select_clean_labels,
)
from hilmix.functional.precision import at_least_float32
from hilmix.functional.sizes import require_memory
from hilmix.modules.classifier import Classifier
from hilmix.modules.folds import clip_each, pool_outputs
from hilmix.modules.model import CrowdModel
from hilmix.modules.optimization import count_epochs
from hilmix.modules.training_items import predict_training_items, training_labels
from hilmix.types import UNKNOWN, Batch, StepOutput


class Guide(NamedTuple):
    """Clean-looking labels and groups of annotators that correct a network during an epoch."""

    features: Tensor
    """(M, D) float, the network's own, of the items whose labels look clean to the other."""
    label: Tensor
    """(M,) int64, these labels."""
    group: Tensor
    """(A + 1,) int64, the group of each annotator; -1, no group, for an unknown one."""


class CCCClassifier(Classifier):
    """Two crowd layers side by side; the clean-looking labels of each correct the annotators of the other.

        q = softmax(p (W_a + V_g(a))),   loss = -log q[z]                    g(a) the group of annotator a
        V = rate max(W) S / max|S|,   S_g = -d/dV L_clean(head after a small step on loss(V)), at V = 0

    After a warm-up without V, every epoch begins with one un-mixed pass over the training items: the annotators of each
    network are grouped by k-means of their layers, and of each class the labels with the smallest loss are selected
    (:func:`~hilmix.functional.confusion_correction.select_clean_labels`), by each network for the other. Every step
    makes V anew (:func:`~hilmix.functional.confusion_correction.meta_gradient`): annotators are changed such that
    learning from their labels serves the clean ones. Predictions are means over both networks.

    Args:
        *args: see :class:`~hilmix.modules.Classifier`.
        groups: G, at most; annotators that are alike are corrected together.
        clean_items: number of labels that look clean, over all classes.
        rate: the largest number of V in units of the largest weight, at least 0.
        warmup: share in [0, 1] of the run's epochs before the first correction, but at least one epoch.
        **kwargs: see :class:`~hilmix.modules.Classifier`; ``annotator_model`` is a
            :class:`~hilmix.annotators.CrowdLayer`, by default.

    Raises:
        ConfigError: for another annotator model, or numbers outside these ranges; in training, if batches are mixed,
            targets aggregated, or the run has no end.
        SizeError: when training begins, if predictions and features of all items would fill the memory.

    Reference: Zhang et al., "Coupled Confusion Correction: Learning from Crowds with Sparse Annotations", AAAI 2024;
    formulas and constants as in the authors' code for CIFAR-10N (10 epochs of warm-up, then 50), which may have others
    for other data. Differs from it: the virtual step is taken in the limit of a small rate and moves the class head
    alone, which makes S a closed form in place of a second backward pass; L_clean is of all clean labels in place of a
    batch of 128, with features from the begin of the epoch; without fine-tuning on clean labels, which is off there.
    """

    def __init__(
        self,
        *args: Any,
        groups: PositiveInt = 30,
        clean_items: PositiveInt = 1000,
        rate: NonNegative = 0.5,
        warmup: Share = 1 / 6,
        **kwargs: Any,
    ) -> None:
        own = {"groups": groups, "clean_items": clean_items, "rate": rate, "warmup": warmup}
        check_settings("model", CCCClassifier.__init__, own)
        if kwargs.get("annotator_model") is None:
            kwargs["annotator_model"] = CrowdLayer()
        super().__init__(*args, **kwargs)
        if not isinstance(self.annotator_model, CrowdLayer):
            name = type(self.annotator_model).__name__
            raise ConfigError(f"`model.annotator_model` of CCCClassifier must be CrowdLayer, got {name}.")
        self.save_hyperparameters(own)
        self.groups, self.clean_items, self.rate, self.warmup = groups, clean_items, float(rate), warmup
        self.peer = CrowdModel(**self.settings)
        self.guides: list[Guide] = []
        """Of this network and of the peer; none during the warm-up."""
        self.guide_epoch = -1

    # -- predictions of both networks --------------------------------------------------------------------------------

    @property
    def ensemble(self) -> list[CrowdModel]:
        """Both networks."""
        return [self, self.peer]

    def forward(self, input: Tensor) -> Tensor:
        """Returns class log-probabilities (B, K) of the mean prediction of both networks."""
        logits = torch.stack([super().forward(input), self.peer(input)])
        return at_least_float32(logits).log_softmax(-1).logsumexp(0).log_softmax(-1)

    def evaluate(self, batch: Batch) -> StepOutput:
        """Returns all outputs for an un-mixed batch, means over both networks."""
        outputs = [super().evaluate(batch), self.peer.evaluate(batch)]
        return pool_outputs(outputs, torch.ones(2, len(batch.index), dtype=torch.bool, device=self.device), batch)

    # -- training ----------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        step = super().training_step(batch, batch_idx)
        return step | {"loss": torch.stack([step["loss"], *self.fold_losses(batch)]).sum()}

    def fold_losses(self, batch: Batch) -> list[Tensor]:
        """Returns the loss of the peer.

        Args:
            batch: un-mixed.
        """
        features, logits = self.peer.class_scores(self.peer.standardized(batch.input), batch)
        log_probs = at_least_float32(logits).log_softmax(-1)
        found = self.peer.losses(log_probs, self._answers(1, features, log_probs, batch), batch)
        return [(self.per_term(found.terms) * found.value).sum()]

    def annotator_output(self, features: Tensor, log_probs: Tensor, batch: Batch) -> AnnotatorOutput:
        """Returns the output of this network's corrected layers for the pairs of a training batch."""
        return self._answers(0, features, log_probs, batch)

    def _answers(self, which: int, features: Tensor, log_probs: Tensor, batch: Batch) -> AnnotatorOutput:
        if batch.plan is not None:
            raise ConfigError("CCCClassifier corrects annotators by single items. Set data.mix to NoMix.")
        weight, p = self._layers[which], log_probs[batch.row]
        logits = gather_annotators(weight, batch.annotator)
        if self.guides:
            group = self.guides[which].group[batch.annotator]
            correction = self._correction(which, features, p, logits, group, batch)
            # The row behind the last group, which -1 finds, corrects nothing.
            logits = logits + torch.cat([correction, correction.new_zeros(1, *correction.shape[1:])])[group]
        confusion = LogitConfusion(logits)
        return AnnotatorOutput(confusion.log_marginal(p), confusion, p, batch.annotator)

    @torch.no_grad()
    def _correction(
        self, which: int, features: Tensor, p: Tensor, logits: Tensor, group: Tensor, batch: Batch
    ) -> Tensor:
        """(G, K, K) V of this step, equal on all ranks."""
        guide, head = self.guides[which], self.ensemble[which].head
        with torch.autocast(features.device.type, enabled=False):  # products would be rounded to half precision
            clean = at_least_float32(head(guide.features.to(head.weight.dtype))).log_softmax(-1)
            weights, biases = descent_direction(guide.features.to(clean.dtype), clean, guide.label)
            direction = features.to(clean.dtype) @ weights.t() + biases
            answers = one_hot(batch.label, p.shape[1]) if batch.probs is None else batch.probs
            found = meta_gradient(p, direction[batch.row], logits, answers.to(p.dtype), group, self.groups)
        total = torch.as_tensor(self.trainer.strategy.reduce(found, reduce_op="sum"))
        return scale_correction(total, self._layers[which], self.rate)

    @property
    def _layers(self) -> list[Tensor]:
        """(A, K, K) W of both networks."""
        models = [network.annotator_model for network in self.ensemble]
        return [model.weight for model in models if isinstance(model, CrowdLayer)]

    def parameter_groups(self) -> list[dict[str, Any]]:
        peer = self.peer
        own = replace(self.optimization, lr=self.lr).parameter_groups([peer.backbone, peer.head], peer.annotator_model)
        return super().parameter_groups() + own

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clips the gradient of each network by itself."""
        parts = [nn.ModuleList([self.backbone, self.head, self.annotator_model]), self.peer]
        clip_each(parts, gradient_clip_val, gradient_clip_algorithm)

    # -- what corrects ------------------------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # not in on_train_epoch_start, which Lightning leaves out after a resume from the last step of an epoch
        if self.guide_epoch != self.current_epoch:
            warmup = max(1, round(self.warmup * count_epochs(self.trainer, "CCCClassifier: its warm-up")))
            self.guides = self._find_guides() if self.current_epoch >= warmup else []
            self.guide_epoch = self.current_epoch
        super().on_train_batch_start(batch, batch_idx)  # seeds the step, after all that may draw

    def _find_guides(self) -> list[Guide]:
        labels, widths = training_labels(self._data, self.device, left_out=self.left_out), self._widths
        into = at_least_float32(self.input_mean).new_zeros(len(self._data.data), sum(widths))
        found = predict_training_items(self, self._data, self._scores_and_features, into)
        parts = torch.split(found, widths, dim=1)
        guides = []
        for which, weight in enumerate(self._layers):
            features, judged = parts[2 + which], parts[1 - which]  # judged by the other network
            item, label = select_clean_labels(judged, labels.item, labels.label, self.clean_items)
            guides.append(Guide(features[item], label, self._group(weight)))
        return guides

    def _scores_and_features(self, batch: Batch) -> Tensor:
        """(B, 2 K + 2 D): class log-probabilities of both networks, then their features."""
        x = self.standardized(batch.input)
        features = [network.features(x) for network in self.ensemble]
        scores = [
            at_least_float32(network.head(h)).log_softmax(-1)
            for network, h in zip(self.ensemble, features, strict=True)
        ]
        return torch.cat([*scores, *(at_least_float32(h) for h in features)], 1)

    def _group(self, weight: Tensor) -> Tensor:
        from sklearn.cluster import KMeans  # here: every command imports this module

        flat = weight.detach().flatten(1).double().cpu().numpy()
        # Annotators without labels are all alike, and k-means warns of more clusters than points.
        clusters = min(self.groups, len(np.unique(flat, axis=0)))
        found = KMeans(clusters, n_init=1, random_state=0).fit_predict(flat)
        # From the first rank, as rounding could put an annotator elsewhere on another machine.
        return self.trainer.strategy.broadcast(torch.tensor([*found.tolist(), UNKNOWN])).to(self.device)

    @property
    def _widths(self) -> list[int]:
        return [self.hparams["num_classes"]] * 2 + [self.head.in_features] * 2

    # -- hooks -------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            # Comes before a checkpoint is restored: another fit begins anew, a resumed one goes on.
            self.guides, self.guide_epoch = [], -1
            items = len(self._data.data)
            require_memory("Coupled confusion correction", 4 * items * sum(self._widths), items=items)

    def scale_inputs(self, datamodule: Any) -> None:
        super().scale_inputs(datamodule)
        self.peer.scale_inputs(datamodule)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        # a checkpoint is restored before the module moves to its device
        self.guides = [Guide(*(part.to(self.device) for part in guide)) for guide in self.guides]

    @property
    def _data(self) -> Any:
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is None or not hasattr(datamodule, "data") or datamodule.targets.aggregates:
            raise ConfigError(
                "CCCClassifier learns from single votes: give the trainer a datamodule with targets Pairs."
            )
        return datamodule

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["ccc"] = {"epoch": self.guide_epoch, "guides": [guide._asdict() for guide in self.guides]}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if "ccc" not in checkpoint:
            raise ConfigError("CCCClassifier: the checkpoint is not of a CCCClassifier: it holds no 'ccc'.")
        self.guide_epoch = checkpoint["ccc"]["epoch"]
        self.guides = [Guide(**guide) for guide in checkpoint["ccc"]["guides"]]
