"""Damaged checkpoints are refused by name; only a resumed run falls back, to the one before."""

import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from hilmix import integrity
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.cli import main
from hilmix.errors import RunError
from hilmix.integrity import check_intact, read_checkpoint
from hilmix.modules import Classifier
from tests.callbacks.test_last_checkpoint import saved
from tests.helpers import QUIET, fit, parameters

pytestmark = pytest.mark.usefixtures("no_figures")

FLAGS = [*QUIET, "--model.schedule", "constant"]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs; tests must not write into it."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    assert fit(data, run, "--trainer.max_epochs", "3", *FLAGS) == 0
    return run


def flipped(content: bytes, seed: int, number: int) -> bytes:
    draw, out = random.Random(seed), bytearray(content)
    for place in draw.sample(range(len(out)), number):
        out[place] ^= draw.randint(1, 255)
    return bytes(out)


def test_whole_files_are_readable_by_everything(trained: Path) -> None:
    path = trained / "checkpoints" / "last.ckpt"
    check_intact(path)
    for mmap in (False, True):
        assert torch.load(path, weights_only=True, mmap=mmap)["epoch"] == 2
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("number", [1, 2, 200])
def test_flipped_bytes(number: int, trained: Path, tmp_path: Path) -> None:
    content, path = (trained / "checkpoints" / "last.ckpt").read_bytes(), tmp_path / "x.ckpt"
    for seed in range(60):
        path.write_bytes(flipped(content, seed, number))
        with pytest.raises(RunError, match=r"x\.ckpt"):
            check_intact(path)


def test_each_byte_of_the_end(trained: Path, tmp_path: Path) -> None:
    """The digest itself and what surrounds it."""
    content, path = (trained / "checkpoints" / "last.ckpt").read_bytes(), tmp_path / "x.ckpt"
    for place in range(1, 120):
        out = bytearray(content)
        out[-place] ^= 1
        path.write_bytes(bytes(out))
        with pytest.raises(RunError):
            check_intact(path)


def test_truncated(trained: Path, tmp_path: Path) -> None:
    content, path = (trained / "checkpoints" / "last.ckpt").read_bytes(), tmp_path / "x.ckpt"
    for length in [0, 1, 30, *range(100, len(content), 1777), *range(len(content) - 120, len(content))]:
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"x\.ckpt"):
            check_intact(path)


