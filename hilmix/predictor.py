"""A trained model for new items: calibrated class probabilities, without a trainer and without the data folder."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations.in_memory import read_votes
from hilmix.annotators import Perfect
from hilmix.callbacks.weights import saved_weights
from hilmix.checks import PositiveInt, check_value
from hilmix.data.inputs import Inputs
from hilmix.data.model_names import read_model_names
from hilmix.data.new_inputs import read_new_inputs
from hilmix.diagnostics.calibration import read_temperature
from hilmix.diagnostics.weights import Weights
from hilmix.errors import ConfigError, RunError
from hilmix.exported_weights import read_exported
from hilmix.functional.inputs import as_float
from hilmix.functional.modes import evaluation_mode
from hilmix.functional.precision import at_least_float32
from hilmix.integrity import check_intact, named_module, read_checkpoint
from hilmix.modules import CrossFitClassifier, CrowdModel, FoldNetworks
from hilmix.modules.evaluated import EvaluatedModule
from hilmix.new_votes import batch_with_votes, code_votes
from hilmix.trusted import find_class
from hilmix.types import UNKNOWN, Batch, StepOutput

__all__ = ["Predictor", "load"]
BATCH = 64
Progress = Callable[[int], None]
"""Called with the number of items after each batch."""


class Calibration(NamedTuple):
    """The temperature of a model."""

    temperature: float | None
    """Divides the logits; None where none was fitted to these weights."""
    remedy: str = "Fit one, or ask for probabilities that are not calibrated."
    """Text of the error where there is none."""


class Predictor:
    """A trained model with its preprocessing, its temperature and the names of its classes and annotators.

    Args:
        model: a :class:`~hilmix.CrowdModel` such as :class:`~hilmix.Classifier`, a
            :class:`~hilmix.CrossFitClassifier` or its :class:`~hilmix.FoldNetworks`, trained.
        classes: K names, in the order of its outputs.
        annotators: A names, in the order of its tables; empty for one without a training label.
        calibration: the temperature that was fitted to it.
        device: on which it computes; by default the accelerator of this machine, or its CPU.

    Example:
        >>> predictor = Predictor(CrowdModel(3, 2, [4]), ["a", "b", "c"], ["ann", "bob"])
        >>> predictor.predict_proba(np.zeros((5, 4)), calibrated=False).shape
        (5, 3)
    """

    def __init__(
        self,
        model: CrowdModel | CrossFitClassifier | FoldNetworks,
        classes: Sequence[str],
        annotators: Sequence[str] = (),
        *,
        calibration: Calibration = Calibration(None),  # noqa: B008  # immutable
        device: str | torch.device | None = None,
    ) -> None:
        self.device = _device(device)
        self.model = (model.networks if isinstance(model, CrossFitClassifier) else model).to(self.device)
        self.classes, self.calibration = tuple(classes), calibration
        self.all_annotators = tuple(annotators)
        """A names, in the order of the model's tables; empty where there was no training label."""
        self.trained_on: dict[str, Any] | None = getattr(model, "trained_on", None)
        """State of the data that it was trained on, where it is known."""

    @classmethod
    def from_checkpoint(cls, path: Path, *, device: str | torch.device | None = None) -> Self:
        """Returns the model of a checkpoint file; see :func:`load`."""
        check_intact(path)
        try:
            checkpoint = read_checkpoint(path)
            # A checkpoint of an older version names no class where it is the default one.
            named = named_module(checkpoint) or "hilmix.modules.Classifier"
            model = find_class(named, EvaluatedModule).load_from_checkpoint(path.resolve(), map_location="cpu")
        except UnpicklingError as error:
            raise RunError(f"{path} holds more than tensors and plain values, or is no checkpoint.") from error
        if not isinstance(model, CrowdModel | CrossFitClassifier):
            raise RunError(f"{path} is of a {type(model).__name__}, which is no model of classes and annotators.")
        names = read_model_names(model.trained_on)
        if names is None:
            raise RunError(f"{path} holds no names of classes: it was not trained by an AnnotatedDataModule.")
        calibration = _calibration_of(path, saved_weights(checkpoint, path))
        # Names from the checkpoint, not from the data folder, which need not exist where the model is used.
        return cls(model, names.classes, names.annotators, calibration=calibration, device=device)

    @classmethod
    def from_safetensors(cls, path: Path, *, device: str | torch.device | None = None) -> Self:
        """Returns the model of a file that :func:`hilmix.export.export_model` wrote.

        Raises:
            RunError: if it is damaged, or of something else.
        """
        networks, facts = read_exported(path)
        model = networks[0] if len(networks) == 1 else FoldNetworks(networks)
        calibration = Calibration(facts["temperature"])
        return cls(model.eval(), facts["classes"], facts["annotators"], calibration=calibration, device=device)

    def on_device(self, device: str | torch.device) -> Self:
        """Returns the same model on another device."""
        found = type(self)(self.model, self.classes, self.all_annotators, calibration=self.calibration, device=device)
        found.trained_on = self.trained_on
        return found

    @property
    def annotators(self) -> tuple[str, ...]:
        """Names of the annotators that the model was trained on; none for a model of aggregated labels."""
        return tuple(name for name in self.all_annotators if name)

    @property
    def temperature(self) -> float:
        """The temperature that was fitted on validation items; it divides the logits.

        Raises:
            RunError: if none was fitted to these weights.
        """
        if self.calibration.temperature is None:
            raise RunError(f"No temperature was fitted to these weights. {self.calibration.remedy}")
        return self.calibration.temperature

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) of images, or (D,) of vectors."""
        return tuple(self.networks[0].settings["input_shape"])

    @property
    def networks(self) -> list[CrowdModel]:
        """The networks whose predictions are averaged; one but for a cross-fitted model and a method with two."""
        models = self.model.models if isinstance(self.model, FoldNetworks) else [self.model]
        return [network for model in models for network in model.ensemble]

    @property
    def models_annotators(self) -> bool:
        """True if the model has learned from single votes, so that :meth:`posterior` is defined."""
        return not isinstance(self.networks[0].annotator_model, Perfect)

    def predict_proba(
        self,
        x: Any,
        *,
        calibrated: bool = True,
        batch_size: int = BATCH,
        rows: NDArray[np.int64] | None = None,
        on_batch: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Returns class probabilities (B, K) float32 of new items.

        Args:
            x: B items. For images: a path, or a list of paths, Pillow images or arrays of any size; an array
                (B, H, W) or (B, H, W, C), or a tensor (B, C, H, W), uint8 or float in [0, 1]; a table with a column
                ``path``. Pictures of another size are resized and cropped as in training. For vectors: a table, an
                array or a tensor (B, D).
            calibrated: whether the logits are divided by the fitted temperature.
            batch_size: items at a time.
            rows: of ``x`` that are wanted, (B,); by default all.
            on_batch: called after each batch with its number of items.

        Raises:
            DataError: for inputs of another kind or shape, or a file that cannot be read.
            RunError: if no temperature was fitted to these weights.
        """
        temperature, inputs = self.temperature if calibrated else 1.0, read_new_inputs(x, self.input_shape)
        found = [
            (logits / temperature).softmax(-1).float().cpu().numpy()
            for logits in self._logits(inputs, np.arange(len(inputs)) if rows is None else rows, batch_size, on_batch)
        ]
        return np.concatenate(found) if found else np.empty((0, len(self.classes)), dtype=np.float32)

    def predict(self, x: Any, *, batch_size: int = BATCH) -> NDArray[Any]:
        """Returns the most probable class (B,) of each item, by name; arguments of :meth:`predict_proba`."""
        best = self.predict_proba(x, calibrated=False, batch_size=batch_size).argmax(1)
        names: NDArray[Any] = np.asarray(self.classes, dtype=object)[best]
        return names

    def posterior(self, x: Any, votes: Any, *, calibrated: bool = True, batch_size: int = BATCH) -> NDArray[np.float32]:
        """Returns p(class | input, the votes given to it), (B, K) float32; without votes that of the input alone.

        An annotator that the model was not trained on counts as one of average skill.

        Args:
            x: B items, see :meth:`predict_proba`.
            votes: a list of B mappings from annotator to class; a wide table (B rows, a column per annotator, ``NaN``
                for no vote); a long one (columns ``item``, the row in ``x``, ``annotator`` and ``label``); or
                :class:`~hilmix.Annotations`.
            calibrated: whether the class probabilities of the input are those at the fitted temperature.
            batch_size: items at a time.

        Raises:
            DataError: as :meth:`predict_proba`, or for votes of another shape.
            RunError: for a class that the model does not have, or no temperature.
            ConfigError: if the model knows no annotators, having learned from aggregated labels.
        """
        inputs = read_new_inputs(x, self.input_shape)
        temperature = self.temperature if calibrated else 1.0
        coded = code_votes(read_votes(votes, len(inputs)), self.classes, self.all_annotators)
        found = []
        with torch.inference_mode(), evaluation_mode(self.model):
            for rows in _batches(np.arange(len(inputs)), batch_size):
                output = self._evaluate(batch_with_votes(inputs, rows, coded, self.device))
                found.append(self._posterior_of(output, temperature).float().cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, len(self.classes)), dtype=np.float32)

    def _logits(
        self, inputs: Inputs, rows: NDArray[np.int64], batch_size: int, on_batch: Progress | None
    ) -> Iterator[Tensor]:
        with torch.inference_mode(), evaluation_mode(self.model):
            for some in _batches(rows, batch_size):
                yield at_least_float32(self.model(as_float(inputs.fetch(some).to(self.device))))
                if on_batch is not None:
                    on_batch(len(some))

    def _evaluate(self, batch: Batch) -> StepOutput:
        if isinstance(self.model, FoldNetworks):  # new items are in no fold
            return self.model.evaluate(batch, torch.full_like(batch.index, UNKNOWN))
        return self.model.evaluate(batch)

    def _posterior_of(self, output: StepOutput, temperature: float) -> Tensor:
        if output.posterior is None or output.log_likelihood is None:
            raise ConfigError(
                "A posterior given votes takes a model of annotators, got one that takes labels at face value. Train "
                "one, such as the method hilmix."
            )
        if temperature == 1:
            return output.posterior
        # Each network of a cross-fitted model averages to the same form: any of them combines the evidence.
        annotators = self.networks[0].annotator_model
        log_probs = (output.logits / temperature).log_softmax(-1)
        return annotators.posterior(log_probs, output.log_likelihood, output.row)


