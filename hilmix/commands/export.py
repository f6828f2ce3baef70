"""``hilmix export RUN``: a trained model as a file of another program, verified against the checkpoint."""

import argparse
from pathlib import Path

from hilmix.checks import check_choice
from hilmix.commands.outputs import require_free
from hilmix.commands.predict import load_weights
from hilmix.export import FORMATS, export_model
from hilmix.terminal import Console, literal, pairs
from hilmix.trusted import add_trust

_MORE = """formats:
  onnx          probabilities of uint8 images or float32 vectors, for onnxruntime and others
  torch-export  the same, for torch.export.load
  timm          a folder that timm.create_model("local-dir:FOLDER", pretrained=True) opens: calibrated logits
  safetensors   weights and settings, for hilmix.load, with the annotator model

Batches may have any size. Scaling and temperature are inside, classes and a model card in the file's metadata. What the
file computes is compared with the checkpoint before it is kept. They need: pip install 'hilmix[export]'.

  hilmix export runs/mine --format onnx -o mine.onnx
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _MORE
    parser.add_argument("run", type=Path, help="the --run_dir of a run")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="file, or folder of timm")
    parser.add_argument("--ckpt_path", default="last", metavar="WEIGHTS", help="last (the default), best, or a file")
    add_trust(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Write the file and print what it holds.

    Raises:
        ConfigError: for another format, a missing package, or a network that the format cannot hold.
        DataError: if the output exists.
        RunError: if there is no such run, it has no temperature, or the file computes something else.
    """
    check_choice("--format", args.format, FORMATS)
    require_free(args.out, flag="-o", what="folder" if args.format == "timm" else "file")
    predictor = load_weights(args.run, args.ckpt_path, device="cpu")
    with console.status(literal(f"writing {args.out}")):
        difference = export_model(predictor, args.out, args.format)
    shape = " x ".join(map(str, ("B", *predictor.input_shape)))
    rows = {
        "input": f"{shape}, {'uint8' if len(predictor.input_shape) == 3 else 'float32'}",
        "classes": ", ".join(predictor.classes[:8]) + ", ..." * (len(predictor.classes) > 8),
        "temperature": f"{predictor.temperature:.4g}",
        "verified": f"probabilities are those of the checkpoint to {difference:.1g}",
        "written": str(args.out),
    }
    console.print(pairs(rows))
