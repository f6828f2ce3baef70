"""Lightning data module: from a data folder to batches of annotations, mixed on the device."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

from hilmix.checks import NonNegativeInt, OpenShare, PositiveInt, check_settings
from hilmix.data.dataset import Augmentation, ItemDataset
from hilmix.data.fingerprint import require_same_data
from hilmix.data.for_model import DataForModel
from hilmix.data.in_memory import from_arrays
from hilmix.data.inputs import ArrayInputs, require_pixels
from hilmix.data.interface import DataInterface
from hilmix.data.items import AnnotatedData
from hilmix.data.loaders import build_clean_sampler, build_loader, build_train_sampler, choose_workers
from hilmix.data.masks import MaskAggregation
from hilmix.data.model_names import ModelNames, read_model_names, warn_about_unknown
from hilmix.data.root import IN_MEMORY, load_root
from hilmix.data.targets import Pairs, Targets
from hilmix.errors import ConfigError
from hilmix.functional.inputs import as_float
from hilmix.functional.mixing import MaskMixing, mix_masks
from hilmix.functional.random import run_seed, step_generator
from hilmix.mix import MixPolicy, NoMix
from hilmix.types import UNKNOWN, Batch

if TYPE_CHECKING:
    Root = str | Path | AnnotatedData | tuple[Any, Any]
else:
    Root = str
    """What LightningCLI offers for ``--data.root``; of a union it would offer the fields of the data."""
log = logging.getLogger(__name__)


class AnnotatedDataModule(DataInterface):
    """Batches of items with their annotations, for any data folder.

    Training batches carry the annotations that ``targets`` makes of the votes and are mixed by ``mix`` on the device.
    All other batches carry the votes as given, un-mixed and un-augmented.

    Args:
        root: a data folder (``docs/data_folder.md``), or embedded data: ``digits-class`` or ``digits-instance`` with
            simulated annotators, ``decoy-digits`` or ``toy-bumps`` with masks and groups; or
            ``package.module:NAME`` of a :class:`~hilmix.data.sources.Source` that needs no files. In Python also
            :class:`~hilmix.AnnotatedData`, or a pair of inputs and votes, see :func:`~hilmix.data.from_arrays`; a
            checkpoint then names no place to read them from.
        targets: what training learns from: every vote (default), one aggregate per item, or the true labels.
        mix: the mix policy; default: none.
        batch_size: items per batch and rank.
        augment: ``none``; ``crop-flip`` (pad, crop, flip: small images); ``resized-crop-flip`` (photographs).
        image_size: side in pixels that image files are resized to; default: their common size, or 128.
        val_fraction: share of the training items to hold out for validation, stratified. Default: the folder's own
            validation items, or a tenth if it has none. Given, it replaces the folder's validation items, whose
            annotations are then not used: "noisy validation" where the folder's have no votes.
        test_fraction: share of all items to hold out for testing if the folder has no split.
        split_seed: seed of the held-out draws; independent of the run's seed, so that seeds share a split.
        mask_aggregation: how several annotators' masks of an item are combined: their ``union``, or ``agreement``, the
            share of them that marked a pixel.
        mix_masks: masks of mixed rows: ``max`` trusts no pixel that was marked in either image, ``weighted`` mixes
            masks as the images are mixed.
        repeat_explained: how often an epoch shows each training item with a mask that marks something. The number of
            training items over the number of those with a mask makes half of what is shown explained.
        num_workers: processes that fetch batches; None chooses by data and cores, see
            :func:`~hilmix.data.loaders.choose_workers`.
    """

    def __init__(
        self,
        root: Root = "digits-instance",
        targets: Targets | None = None,
        mix: MixPolicy | None = None,
        batch_size: PositiveInt = 64,
        augment: Augmentation = "none",
        image_size: PositiveInt | None = None,
        val_fraction: OpenShare | None = None,
        test_fraction: OpenShare = 0.2,
        split_seed: NonNegativeInt = 0,
        mask_aggregation: MaskAggregation = "union",
        mix_masks: MaskMixing = "max",
        repeat_explained: PositiveInt = 1,
        num_workers: NonNegativeInt | None = None,
    ) -> None:
        super().__init__()
        self.targets = Pairs() if targets is None else Targets.from_spec(targets)
        self.mix = NoMix() if mix is None else MixPolicy.from_spec(mix)
        # Kept apart from the settings: a checkpoint holds the name of the data, never the data.
        self._given = None if isinstance(root, str | Path) else _check_given(root)
        root = str(root) if isinstance(root, str | Path) else IN_MEMORY
        settings = {
            "root": root,
            "targets": self.targets.spec(),
            "mix": self.mix.spec(),
            "batch_size": batch_size,
            "augment": augment,
            "image_size": image_size,
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "split_seed": split_seed,
            "mask_aggregation": mask_aggregation,
            "mix_masks": mix_masks,
            "repeat_explained": repeat_explained,
            "num_workers": num_workers,
        }
        check_settings("data", AnnotatedDataModule.__init__, settings)
        # Plain values: modules would be pickled, which loading a checkpoint with weights_only refuses.
        self.save_hyperparameters(settings)
        self.root, self.batch_size, self.augment, self.image_size = root, batch_size, augment, image_size
        self.split_seed = split_seed
        self.mask_aggregation, self.mix_masks, self.repeat_explained = mask_aggregation, mix_masks, repeat_explained
        self.num_workers, self.seed = num_workers, 0
        # A method, so that the data are read when first needed; a lambda could not be pickled for spawned ranks.
        self.for_model = DataForModel(
            self._read_data, self.targets, val_fraction=val_fraction, test_fraction=test_fraction, split_seed=split_seed
        )

    # -- what the data are -------------------------------------------------------------------------------------------

    @property
    def data(self) -> AnnotatedData:
        """All items with all their votes, in the codes of the model at hand."""
        return self.for_model.data

    @data.setter
    def data(self, data: AnnotatedData) -> None:
        text = "Setting AnnotatedDataModule.data is replaced by AnnotatedDataModule(data), and goes in 0.2."
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        self._given = _check_given(data)
        self.for_model = self.for_model.renewed()

    def _read_data(self) -> AnnotatedData:
        data = load_root(self.root, image_size=self.image_size) if self._given is None else self._given
        if self.augment != "none" and data.inputs.kind != "image":
            raise ConfigError(f"`data.augment` must be 'none' for the vectors of {data.name}, got '{self.augment}'.")
        return data

    def _set_model(self, state: dict[str, Any] | None, names: ModelNames | None = None) -> None:
        self.for_model.set_model(state, names)

    # -- batches -----------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        self.seed = run_seed()
        # without a trainer, a state that was loaded by hand stays
        state = self._trained_on if self.trainer is not None else self.for_model.trained_on
        if stage != "fit":  # a checkpoint that is still to be loaded may bring another model: see _follow_checkpoint
            return self._set_model(state if state is self.for_model.trained_on else None)
        self._set_model(None, read_model_names(state))
        if not self.train_annotations.num_pairs:
            raise ConfigError(f"At least one training item of {self.data.name} must have an annotation, got none.")
        self.mix.bind(self.train_annotations)
        if not self.data.annotations.exchangeable and not self.targets.aggregates:
            warn_about_unknown(self.data.annotations.annotators, self.annotator_ids)

    @property
    def _trained_on(self) -> dict[str, Any] | None:
        """State of the data that the trainer's model was trained on, if the model holds it."""
        model = None if self.trainer is None else self.trainer.lightning_module
        return getattr(model, "trained_on", None)

    @property
    def _is_fitting(self) -> bool:
        return self.trainer is not None and self.trainer.state.fn == "fit"

    def _follow_checkpoint(self) -> None:
        """Express the data in the codes of the model at hand, whose checkpoint is loaded by now."""
        state = self._trained_on
        if state is not None and not self._is_fitting:
            self._set_model(state)

    def train_dataloader(self) -> DataLoader[Batch]:
        annotations, trainer = self.train_annotations, self.trainer
        assert trainer is not None
        dataset = ItemDataset(
            self.data,
            self.for_model.epoch_rows(self.repeat_explained),
            annotations,
            annotator_ids=self.for_model.target_ids,
            augment=self.augment,
            masks=self.mask_aggregation,
            seed=self.seed,
        )
        sampler = build_train_sampler(dataset, trainer, batch_size=self.batch_size, seed=self.seed)
        return self._build_loader(dataset, sampler)

    def clean_dataloader(self, split: str) -> DataLoader[Batch]:
        """Return a loader of a split's items (or ``all``), un-augmented, with the votes as given; no item twice."""
        # All votes as given, also where training reads aggregates: evaluation asks how well the votes are foreseen.
        rows = np.arange(len(self.data)) if split == "all" else self.rows(split)
        ids = self.annotator_ids
        dataset = ItemDataset(self.data, rows, self.data.annotations, annotator_ids=ids, masks=self.mask_aggregation)
        sampler = build_clean_sampler(dataset, self.trainer, split)
        return self._build_loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        # Lightning loads the checkpoint of an evaluation between setup() and this hook.
        self._follow_checkpoint()
        return self.clean_dataloader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        self._follow_checkpoint()
        if not len(self.rows("test")):
            raise ConfigError(
                f"`split` of {self.data.name} must be 'test' for some items, got none. Or remove that column."
            )
        return self.clean_dataloader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        self._follow_checkpoint()
        return self.clean_dataloader("all")

    def _build_loader(self, dataset: ItemDataset, sampler: Sampler[int] | None) -> DataLoader[Batch]:
        workers = self.num_workers
        if workers is None:
            workers = choose_workers(dataset, ranks=1 if self.trainer is None else self.trainer.num_devices)
        return build_loader(dataset, sampler, batch_size=self.batch_size, num_workers=workers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        # Bytes are moved and made floats here, on the device: a quarter of the traffic.
        mask = None if batch.mask is None else as_float(batch.mask)
        batch = batch._replace(input=as_float(batch.input), mask=mask)
        trainer = self.trainer
        # A clean pass during fit runs while the trainer trains, but with the module in evaluation mode.
        if trainer is None or not (trainer.training and trainer.lightning_module.training):
            return batch
        if getattr(trainer.lightning_module, "mixes_batches", False):  # in parts, such as those of folds
            return batch
        # Lightning counts the batch after this hook, right before the step
        counter = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        return self.mix_batch(batch, seed=self.seed, counter=counter, rank=trainer.global_rank)

    def mix_batch(self, batch: Batch, *, seed: int, counter: int, rank: int) -> Batch:
        """Return a batch mixed by the policy, its masks too; on a CPU in a buffer that the next call overwrites.

        Args:
            batch: un-mixed, on any device, ``input`` float.
            seed: of the draws, with the next two; see :func:`~hilmix.functional.random.step_generator`.
            counter: number of the batch since the start of training.
            rank: of the process.
        """
        batch = self.mix(batch, step_generator(seed, counter, rank))
        if batch.mask is None:
            return batch
        return batch._replace(mask=mix_masks(batch.mask, batch.plan, batch.row, how=self.mix_masks))

    # -- checkpoint --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self.seed, **self.for_model.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seed = state_dict["seed"]
        # A resumed run goes on with the data it began with; an evaluation may be on others.
        if self._is_fitting:
            return require_same_data(state_dict, self.for_model.fingerprint, self.data.name)
        self._set_model(state_dict)
        if state_dict["items"] != self.for_model.identity["items"] and not self.data.annotations.exchangeable:
            annotators = np.unique(self.data.annotations.annotator)
            unknown = int((self.annotator_ids[annotators] == UNKNOWN).sum())
            log.info("%d of %d annotators were not seen in training", unknown, len(annotators))


def _check_given(root: "AnnotatedData | tuple[Any, Any]") -> AnnotatedData:
    """The data that a program holds; float images beyond [0, 1] are refused."""
    if isinstance(root, AnnotatedData):
        if isinstance(root.inputs, ArrayInputs) and root.inputs.kind == "image":
            require_pixels(root.inputs.array)
        return root
    if isinstance(root, tuple) and len(root) == 2:
        return from_arrays(*root)
    raise ConfigError(
        f"`data.root` must be a path, AnnotatedData, or a pair of inputs and votes, got {type(root).__name__}."
    )
