"""``hilmix elicit serve STUDY``: pages for participants, and numbers for those who run the study."""

import argparse
from pathlib import Path
from typing import Annotated

from hilmix.checks import Range, check_value
from hilmix.human.elicit.design.manifest import read_manifest
from hilmix.human.elicit.serve.process import keep_tokens, serve
from hilmix.human.elicit.store.lock import lock_study
from hilmix.sockets import bind_socket
from hilmix.terminal import Console, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder that hilmix elicit build has written")
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
    read_manifest(args.study)  # a folder that is no study gets no lock file
    # Locked first, as two servers would each draw tokens; bound before links are printed that lead nowhere.
    with lock_study(args.study):
        tokens = keep_tokens(args.study, study=args.study_token, status=args.status_token)
        held = bind_socket(args.host, args.port)
        for what, link in tokens.build_links(args.host, args.port).items():
            say(console, f"{what:<14}{link}")
        say(console, "Stop with Ctrl+C; nothing is lost.")
        serve(args.study, tokens, listener=held)
