"""What holds for every request: headers, limits, clear refusals, and never a failure of the server."""

import asyncio
import json
import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from hilmix.errors import DataError
from hilmix.human.elicit.serve.app import BODY_LIMIT, HEADERS, BodyLimit, create_app
from tests.human.elicit.studies import (
    STATUS_TOKEN,
    TOKEN,
    at_trials,
    joined,
    make_study,
    submission,
)


def test_every_reply_carries_the_headers(served):
    client = served.client
    me, state = at_trials(client)
    replies = {
        303: client.get(f"/join/{TOKEN}", follow_redirects=False),
        200: client.get(me),
        404: client.get("/nothing"),
        405: client.put(me),
        409: client.post(f"{me}/consent", json={"accepted": True}),
        413: client.post(f"{me}/consent", content=b" " * (BODY_LIMIT + 1)),
        422: client.post(f"{me}/consent", json={}),
    }
    assert {reply.status_code for reply in replies.values()} == set(replies)
    for status, reply in replies.items():
        assert {name: reply.headers[name] for name in HEADERS} == HEADERS, status
        assert "server" not in reply.headers
        if status > 400:
            assert list(reply.json()) == ["error"], status
    image = client.get(state["trial"]["images"][0])
    assert {image.headers[name] == value for name, value in HEADERS.items() if name != "cache-control"} == {True}
    assert "'unsafe-inline'" not in HEADERS["content-security-policy"]


def test_no_documentation_that_loads_from_elsewhere(served):
    assert {served.client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_limited_whether_its_length_is_announced_or_not(served, announced):
    me, state = at_trials(served.client)
    padded = json.dumps(submission(state)).encode()
    padded += b" " * (BODY_LIMIT - len(padded))
    for body, status in ((padded + b" ", 413), (padded, 200)):
        sent = body if announced else iter([body[:100], body[100:]])
        reply = served.client.post(f"{me}/answers", content=sent, headers={"content-type": "application/json"})
        assert reply.status_code == status, reply.text
    assert served.answers() == [(1, 0)]


def test_an_endless_body_is_not_read_to_the_end():
    """A sender that never ends is refused after the limit; one that hangs up is dropped."""
    sent: list[Any] = []

    async def never(*_: Any) -> None:
        raise AssertionError("the application was reached")

    async def send(message: Any) -> None:
        sent.append(message)

    def receive_of(message: dict[str, Any]):
        async def receive() -> dict[str, Any]:
            return message

        return receive

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    endless = receive_of({"type": "http.request", "body": b"x" * 1000, "more_body": True})
    asyncio.run(BodyLimit(never)(scope, endless, send))
    assert sent[0]["status"] == 413
    sent.clear()
    asyncio.run(BodyLimit(never)(scope, receive_of({"type": "http.disconnect"}), send))
    assert sent == []


def test_a_slow_body_is_refused_in_time():
    """One byte at a time, each in time but not all of them; and one that never comes."""
    sent: list[Any] = []
    reached: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append((await receive())["body"])

    async def send(message: Any) -> None:
        sent.append(message)

    def trickle(pause: float, count: int):
        left = [count]

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(pause)
            left[0] -= 1
            return {"type": "http.request", "body": b"x", "more_body": left[0] > 0}

        return receive

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    for receive in (trickle(0.01, 10_000), trickle(3600, 1)):
        asyncio.run(BodyLimit(app, seconds=0.1)(scope, receive, send))
        assert (sent[0]["status"], (b"connection", b"close") in sent[0]["headers"]) == (408, True)
        assert json.loads(sent[1]["body"]) == {"error": "The request took longer than 0.1 s to arrive."}
        sent.clear()
    assert reached == []
    asyncio.run(BodyLimit(app, seconds=10)(scope, trickle(0.001, 5), send))
    assert reached == [b"xxxxx"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "The body is not valid JSON."),
        (b"", 422, "Field 'body' is refused: Field required."),
        (b"[1]", 422, "Field 'body' is refused:"),
        (b"\xff\xfe", 400, "The body is not valid JSON."),
        (b"[" * 30000, 400, "The body is not valid JSON."),
        (b'{"accepted": NaN}', 422, "Field 'accepted' is refused:"),
        (b'{"accepted": "yes"}', 422, "Field 'accepted' is refused: Input should be a valid boolean."),
        (b'{"accepted": 1}', 422, "Field 'accepted' is refused: Input should be a valid boolean."),
        (b'{"accepted": true, "is_admin": true}', 422, "Field 'is_admin' is refused: Extra inputs are not permitted."),
        (b'{"accepted": true, "\\ud800": 1}', 422, "Field 'body' is refused:"),
        (b'{"accepted": ' + b"1" * 5000 + b"}", 400, "The body is not valid JSON."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_malformed_bodies_get_one_sentence(served, body, status, message):
    me = joined(served.client)
    reply = served.client.post(f"{me}/consent", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == status, reply.text
    assert message in reply.json()["error"]
    assert len(reply.json()["error"]) <= 300
    assert served.client.get(me).json()["phase"] == "consent"


def test_a_failure_of_the_server_reveals_no_details(served):
    served.app.state.context.store.close()
    reply = TestClient(served.app, raise_server_exceptions=False).get("/api/p/" + "A" * 24)
    assert reply.status_code == 500
    assert reply.json()["error"].startswith("The server failed; nothing was saved.")
    assert reply.headers["referrer-policy"] == "no-referrer"


def test_nothing_in_the_log_names_a_participant(served, caplog):
    caplog.set_level(logging.DEBUG, logger="hilmix")
    caplog.set_level(logging.DEBUG, logger="uvicorn")
    me, _ = at_trials(served.client)
    served.client.post(f"{me}/answers", json={})
    served.client.get("/join/wrong-token")
    logged = " ".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    for secret in (me.rpartition("/")[2], TOKEN, "wrong-token", "testclient"):
        assert secret not in logged


def test_a_study_with_a_missing_image_is_refused(tmp_path):
    folder = make_study(tmp_path / "s")
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(DataError, match=r"images/[0-9a-f]{16}\.png' is missing"):
        create_app(folder, study_token=TOKEN, status_token=STATUS_TOKEN)