def test_a_checkpoint_without_digest(trained: Path, tmp_path: Path) -> None:
    """As older versions have written it: the checksums of the archive hold or not."""
    checkpoint, path = saved(trained), tmp_path / "old.ckpt"
    torch.save(checkpoint, path)
    check_intact(path)
    assert torch.equal(Classifier.load_from_checkpoint(path).head.weight, parameters(trained)["head.weight"])
    content = path.read_bytes()
    place = content.index(checkpoint["state_dict"]["head.weight"].numpy().tobytes())
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert not torch.equal(
        torch.load(path, weights_only=True)["state_dict"]["head.weight"], checkpoint["state_dict"]["head.weight"]
    )
    with pytest.raises(RunError, match=r"old\.ckpt"):
        Classifier.load_from_checkpoint(path)
    with pytest.raises(RunError, match=r"old\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=True)


def aged(path: Path, seconds: float = 60.0) -> None:
    """Sets the time of change back, as of a file that was not written a moment ago."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.mark.parametrize("command", ["test", "validate", "predict"])
def test_an_evaluation_checks_and_reads_its_checkpoint_once(
    command: str, trained: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning itself loads it twice: to build the model, and to restore the data module's state."""
    run = copied(trained, tmp_path / "run")
    path = run / "checkpoints" / "last.ckpt"
    aged(path)
    monkeypatch.chdir(tmp_path)  # the parts of a command name the file in different ways
    calls = {"hashed": 0, "read": 0, "loaded": 0}
    digest, load = integrity._digest, torch.load

    def counted_digest(*args: Any) -> str:
        calls["hashed"] += 1
        return digest(*args)

    def counted_load(file: Any, *args: Any, **kwargs: Any) -> Any:
        calls["read" if isinstance(file, Path) else "loaded"] += 1
        return load(file, *args, **kwargs)

    monkeypatch.setattr(integrity, "_digest", counted_digest)
    monkeypatch.setattr(torch, "load", counted_load)
    root = ["--data.root", str(data)]
    assert main([command, *root, "--run_dir", "run", "--ckpt_path", "last", *QUIET]) == 0
    assert calls["hashed"] == 1
    assert calls["read"] == 1
    assert calls["loaded"] <= 2


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_file_that_changes_behind_a_check_is_checked_again(seconds: float, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    content = (trained / "checkpoints" / "last.ckpt").read_bytes()
    path.write_bytes(content)
    aged(path, seconds)
    for _ in range(3):
        check_intact(path)
    assert read_checkpoint(path)["epoch"] == 2
    path.write_bytes(flipped(content, 0, 1))
    aged(path, seconds / 2)
    with pytest.raises(RunError, match=r"x\.ckpt"):
        check_intact(path)
    other = {**torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True), "epoch": 7}
    torch.save(other, path)
    aged(path, seconds / 3)
    assert read_checkpoint(path)["epoch"] == 7


def test_a_damaged_end_of_the_archive(tmp_path: Path) -> None:
    """Python's ``is_zipfile`` raises where the locator before the end names several disks, its number at offset 4."""
    path = tmp_path / "torn.ckpt"
    torch.save({"state_dict": {}}, path)
    content = bytearray(path.read_bytes())
    locator = content.rindex(b"PK\x06\x07")
    content[locator + 4] = 1
    path.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.is_zipfile(path)
    assert read_checkpoint(path) == {"state_dict": {}}, "its digest or its checksums are judged by check_intact"


def copied(trained: Path, run: Path) -> Path:
    (run / "checkpoints").mkdir(parents=True)
    for path in (trained / "checkpoints").iterdir():
        (run / "checkpoints" / path.name).write_bytes(path.read_bytes())
    return run


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_only_a_resumed_run_falls_back(damage: str, trained: Path, data: Path, tmp_path: Path, capsys, caplog) -> None:
    run = copied(trained, tmp_path / "run")
    last = run / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2] if damage == "truncated" else flipped(content, 0, 200))
    for command in ("test", "validate", "predict"):
        for given in ("last", str(last)):
            args = [command, "--data.root", str(data), "--run_dir", str(run), "--ckpt_path", given, *QUIET]
            assert main(args) == 2
            assert str(last) in capsys.readouterr().err
    assert fit(data, run, "--trainer.max_epochs", "4", *FLAGS, "--ckpt_path", str(last)) == 2, "a file that was named"
    caplog.clear()
    assert fit(data, run, "--trainer.max_epochs", "4", *FLAGS, "--ckpt_path", "last") == 0
    warnings = [
        r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "last.previous.ckpt" in r.getMessage()
    ]
    assert len(warnings) == 1
    assert str(last) in warnings[0]
    assert saved(run)["epoch"] == 3
    assert saved(run, "last.previous.ckpt")["epoch"] == 2
    straight = tmp_path / "straight"
    assert fit(data, straight, "--trainer.max_epochs", "4", *FLAGS) == 0
    for name, value in parameters(straight).items():
        assert torch.equal(parameters(run)[name], value), name


def test_a_damaged_file_does_not_become_the_previous_one(
    trained: Path, data: Path, tmp_path: Path, monkeypatch
) -> None:
    """The run that fell back is killed when its first checkpoint is about to be written."""
    run = copied(trained, tmp_path / "run")
    last, previous = (run / "checkpoints" / name for name in ("last.ckpt", "last.previous.ckpt"))
    whole = previous.read_bytes()
    last.write_bytes(last.read_bytes()[:1000])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", killed)
    with pytest.raises(SystemExit):
        fit(data, run, "--trainer.max_epochs", "4", *FLAGS, "--ckpt_path", "last")
    assert previous.read_bytes() == whole


def test_both_damaged(trained: Path, data: Path, tmp_path: Path, capsys) -> None:
    run = copied(trained, tmp_path / "run")
    for name in ("last.ckpt", "last.previous.ckpt"):
        (run / "checkpoints" / name).write_bytes(b"PK")
    assert fit(data, run, "--trainer.max_epochs", "4", *FLAGS, "--ckpt_path", "last") == 2
    assert "last.previous.ckpt" in capsys.readouterr().err
