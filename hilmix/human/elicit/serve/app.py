"""The web application of a study: the interface, the pages, and what holds for every request and reply."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import hilmix
from hilmix.human.elicit.design.manifest import ANSWERS
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve.api import RequestContext, TooManyError, router
from hilmix.human.elicit.serve.flow import RequestError
from hilmix.human.elicit.serve.page import PAGES, render_message, render_page
from hilmix.human.elicit.serve.rate import TokenBucket
from hilmix.human.elicit.store.database import Store

BODY_LIMIT = 64 * 1024
BODY_SECONDS = 30.0
"""In which a whole body must come, however slow the line: 64 kB at 20 kbit/s."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",  # the address is the key to a participant's data
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""Of every reply, unless it says otherwise itself."""


def create_app(
    study: Path,
    *,
    study_token: str,
    status_token: str,
    clock: Callable[[], float] = time.time,
    joins: TokenBucket | None = None,
    preview: Path | None = None,
) -> FastAPI:
    """Returns the application that serves a study folder; its answers file is opened with it and closed at shutdown.

    Args:
        study: the folder, as ``hilmix elicit build`` makes it.
        study_token: the secret part of the link that lets participants join.
        status_token: the secret part of the link to the numbers.
        clock: seconds since 1970; another one lets tests wait for a lease to run out.
        joins: how fast participants may join, by default as :mod:`hilmix.human.elicit.serve.rate` has it.
        preview: folder for answers that are not kept; those of the study stay as they are.

    Raises:
        DataError: if the folder or its answers file cannot be used.
    """
    opened = Study.open(study)
    if preview is not None:
        opened = replace(opened, answers=preview / ANSWERS)
    store = Store(opened.answers_file, manifest=opened.sha256)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    # The interactive documentation would load scripts from another site; telemetry that a host has set up would learn
    # addresses, which are the keys to participants' data. A redirect to the address without its last slash would repeat
    # it, and the host that the request named, without TLS.
    app = FastAPI(
        title="hilmix elicit",
        version=hilmix.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.context = RequestContext(
        opened,
        store,
        study_token,
        status_token,
        render_page(opened.manifest, preview=preview is not None),
        clock,
        joins or TokenBucket(),
    )
    app.include_router(router)
    if PAGES.is_dir():
        app.mount("/static", StaticFiles(directory=PAGES))
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(TooManyError, _too_many)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    # The last one added is the outermost: refusals of BodyLimit get the headers too.
    app.add_middleware(BodyLimit)
    app.add_middleware(Headers)
    return app


class Headers:
    """Adds :data:`HEADERS` to every reply."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A reply that sets a header itself, as images do for caching, keeps it.
                there = {name.lower() for name, _ in message["headers"]}
                more = [
                    (name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there
                ]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Refuses a body of more than :data:`BODY_LIMIT` bytes, announced or not, or a slow one, before anything reads it.

    Args:
        app: what is behind.
        seconds: in which the whole body must come.
    """

    # fastapi's max_body_size would answer in plain text and without our headers.

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds):
                body = await _body(receive)
        except TimeoutError:
            late = build_error(
                408, f"The request took longer than {self.seconds:g} s to arrive.", {"connection": "close"}
            )
            await late(scope, receive, send)
            return
        if body is None:
            return
        if len(body) > BODY_LIMIT:
            reply = build_error(413, f"The request is larger than {BODY_LIMIT // 1024} kB.")
            await reply(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            # The body once, as it was read here; then whatever the server reports, such as a disconnect.
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)


async def _body(receive: Receive) -> bytes | None:
    """The body, or a little more than :data:`BODY_LIMIT` of it; None where the sender has hung up."""
    body, more = bytearray(), True
    while more and len(body) <= BODY_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def build_error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Returns the reply to a request that went wrong: one sentence, in which nothing sent can break the encoding."""
    # Lone surrogates from the request would make the reply fail.
    sentence = message.encode("unicode_escape").decode()[:300]
    return JSONResponse({"error": sentence}, status_code=status, headers=headers)


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, RequestError)
    if _in_browser(request):
        return _message(request, refused.key, status=refused.status)
    return build_error(refused.status, refused.message)


async def _too_many(request: Request, many: Exception) -> Response:
    """A page that tries again by itself, for a browser; one sentence for a program."""
    assert isinstance(many, TooManyError)
    sentence = f"Many participants are joining this study at the moment; try again in {many.seconds} seconds."
    headers = {"retry-after": str(many.seconds)}
    if not _in_browser(request):
        return build_error(429, sentence, headers)
    page = _message(request, "wait", status=429, values={"seconds": many.seconds})
    page.headers.update({**headers, "refresh": str(many.seconds)})
    return page


def _in_browser(request: Request) -> bool:
    """True for an address opened in a browser; what scripts fetch accepts anything."""
    return "text/html" in request.headers.get("accept", "")


def _message(request: Request, key: str, *, status: int, values: dict[str, int] | None = None) -> HTMLResponse:
    root, manifest = request.scope.get("root_path", ""), request.app.state.context.study.manifest
    return HTMLResponse(render_message(key, manifest=manifest, root=root, values=values), status_code=status)


async def _invalid(request: Request, invalid: Exception) -> JSONResponse:
    assert isinstance(invalid, RequestValidationError)
    first = invalid.errors()[0]
    if first["type"] == "json_invalid":
        return build_error(400, "The body is not valid JSON.")
    field = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return build_error(422, f"Field '{field[:100]}' is refused: {first['msg']}.")


async def _http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404 and _in_browser(request):
        return _message(request, "unknown", status=404)
    known = {
        400: "The body is not valid JSON.",
        404: "There is nothing at this address.",
        405: "This address does not take such a request.",
    }
    headers = dict(problem.headers or {})
    return build_error(problem.status_code, known.get(problem.status_code, f"{problem.detail}."), headers)


async def _failed(request: Request, problem: Exception) -> JSONResponse:
    # Starlette runs this handler outside of all middleware, so it brings the headers itself.
    return build_error(
        500, "The server failed; nothing was saved. Try again, and tell the researcher if it goes on.", HEADERS
    )
