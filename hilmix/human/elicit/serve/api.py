"""The HTTP interface: addresses and bodies. What they do is in :mod:`hilmix.human.elicit.serve.steps`."""

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from hilmix.human.elicit.answers import bodies
from hilmix.human.elicit.answers.read import build_answers
from hilmix.human.elicit.answers.status import Status, compute_status
from hilmix.human.elicit.answers.tables import build_answer_table
from hilmix.human.elicit.design.schema import Model
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve import steps
from hilmix.human.elicit.serve.flow import RequestError, State
from hilmix.human.elicit.serve.page import PAGES
from hilmix.human.elicit.serve.rate import TokenBucket
from hilmix.human.elicit.serve.step_context import StepContext
from hilmix.human.elicit.serve.steps import SaveResult
from hilmix.human.elicit.store.database import Store, read_rows
from hilmix.spreadsheets import csv_text

T = TypeVar("T")

COOKIE, COOKIE_SECONDS = "hilmix-elicit", 90 * 24 * 3600
"""Lets a browser prove that a participant known by platform id joined with it."""


SPREAD = 10
"""Seconds over which those who were refused try again."""


class TooManyError(Exception):
    """Too many join at this moment; ``seconds`` after which to try again, spread so that not all do at once."""

    def __init__(self, wait: float) -> None:
        super().__init__()
        # Spread, or all who were refused would return in the same second.
        self.seconds = math.ceil(wait) + secrets.randbelow(SPREAD)


class Failure(Model):
    """Body of the reply to a refused request."""

    error: str


@dataclass(frozen=True)
class RequestContext:
    """The study, store, tokens and page that all requests share. ``clock`` gives seconds since 1970."""

    study: Study
    store: Store
    study_token: str
    status_token: str
    page: str
    clock: Callable[[], float] = time.time
    joins: TokenBucket = field(default_factory=TokenBucket)

    async def run_step(self, step: Callable[..., T], *arguments: Any) -> T:
        """Runs a step in a transaction; returns once its changes are on the disk."""
        job = self.store.submit(lambda rows: step(StepContext(self.study, rows, self.clock()), *arguments))
        return await asyncio.wrap_future(job)


async def _context(request: Request) -> RequestContext:
    context: RequestContext = request.app.state.context
    return context


Context = Annotated[RequestContext, Depends(_context)]
_CODES = (400, 403, 404, 408, 409, 413, 422, 429)
router = APIRouter(responses={code: {"model": Failure} for code in _CODES})
# Coroutines: what waits for the disk waits for the store's one thread. Plain functions would each take a worker thread,
# and another one for their reply; of those there are 40, for which the replies would queue up behind the requests.


@router.get("/join/{study_token}", status_code=303, response_class=RedirectResponse)
async def join(study_token: str, request: Request, context: Context) -> RedirectResponse:
    """The link of the study: makes a participant and leads to the page of that participant."""
    _same(study_token, context.study_token)
    if wait := context.joins.wait(context.clock()):
        raise TooManyError(wait)
    code = await context.run_step(steps.join, request.query_params, request.cookies.get(COOKIE))
    root = request.scope.get("root_path", "")
    reply = RedirectResponse(f"{root}/p/{code}", status_code=303)
    if context.study.manifest.settings.keep_platform_id == "hash":
        # lax: a platform links here from its own site, where strict would hold the cookie back. The path keeps it from
        # all other requests; pages prove themselves by their address.
        reply.set_cookie(COOKIE, code, max_age=COOKIE_SECONDS, path=f"{root}/join", httponly=True, samesite="lax")
    return reply


@router.get("/p/{code}", response_class=HTMLResponse)
async def get_page(code: str, context: Context) -> HTMLResponse:
    """The page of a participant, the same for all."""
    return HTMLResponse(context.page)


@router.get("/api/p/{code}")
async def get_state(code: str, context: Context) -> State:
    """Returns the state of a participant, with all that the page needs."""
    return await context.run_step(steps.read_state, code)


@router.delete("/api/p/{code}")
async def withdraw(code: str, context: Context) -> State:
    """Deletes everything that a participant gave."""
    return await context.run_step(steps.withdraw, code)


