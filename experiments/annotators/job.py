"""Definition of a run, and the model and data that its method's YAML file names."""

import pkgutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lightning.pytorch import seed_everything
from omegaconf import OmegaConf

from experiments.annotators.settings import CONFIGS, EMBEDDED, FAMILIES, FAMILY_OF, KEY, NEXT, REPO, VARIANTS, Variant
from hilmix.backbones import Backbone
from hilmix.checks import refusal
from hilmix.data import AnnotatedDataModule
from hilmix.errors import ConfigError, DataError
from hilmix.modules import Classifier


class Job(NamedTuple):
    """Settings of a run."""

    data: str
    method: str
    lr: float
    seed: int
    root: str = ""
    """Folder of the prepared data folders."""
    tested: bool = True
    """Whether training and test items are scored after the fit; a search stops at validation."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Distinguishes it from other runs."""
        return tuple(getattr(self, name) for name in KEY)


def method_config(name: str) -> dict[str, Any]:
    """Returns the method's YAML file, or that of a variant's method with the variant's change.

    Raises:
        ConfigError: if there is none, or it sets what the study does not apply.
    """
    variant = (VARIANTS | NEXT).get(name, Variant(name, {}))
    file = CONFIGS / f"{variant.method}.yaml"
    if not file.is_file():
        known = sorted(f.stem for f in CONFIGS.glob("*.yaml"))
        raise ConfigError(f"Method '{name}' has no file {file.relative_to(REPO)}; there are {known}.")
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    if other := set(config) - {"model", "data"}:  # nothing of a method may be left out in silence
        raise ConfigError(f"{file.relative_to(REPO)} sets {sorted(other)}; the study applies 'model' and 'data' only.")
    merged = OmegaConf.to_container(OmegaConf.merge(config, variant.change))
    assert isinstance(merged, dict)
    return merged


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
    config, training = method_config(job.method), FAMILIES[FAMILY_OF[job.data]].training
    folder = data_folder(job.data, job.root)
    seed_everything(job.seed, verbose=False)
    data: AnnotatedDataModule = _class_of(config["data"])(
        folder, batch_size=training.batch_size, **config["data"]["init_args"]
    )
    model: Classifier = _class_of(config["model"])(
        data.num_classes,
        data.num_annotators,
        data.input_shape,
        Backbone.from_spec(training.backbone),
        weight_decay=training.weight_decay,
        optimizer=training.optimizer,
        standardize=training.standardize,
        num_annotator_features=data.num_annotator_features,
        **config["model"]["init_args"] | {"lr": job.lr},
    )
    return model, data


def _class_of(part: dict[str, Any]) -> Any:
    return pkgutil.resolve_name(part["class_path"])
