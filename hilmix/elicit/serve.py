"""``hilmix elicit serve STUDY``: one process that serves a study until it is stopped."""

import argparse
import logging
import re
import secrets
from pathlib import Path
from typing import NamedTuple

import uvicorn
from rich.console import Console

from hilmix.elicit.app import create_app
from hilmix.elicit.rows import Rows
from hilmix.elicit.store import Store
from hilmix.elicit.study import Study
from hilmix.errors import ConfigError

TOKEN_BYTES = 18
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,100}")


class Tokens(NamedTuple):
    """The secret parts of the two links."""

    study: str
    status: str


def add_parser(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the action."""
    parser = actions.add_parser(
        "serve",
        help="serve a study: pages for participants, a live page for you",
        description="Serve a study folder until stopped. Answers go to answers.sqlite in that folder as they are "
        "given; stop and start as you like, participants go on where they were.",
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder that hilmix elicit build has written")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--study-token", metavar="T", help="secret of the participants' link (default: drawn once)")
    parser.add_argument("--status-token", metavar="T", help="secret of your link (default: drawn once)")
    parser.set_defaults(function=run)


def run(args: argparse.Namespace, console: Console) -> None:
    """Prints the links and serves.

    Raises:
        ConfigError: for a token that can not stand in a link, or a port that is none.
        DataError: if the study can not be served.
    """
    if not 0 < args.port < 65536:
        raise ConfigError(f"--port is {args.port}; allowed are 1 to 65535.")
    tokens = keep_tokens(args.study, study=args.study_token, status=args.status_token)
    app = create_app(args.study, study_token=tokens.study, status_token=tokens.status)
    host = f"[{args.host}]" if ":" in args.host else args.host
    for what, path in (("participants", f"join/{tokens.study}"), ("status", f"status/{tokens.status}")):
        console.print(f"{what:13}http://{host}:{args.port}/{path}", highlight=False, soft_wrap=True, markup=False)
    console.print("Stop with Ctrl+C; nothing is lost.", highlight=False)
    # The access log would hold addresses, which are the keys to participants' data, and where requests came from.
    uvicorn.run(app, host=args.host, port=args.port, access_log=False, log_level=logging.WARNING, server_header=False,
                proxy_headers=False)  # fmt: skip


def keep_tokens(folder: Path, *, study: str | None, status: str | None) -> Tokens:
    """Returns the tokens of a study: those given, else those kept in its answers file, else new ones; and keeps them.

    Raises:
        ConfigError: for a token that can not stand in a link, or is easy to guess.
    """
    for option, token in (("--study-token", study), ("--status-token", status)):
        if token is not None and not _TOKEN.fullmatch(token):
            raise ConfigError(f"{option} is not usable; allowed are 8 to 100 letters, digits, '-' and '_'.")
    opened = Study.open(folder)
    store = Store(opened.answers_file, manifest=opened.sha256)

    def keep(rows: Rows) -> Tokens:
        there = {"study": study, "status": status}
        kept = {name: token or rows.meta(f"{name}_token") or _new() for name, token in there.items()}
        for name, token in kept.items():
            rows.set_meta(f"{name}_token", token)
        if kept["study"] == kept["status"]:
            raise ConfigError("--study-token and --status-token are the same; participants must not see the numbers.")
        return Tokens(**kept)

    try:
        return store.run(keep)
    finally:
        store.close()


def _new() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
