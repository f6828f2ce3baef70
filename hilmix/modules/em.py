"""Expectation maximisation around the training of a classifier."""

import logging
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hilmix.annotators import AnnotatorOutput, DawidSkene
from hilmix.checks import NonNegativeInt, PositiveInt, Share, check_settings
from hilmix.errors import ConfigError
from hilmix.functional.generators import seed_torch
from hilmix.functional.label_columns import LabelColumns, expected_classes
from hilmix.functional.out_of_fold import match_targets
from hilmix.functional.precision import at_least_float32
from hilmix.functional.random import step_seed
from hilmix.modules.classifier import Classifier
from hilmix.modules.folds import FoldNetworks, ItemFolds, choose_folds, clip_each
from hilmix.modules.model import CrowdModel
from hilmix.modules.optimization import count_epochs
from hilmix.modules.outputs import Losses, target_losses
from hilmix.modules.training_items import predict_training_items, require_em_memory, training_labels
from hilmix.types import UNKNOWN, Batch, MixPlan, StepOutput

log = logging.getLogger(__name__)


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

    A network that has learned the labels confirms them, and annotators look perfect to it. With ``fold_networks`` the
    predictions of both steps are out-of-fold: beside the network, so many others are trained on the same targets,
    each without the items of one fold, and predict that fold; the class shares of these predictions are set to those of
    the targets (:func:`~hilmix.functional.out_of_fold.match_class_shares`), and the M step is
    :func:`~hilmix.functional.out_of_fold.fit_out_of_fold`. Outputs for training items are those of the networks that
    have not seen them, with ``fold`` set; all other items are predicted by the one network. F folds cost
    F passes over the training items, two with two folds.

    Targets (N, K) are kept in the checkpoint, so that a resumed run continues with them.

    Args:
        *args: see :class:`~hilmix.modules.Classifier`.
        warmup: share in [0, 1] of the run's epochs before the first M step, but at least one epoch; 1 leaves the
            matrices as they are. The run's length is that of ``max_epochs`` or ``max_steps``, as for the schedule of
            the learning rate: a resumed run with more epochs counts its share anew.
        every: epochs from one M step to the next, at least 1.
        fold_networks: number of networks that predict what they have not seen, at least 2; 0 predicts in-sample;
            ``auto`` is :func:`~hilmix.modules.folds.choose_folds`. They learn from the targets alone, without
            regularisers, explanations or weights of groups.
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

    def __init__(
        self,
        *args: Any,
        warmup: Share = 0.2,
        every: PositiveInt = 2,
        fold_networks: NonNegativeInt | Literal["auto"] = 0,
        **kwargs: Any,
    ) -> None:
        own = {"warmup": warmup, "every": every, "fold_networks": fold_networks}
        check_settings("model", EMClassifier.__init__, own)
        if fold_networks == 1:
            raise ConfigError("`model.fold_networks` must be 0 or at least 2, got 1: one network would see every item.")
        if kwargs.get("annotator_model") is None:
            kwargs["annotator_model"] = DawidSkene()
        super().__init__(*args, **kwargs)
        if not isinstance(self.annotator_model, DawidSkene):
            name = type(self.annotator_model).__name__
            raise ConfigError(f"`model.annotator_model` of EMClassifier must be DawidSkene, got {name}.")
        folds = choose_folds(self.backbone) if fold_networks == "auto" else fold_networks
        # The number that was chosen, so that a checkpoint holds as many networks whatever is chosen by then.
        self.save_hyperparameters(own | {"fold_networks": folds})
        self.warmup, self.every = warmup, every
        self.em_targets: Tensor | None = None
        self.em_epoch = -1
        self.item_folds = ItemFolds()
        plain = self.settings | dict.fromkeys(("annotator_model", "regularizers", "explanations", "group_dro"))
        self.out_of_fold = FoldNetworks([CrowdModel(**plain) for _ in range(folds)]) if folds else None

    @property
    def mixes_batches(self) -> bool:
        """True if the data module leaves training batches as they are: each network mixes its own part."""
        return self.out_of_fold is not None

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.item_folds.change_data()
        if stage != "fit":
            return
        if self.out_of_fold is not None:
            self.item_folds.draw(self._data, len(self.out_of_fold), seed=self.seed, left_out=self.left_out)
            for network in self.out_of_fold.models:
                network.scale_inputs(self._data)
        # Comes before a checkpoint is restored: another fit begins anew, a resumed one goes on.
        self.em_targets, self.em_epoch = None, -1
        require_em_memory(self._data, self.hparams["num_classes"], out_of_fold=self.out_of_fold is not None)

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
        if epoch == 0 or self.em_targets is None:
            self.em_targets = self._expect(self._flat())
        elif after_warmup >= 0 and after_warmup % self.every == 0:
            log_probs, labels = self._clean_log_probs(), self._labels()
            # An annotator that the model does not know has no matrix to fit.
            known = labels.select(labels.annotator != UNKNOWN)
            if self.out_of_fold is not None:
                log_probs = match_targets(log_probs, self.em_targets)
                self._model.maximise_out_of_fold(log_probs, known, self.item_folds.of_rows(self._data, self.device))
            else:
                # Counts come from today's predictions; the targets in use are `every` epochs old.
                posterior = self._expect(log_probs)
                self._model.maximise(posterior[known.item], known.annotator, known.label, known.probs)
            self.em_targets = self._expect(log_probs)

    # -- the networks of the folds -----------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        if self.out_of_fold is None:
            return super().training_step(batch, batch_idx)
        # The draws of the data module, which has left the batch to this step.
        mixed = self._data.mix_batch(batch, seed=self._data.seed, counter=self._counter, rank=self.global_rank)
        step = super().training_step(mixed, batch_idx)
        return step | {"loss": torch.stack([step["loss"], *self.fold_losses(batch)]).sum()}

    def fold_losses(self, batch: Batch) -> list[Tensor]:
        """Returns the loss of the network of each fold: cross-entropy with the targets of the items outside it.

        Args:
            batch: un-mixed; each network mixes its items among themselves, with draws of its own.
        """
        losses = []
        for f, network in enumerate([] if self.out_of_fold is None else self.out_of_fold.models):
            seed = step_seed(self.seed, f, stream="fold")
            own = batch.select(self._fold_of(batch.index) != f)
            own = self._data.mix_batch(own, seed=seed, counter=self._counter, rank=self.global_rank)
            # Dropout must not depend on how much the networks before have drawn.
            seed_torch(step_seed(seed, self._counter, self.global_rank), self.device)
            _, logits = network.class_scores(network.standardized(own.input), own)
            found = self._target_losses(at_least_float32(logits).log_softmax(-1), own)
            losses.append((self.per_term(found.terms) * found.value).sum())
        return losses

    def evaluate(self, batch: Batch) -> StepOutput:
        """Returns all outputs for an un-mixed batch; with fold networks, a training item's are out-of-fold."""
        output = super().evaluate(batch)
        return output._replace(fold=self._fold_of(batch.index)) if self._knows_folds else output

    def evaluation_logits(self, features: Tensor, batch: Batch) -> Tensor:
        logits = super().evaluation_logits(features, batch)
        if self.out_of_fold is None or not self._knows_folds:
            return logits
        fold = self._fold_of(batch.index)
        trained, logits = fold != UNKNOWN, at_least_float32(logits).clone()
        logits[trained] = self.out_of_fold.class_log_probs(batch.input[trained], fold[trained])
        return logits

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups, optimization = super().parameter_groups(), replace(self.optimization, lr=self.lr)
        for network in [] if self.out_of_fold is None else self.out_of_fold.models:
            groups += optimization.parameter_groups([network.backbone, network.head], network.annotator_model)
        return groups

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clips the gradient of each network by itself."""
        parts = [nn.ModuleList([self.backbone, self.head]), *(self.out_of_fold or [])]
        clip_each(parts, gradient_clip_val, gradient_clip_algorithm)

    @property
    def _knows_folds(self) -> bool:
        """True if the folds of a batch's items are known, which takes the data that it comes from."""
        data = None if self._trainer is None else getattr(self._trainer, "datamodule", None)
        return self.item_folds.known and hasattr(data, "item_digests")

    def _fold_of(self, index: Tensor) -> Tensor:
        return self.item_folds.of_rows(self._data, index.device)[index]

    def losses(self, log_probs: Tensor, output: AnnotatorOutput, batch: Batch) -> Losses:
        """Returns the cross-entropy of each row with its target; only rows whose item has votes count."""
        return self._target_losses(log_probs, batch)

    def _target_losses(self, log_probs: Tensor, batch: Batch) -> Losses:
        assert self.em_targets is not None, "set when training starts, or by the checkpoint"
        return target_losses(log_probs, self.em_targets, batch)

    def pair_output(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None
    ) -> AnnotatorOutput:
        """Annotators are not asked in training steps, their matrices act through the targets: labels at face value."""
        return AnnotatorOutput(log_probs, None, log_probs, annotator)

    @property
    def _warmup_epochs(self) -> int:
        # At least one epoch, as the first M step needs predictions of a network that has seen the data.
        return max(1, round(self.warmup * count_epochs(self.trainer, "EMClassifier: its warm-up")))

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

    def _labels(self) -> LabelColumns:
        return training_labels(self._data, self.device, left_out=self.left_out)

    def _flat(self) -> Tensor:
        """(N, K) log-probabilities that know nothing; N counts all items of the data."""
        flat = self._model.log_confusion.new_zeros(len(self._data.data), self.hparams["num_classes"])
        return at_least_float32(flat).log_softmax(-1)

    @torch.no_grad()
    def _expect(self, log_probs: Tensor) -> Tensor:
        """(N, K) posterior of the items with training votes, zeros for the others."""
        model = self._model
        return expected_classes(
            log_probs,
            self._labels(),
            lambda part: model.log_likelihood(part.annotator, part.label, part.probs),
            dependence=model.dependence,
        )

    def _clean_log_probs(self) -> Tensor:
        """(N, K) log-probabilities of the training items, un-mixed and, with fold networks, out-of-fold."""
        return predict_training_items(self, self._data, self._log_probs, torch.zeros_like(self._flat()))

    def _log_probs(self, batch: Batch) -> Tensor:
        if self.out_of_fold is None:
            return at_least_float32(self(batch.input)).log_softmax(-1)
        return self.out_of_fold.class_log_probs(batch.input, self._fold_of(batch.index))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["em"] = {"targets": self.em_targets, "epoch": self.em_epoch} | self.item_folds.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if "em" not in checkpoint:
            raise ConfigError("EMClassifier: the checkpoint is not of an EMClassifier: it holds no 'em'.")
        self.item_folds.load(state := checkpoint["em"])
        self.em_epoch, self.em_targets = state["epoch"], state["targets"]
