"""Networks of a ``.safetensors`` file that hilmix has exported."""

import json
from pathlib import Path
from typing import Any

from hilmix.backbones import without_pretrained
from hilmix.errors import HilmixError, RunError
from hilmix.modules import CrowdModel
from hilmix.trusted import check_class_paths


def read_exported(path: Path) -> tuple[list[CrowdModel], dict[str, Any]]:
    """Returns the networks of a file, and ``classes``, ``annotators`` and ``temperature`` from its metadata.

    Raises:
        RunError: if it is damaged, or of something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = {
                key: json.loads(file.metadata()[key]) for key in ("settings", "classes", "temperature", "annotators")
            }
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dictionary
        check_class_paths(facts["settings"], where=str(path))
        networks = [CrowdModel(**_without_weights(settings)) for settings in facts["settings"]]
        for n, network in enumerate(networks):
            start = f"{n}."
            own = {key.removeprefix(start): value for key, value in weights.items() if key.startswith(start)}
            network.load_state_dict(own)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, HilmixError):
            raise
        raise RunError(f"{path} is no model that hilmix has exported: {' '.join(str(error).split())}.") from error
    return networks, facts


def _without_weights(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a network whose weights come from a file, so that pretrained ones are not fetched."""
    # The name of the network stays, as its layers have to fit the weights that follow.
    return {**settings, "backbone": without_pretrained(settings["backbone"])}
