"""One server for a study, until its process is gone; and connections that never finish a request."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import uvicorn

from hilmix.cli import main
from hilmix.errors import DataError
from hilmix.human.elicit.serve import process as serve
from hilmix.human.elicit.store.lock import lock_study
from hilmix.sockets import bind_socket
from tests.human.elicit.studies import make_study


def test_a_second_server_is_refused_and_the_first_one_named(tmp_path, capsys):
    folder = make_study(tmp_path / "s")
    with lock_study(folder):
        assert main(["elicit", "serve", str(folder), "--port", "9"]) == 2
        assert main(["elicit", "simulate", str(folder), "--participants", "1"]) == 2
    printed = capsys.readouterr().err
    assert printed.count(f"process {os.getpid()} ") == 2
    assert not (folder / "answers.sqlite").exists()
    with lock_study(folder):
        pass


def test_the_lock_ends_with_its_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from hilmix.human.elicit.store.lock import lock_study\n"
        "with lock_study(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match=f"process {other.pid} "), lock_study(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait(20)
    with lock_study(tmp_path):
        assert (tmp_path / "server.lock").read_text().startswith(f"{os.getpid()} ")


def test_two_studies_do_not_meet(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with lock_study(tmp_path / "a"), lock_study(tmp_path / "b"):
        pass


# -- requests that do not come ---------------------------------------------------------------------------------------


@pytest.fixture
def port(request, monkeypatch):
    """A server whose protocol is that of ``serve``, with half a second for the headers, or the seconds of a test."""
    monkeypatch.setattr(serve, "HEADER_SECONDS", getattr(request, "param", 0.5))

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        config = uvicorn.Config(app, http=serve.PromptHeaders, lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)  # a busy machine may close it late


def reply(line: socket.socket) -> bytes:
    """What is sent up to the whole body."""
    came = b""
    while not came.endswith(b"\r\n\r\nok"):
        came += line.recv(1000)
    return came


REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize("sent", [b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nmore", REQUEST[:-1], REQUEST[:-2]])
def test_headers_that_never_end(port, sent):
    with connected(port) as line:
        began = time.monotonic()
        line.sendall(sent)
        assert line.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert line.recv(1000) == b""
        assert time.monotonic() - began > 0.3


def test_a_byte_now_and_then_gains_no_time(port):
    """A header that grows by a byte in a fifth of the time allowed, for up to a minute."""
    with connected(port) as line:
        line.sendall(REQUEST[:-4])
        for _ in range(600):
            try:
                line.sendall(b"x")
            except OSError:
                return
            time.sleep(0.1)
        pytest.fail("it is still open")


def test_a_connection_that_says_nothing_is_closed_without_a_word(port):
    with connected(port) as line:
        assert line.recv(1000) == b""


def test_after_a_request_the_next_one_is_timed_in_the_same_way(port):
    with connected(port) as line:
        for _ in range(2):
            line.sendall(REQUEST)
            assert reply(line).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.8)  # between requests uvicorn's own limit holds, which is longer
        line.sendall(REQUEST)
        assert reply(line).startswith(b"HTTP/1.1 200 ")
        line.sendall(REQUEST[:10])
        assert line.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("port", [60.0], indirect=True)
def test_slow_headers_in_time_are_served(port):
    with connected(port) as line:
        for part in (REQUEST[:10], REQUEST[10:]):
            time.sleep(0.1)
            line.sendall(part)
        assert reply(line).startswith(b"HTTP/1.1 200 ")


def test_the_study_is_served_so(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: seen.update(http=self.config.http))
    folder = make_study(tmp_path / "s")
    tokens = serve.keep_tokens(folder)
    with bind_socket("127.0.0.1", 0) as held:
        serve.serve({"": serve.Served(folder, tokens)}, listener=held)
    assert seen["http"] is serve.PromptHeaders
