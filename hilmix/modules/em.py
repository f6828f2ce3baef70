"""Expectation maximisation around the training of a classifier."""

import logging
import math
from typing import Any

import torch
from torch import Tensor

from hilmix.annotators import AnnotatorOutput, DawidSkene
from hilmix.checks import PositiveInt, Share, check_settings
from hilmix.clean_batches import clean_batches
from hilmix.errors import ConfigError
from hilmix.functional.losses import mixed_cross_entropy
from hilmix.functional.mixing import row_shares
from hilmix.functional.modes import evaluation_mode
from hilmix.functional.precision import at_least_float32
from hilmix.functional.sizes import require_memory
from hilmix.modules.classifier import Classifier
from hilmix.modules.outputs import Losses
from hilmix.types import UNKNOWN, Batch, MixPlan

log = logging.getLogger(__name__)
_PER_ITEM, _PER_PAIR = 5, 3
"""Tables (N, K) and (L, K) in float32 that an M step with the E step after it hold at once."""


class EMClassifier(Classifier):
    """Trained on the posterior of the true class, which its own predictions and the annotators' matrices imply.

        E step   t_n ~ p(c | x_n) prod_m C[m][c, z_m]^w_n            target of item n, from un-mixed predictions
        M step   C from the counts that t expects                    :meth:`hilmix.annotators.DawidSkene.maximise`
        between  cross-entropy of mixed inputs with mixed targets    any mix policy, one backbone pass per item

    The first share ``warmup`` of the epochs learns from the votes alone, as annotators who are right with probability
    ``eta`` would have cast them: a network learns what is common before it learns who errs, and matrices that were
    fitted to votes alone can end in a poor optimum when errors depend on the item. From then on, every ``every``
    epochs, an un-mixed pass over the training items feeds one M step and one E step. The cost beyond cross-entropy is
    that pass.

    Targets (N, K) are kept in the checkpoint, so that a resumed run continues with them.

    Args:
        *args: see :class:`~hilmix.modules.Classifier`.
        warmup: share in [0, 1] of the run's epochs before the first M step, but at least one epoch; 1 leaves the
            matrices as they are. The run's length is that of ``max_epochs`` or ``max_steps``, as for the schedule of
            the learning rate: a resumed run with more epochs counts its share anew.
        every: epochs from one M step to the next, at least 1.
        **kwargs: see :class:`~hilmix.modules.Classifier`; ``annotator_model`` is a
            :class:`~hilmix.annotators.DawidSkene`, by default with its default settings.

    Raises:
        ConfigError: for another annotator model, or numbers outside these ranges; when training begins, if the data
            hand out aggregated targets, or the run has no end.
        SizeError: when training begins, if targets and posteriors would fill the memory.

    Reference: V. C. Raykar et al., Learning From Crowds, JMLR 11 (2010), section 3, with a network in place of logistic
    regression (as S. Albarqouni et al., AggNet, IEEE TMI 2016). Differs: warm-up on the votes, shrinkage, discount of
    dependent answers, mixed inputs.
    """

    def __init__(self, *args: Any, warmup: Share = 0.2, every: PositiveInt = 2, **kwargs: Any) -> None:
        own = {"warmup": warmup, "every": every}
        check_settings("model", EMClassifier.__init__, own)
        if kwargs.get("annotator_model") is None:
            kwargs["annotator_model"] = DawidSkene()
        super().__init__(*args, **kwargs)
        if not isinstance(self.annotator_model, DawidSkene):
            name = type(self.annotator_model).__name__
            raise ConfigError(f"`model.annotator_model` of EMClassifier must be DawidSkene, got {name}.")
        self.save_hyperparameters(own)
        self.warmup, self.every = warmup, every
        self.em_targets: Tensor | None = None
        self.em_epoch = -1

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":  # comes before a checkpoint is restored: another fit begins anew, a resumed one goes on
            self.em_targets, self.em_epoch = None, -1
            self._require_room()

    def _require_room(self) -> None:
        n, k, votes = len(self._data.data), self.hparams["num_classes"], self._data.train_annotations
        # Soft answers themselves, and the parts into which they are divided.
        per_pair = _PER_PAIR + 2 * (votes.probs is not None)
        needed = 4 * k * (_PER_ITEM * n + per_pair * votes.num_pairs)
        require_memory("Expectation maximisation", needed, items=n, classes=k)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self.em_targets is not None:  # a checkpoint is restored before the module moves to its device
            self.em_targets = self.em_targets.to(self.device)

    def on_train_end(self) -> None:
        super().on_train_end()
        if self.warmup < 1 and self._model.untouched:
            log.warning(
                "The run ended within the warm-up, so all annotators still count as equally good; give it more than "
                "%d epoch(s), or a smaller share of warm-up.",
                self.trainer.current_epoch,
            )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # not in on_train_epoch_start, which Lightning leaves out after a resume from the last step of an epoch
        if self.em_epoch != self.current_epoch:
            self._start_epoch(self.current_epoch)
            self.em_epoch = self.current_epoch
        super().on_train_batch_start(batch, batch_idx)  # seeds the step, after all that may draw

    def _start_epoch(self, epoch: int) -> None:
        after_warmup = epoch - self._warmup_epochs
        if epoch == 0:
            self.em_targets = self._expect(self._flat())
        elif after_warmup >= 0 and after_warmup % self.every == 0:
            log_probs = self._clean_log_probs()
            # Counts come from today's predictions; the targets in use are `every` epochs old.
            posterior = self._expect(log_probs)
            item, annotator, label, probs = self._votes()
            # An annotator that the model does not know has no matrix to fit.
            known = annotator != UNKNOWN
            probs = None if probs is None else probs[known]
            self._model.maximise(posterior[item[known]], annotator[known], label[known], probs)
            self.em_targets = self._expect(log_probs)

    def losses(self, log_probs: Tensor, output: AnnotatorOutput, batch: Batch) -> Losses:
        """Returns the cross-entropy of each row with its target; only rows whose item has votes count."""
        assert self.em_targets is not None, "set when training starts, or by the checkpoint"
        pairwise = batch.plan is not None and batch.plan.rows == "pairs"
        item = batch.row if pairwise else torch.arange(len(batch.index), device=batch.index.device)
        target = self.em_targets[batch.index[item]]
        shares = None
        if batch.plan is not None and batch.plan.shares is not None:
            shares = row_shares(batch.plan.shares, batch.row, batch.plan.partner)
        value, counts = mixed_cross_entropy(log_probs, target, batch.plan, shares), target.any(1)
        if batch.plan is not None:
            counts = counts | counts[batch.plan.partner]
        return Losses(value[counts], item[counts], target.sum())

    def pair_output(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None
    ) -> AnnotatorOutput:
        """Annotators are not asked in training steps, their matrices act through the targets: labels at face value."""
        return AnnotatorOutput(log_probs, None, log_probs, annotator)

    @property
    def _warmup_epochs(self) -> int:
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise ConfigError("EMClassifier: its warm-up is a share of the run; set trainer.max_epochs or max_steps.")
        # Rounded up: Lightning also steps at the end of an epoch, where fewer batches have accumulated.
        per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        # At least one epoch, as the first M step needs predictions of a network that has seen the data.
        return max(1, round(self.warmup * math.ceil(steps / per_epoch)))

    @property
    def _model(self) -> DawidSkene:
        assert isinstance(self.annotator_model, DawidSkene)
        return self.annotator_model

    @property
    def _data(self) -> Any:
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is None or datamodule.targets.aggregates:
            raise ConfigError(
                "EMClassifier learns from single votes: give the trainer a datamodule with targets Pairs."
            )
        return datamodule

    def _votes(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Item row, annotator, label and soft answer of every training pair that this network may read."""
        votes = self._data.train_annotations
        if self.left_out is not None:
            votes = votes.subset(~self.left_out)
        columns = (votes.item, self._data.annotator_ids[votes.annotator], votes.label)
        item, annotator, label = (torch.from_numpy(column).to(self.device) for column in columns)
        return item, annotator, label, None if votes.probs is None else torch.from_numpy(votes.probs).to(self.device)

    def _flat(self) -> Tensor:
        """(N, K) log-probabilities that know nothing; N counts all items of the data."""
        flat = self._model.log_confusion.new_zeros(len(self._data.data), self.hparams["num_classes"])
        return at_least_float32(flat).log_softmax(-1)

    @torch.no_grad()
    def _expect(self, log_probs: Tensor) -> Tensor:
        """(N, K) posterior of the items with training votes, zeros for the others."""
        item, annotator, label, probs = self._votes()
        evidence = self._model.log_likelihood(annotator, label, probs)
        posterior = self._model.posterior(log_probs, evidence, item)
        voted = torch.zeros(len(log_probs), 1, device=self.device).index_fill_(0, item, 1.0)
        return posterior * voted

    @torch.no_grad()
    def _clean_log_probs(self) -> Tensor:
        """(N, K) log-probabilities of the training items, un-mixed, equal on all ranks; zeros for the others."""
        log_probs = torch.zeros_like(self._flat())
        with evaluation_mode(self):
            for batch in clean_batches(self.trainer, self._data.clean_dataloader("train")):
                log_probs[batch.index] = at_least_float32(self(batch.input)).log_softmax(-1)
        # Clean loaders give each item to one rank alone, so the sum over ranks is a gather.
        return torch.as_tensor(self.trainer.strategy.reduce(log_probs, reduce_op="sum"))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["em"] = {"targets": self.em_targets, "epoch": self.em_epoch}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if "em" not in checkpoint:
            raise ConfigError("EMClassifier: the checkpoint is not of an EMClassifier: it holds no 'em'.")
        state = checkpoint["em"]
        self.em_epoch, self.em_targets = state["epoch"], state["targets"]
