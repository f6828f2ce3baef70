"""An estimator as scikit-learn has them: ``fit(X, votes)``, for programs that do not use Lightning."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from hilmix.backbones import Backbone, without_pretrained
from hilmix.callbacks import CalibrationReport, LastCheckpoint
from hilmix.callbacks.fit_report import FitReport
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.checks import NonNegative, OpenShare, PositiveInt, check_value
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, ImageFiles, Inputs
from hilmix.data.inputs import MIXED_SIZE, require_pixels
from hilmix.data.new_inputs import Pictures
from hilmix.diagnostics import annotator_table, clean_pass, fit_pass_temperature, label_table
from hilmix.diagnostics.annotators import rank_annotators
from hilmix.errors import DataError, RunError
from hilmix.estimator_inputs import are_vectors, read_labels
from hilmix.methods import find_method
from hilmix.modules import Classifier
from hilmix.moved import public_path
from hilmix.predictor import BATCH, Calibration, Predictor
from hilmix.trusted import find_class

__all__ = ["AnnotatedClassifier"]


class _SavedModel(NamedTuple):
    """A trained network as plain values, as a pickle holds it."""

    class_path: str
    settings: dict[str, Any]
    weights: dict[str, Any]


class AnnotatedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A calibrated classifier that learns from the votes of several annotators per item.

    Args:
        method: name of a method, as ``hilmix methods`` lists them.
        backbone: the network; None chooses by the kind of input, see :func:`~hilmix.backbones.default_backbone`.
        epochs: passes over the items.
        batch_size: items per step.
        lr: learning rate; None for that of the method and the kind of input.
        val_fraction: share of the items that is held out, on which the temperature is fitted.
        image_size: side in pixels that images are resized to; default: their common size, or 128 where they differ.
        device: ``auto``, ``cpu``, ``gpu`` or another accelerator of Lightning.
        run_dir: folder that gets the checkpoint and the temperature of ``fit``, for :func:`hilmix.load`; default: none.
        random_state: seed of network, batches and held-out items; equal numbers give equal models.

    Attributes:
        classes_: (K,) labels, sorted, of the type that they were given in.
        annotators_: table of the annotators, the least reliable first; ``estimated_accuracy`` in [0, 1].
        label_issues_: table of the votes on training items, the most suspicious first: ``item``, the row of X,
            ``annotator``, ``label``, what the model suggests, and scores.
        temperature_: divides the logits, so that probabilities are calibrated.
        model_: the trained :class:`~hilmix.Classifier`.
        n_features_in_: D, of vectors.

    Example:
        >>> model = AnnotatedClassifier(method="mv", epochs=1)
        >>> x, votes = np.random.default_rng(0).normal(size=(40, 3)), [["cat", None], ["cat", "dog"]] * 20
        >>> model.fit(x, votes).predict_proba(x[:1]).shape
        (1, 2)
    """

    def __init__(
        self,
        method: str = "hilmix",
        *,
        backbone: Backbone | None = None,
        epochs: int = 50,
        batch_size: int = 64,
        lr: float | None = None,
        val_fraction: float = 0.1,
        image_size: int | None = None,
        device: str = "auto",
        run_dir: str | Path | None = None,
        random_state: Any = None,
    ) -> None:
        self.method, self.backbone, self.epochs, self.batch_size, self.lr = method, backbone, epochs, batch_size, lr
        self.val_fraction, self.image_size, self.device = val_fraction, image_size, device
        self.run_dir, self.random_state = run_dir, random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Trains on N items.

        Args:
            X: vectors (N, D), or images: paths, Pillow pictures, an array (N, H, W) or (N, H, W, C), uint8 or float in
                [0, 1], or a table with a column ``path``.
            y: the votes: a wide table or array (N, A) in which ``NaN`` is no vote, a long table (``item``, the row of
                X, ``annotator``, ``label``), N mappings from annotator to label, or :class:`~hilmix.Annotations`; (N,)
                labels are the votes of one annotator.

        Raises:
            ConfigError: for a setting out of range, or an unknown method.
            DataError: for inputs or votes of another form.
        """
        self._check_settings()
        if y is None:  # in the words that pipelines of scikit-learn look for
            raise DataError("`y` must be the votes: fit requires y to be passed, but the target y is None.")
        data = self._read(X, y)
        # One number for all: drawn from a generator, it differs with every call of `fit`, as scikit-learn wants it.
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        module = AnnotatedDataModule(
            data, batch_size=self.batch_size, val_fraction=self.val_fraction, split_seed=seed, **self._data
        )
        reports = _Reports()
        with _apart(seed), tempfile.TemporaryDirectory() as scratch:
            model = self._build(module)
            self._trainer(reports, scratch).fit(model, module)
        self.model_, self.temperature_ = model.cpu().eval(), reports.temperature
        # The trainer holds the data and the loaders, which a fitted estimator would keep alive and pickle.
        self.model_.trainer = None
        self.annotators_, self.label_issues_ = reports.annotators, reports.label_issues
        self._annotator_names = data.annotations.annotators
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Returns calibrated class probabilities (B, K) float32, in the order of ``classes_``.

        Args:
            X: B items, in a form that ``fit`` takes.
        """
        check_is_fitted(self)
        predictor = Predictor(
            self.model_,
            list(map(str, self.classes_)),
            self._annotator_names,
            calibration=Calibration(self.temperature_),
            device="cpu" if self.device == "cpu" else None,
        )
        x = self._vectors(X, reset=False) if len(predictor.input_shape) == 1 else X
        return predictor.predict_proba(x, batch_size=max(self.batch_size, BATCH))

    def predict(self, X: Any) -> NDArray[Any]:
        """Returns the most probable class (B,) of each item, of the type of ``classes_``."""
        probs = self.predict_proba(X)
        found: NDArray[Any] = self.classes_[probs.argmax(1)]
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.random_state is None
        return tags

    # -- pickling: settings and weights, never a module ----------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        # A pickled module would hold code paths and hooks; settings and weights load in the next version, too.
        if "model_" in state:
            model = state["model_"]
            weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
            state["model_"] = _SavedModel(public_path(type(model)), dict(model.hparams), weights)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.get("model_")
        if isinstance(saved, _SavedModel):
            settings = {**saved.settings, "backbone": without_pretrained(saved.settings["backbone"])}
            model = find_class(saved.class_path, Classifier)(**settings)
            model.load_state_dict(saved.weights)
            state = {**state, "model_": model.eval()}
        super().__setstate__(state)

    # -- what fit consists of ------------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        for name, hint in {
            "epochs": PositiveInt,
            "batch_size": PositiveInt,
            "lr": NonNegative | None,
            "val_fraction": OpenShare,
            "image_size": PositiveInt | None,
        }.items():
            check_value(name, getattr(self, name), hint)

    @property
    def _data(self) -> dict[str, Any]:
        arguments = find_method(self.method).settings.get("data", {}).get("init_args", {})
        return {name: arguments[name] for name in ("targets", "mix") if name in arguments}

    def _build(self, data: AnnotatedDataModule) -> Classifier:
        settings = find_method(self.method).settings.get("model", {})
        arguments = {**settings.get("init_args", {})}
        if self.backbone is not None:  # another one: building changes it, and settings stay as they were given
            arguments["backbone"] = self.backbone.spec()
        arguments |= {"lr": self.lr} if self.lr is not None else {}
        kind = find_class(settings.get("class_path", "hilmix.modules.Classifier"), Classifier)
        return kind(data.num_classes, data.num_annotators, data.input_shape, **arguments)

    def _trainer(self, reports: "_Reports", scratch: str) -> Trainer:
        kept: list[Any] = []
        if self.run_dir is not None:
            if (Path(self.run_dir) / "checkpoints").exists():
                raise RunError(f"`run_dir` must be a folder without a run, got '{self.run_dir}'.")
            kept = [CalibrationReport(), LastCheckpoint()]
        quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        return Trainer(
            **quiet,
            max_epochs=self.epochs,
            accelerator=self.device,
            devices=1,
            default_root_dir=scratch if self.run_dir is None else str(self.run_dir),
            callbacks=[reports, *kept],
            enable_checkpointing=bool(kept),
            plugins=[AtomicCheckpointIO()],
            num_sanity_val_steps=0,
        )

    def _read(self, X: Any, votes: Any) -> AnnotatedData:
        inputs = ArrayInputs(self._vectors(X, reset=True), "vector") if are_vectors(X) else self._images(X)
        if len(inputs) < 2:  # one to learn from, one to be held out
            raise DataError(f"`X` must have at least 2 items, got n_samples = {len(inputs)}.")
        annotations, self.classes_ = read_labels(votes, len(inputs))
        # All items may be trained on, from which the data module holds out a share.
        split = np.full(len(inputs), "train")
        return AnnotatedData("in-memory", tuple(map(str, range(len(inputs)))), inputs, annotations, split=split)

    def _vectors(self, X: Any, *, reset: bool) -> NDArray[np.float32]:
        found: NDArray[np.float32] = validate_data(self, X, reset=reset, dtype=np.float32)
        return found

    def _images(self, X: Any) -> Inputs:
        if isinstance(X, np.ndarray) and X.dtype != object:
            require_pixels(X)
            inputs = ArrayInputs(X, "image")
            # Resized when fetched, and not here: a copy of all images in the new size may not fit.
            size = inputs.shape if self.image_size is None else (inputs.shape[0], self.image_size, self.image_size)
            return inputs if size == inputs.shape else Pictures(X, size)
        sources = X["path"].tolist() if isinstance(X, pd.DataFrame) else list(X)
        if all(isinstance(one, str | Path) for one in sources):
            return ImageFiles([Path(one) for one in sources], self.image_size)
        side = MIXED_SIZE if self.image_size is None else self.image_size
        return Pictures(sources, (3, side, side))


class _Reports(FitReport):
    """Temperature, annotators and label issues, once there is nothing left to train."""

    temperature = 1.0
    annotators: pd.DataFrame
    label_issues: pd.DataFrame

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data: AnnotatedDataModule = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
        self.temperature = fit_pass_temperature(data.data, clean_pass(trainer, pl_module, "val"))[0].temperature
        result = clean_pass(trainer, pl_module, "train")
        self.annotators = rank_annotators(annotator_table(data.data, result, data.trained_annotators))
        issues = label_table(data.data, result).table
        self.label_issues = issues.assign(item=issues["item"].astype(np.int64))


@contextmanager
def _apart(seed: int) -> Iterator[None]:
    """Seeds what hilmix draws, and leaves random states and log of the program as they were."""
    lightning = logging.getLogger("lightning.pytorch.utilities.rank_zero")  # which devices there are, and tips
    before, level = {name: os.environ.get(name) for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")}, lightning.level
    lightning.setLevel(logging.WARNING)
    try:
        with isolate_rng():
            seed_everything(seed, verbose=False)
            yield
    finally:
        lightning.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
