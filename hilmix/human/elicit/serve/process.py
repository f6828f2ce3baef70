"""Serving a study: the two secret links, and the process behind them."""

import asyncio
import contextlib
import logging
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hilmix.errors import ConfigError
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve.app import create_app
from hilmix.human.elicit.serve.site import create_site
from hilmix.human.elicit.store.database import Store
from hilmix.human.elicit.store.rows import Rows

# 144 bits: links are not guessed, and base64 of 18 bytes needs no padding.
TOKEN_BYTES = 18
HEADER_SECONDS = 10.0
"""In which the request line and all headers must come."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,100}")


class Tokens(NamedTuple):
    """The secret parts of the links: for participants, and for the researcher."""

    study: str
    status: str

    def build_links(self, host: str, port: int, path: str = "") -> dict[str, str]:
        """Returns what each link is for, and the link; ``path`` is that of the study on its server."""
        start = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return {
            "participants": f"{start}{path}/join/{self.study}",
            "status": f"{start}{path}/status/{self.status}",
        }


def keep_tokens(folder: Path, *, study: str | None = None, status: str | None = None) -> Tokens:
    """Returns the tokens of a study: those given, else those kept in its answers file, else new ones; and keeps them.

    Raises:
        ConfigError: for a token that cannot stand in a link or is easily guessed, or if both are the same.
        DataError: if the study cannot be served.
    """
    for name, token in (("study", study), ("status", status)):
        if token is not None and not _TOKEN.fullmatch(token):
            raise ConfigError(f"The {name} token must be 8 to 100 letters, digits, '-' and '_'.")
    opened = Study.open(folder)
    store = Store(opened.answers_file, manifest=opened.sha256)

    def keep(rows: Rows) -> Tokens:
        given = {"study": study, "status": status}
        kept = {name: token or rows.read_meta(f"{name}_token") or _new() for name, token in given.items()}
        # Tokens of the study go to many; with one for both, each of them could open the status page.
        if kept["study"] == kept["status"]:
            raise ConfigError("The study and status tokens must differ; participants must not see the status page.")
        for name, token in kept.items():
            rows.set_meta(f"{name}_token", token)
        return Tokens(**kept)

    try:
        return store.run(keep)
    finally:
        store.close()


def draw_tokens() -> Tokens:
    """Returns new tokens, for a preview."""
    return Tokens(_new(), _new())


class Served(NamedTuple):
    """A study to serve, its tokens, and for a preview the folder for its answers."""

    folder: Path
    tokens: Tokens
    preview: Path | None = None


def serve(studies: Mapping[str, Served], *, listener: socket.socket) -> None:
    """Serves studies, by path, until the process is stopped; what was acknowledged survives any other end, too."""
    app = create_site(
        {
            path: create_app(
                one.folder, study_token=one.tokens.study, status_token=one.tokens.status, preview=one.preview
            )
            for path, one in studies.items()
        }
    )
    # No access log: it would hold addresses, which are the keys to participants' data, and where requests came from.
    config = uvicorn.Config(
        app,
        # Named, or uvicorn would take httptools where it is installed, and PromptHeaders would not run.
        http=PromptHeaders,
        access_log=False,
        log_level=logging.WARNING,
        server_header=False,
        # Nothing reads where a request comes from, and a client could forge it.
        proxy_headers=False,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


class PromptHeaders(H11Protocol):
    """Closes a connection whose request line and headers do not all come within :data:`HEADER_SECONDS`.

    uvicorn has a limit for connections between two requests only: a client that sends a byte now and then would hold
    one forever.
    """

    _late: asyncio.TimerHandle | None = None
    _begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        self._begun = True
        super().data_received(data)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_clock()

    def _expect_headers(self) -> None:
        """Lets the clock run from the first byte of a request, or from the connection, to the end of its headers."""
        if self.conn.their_state is not h11.IDLE:
            self._stop_clock()
            self._begun = False
        elif self._late is None:
            self._late = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_clock(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._begun:  # browsers open connections ahead, and show a reply to nothing as an error
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


def _new() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
