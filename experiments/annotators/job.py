"""Definition of a run, and the model and data that its method's YAML file names."""

import math
import pkgutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lightning.pytorch import seed_everything
from omegaconf import OmegaConf

from experiments.annotators.settings import (
    CONFIGS,
    EMBEDDED,
    FAMILIES,
    FAMILY_OF,
    FIRST,
    KEY,
    NETWORKS,
    REPO,
    SHIPPED,
    SHIPPED_VARIANTS,
    Training,
    Variant,
)
from hilmix.backbones import Backbone, default_backbone
from hilmix.checks import refusal
from hilmix.data import AnnotatedDataModule
from hilmix.errors import ConfigError, DataError
from hilmix.modules import Classifier


class Job(NamedTuple):
    """Settings of a run."""

    data: str
    method: str
    lr: float | None
    """None with the network ``shipped``, where it is the default one."""
    seed: int
    root: str = ""
    """Folder of the prepared data folders."""
    tested: bool = True
    """Whether training and test items are scored after the fit; a search stops at validation."""
    network: str = ""
    """A name of :data:`~experiments.annotators.settings.NETWORKS`; ``shipped``: all defaults of hilmix; none: the
    family's training."""
    lr_scaling: str = ""
    """In place of that of the method's file."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Distinguishes it from other runs."""
        return tuple(getattr(self, name) for name in KEY)


def method_config(name: str) -> dict[str, Any]:
    """Returns the method's YAML file as the first protocol has it.

    Raises:
        ConfigError: if there is none, or it sets what the study does not apply.
    """
    return _varied(FIRST.get(name, Variant(name, {})))


def _varied(variant: Variant) -> dict[str, Any]:
    merged = OmegaConf.to_container(OmegaConf.merge(shipped_config(variant.method), variant.change))
    assert isinstance(merged, dict)
    return merged


def shipped_config(name: str) -> dict[str, Any]:
    """Returns what the YAML file of a method sets.

    Raises:
        ConfigError: if there is none, or it sets what the study does not apply.
    """
    file = CONFIGS / f"{name}.yaml"
    if not file.is_file():
        known = sorted(f.stem for f in CONFIGS.glob("*.yaml"))
        raise ConfigError(f"Method '{name}' has no file {file.relative_to(REPO)}; there are {known}.")
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    if other := set(config) - {"model", "data"}:  # nothing of a method may be left out in silence
        raise ConfigError(f"{file.relative_to(REPO)} sets {sorted(other)}; the study applies 'model' and 'data' only.")
    return config


def data_folder(name: str, root: str) -> str:
    """Returns where the data are: a folder below ``root``, or an embedded name.

    Raises:
        DataError: if the study does not know the name or the folder is not there.
    """
    if name not in FAMILY_OF:
        raise DataError(refusal("data", f"one of {', '.join(FAMILY_OF)}", name))
    folder = Path(root) / name
    if name in EMBEDDED:
        return name
    if not folder.is_dir():
        raise DataError(f"{folder} is not there; prepare it: python -m experiments.annotators.data --out {root}")
    return str(folder)


def build(job: Job) -> tuple[Classifier, AnnotatedDataModule]:
    """Returns the model and the data of a run, made from its seed."""
    shipped = job.network == SHIPPED
    untouched = SHIPPED_VARIANTS.get(job.method, Variant(job.method, {}))
    config = _varied(untouched) if shipped else method_config(job.method)
    folder = data_folder(job.data, job.root)
    seed_everything(job.seed, verbose=False)
    size = {} if shipped else {"batch_size": training_of(job).batch_size}
    data: AnnotatedDataModule = _class_of(config["data"])(folder, **size, **config["data"]["init_args"])
    settings = _shipped(data) if shipped else _training_settings(job)
    model: Classifier = _class_of(config["model"])(
        data.num_classes,
        data.num_annotators,
        data.input_shape,
        num_annotator_features=data.num_annotator_features,
        **config["model"]["init_args"] | settings,
    )
    return model, data


def _shipped(data: AnnotatedDataModule) -> dict[str, Any]:
    """The network for vectors on all data: that for images would take the study beyond its budget of time."""
    return {"backbone": default_backbone([math.prod(data.input_shape)])}


def _training_settings(job: Job) -> dict[str, Any]:
    training = training_of(job)
    return {
        "backbone": Backbone.from_spec(training.backbone),
        "weight_decay": training.weight_decay,
        "optimizer": training.optimizer,
        "standardize": training.standardize,
        "lr": job.lr,
        **({"lr_scaling": job.lr_scaling} if job.lr_scaling else {}),
    }


def training_of(job: Job) -> Training:
    """Returns how the model of a run is trained."""
    if job.network == SHIPPED:
        base = yaml.safe_load((REPO / "configs" / "base.yaml").read_text())
        return Training(epochs=base["trainer"]["max_epochs"])
    return NETWORKS[job.network] if job.network else FAMILIES[FAMILY_OF[job.data]].training


def _class_of(part: dict[str, Any]) -> Any:
    return pkgutil.resolve_name(part["class_path"])
