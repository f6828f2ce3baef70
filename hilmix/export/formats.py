"""Files of other programs: ONNX, torch.export, safetensors, and a folder that timm opens."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilmix.backbones import TimmBackbone
from hilmix.checks import check_choice
from hilmix.errors import ConfigError, RunError
from hilmix.export.module import ExportModule, card_of, example_inputs
from hilmix.files import write_atomically
from hilmix.functional.inputs import as_float
from hilmix.parts import plain_value
from hilmix.predictor import Predictor
from hilmix.timm_networks import one_line

TOLERANCE = 1e-5
"""Largest difference of a probability between the file and the model."""
SIZES = (1, 2, 5)
"""Rows of the batches that are compared: one, and more than the trace has seen."""
# Neither 0 nor 1: torch.export makes these two sizes constants of the program, even of an axis that is marked dynamic.
_TRACED = 3
Reader = Callable[[Tensor], NDArray[Any]]
"""Function of another program: inputs to (B, K) probabilities."""


def export_model(predictor: Predictor, file: Path, format: str) -> float:
    """Writes a trained model in the format of another program, and compares what that computes with the model.

    Args:
        predictor: the model, with its temperature.
        file: to write; for ``timm`` a folder.
        format: one of :data:`FORMATS`.

    Returns:
        The largest difference of a probability, over batches of several sizes.

    Raises:
        ConfigError: for another format, a missing package, or a network that the format cannot hold.
        RunError: if the file computes something else, in which case it is not kept.
    """
    check_choice("format", format, FORMATS)
    model = predictor.on_device("cpu")
    with write_atomically(file) as partial:
        try:
            difference = _largest_difference(model, FORMATS[format](model, partial))
            if not difference <= TOLERANCE:
                raise RunError(
                    f"The exported model differs from the checkpoint by {difference:.2g}, more than {TOLERANCE:g}, so "
                    "that it is not kept. Choose another format, or report this network."
                )
        except BaseException:
            if partial.is_dir():  # of timm; the writer discards files alone
                shutil.rmtree(partial)
            raise
    return difference


def _largest_difference(predictor: Predictor, read: Reader) -> float:
    found = []
    for rows in SIZES:
        x = example_inputs(predictor, rows, seed=rows)
        found.append(np.abs(read(x) - predictor.predict_proba(x)).max())
    return float(max(found))


def _write_onnx(predictor: Predictor, file: Path) -> Reader:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # torch imports it, with an error of its own
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    program = torch.onnx.export(
        ExportModule(predictor),
        (example_inputs(predictor, _TRACED),),
        input_names=["input"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None, "as dynamo is set"
    # Inside the file, as it is copied alone: without the order of the classes its probabilities have no meaning.
    program.model.metadata_props.update(card_of(predictor).properties())
    program.save(str(file), external_data=False)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {"input": x.numpy()})[0])


def _write_torch(predictor: Predictor, file: Path) -> Reader:
    program = torch.export.export(
        ExportModule(predictor),
        (example_inputs(predictor, _TRACED),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    with file.open("wb") as opened:
        torch.export.save(program, opened, extra_files={"hilmix.json": card_of(predictor).json()})
    with file.open("rb") as opened:
        # Read again, as what counts is what the file computes and not what was traced.
        loaded = torch.export.load(opened).module()
    return lambda x: loaded(x).detach().numpy()


def _write_safetensors(predictor: Predictor, file: Path) -> Reader:
    try:
        from safetensors.torch import save_file
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    weights: dict[str, Tensor] = {}
    for n, network in enumerate(predictor.networks):
        # Copies, as tensors that share their memory are refused.
        own = {f"{n}.{name}": tensor.detach().clone().contiguous() for name, tensor in _crowd_weights(network).items()}
        weights |= own
    settings = [plain_value(network.settings) for network in predictor.networks]
    more = {"settings": json.dumps(settings), "annotators": json.dumps(predictor.all_annotators)}
    save_file(weights, file, metadata={**card_of(predictor).properties(), **more})
    return Predictor.from_safetensors(file, device="cpu").predict_proba


def _crowd_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights of class and annotator model, without metrics and networks of folds."""
    parts = ("backbone.", "head.", "annotator_model.", "input_mean", "input_std")
    return {name: tensor for name, tensor in network.state_dict().items() if name.startswith(parts)}


def _write_timm(predictor: Predictor, folder: Path) -> Reader:
    try:
        import timm
        from safetensors.torch import save_file
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    network, backbone = predictor.networks[0], predictor.networks[0].backbone
    if len(predictor.networks) > 1 or not isinstance(backbone, TimmBackbone):
        found = f"{len(predictor.networks)} x {type(backbone).__name__}"
        raise ConfigError(f"The format timm holds one network of timm, got {found}. Choose onnx or torch-export.")
    channels, height, width = predictor.input_shape
    shape = {"in_chans": channels, **backbone.creation_arguments}
    try:
        whole: Any = timm.create_model(backbone.name, num_classes=len(predictor.classes), **shape)
        classifier = whole.pretrained_cfg["classifier"]
        weights = {name: tensor.clone() for name, tensor in backbone.net.state_dict().items()}
        # The temperature divides the logits, which are linear in these.
        weights[f"{classifier}.weight"] = network.head.weight.detach() / predictor.temperature
        weights[f"{classifier}.bias"] = network.head.bias.detach() / predictor.temperature
        whole.load_state_dict(weights)
    except (RuntimeError, KeyError, TypeError) as error:
        raise ConfigError(
            f"timm has no '{backbone.name}' of this form: for images up to 32 px hilmix changes the first layers. "
            f"Choose onnx or torch-export. ({one_line(error)[:200]})"
        ) from error
    mean, std = network.input_mean.tolist(), network.input_std.tolist()
    config = {
        "architecture": backbone.name,
        "num_classes": len(predictor.classes),
        "label_names": list(predictor.classes),
        "model_args": shape,
        "pretrained_cfg": {
            **{key: whole.pretrained_cfg[key] for key in ("first_conv", "classifier", "fixed_input_size")},
            "input_size": [channels, height, width],
            "mean": mean,
            "std": std,
            # The whole image: timm's default of 0.875 would cut off a border that training has seen.
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "num_classes": len(predictor.classes),
            "label_names": list(predictor.classes),
        },
        "hilmix": card_of(predictor)._asdict(),
    }
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    opened = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    scaled = [torch.tensor(value)[:, None, None] for value in (mean, std)]
    return lambda x: opened((as_float(x) - scaled[0]) / scaled[1]).softmax(-1).detach().numpy()


def _missing(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(f"This format needs {error.name}: pip install 'hilmix[export]'.")


FORMATS: dict[str, Callable[[Predictor, Path], Reader]] = {
    "onnx": _write_onnx,
    "torch-export": _write_torch,
    "timm": _write_timm,
    "safetensors": _write_safetensors,
}
"""Writers by format; each returns what the written file computes."""
