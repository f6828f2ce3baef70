import socket

import pytest

from hilmix.cli import main
from tests.human.elicit.studies import make_study


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (["--port", "0"], "`--port` must be in [1, 65535], got 0."),
        (["--study-token", "a b"], "The study token must be 8 to 100 letters, digits, '-' and '_'."),
    ],
)
def test_options_that_cannot_work(tmp_path, capsys, options, printed):
    assert main(["elicit", "serve", str(make_study(tmp_path / "s")), *options]) == 2
    assert capsys.readouterr().err == f"error: {printed}\n"


def test_a_folder_without_a_study(tmp_path, capsys):
    assert main(["elicit", "serve", str(tmp_path)]) == 2
    assert "study.json" in capsys.readouterr().err
    assert not (tmp_path / "answers.sqlite").exists()


def test_an_address_in_use_is_reported_before_any_link(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["elicit", "serve", str(make_study(tmp_path / "s")), "--port", str(port)]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.startswith(f"error: Cannot listen on host 127.0.0.1, port {port}: Address already in use.")


def test_a_host_that_is_none(tmp_path, capsys):
    assert main(["elicit", "serve", str(make_study(tmp_path / "s")), "--host", "no such host"]) == 2
    assert "Cannot listen on host no such host, port 8000" in capsys.readouterr().err
