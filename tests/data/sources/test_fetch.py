"""Downloads against a server on loopback that drops connections, corrupts content and refuses ranges."""

import hashlib
import http.client
import io
import os
import threading
import urllib.error
import urllib.request
import urllib.response
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from hilmix.data.sources import SOURCES
from hilmix.data.sources.fetch import RemoteFile, _SecureRedirects, fetch, verify
from hilmix.errors import DataError
from hilmix.human.study import download

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """What it serves, and how badly."""

    content = CONTENT
    ranges = True
    drop_after: int | None = None
    chunked = False
    status = 200
    requests: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if server.status != 200:
            return self.send_error(server.status)
        if start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if not server.chunked:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.drop_after])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    running = Server(("127.0.0.1", 0), Handler)
    running.requests = []
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def remote(server):
    def make(**known):
        known = {"size": len(CONTENT), "checksum": MD5} | known
        return RemoteFile(f"http://127.0.0.1:{server.server_port}/file.bin", "some/file.bin", **known)

    return make


@pytest.mark.parametrize("checksum", [MD5, SHA256, None])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_download_arrives_whole(remote, tmp_path, size, checksum):
    path = fetch(remote(size=size, checksum=checksum), tmp_path)
    assert path == tmp_path / "some" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["file.bin"]


def test_what_is_there_is_not_downloaded_again(server, remote, tmp_path):
    fetch(remote(), tmp_path)
    fetch(remote(), tmp_path)
    assert len(server.requests) == 1


def test_dropped_connection_never_passes_for_a_file_and_is_resumed(server, remote, tmp_path):
    server.drop_after = 100_000
    with pytest.raises(DataError, match=r"interrupted after 100000 of 300000 bytes\. Run the same"):
        fetch(remote(), tmp_path)
    assert os.listdir(tmp_path / "some") == ["file.bin.part"]
    server.drop_after = None
    assert fetch(remote(), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-"]


def test_resume_where_the_server_ignores_ranges_starts_over(server, remote, tmp_path):
    server.drop_after = 1_000
    with pytest.raises(DataError, match="interrupted"):
        fetch(remote(), tmp_path)
    server.drop_after, server.ranges = None, False
    assert fetch(remote(), tmp_path).read_bytes() == CONTENT


def test_unknown_length_is_accepted_if_the_checksum_is_right(server, remote, tmp_path):
    server.chunked = True
    assert fetch(remote(size=None), tmp_path).read_bytes() == CONTENT


def test_unknown_length_and_dropped_connection_fail_the_checksum(server, remote, tmp_path):
    server.chunked, server.drop_after = True, 1_000
    with pytest.raises(DataError, match="is not the published"):
        fetch(remote(size=None), tmp_path)
    assert os.listdir(tmp_path / "some") == []


def test_corrupt_content_is_refused_and_removed(server, remote, tmp_path):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(DataError, match=r"not the published http://.*it has md5 .*, expected"):
        fetch(remote(), tmp_path)
    assert os.listdir(tmp_path / "some") == []
    server.content = CONTENT
    assert fetch(remote(), tmp_path).read_bytes() == CONTENT


def test_wrong_size_is_refused_where_no_checksum_is_known(server, remote, tmp_path):
    server.content = CONTENT + b"more"
    with pytest.raises(DataError, match="300004 bytes, expected 300000 bytes"):
        fetch(remote(checksum=None), tmp_path)


def test_wrong_beginning_is_found_by_the_checksum_and_not_kept(remote, tmp_path):
    part = tmp_path / "some" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"0" * 1_000)
    with pytest.raises(DataError, match="not the published"):
        fetch(remote(), tmp_path)
    assert fetch(remote(), tmp_path).read_bytes() == CONTENT


def test_beginning_longer_than_the_file_is_dropped(server, remote, tmp_path):
    part = tmp_path / "some" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT + b"more")
    assert fetch(remote(), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=300004-", None]


def test_complete_beginning_only_lacks_its_name(server, remote, tmp_path):
    part = tmp_path / "some" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    assert fetch(remote(), tmp_path).read_bytes() == CONTENT
    assert server.requests == []


def test_file_placed_by_hand_is_checked_and_kept(server, remote, tmp_path):
    path = tmp_path / "some" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match="Delete it if it is still there"):
        fetch(remote(), tmp_path)
    assert path.read_bytes() == b"something else"
    assert server.requests == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_refusals_name_url_and_remedy(server, remote, tmp_path, status):
    server.status = status
    with pytest.raises(DataError, match=r"Cannot download http://127.0.0.1:\d+/file.bin: .*HILMIX_DATA"):
        fetch(remote(), tmp_path)


