"""Features of a frozen network, computed once and kept in a folder."""

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hilmix.backbones import Backbone
from hilmix.data.fingerprint import digest_inputs
from hilmix.data.inputs import Inputs
from hilmix.errors import DataError
from hilmix.files import write_atomically
from hilmix.functional.inputs import as_float, normalise
from hilmix.functional.sizes import require_memory

Features = NDArray[np.float32]
_DAMAGE = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile)


class FeatureKey(NamedTuple):
    """Network, weights, items and preprocessing of features, which are the same only if all four are."""

    name: str
    """Of the network, with its settings."""
    weights: str
    """See :func:`digest_weights`."""
    items: str
    """Digest of all inputs in their order, see :func:`~hilmix.data.fingerprint.digest_inputs`."""
    preprocessing: str
    """Description of what happens to an input before the network."""

    @property
    def digest(self) -> str:
        """SHA-256 of the four, in hexadecimal."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()


class FeatureCache:
    """Folder of computed features, one file for each :class:`FeatureKey`.

    Args:
        folder: made when the first features are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: FeatureKey) -> Path:
        """Return the file of a key; its name begins with the network's."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', key.name)[:40].strip('-')}-{key.digest[:32]}.npz"

    def get(self, key: FeatureKey, compute: Callable[[], Features]) -> Features:
        """Return the features of a key, (N, D) float32, computed and kept if they are not there.

        Args:
            key: what they depend on.
            compute: returns them; called only if they are missing.

        Raises:
            DataError: if the file is damaged or holds other features; nothing is computed in its place.
            RunError: if the file cannot be written.
        """
        file = self.path(key)
        if file.is_file():
            return _read(file, key)
        features = np.asarray(compute(), dtype=np.float32)
        with write_atomically(file) as partial, partial.open("wb") as stream:
            np.savez(stream, features=features, key=json.dumps(key))
        return features


def _read(file: Path, key: FeatureKey) -> Features:
    try:
        # A zip archive, which checks the bytes of a member against their checksum when it is read.
        with np.load(file, allow_pickle=False) as archive:
            features: Features = archive["features"]
            stored = json.loads(str(archive["key"]))
    except _DAMAGE as error:
        raise DataError(
            f"{file} is damaged ({type(error).__name__}: {error}). Delete it to compute it anew."
        ) from error
    if stored != list(key):
        raise DataError(f"{file} must hold features of {key}, got those of {stored}. Delete it to compute them anew.")
    return features


def digest_weights(net: nn.Module) -> str:
    """Return a SHA-256 of all parameters and buffers of a network: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def compute_frozen_features(
    inputs: Inputs, backbone: Backbone, cache: FeatureCache, *, batch_size: int = 64
) -> Features:
    """Return (N, D) float32 features of N inputs, un-augmented, from the cache if they were computed before.

    The network is put into evaluation mode, on the device where it is. Images are scaled to [0, 1], then as its
    pretrained weights expect.

    Args:
        inputs: N images or vectors of the shape that the backbone was built for.
        backbone: a backbone after :meth:`~hilmix.backbones.Backbone.build`.
        cache: where the features are kept.
        batch_size: inputs of a pass.

    Raises:
        DataError: if the file in the cache is damaged.
        SizeError: if the features would not fit into memory.

    Example:
        >>> import tempfile
        >>> from hilmix.backbones import MLP
        >>> from hilmix.data import ArrayInputs
        >>> inputs = ArrayInputs(np.ones((5, 4), dtype=np.float32), "vector")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     compute_frozen_features(inputs, MLP([3]).build([4]), FeatureCache(Path(folder))).shape
        (5, 3)
    """
    scaling = backbone.input_normalisation
    key = FeatureKey(
        f"{type(backbone).__name__} {json.dumps(backbone.spec()['init_args'], sort_keys=True)}",
        digest_weights(backbone),
        # All bytes, unlike a run's fingerprint: wrong features of one changed image would be used without a word.
        digest_inputs(inputs, most=sys.maxsize),
        json.dumps({"shape": inputs.shape, "mean and std of each channel": scaling}),
    )
    return cache.get(key, lambda: _compute(inputs, backbone, scaling, batch_size))


@torch.inference_mode()
def _compute(
    inputs: Inputs, backbone: Backbone, scaling: tuple[list[float], list[float]] | None, batch_size: int
) -> Features:
    require_memory("Features", 4 * len(inputs) * backbone.num_features, items=len(inputs))
    features = np.empty((len(inputs), backbone.num_features), dtype=np.float32)
    device = next((parameter.device for parameter in backbone.parameters()), torch.device("cpu"))
    backbone.eval()
    for start in range(0, len(inputs), batch_size):
        rows = np.arange(start, min(start + batch_size, len(inputs)))
        pixels = as_float(inputs.fetch(rows).to(device))
        if scaling is not None:
            # By the constants of the network's own training, as nothing behind a frozen network can make up for others.
            pixels = normalise(pixels, *(pixels.new_tensor(values) for values in scaling))
        features[rows] = backbone(pixels).float().cpu().numpy()
    return features
