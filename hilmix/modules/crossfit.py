"""Cross-fitting under Lightning: one run that trains the networks of all folds."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import torch
from torch import Tensor

from hilmix.checks import Range, check_value
from hilmix.errors import ConfigError
from hilmix.functional.generators import seed_torch
from hilmix.functional.random import step_seed
from hilmix.modules.classifier import Classifier
from hilmix.modules.evaluated import EvaluatedModule
from hilmix.modules.folds import FoldNetworks, ItemFolds, clip_each
from hilmix.moved import public_path
from hilmix.trusted import find_class
from hilmix.types import Batch, StepOutput

Folds = Annotated[int, Range(2)]
NEEDED = ("data", "rows", "train_annotations", "item_digests", "mix_batch")
"""Attributes of a data module that cross-fitting reads."""


class CrossFitClassifier(EvaluatedModule):
    """F classifiers that are trained in one run, each without one fold of the training items.

    In every step network f takes the items of the batch outside fold f, mixed among themselves by the policy of the
    data module, with draws of its own: its steps are those of a plain run on these items, and no label
    of fold f reaches it. What all networks share is the scaling of inputs, measured on all training
    inputs, the order of the items and the learning rate.

    Every training item is predicted by the one network that has not seen it, every other item by the mean of all. So
    whatever evaluates this module (metrics, reports, ``predict``) has out-of-fold predictions of training items, and
    :class:`~hilmix.types.StepOutput` says so in ``fold``.

    Side by side costs the same as one after the other: ``(F - 1)`` times the passes of one run. It needs F times the
    weights in memory, and gives predictions of all networks in every epoch.

    Args:
        folds: F, at least 2; network f is trained on all folds but f.
        network: class path of the networks, :class:`~hilmix.modules.Classifier` or a subclass.
        **settings: of that class. The networks start from different random weights.

    Raises:
        ConfigError: for fewer than 2 folds, or as the networks; when training begins, for more folds than training
            items, or a data module that is no :class:`~hilmix.data.AnnotatedDataModule`.

    Reference: V. Chernozhukov et al., Double/debiased machine learning, Econometrics Journal 21 (2018), section 3, for
    cross-fitting; C. Northcutt et al., Confident Learning, JAIR 70 (2021), section 4, for its use on labels.

    Example:
        >>> model = CrossFitClassifier(folds=2, num_classes=3, num_annotators=5, input_shape=[8], lr=0.01)
        >>> model(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """

    mixes_batches = True
    """The data module leaves training batches as they are: each network mixes its own part."""

    def __init__(self, folds: Folds = 2, network: str = "hilmix.modules.Classifier", **settings: Any) -> None:
        check_value("folds", folds, Folds)
        super().__init__()
        kind = find_class(network, Classifier)
        first = kind(**settings)
        # from plain settings: a part that was given as an object would be in all of them
        self.networks = FoldNetworks([first, *(kind(**first.hparams) for _ in range(folds - 1))])
        self.save_hyperparameters({**first.hparams, "network": public_path(kind), "folds": folds})
        self.measure_groups(first.settings["num_groups"])
        self.lr = first.lr  # a finder of learning rates sets it
        self.item_folds = ItemFolds()

    @classmethod
    def from_classifier(cls, model: Classifier, *, folds: int) -> Self:
        """Returns the cross-fitting of a classifier: networks of its class and settings, with fresh weights.

        Args:
            model: whose settings count.
            folds: F, at least 2.

        Raises:
            ConfigError: if the model is no :class:`~hilmix.modules.Classifier`.
        """
        if not isinstance(model, Classifier):
            raise ConfigError(f"model must be a hilmix.modules.Classifier to be cross-fitted, got {type(model)}.")
        return cls(folds=folds, network=public_path(type(model)), **model.hparams)

    @property
    def _classifiers(self) -> list[Classifier]:
        return [network for network in self.networks if isinstance(network, Classifier)]

    def forward(self, input: Tensor) -> Tensor:
        """Returns class log-probabilities (B, K) of the mean prediction of all networks."""
        log_probs: Tensor = self.networks(input)
        return log_probs

    def evaluate(self, batch: Batch) -> StepOutput:
        """Returns all outputs for an un-mixed batch; a training item's are those of the network that did not see it."""
        return self.networks.evaluate(batch, self.fold_of(batch.index))

    # -- folds -------------------------------------------------------------------------------------------------------

    def fold_of(self, index: Tensor) -> Tensor:
        """Returns the folds (B,) int64 of items of the data at hand, -1 for those that were not trained on.

        Args:
            index: (B,) int64 rows of the items table of the trainer's data module.
        """
        return self.item_folds.of_rows(self._datamodule, index.device)[index]

    @property
    def _datamodule(self) -> Any:
        datamodule = getattr(self.trainer, "datamodule", None)
        if missing := [name for name in NEEDED if not hasattr(datamodule, name)]:
            raise ConfigError(
                f"Cross-fitting reads {missing} of the data module. Give the trainer a hilmix.data.AnnotatedDataModule."
            )
        return datamodule

    # -- training ----------------------------------------------------------------------------------------------------

    def training_batch(self, batch: Batch, network: int, rank: int) -> Batch:
        """Returns what a network is trained on: the items outside its fold, mixed among themselves.

        Args:
            batch: un-mixed.
            network: f.
            rank: whose draws it is mixed with.
        """
        own = batch.select(self.fold_of(batch.index) != network)
        seed = self._seed_of(network)
        mixed: Batch = self._datamodule.mix_batch(own, seed=seed, counter=self._counter, rank=rank)
        return mixed

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        steps, others = [], list[Tensor]()
        for f, network in enumerate(self._classifiers):
            # Mixed in a buffer that the networks of the inner folds overwrite: after the step that reads it.
            own = self.training_batch(batch, f, self.global_rank)
            # dropout, too, must not depend on how much the networks before have drawn
            seed_torch(step_seed(self._seed_of(f), self._counter, self.global_rank), self.device)
            steps.append(network.trainer_step(own))
            others += network.fold_losses(batch.select(self.fold_of(batch.index) != f))
        self.log_training_losses([step.losses for step in steps], items=len(batch.index))
        return {"loss": torch.stack([*(step.loss for step in steps), *others]).sum()}

    def _seed_of(self, network: int) -> int:
        return step_seed(self.seed, network, stream="fold")

    def configure_optimizers(self) -> Any:
        groups = []
        for network in self._classifiers:
            network.lr = self.lr
            groups += network.parameter_groups()
        return self.build_optimizer(self._classifiers[0].optimization, groups)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        clip_each(self.networks, gradient_clip_val, gradient_clip_algorithm)

    # -- hooks -------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.item_folds.change_data()
        if stage == "fit":
            data = self._datamodule
            self.item_folds.draw(data, len(self.networks), seed=self.seed)
        for f, network in enumerate(self._classifiers):
            network.trainer = self.trainer
            if stage == "fit":
                network.left_out = self.item_folds.of_rows(data, torch.device("cpu")).numpy() == f
            network.setup(stage)

    def on_fit_start(self) -> None:
        for network in self._classifiers:
            network.on_fit_start()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        for network in self._classifiers:
            network.on_train_batch_start(batch, batch_idx)

    def on_train_end(self) -> None:
        for network in self._classifiers:
            network.on_train_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        states: list[dict[str, Any]] = [{} for _ in self.networks]
        for network, state in zip(self._classifiers, states, strict=True):
            network.on_save_checkpoint(state)
        checkpoint["crossfit"] = {"networks": states}
        checkpoint["crossfit"] |= self.item_folds.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        state: Mapping[str, Any] | None = checkpoint.get("crossfit")
        if state is None:
            raise ConfigError("CrossFitClassifier: the checkpoint is not of one: it holds no 'crossfit'.")
        for network, own in zip(self._classifiers, state["networks"], strict=True):
            network.on_load_checkpoint(own)
        self.item_folds.load(state)
