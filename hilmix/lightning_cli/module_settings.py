"""Class and hyperparameters of a module, or of the networks of a cross-fitted one, as a config names them."""

from typing import Any

from lightning.pytorch import LightningModule

from hilmix.modules import CrossFitClassifier
from hilmix.moved import public_path
from hilmix.redaction import redacted


def hide_secrets(part: Any) -> None:
    """Loggers write the hyperparameters of a part to disk and upload them; the part itself keeps its arguments."""
    if part is not None and isinstance(part.hparams_initial, dict):
        part._hparams_initial = type(part.hparams_initial)(redacted(part.hparams_initial))


def specification(model: LightningModule) -> dict[str, Any]:
    """Returns the class and the hyperparameters of a model, or of the networks of one, as those of a part."""
    return {"class_path": public_path(network_class(model)), "init_args": redacted(dict(model.hparams))}


def network_class(model: LightningModule) -> type:
    """Returns the class of a model, or of the networks of a cross-fitted one."""
    return type(model.networks[0] if isinstance(model, CrossFitClassifier) else model)


def method_class(model: LightningModule) -> type | None:
    """Returns the class of hilmix that a model, or its networks, are of or extend: the nearest one, else None."""
    return next((kind for kind in network_class(model).__mro__ if kind.__module__.startswith("hilmix.")), None)
