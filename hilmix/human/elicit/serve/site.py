"""Several studies on one server: each under a path of its own, with its own answers, links and limits."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount

from hilmix.errors import ConfigError
from hilmix.human.elicit.serve.app import Headers
from hilmix.human.elicit.serve.page import render_message

_PATH = re.compile(r"[A-Za-z0-9_-]{1,60}")


def name_paths(studies: list[Path]) -> dict[str, Path]:
    """Returns the studies by path: one alone at the root, several under the names of their folders.

    Raises:
        ConfigError: for the same name twice, or one that cannot stand in a link.
    """
    if len(studies) == 1:
        return {"": studies[0]}
    names = [study.resolve().name for study in studies]
    for name in names:
        if not _PATH.fullmatch(name) or names.count(name) > 1:
            raise ConfigError(
                f"Folders of several studies must have different names of letters, digits, '-' and '_', got '{name}'. "
                "Rename one."
            )
    return {f"/{name}": study for name, study in zip(names, studies, strict=True)}


def create_site(apps: Mapping[str, FastAPI]) -> Starlette | FastAPI:
    """Returns the application that serves studies, by path; their answers files are closed at shutdown.

    Args:
        apps: of :func:`~hilmix.human.elicit.serve.app.create_app`, under the paths of :func:`name_paths`.
    """
    if "" in apps:
        return apps[""]

    @asynccontextmanager
    async def lifespan(site: Starlette) -> AsyncIterator[None]:
        yield
        for app in apps.values():  # shutdown does not reach mounted applications
            app.state.context.store.close()

    async def unknown(request: Request, problem: Exception) -> Response:
        # Without style sheet: those belong to the studies, and a wrong link must not name one.
        return HTMLResponse(render_message("unknown"), status_code=404)

    return Starlette(
        routes=[Mount(path, app=app) for path, app in apps.items()],
        exception_handlers={404: unknown},
        middleware=[Middleware(Headers)],
        lifespan=lifespan,
    )