@router.post("/api/p/{code}/consent")
async def post_consent(code: str, body: bodies.Consent, context: Context) -> State:
    """Agrees to every statement."""
    return await context.run_step(steps.give_consent, code, body)


@router.post("/api/p/{code}/batch")
async def post_batch(code: str, body: bodies.NewBatch, context: Context) -> State:
    """Asks for trials, in phase expired or full."""
    return await context.run_step(steps.request_batch, code, body)


@router.post("/api/p/{code}/instructions")
async def post_instructions(code: str, body: bodies.Read, context: Context) -> State:
    """Has read the instructions."""
    return await context.run_step(steps.finish_instructions, code, body)


@router.post("/api/p/{code}/check")
async def post_check(code: str, body: bodies.CheckAnswers, context: Context) -> State:
    """Answers the comprehension check."""
    return await context.run_step(steps.answer_check, code, body)


@router.post("/api/p/{code}/answers")
async def post_answer(code: str, body: bodies.Submission, context: Context) -> SaveResult:
    """Answers the trial at hand. Sent again with the same key, returns what is stored."""
    return await context.run_step(steps.store_answer, code, body)


@router.post("/api/p/{code}/survey")
async def post_survey(code: str, body: bodies.SurveyAnswers, context: Context) -> State:
    """Closes the study."""
    return await context.run_step(steps.store_survey, code, body)


@router.get("/api/p/{code}/images/{file}", response_class=FileResponse)
async def get_image(code: str, file: str, context: Context) -> FileResponse:
    """An image of the participant's trials. Names are of content, so that a browser may keep it for good."""
    path = context.study.image_file(await context.run_step(steps.find_image, code, file))
    return FileResponse(path, media_type="image/png", headers={"cache-control": "private, max-age=31536000, immutable"})


@router.get("/status/{status_token}", response_class=FileResponse)
def get_status_page(status_token: str, context: Context) -> FileResponse:
    """The page on which a researcher follows the study."""
    _same(status_token, context.status_token)
    return _page("status.html")


@router.get("/api/status/{status_token}")
def get_status(status_token: str, context: Context) -> Status:
    """Returns the numbers of that page."""
    _same(status_token, context.status_token)
    # On a connection of its own: reading all answers takes long, and no answer should wait for it.
    now = context.clock()
    return read_rows(context.study.answers_file, lambda rows: compute_status(context.study, rows, now), checked=False)


@router.get("/api/status/{status_token}/images/{file}", response_class=FileResponse)
def get_status_image(status_token: str, file: str, context: Context) -> FileResponse:
    """A picture of the study, for the researcher."""
    _same(status_token, context.status_token)
    # Known names only: nothing in the address reaches the file system.
    if not any(file in names for names in context.study.files.values()):
        raise RequestError(404, "There is no such image in this study.")
    return FileResponse(context.study.image_file(file), media_type="image/png")


@router.get("/api/status/{status_token}/answers.csv", response_class=Response)
def get_answers(status_token: str, context: Context) -> Response:
    """All answers as CSV, with the reason in ``excluded`` where they do not count; no codes, no free text."""
    _same(status_token, context.status_token)
    study = context.study
    participants, surveys, answers = read_rows(
        study.answers_file,
        lambda rows: (rows.read_participants(), rows.read_surveys(), rows.read_answers()),
        checked=False,
    )
    text = csv_text(build_answer_table(build_answers(study.manifest, participants, surveys, answers)))
    headers = {"content-disposition": 'attachment; filename="answers.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _same(token: str, right: str) -> None:
    # Bytes, as compare_digest refuses text that is not ASCII, and a link may hold any. Constant time: no prefix of a
    # token can be found by measuring.
    if not secrets.compare_digest(token.encode("utf-8", "replace"), right.encode()):
        raise RequestError(404, "This link is not valid; ask for it again.")


def _page(name: str) -> FileResponse:
    if not (PAGES / name).is_file():
        raise RequestError(404, "This page is not part of this installation.")
    return FileResponse(PAGES / name, media_type="text/html; charset=utf-8")
