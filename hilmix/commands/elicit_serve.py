"""``hilmix elicit serve STUDY``: pages for participants, and numbers for those who run the study."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from hilmix.checks import Range, check_value
from hilmix.errors import ConfigError
from hilmix.human.elicit.design.manifest import read_manifest
from hilmix.human.elicit.serve.process import Served, draw_tokens, keep_tokens, serve
from hilmix.human.elicit.serve.site import name_paths
from hilmix.human.elicit.store.lock import lock_study
from hilmix.sockets import bind_socket
from hilmix.terminal import Console, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "study", type=Path, nargs="+", metavar="STUDY", help="folder that hilmix elicit build has written"
    )
    parser.add_argument(
        "--preview", action="store_true", help="try everything out: nothing is kept, and texts may still be changed"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--study-token", metavar="T", help="secret of the participants' link (default: drawn once)")
    parser.add_argument("--status-token", metavar="T", help="secret of your link (default: drawn once)")
    parser.epilog = (
        "Answers go to answers.sqlite in STUDY as they are given. Stop and start again at any time: links stay the\n"
        "same, and participants go on where they were. From other machines only behind a proxy that speaks HTTPS."
    )


def run(args: argparse.Namespace, console: Console) -> None:
    """Prints the links and serves.

    Raises:
        ConfigError: for an address that is none or in use, or tokens that cannot be used.
        DataError: if the study cannot be served, or is served already.
    """
    check_value("--port", args.port, Annotated[int, Range(1, 65535)])
    paths = name_paths(args.study)
    for study in args.study:
        read_manifest(study)  # a folder that is no study gets no lock file
    if (args.study_token or args.status_token) and (len(paths) > 1 or args.preview):
        raise ConfigError(
            "`--study-token` and `--status-token` must be left out for several studies and for a preview."
        )
    with ExitStack() as stack:
        # Locked first, as two servers would each draw tokens; bound before links are printed that lead nowhere.
        served = {path: _open(args, study, stack) for path, study in paths.items()}
        held = bind_socket(args.host, args.port)
        for path, one in served.items():
            for what, link in one.tokens.build_links(args.host, args.port, path).items():
                say(console, f"{what:<14}{link}")
        end = "what was answered is deleted then" if args.preview else "nothing is lost"
        say(console, f"Stop with Ctrl+C; {end}.")
        serve(served, listener=held)


def _open(args: argparse.Namespace, study: Path, stack: ExitStack) -> Served:
    if args.preview:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hilmix-preview-")))
        return Served(study, draw_tokens(), folder)
    stack.enter_context(lock_study(study))
    return Served(study, keep_tokens(study, study=args.study_token, status=args.status_token))
