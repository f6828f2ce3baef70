"""Attacks over HTTP: none shows, changes or breaks the data of other participants."""

import hashlib
import hmac
import json
import uuid
from typing import Any

import pytest

from hilmix.human.elicit.export import Export, export
from hilmix.human.elicit.serve.api import COOKIE
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import (
    LINK,
    STATUS_TOKEN,
    answer_all,
    at_trials,
    fitting_answer,
    joined,
    make_study,
    post,
    refused,
    submission,
)

JSON = {"content-type": "application/json"}
# Long, so that no random token of the database holds it by chance.
PLATFORM_ID = "person-of-a-platform"


def test_no_redirect_repeats_an_address_or_names_a_host(served):
    """Behind a proxy that speaks TLS it would go out without, with the code that is the key to a participant's data."""
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
def test_a_form_on_another_site_cannot_send_json(served, kind):
    """What a browser sends across sites without asking first is refused, even with a valid code."""
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


def test_a_key_opens_nothing_for_another_participant(served):
    """Keys are compared with those of the same person and trial only, and a reply holds one's own answers only."""
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
    refused(served.client.post(f"{me}/answers", json=submission(state, touched={text: True})), 422, "Field")
    answer_all(served.client, me, state)
    post(served.client, f"{me}/survey", {"clarity": 1, "difficulty": 1, "strategy": text, "comments": text})
    assert served.rows(Rows.read_surveys)[0].comments == text
    for format in ("native", "hmix"):
        export(Export(served.folder, tmp_path / format, format))
        written = b"".join(file.read_bytes() for file in (tmp_path / format).iterdir())
        assert written
        for secret in (text, "HYPERLINK", me.rpartition("/")[2]):
            assert secret.encode() not in written


def test_images_of_others_and_files_are_out_of_reach(served):
    client = served.client
    me, state = at_trials(client)
    _, others_state = at_trials(client)
    mine, theirs = state["trial"]["images"][0], others_state["trial"]["images"][0].rpartition("/")[2]
    reply = client.get(mine)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    assert reply.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert reply.content == (served.folder / "images" / mine.rpartition("/")[2]).read_bytes()
    for name in (theirs, "nothing.png", "..%2fstudy.json", "..%2Fanswers.sqlite", "%2e%2e%2fstudy.json", "%00"):
        refused(client.get(f"{me}/images/{name}"), 404, "There is no")
    for path in ("/study.json", "/answers.sqlite", "/static/../app.py", "/static/..%2fapp.py", "/images/" + theirs):
        assert client.get(path).status_code == 404
    refused(client.get(f"{joined(client)}/images/{theirs}"), 404, "no such image")


def test_the_state_reveals_nothing_about_others_or_which_trials_are_checks(served):
    me, state = at_trials(served.client)
    other, _ = at_trials(served.client)
    while state["trial"]:
        text = str(state)
        assert not any(
            word in text for word in ("catch", "repeat", "weight': 1", "two", "five", other.rpartition("/")[2])
        )
        state = post(served.client, f"{me}/answers", submission(state))["state"]


@pytest.mark.parametrize("code", ["x", "A" * 24, "' OR 1=1 --", "%00", "\ud7ff", "A" * 5000])
def test_unknown_codes_are_refused_alike(served, code):
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/images/0123456789abcdef.png")):
        refused(served.client.request(method, f"/api/p/{code}{path}"), 404, "This link is not known")
    refused(served.client.post(f"/api/p/{code}/consent", json={"accepted": True}), 404, "This link is not known")


def test_tokens_open_their_own_door_only(served):
    for token in ("x", STATUS_TOKEN, "%C3%A9", "%ff"):
        refused(served.client.get(f"/join/{token}"), 404, "not valid")
    for token in ("x", LINK.rpartition("/")[2]):
        refused(served.client.get(f"/api/status/{token}"), 404, "not valid")
        refused(served.client.get(f"/status/{token}"), 404, "not valid")
    assert served.rows(Rows.read_participants) == []


def test_platform_ids_are_hashed_or_not_kept(served, tmp_path, serve):
    assert joined(served.client, PROLIFIC_PID=PLATFORM_ID) != joined(served.client, PROLIFIC_PID=PLATFORM_ID)
    assert not served.client.cookies
    assert {one.platform for one in served.rows(Rows.read_participants)} == {None}
    hashing = serve(make_study(tmp_path / "hashing", keep_platform_id="hash"))
    first = joined(hashing.client, PROLIFIC_PID=PLATFORM_ID, STUDY_ID="x")
    assert joined(hashing.client, PROLIFIC_PID=PLATFORM_ID, STUDY_ID="y") == first
    stranger = hashing.client.__class__(hashing.app)
    for cookie in (b"x", first.rpartition("/")[2].encode() + b"x", b"\xff", None):
        headers = {} if cookie is None else {b"cookie": COOKIE.encode() + b"=" + cookie}
        refused(
            stranger.get(LINK, params={"PROLIFIC_PID": PLATFORM_ID}, headers=headers), 409, "You have joined before"
        )
    assert joined(hashing.client, PROLIFIC_PID="person-of-another") != first
    assert joined(hashing.client) != joined(hashing.client)
    files = b"".join(file.read_bytes() for file in hashing.folder.glob("answers.sqlite*"))
    assert PLATFORM_ID.encode() not in files
    key = bytes.fromhex(hashing.rows(lambda rows: rows.read_meta("hash_key")))
    hashed = hmac.new(key, PLATFORM_ID.encode(), hashlib.sha256).hexdigest()
    assert hashing.rows(Rows.read_participants)[0].platform == hashed


def test_codes_cannot_be_guessed(served):
    codes = {joined(served.client).rpartition("/")[2] for _ in range(50)}
    assert len(codes) == 50
    assert {len(code) * 6 for code in codes} == {144}
