"""Schemathesis, driven by the OpenAPI schema, against a study that is served over HTTP.

It sends what the schema allows and what it does not: odd parameters, headers, bodies, types. No request may make the
server fail, and every reply must be one that the schema describes.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("schemathesis", reason="needs schemathesis (pip install 'hilmix[dev]')")

import schemathesis
from fastapi import FastAPI
from schemathesis import checks

from hilmix.human.elicit.serve.api import router
from hilmix.human.elicit.serve.process import keep_tokens
from hilmix.human.elicit.simulation.participants import run_server
from tests.human.elicit.studies import LINK, STATUS_TOKEN, TOKEN, answer_all, at_trials, joined, make_study, post

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
_APP = FastAPI(title="hilmix elicit")
_APP.include_router(router)
INTERFACE = schemathesis.openapi.from_dict(_APP.openapi())


class Study:
    """A study that is being served, and in it a participant for whom the request is valid now."""

    def __init__(self, link: str) -> None:
        self.origin = link.removesuffix(LINK)
        self.client = httpx.Client(base_url=self.origin, timeout=10)

    def known(self, path: str) -> dict[str, str]:
        """The path's parameters, right ones."""
        known = {"study_token": TOKEN, "status_token": STATUS_TOKEN}
        if "{code}" in path:
            me, state = self._at(path.rpartition("/")[2])
            known["code"] = me.rpartition("/")[2]
            known["file"] = state["trial"]["images"][0].rpartition("/")[2] if state["trial"] else ""
        return {name: value for name, value in known.items() if f"{{{name}}}" in path}

    def _at(self, step: str) -> tuple[str, dict[str, Any]]:
        if step not in ("consent", "instructions", "check", "survey"):
            return at_trials(self.client)
        me, state = joined(self.client), {"trial": None}
        for earlier, body in (
            ("consent", {"accepted": True}),
            ("instructions", {"read": True}),
            ("check", {"answers": [1]}),
        ):
            if earlier == step:
                return me, state
            state = post(self.client, f"{me}/{earlier}", body)
        return me, answer_all(self.client, me, state)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Iterator[Study]:
    folder = make_study(tmp_path_factory.mktemp("schema") / "s", target_judgments=100_000)
    keep_tokens(folder, study=TOKEN, status=STATUS_TOKEN)
    with run_server(folder) as link:
        yield Study(link)


@INTERFACE.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_makes_the_server_fail_and_every_reply_is_in_the_schema(case, study):
    for right in ({}, study.known(case.operation.path)):
        case.path_parameters.update(right)
        reply = case.call(base_url=study.origin, allow_redirects=False)
        case.validate_response(reply, checks=CHECKS)
