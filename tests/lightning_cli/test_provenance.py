"""Command, date and commit of each start: nothing secret, and one entry for each."""

import json
import subprocess
from datetime import datetime

from hilmix.lightning_cli.provenance import STARTS, find_commit, save_start, shown_command


def test_secrets_of_options_are_left_out():
    line = ["hilmix", "fit", "--trainer.logger.init_args.api_key", "abcd", "--password=xyz", "--run_dir", "my run"]
    shown = shown_command(line)
    assert shown.startswith("hilmix fit")
    assert "abcd" not in shown
    assert "xyz" not in shown
    assert shown.endswith("--run_dir 'my run'")


def test_each_start_adds_an_entry(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/bin/hilmix", "fit", "-c", "a.yaml"])
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        save_start(tmp_path)
    starts = json.loads((tmp_path / STARTS).read_text())
    assert [start["command"] for start in starts] == ["hilmix fit -c a.yaml"] * 2
    assert all(datetime.fromisoformat(start["started"]).tzinfo is not None for start in starts)


def test_a_commit_is_that_of_the_folder(tmp_path):
    assert find_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert find_commit(tmp_path) is None
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "one"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert find_commit(tmp_path) == head[:12]
    (tmp_path / "a").write_text("2")
    assert find_commit(tmp_path) == f"{head[:12]}-dirty"
