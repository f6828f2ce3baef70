"""Joining: a class at once, a flood never; and what those who must wait are shown."""

import math

import numpy as np
import pytest

from hilmix.human.elicit.serve.rate import BURST, PER_SECOND, TokenBucket
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import LINK, joined


def test_a_class_of_two_hundred_joins_at_once(served):
    codes = {joined(served.client) for _ in range(200)}
    assert len(codes) == 200


def test_a_flood_is_held_back_and_leaves_no_rows(served):
    """1,615 requests within six seconds, as in the trial."""
    statuses = []
    for number in range(1615):
        served.clock.now = 1000.0 + 6 * number / 1615
        statuses.append(served.client.get(LINK, follow_redirects=False).status_code)
    most = math.floor(BURST + 6 * PER_SECOND)
    assert statuses.count(303) == len(served.rows(Rows.read_participants)) == pytest.approx(most, abs=1)
    assert set(statuses) == {303, 429}


def refused(served, **headers: str):
    for _ in range(BURST):
        served.client.get(LINK, follow_redirects=False)
    return served.client.get(LINK, follow_redirects=False, headers=headers)


def test_a_browser_is_shown_a_page_that_tries_again(served):
    reply = refused(served, accept="text/html,application/xhtml+xml,*/*;q=0.8")
    seconds = int(reply.headers["retry-after"])
    assert reply.status_code == 429
    assert reply.headers["refresh"] == str(seconds)
    assert reply.headers["content-type"].startswith("text/html")
    assert f"{seconds} seconds" in reply.text
    assert "content-security-policy" in reply.headers
    served.clock.now += seconds
    assert served.client.get(LINK, follow_redirects=False).status_code == 303


def test_a_program_is_answered_in_json(served):
    reply = refused(served, accept="application/json")
    assert reply.status_code == 429
    assert f"{reply.headers['retry-after']} seconds" in reply.json()["error"]


def test_a_wrong_link_takes_nothing_from_the_right_one(served):
    for _ in range(BURST + 1):
        assert served.client.get("/join/another-link", follow_redirects=False).status_code == 404
    assert joined(served.client)


def test_those_inside_go_on(served):
    me = joined(served.client)
    assert refused(served).status_code == 429
    assert served.client.get(me).status_code == 200


@pytest.mark.parametrize("seed", range(5))
def test_the_bucket_against_brute_force(seed):
    """No window of any length holds more than burst + rate x length; no request waits while there is a token."""
    rng = np.random.default_rng(seed)
    burst, rate = int(rng.integers(1, 8)), float(rng.uniform(0.5, 4))
    times = np.cumsum(rng.exponential(0.2, 400))
    bucket = TokenBucket(burst, rate)
    waits = np.array([bucket.wait(t) for t in times])
    granted = times[waits == 0]
    for i in range(len(granted)):
        inside = np.arange(len(granted) - i) + 1
        assert (inside <= burst + rate * (granted[i:] - granted[i]) + 1e-6).all()
    level, at, expected = float(burst), times[0], []
    for t in times:
        level, at = min(burst, level + rate * (t - at)), t
        expected.append(level >= 1)
        level -= expected[-1]
    assert (waits == 0).tolist() == expected
    late = times[waits > 0][0]
    again = TokenBucket(burst, rate)
    first = [again.wait(t) for t in times[times <= late]]
    assert again.wait(late + first[-1] + 1e-9) == 0


def test_a_clock_that_was_set_back_neither_grants_nor_blocks():
    bucket = TokenBucket(burst=1, per_second=1.0)
    assert [bucket.wait(100.0), bucket.wait(50.0), bucket.wait(51.0)] == [0.0, 1.0, 0.0]