def load(run: str | Path, *, weights: str = "last", device: str | torch.device | None = None) -> Predictor:
    """Returns the trained model of a run, ready for new items; the data that it was trained on are not needed.

    Args:
        run: a run folder, a checkpoint file inside one, or a ``.safetensors`` file that was exported from one.
        weights: of a run folder ``last``, ``best``, or the name of a file in its ``checkpoints``.
        device: on which it computes; by default the accelerator of this machine, or its CPU.

    Raises:
        RunError: if there is no such checkpoint, it is damaged, or of something else.
        ConfigError: if it names a class of a package that is not trusted; see :func:`hilmix.trust`.
    """
    path = Path(run)
    if path.suffix == ".safetensors":
        return Predictor.from_safetensors(path, device=device)
    return Predictor.from_checkpoint(path if path.is_file() else find_weights(path, weights), device=device)


def find_weights(run: Path, weights: str) -> Path:
    """Returns the checkpoint of a run folder: ``last``, ``best``, or a file in its ``checkpoints``.

    Raises:
        RunError: if there is none, with those that there are.
    """
    folder = run / "checkpoints"
    path = folder / (weights if weights.endswith(".ckpt") else f"{weights}.ckpt")
    if path.is_file():
        return path
    have = sorted(file.name for file in folder.glob("*.ckpt"))
    found = f"{folder} has {have}" if have else f"{run} is no run folder, as it has no checkpoints"
    raise RunError(f"There is no checkpoint {path}: {found}.")


def _calibration_of(path: Path, weights: Weights) -> Calibration:
    found = read_temperature(path.parent.parent, weights)
    remedy = f"A test of {path} fits one on the run's validation items; or ask for calibrated=False."
    return Calibration(found, remedy)


def _device(given: str | torch.device | None) -> torch.device:
    if given is not None:
        try:
            return torch.device(given)
        except RuntimeError as error:
            raise ConfigError(f"`device` must be a device of torch, such as cpu or cuda:0, got {given!r}.") from error
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def _batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    check_value("batch_size", size, PositiveInt)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
