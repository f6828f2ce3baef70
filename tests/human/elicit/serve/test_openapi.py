"""A property-based run against the OpenAPI schema: no request makes the server fail, and replies are what it says."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from hilmix.human.elicit.design.manifest import TASKS, Task
from tests.human.elicit.conftest import Served
from tests.human.elicit.studies import (
    TOKEN,
    answer_all,
    fitting_answer,
    joined,
    make_study,
    post,
)

ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    10**30,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "0.5",
    "\ud800",
    "\x00",
    "x" * 6000,
    [],
    [[]],
    {},
    {"\ud800": 1},
    {"__class__": 1},
    "' OR 1=1 --",
]
FUZZ = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def bodies(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that an OpenAPI schema allows, as far as ours use it."""
    if "$ref" in schema:
        return bodies(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "const" in schema:
        return st.just(schema["const"])
    for one_of in ("anyOf", "oneOf"):
        if one_of in schema:
            return st.one_of([bodies(option, parts) for option in schema[one_of]])
    kind = schema["type"]
    if kind == "object" and "properties" in schema:
        return st.fixed_dictionaries({name: bodies(part, parts) for name, part in schema["properties"].items()})
    if kind == "object":
        ((names, values),) = schema["patternProperties"].items()
        return st.dictionaries(st.from_regex(names, fullmatch=True), bodies(values, parts), max_size=3)
    if kind == "array":
        return st.lists(bodies(schema["items"], parts), max_size=4)
    if kind == "string":
        return st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.text(max_size=50)
    if kind == "integer":
        return st.integers(schema["minimum"], min(schema["maximum"], 30))
    if kind == "number":
        return st.floats(schema["minimum"], schema["maximum"])
    return {"boolean": st.booleans(), "null": st.none()}[kind]


@st.composite
def spoiled(draw: st.DrawFn, body: dict[str, Any]) -> Any:
    """A good body in which one place is odd, missing or too many; or as it was."""
    places = [(body, name) for name in body]
    places += [(body[name], inner) for name in body if isinstance(body[name], dict) for inner in body[name]]
    what = draw(st.sampled_from(["nothing", "odd", "missing", "more", "all"]))
    if what == "all":
        return draw(st.sampled_from(ODD))
    if what != "nothing":
        owner, name = draw(st.sampled_from(places))
        if what == "missing":
            del owner[name]
        else:
            owner[name if what == "odd" else draw(st.text(max_size=5))] = draw(st.sampled_from(ODD))
    return body


class Crowd:
    """A served study, and for each step a participant who may take it next; one who has taken it makes way."""

    def __init__(self, folder: Path, task: Task) -> None:
        self.served = Served(make_study(folder, task, target_judgments=10_000))
        self.schema = self.served.app.openapi()
        self.ready: dict[str, tuple[str, dict[str, Any]]] = {}

    def at(self, step: str) -> tuple[str, dict[str, Any]]:
        if step not in self.ready:
            client, me = self.served.client, joined(self.served.client)
            state: dict[str, Any] = {"trial": None}
            for path, body in (
                ("consent", {"accepted": True}),
                ("instructions", {"read": True}),
                ("check", {"answers": [1]}),
            ):
                if path == step:
                    break
                state = post(client, f"{me}/{path}", body)
            self.ready[step] = me, answer_all(client, me, state) if step == "survey" else state
        return self.ready[step]

    def bodies(self, step: str) -> st.SearchStrategy[Any]:
        post = self.schema["paths"][f"/api/p/{{code}}/{step}"]["post"]
        content = post["requestBody"]["content"]["application/json"]
        return bodies(content["schema"], self.schema["components"]["schemas"])


@pytest.fixture(scope="module")
def crowds(tmp_path_factory):
    there = [Crowd(tmp_path_factory.mktemp("crowd") / task, task) for task in TASKS]
    yield there
    for crowd in there:
        crowd.served.app.state.context.store.close()


@pytest.mark.parametrize("step", ["consent", "batch", "instructions", "check", "answers", "survey"])
@FUZZ
@given(data=st.data())
def test_no_body_makes_the_server_fail(crowds, step, data):
    crowd = data.draw(st.sampled_from(crowds))
    me, state = crowd.at(step)
    body = data.draw(crowd.bodies(step))
    if step == "answers":  # far enough in to be judged by what was shown
        body["trial"] = state["trial"]["id"]
        if body["answer"]["task"] != state["task"]:
            body["answer"] = fitting_answer(state)
    body = data.draw(spoiled(body))
    sent = json.dumps(body)
    reply = crowd.served.client.post(f"{me}/{step}", content=sent, headers={"content-type": "application/json"})
    assert reply.status_code in (200, 400, 403, 409, 422), reply.text
    if reply.status_code == 200:
        del crowd.ready[step]
    else:
        assert re.fullmatch(r"[ -~]{10,300}", reply.json()["error"])


PARTS = ["api", "p", "join", "status", "images", "answers", "static", "..", "%2e%2e", "%00", "%ff", "%2f", TOKEN]


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "PATCH", "OPTIONS"]),
    parts=st.lists(st.sampled_from(PARTS) | st.text(max_size=8).map(quote), max_size=6),
    body=st.binary(max_size=60),
)
def test_no_address_makes_the_server_fail(crowds, method, parts, body):
    address = "http://testserver/" + "/".join(parts)  # whole: "//x" alone would be another host
    reply = crowds[0].served.client.request(method, address, content=body, follow_redirects=False)
    assert reply.status_code < 500