def test_offline_names_url_place_and_remedy(tmp_path):
    file = RemoteFile("http://127.0.0.1:9/gone.bin", "gone.bin")  # nothing listens on the discard port
    with pytest.raises(DataError) as caught:
        fetch(file, tmp_path)
    for part in (file.url, str(tmp_path / "gone.bin"), "by hand", "HILMIX_DATA"):
        assert part in str(caught.value)


def test_unwritable_folder_is_a_clear_error(remote, tmp_path):
    (tmp_path / "some").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="Cannot write"):
        fetch(remote(), tmp_path)


def test_verify_accepts_what_is_right(remote, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    verify(remote(checksum=SHA256), path)


# -- what is known of a file ------------------------------------------------------------------------------------------

EVERY = {
    file.url: file
    for files in (*(r.files for source in SOURCES.values() for r in source.resources), download.FILES)
    for file in files
}
NAMED = {
    "http://fprodrigues.com/deep_LabelMe.tar.gz",
    "http://fprodrigues.com/mturk-datasets.tar.gz",
    "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/aloi.bz2",
    "https://zenodo.org/api/records/11479590/files-archive",
}
"""Files that cannot be verified, by their author's choice; a new one needs a reason and stands here."""
COMMIT = "0231d4f010b65d9b614370f82accf825b38f94fd"


@pytest.mark.parametrize("file", EVERY.values(), ids=EVERY)
def test_every_file_comes_by_https_with_a_checksum_or_a_commit_or_is_named(file):
    assert bool(file.verification) != bool(file.unverified)
    assert bool(file.unverified) == (file.url in NAMED)
    if not file.unverified:
        host = file.url.removeprefix("https://").partition("/")[0]
        assert file.url.startswith("https://")
        assert file.checksum or (host in ("github.com", "raw.githubusercontent.com") and "commit" in file.verification)


@pytest.mark.parametrize(
    ("url", "checksum", "verified"),
    [
        ("https://example.org/a", MD5, MD5),
        ("https://example.org/a", None, ""),
        ("http://example.org/a", MD5, ""),
        ("ftp://example.org/a", MD5, ""),
        (f"https://github.com/a/b/raw/{COMMIT}/c", None, f"commit {COMMIT}"),
        (f"https://raw.githubusercontent.com/a/b/{COMMIT}/c", None, f"commit {COMMIT}"),
        ("https://github.com/a/b/raw/5a02273/c", None, "commit 5a02273"),
        ("https://github.com/a/b/raw/main/c", None, ""),
        ("https://github.com/a/b/raw/deadbeef-branch/c", None, ""),
        (f"https://github.com/a/b/raw/main/{COMMIT}/c", None, ""),
        (f"https://github.com.example.org/a/b/raw/{COMMIT}/c", None, ""),
        (f"https://example.org/?https://github.com/a/b/raw/{COMMIT}/c", None, ""),
        (f"http://github.com/a/b/raw/{COMMIT}/c", None, ""),
    ],
)
def test_what_verifies_a_file(url, checksum, verified, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network here")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", offline)
    file = RemoteFile(url, "a", checksum=checksum)
    assert file.verification == verified
    with pytest.raises(DataError, match="no network here" if verified else "allow_unverified"):
        fetch(file, tmp_path)
    with pytest.raises(DataError, match="no network here"):
        fetch(file, tmp_path, allow_unverified=True)


def test_a_file_placed_by_hand_needs_no_consent(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    assert fetch(RemoteFile("http://example.org/a", "a"), tmp_path).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("old", "new", "followed"),
    [
        ("https://a.org/x", "https://b.org/x", True),
        ("https://a.org/x", "http://a.org/x", False),
        ("https://a.org/x", "ftp://a.org/x", False),
        ("https://a.org/x", "HTTPS://b.org/x", True),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/y", True),
    ],
)
def test_redirects_stay_encrypted(old, new, followed):
    request = urllib.request.Request(old)
    if followed:
        assert _SecureRedirects().redirect_request(request, None, 302, "", {}, new).full_url == new
        return
    with pytest.raises(urllib.error.URLError, match="not encrypted"):
        _SecureRedirects().redirect_request(request, None, 302, "", {}, new)


def test_a_download_obeys_the_rule_of_redirects(monkeypatch, tmp_path):
    """The reply of an https server is made up; all else is urllib's and ours."""
    reply = io.BytesIO(b"")

    def redirected(self, request):
        message = http.client.HTTPMessage()
        message["location"] = "http://b.org/x"
        found = urllib.response.addinfourl(reply, message, request.full_url, 302)
        found.msg = "Found"
        return found

    monkeypatch.setattr("urllib.request.HTTPSHandler.https_open", redirected)
    monkeypatch.setattr("urllib.request.HTTPHandler.http_open", lambda *_: pytest.fail("it went there"))
    with pytest.raises(DataError, match=r"redirects to http://b\.org/x"):
        fetch(RemoteFile("https://a.org/x", "x", checksum=MD5), tmp_path)
