"""``hilmix serve RUN``: a trained model as a web service."""

import argparse
import contextlib
import logging
from pathlib import Path
from typing import Annotated

import uvicorn

from hilmix.checks import Positive, PositiveInt, Range, check_value
from hilmix.commands.predict import load_weights
from hilmix.serving import Limits, create_app
from hilmix.sockets import bind_socket
from hilmix.terminal import Console, say
from hilmix.trusted import add_trust

_MORE = """POST /predict takes the bytes of an image (or of a model of vectors a JSON list of them) and returns
calibrated probabilities; GET /health says what is served, GET /metrics counts for Prometheus. It knows no users: from
other machines only behind a proxy that speaks HTTPS and lets in whom you want. Stop with Ctrl+C.

  hilmix serve runs/mine
  curl --data-binary @photo.jpg http://127.0.0.1:8000/predict
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _MORE
    parser.add_argument("run", type=Path, help="the --run_dir of a run, or a .safetensors file that was exported")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--ckpt_path", default="last", metavar="WEIGHTS", help="last (the default), best, or a file")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: the accelerator, if there is one)")
    parser.add_argument("--max-mb", type=float, default=10.0, metavar="MB", help="largest request (default: 10)")
    parser.add_argument("--max-waiting", type=int, default=32, metavar="N", help="requests at a time (default: 32)")
    add_trust(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Print the addresses and serve until the process is stopped.

    Raises:
        ConfigError: for an address that is none or in use, or an option out of range.
        RunError: if there is no such run, or it has no temperature.
    """
    check_value("--port", args.port, Annotated[int, Range(1, 65535)])
    check_value("--max-mb", args.max_mb, Positive)
    check_value("--max-waiting", args.max_waiting, PositiveInt)
    predictor = load_weights(args.run, args.ckpt_path, device=args.device)
    app = create_app(predictor, Limits(int(args.max_mb * 2**20), args.max_waiting))
    # Bound before the address is printed, which would lead nowhere otherwise.
    held = bind_socket(args.host, args.port)
    say(console, f"http://{args.host}:{args.port}/predict", "Stop with Ctrl+C.")
    # No headers of proxies are believed: without a proxy in front, any client could write them.
    config = uvicorn.Config(app, access_log=False, log_level=logging.WARNING, server_header=False, proxy_headers=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[held])
