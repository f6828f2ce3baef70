"""What somebody who means harm may try, over HTTP: none of it shows, changes or breaks what is others'."""

import json
import uuid
from typing import Any

import pytest

from hilmix.elicit.export import Export, export
from hilmix.elicit.rows import Rows
from tests.elicit.studies import (
    LINK,
    STATUS_TOKEN,
    answer_all,
    at_trials,
    fitting_answer,
    joined,
    make_study,
    post,
    submission,
)

JSON = {"content-type": "application/json"}


def test_no_redirect_repeats_an_address_or_names_a_host(served):
    """It would go out without TLS, behind a proxy that speaks it, with the code that is the key to somebody's data."""
    me = joined(served.client)
    evil = {"host": "evil.example"}
    for address in (me, me.removeprefix("/api"), LINK, f"/status/{STATUS_TOKEN}", "/static", "//evil.example"):
        reply = served.client.get(f"http://testserver{address}/", headers=evil, follow_redirects=False)
        assert (reply.status_code, reply.headers.get("location")) == (404, None), address
    reply = served.client.get(LINK, headers=evil, follow_redirects=False)
    assert reply.headers["location"].startswith("/p/")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH"])
def test_other_methods_do_and_tell_nothing(served, method):
    me, state = at_trials(served.client)
    before = served.client.get(me).json()
    for address in (me, f"{me}/answers", state["trial"]["images"][0], f"/api/status/{STATUS_TOKEN}"):
        reply = served.client.request(method, address, json=submission(state))
        assert reply.status_code == 405
        assert method == "HEAD" or list(reply.json()) == ["error"]
    assert served.client.get(me).json() == before


def test_a_line_break_in_an_address_makes_no_header(served):
    for address in ("/p/a%0d%0aX-Evil:1", f"{LINK}?PROLIFIC_PID=a%0d%0aX-Evil:1", "/join/a%0d%0aX-Evil:1"):
        reply = served.client.get(address, follow_redirects=False)
        assert not any("evil" in f"{name}{value}".lower() for name, value in reply.headers.items())


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_on_another_site_can_not_send_json(served, kind):
    """What a browser sends across sites without asking first is refused, whoever's code it has."""
    me = joined(served.client)
    reply = served.client.post(f"{me}/consent", content=b'{"accepted": true}', headers={"content-type": kind})
    assert reply.status_code == 422
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "change",
    [
        "1e999",
        "-Infinity",
        "NaN",
        "-0.1",
        "1.0000001",
        "1" + "0" * 400,
        "true",
        '"0.8"',
        "[0.8]",
        "null",
        "0x1",
        "0.8e",
    ],
)
def test_numbers_are_finite_and_in_range(served, change):
    me, state = at_trials(served.client)
    sent = json.dumps(submission(state)).replace("0.8", change)
    reply = served.client.post(f"{me}/answers", content=sent, headers=JSON)
    assert reply.status_code in (400, 422), reply.text
    assert served.answers() == []


def test_a_field_given_twice_counts_once_and_is_checked(served):
    me, state = at_trials(served.client)
    sent = json.dumps(submission(state))
    for twice in ('"weight": 0.8, "weight": 7', '"weight": 7, "weight": "x"'):
        reply = served.client.post(f"{me}/answers", content=sent.replace('"weight": 0.8', twice), headers=JSON)
        assert reply.status_code == 422
    assert served.answers() == []


def test_a_key_opens_nothing_for_anybody_else(served):
    """Keys are compared with those of the same person and trial only, and what is told is one's own."""
    client = served.client
    me, state = at_trials(client)
    sent = submission(state, answer=fitting_answer(state) | {"weight": 0.123})
    post(client, f"{me}/answers", sent)
    other, others_state = at_trials(client)
    reply = client.post(f"{other}/answers", json=sent)
    assert (reply.status_code, "0.123" in reply.text) == (403, False)
    saved = post(client, f"{other}/answers", submission(others_state, key=sent["key"]))
    assert saved["answer"]["weight"] == 0.8
    reply = client.post(f"{me}/answers", json=sent | {"key": str(uuid.uuid4())})
    assert (reply.status_code, "0.123" in reply.text) == (409, False)
    changed = sent | {"answer": {"task": "vote", "label": 3, "confidence": 1}, "touched": {}, "times": {}}
    assert post(client, f"{me}/answers", changed)["answer"]["weight"] == 0.123, "what is stored stays"


def test_what_participants_write_is_in_no_export(tmp_path, serve):
    """No formula for a spreadsheet, no markup for a report: exports hold numbers, and names that a researcher gave."""
    served = serve(make_study(tmp_path / "s", keep_platform_id="hash"))
    text = "=HYPERLINK(0)<script>@SUM"
    me = joined(served.client, PROLIFIC_PID=text)
    post(served.client, f"{me}/consent", {"accepted": True})
    post(served.client, f"{me}/instructions", {"read": True})
    state: dict[str, Any] = post(served.client, f"{me}/check", {"answers": [1]})
    refused = submission(state, touched={text: True})
    assert served.client.post(f"{me}/answers", json=refused).status_code == 422
    answer_all(served.client, me, state)
    post(served.client, f"{me}/survey", {"clarity": 1, "difficulty": 1, "strategy": text, "comments": text})
    assert served.rows(Rows.surveys)[0].comments == text
    for format in ("native", "hmix"):
        export(Export(served.folder, tmp_path / format, format))
        written = b"".join(file.read_bytes() for file in (tmp_path / format).iterdir())
        assert written
        for secret in (text, "HYPERLINK", me.rpartition("/")[2]):
            assert secret.encode() not in written
