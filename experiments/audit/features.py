"""ImageNet features of CIFAR-10's test images, for the feature view of the audit.

    HILMIX_DATA=FOLDER python -m experiments.audit.features efficientnet_lite0.pth cifar10_test_features.npy

The weights are those of ``experiments.foundation.efficientnet_lite0``: the network has seen no label of CIFAR-10.
Images are enlarged from 32 to 128 pixels; 1,280 features each, averaged over places.
"""

import os
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from torch.nn import functional as f

_BATCH, _SIDE = 50, 128


def load_images(file: Path) -> np.ndarray:
    """Returns (10000, 32, 32, 3) uint8 of a sheet of 100 x 100 tiles."""
    sheet = np.asarray(Image.open(file).convert("RGB"))
    return sheet.reshape(100, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)


def main() -> None:
    weights, out = map(Path, sys.argv[1:3])
    torch.set_num_threads(1)
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    images = load_images(Path(os.environ["HILMIX_DATA"]) / "cifar10" / "test_batch.webp")
    found = np.empty((len(images), net.num_features), dtype=np.float16)
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            x = torch.from_numpy(images[start : start + _BATCH].copy()).permute(0, 3, 1, 2).float()
            x = f.interpolate((x - 127) / 128, size=_SIDE, mode="bicubic", antialias=True)
            found[start : start + _BATCH] = net(x).numpy()
            if start % 1000 == 0:
                print(start, flush=True)
    np.save(out, found)


if __name__ == "__main__":
    main()
