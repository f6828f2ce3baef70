"""A write that fails leaves the previous checkpoint as it was."""

import errno
import os
import stat
from pathlib import Path

import pytest
import torch

from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.errors import RunError

OLD, NEW = {"step": 1, "weight": torch.ones(3)}, {"step": 2, "weight": torch.zeros(100_000)}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(OLD, path)
    return path


def assert_untouched(path: Path) -> None:
    assert torch.load(path, weights_only=True)["step"] == 1
    assert os.listdir(path.parent) == [path.name], "nothing is left beside it"


def test_saved_and_loaded(old: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(NEW, old)
    found = AtomicCheckpointIO().load_checkpoint(old, weights_only=True)
    assert found["step"] == 2
    assert torch.equal(found["weight"], NEW["weight"])
    assert os.listdir(old.parent) == ["last.ckpt"]


def test_a_torn_write_keeps_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(checkpoint: object, file) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(RunError, match=r"Cannot write .*last\.ckpt.*No space left.*run folder"):
        AtomicCheckpointIO().save_checkpoint(NEW, old)
    monkeypatch.undo()
    assert_untouched(old)


def test_a_kill_before_the_rename_keeps_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint(NEW, old)
    assert_untouched(old)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_device(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The true error of a full disk, whatever torch makes of it."""
    really_open = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *args: really_open(Path("/dev/full") if "partial" in self.name else self, *args)
    )
    with pytest.raises(RunError, match="Cannot write the checkpoint"):
        AtomicCheckpointIO().save_checkpoint(NEW, old)
    monkeypatch.undo()
    assert_untouched(old)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_protected_folder(old: Path) -> None:
    old.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(RunError, match="Permission denied"):
            AtomicCheckpointIO().save_checkpoint(NEW, old)
        assert_untouched(old)
    finally:
        old.parent.chmod(stat.S_IRWXU)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(RunError, match="Cannot write"):
        AtomicCheckpointIO().save_checkpoint(NEW, tmp_path / "checkpoints" / "last.ckpt")
