"""500 seeded mutations over the whole folder format: data, or one message; never a traceback."""

import warnings
from pathlib import Path

import pytest

from hilmix.cli import main
from hilmix.data.folder import examine_folder, read_folder, read_labels
from hilmix.data.pictures import UNREADABLE
from hilmix.errors import DataError
from tests.data.folder.mutations import make, mutate

KINDS = ("images", "vectors", "soft")
BLOCK = 25


def readable(read, root: Path) -> bool:
    try:
        read(root)
    except DataError:
        return False
    return True


def try_out(folder: Path, seed: int, capsys) -> tuple[str, bool]:
    root = folder / f"mine-{seed}"
    make(root, KINDS[seed % len(KINDS)])
    what = mutate(root, seed)
    try:
        codes = {quick: main(["data", "check", str(root), *quick]) for quick in ((), ("--quick",))}
        out, error = capsys.readouterr()
        assert set(codes.values()) <= {0, 2}
        assert error.count("error: ") >= sum(map(bool, codes.values()))
        assert not error.replace("error: ", "", 2).startswith("Traceback")
        assert not [c for c in out + error if c in "\x1b\x9b\x07\u202e"]
        sound = readable(read_folder, root)
        assert sound == (codes["--quick",] == 0)
        readable(read_labels, root)
        if sound and codes[()] == 2:
            kinds = {fault.kind for fault in examine_folder(root, decode=True).found.faults}
            assert kinds <= {*UNREADABLE, "damaged-mask", "mask"}, "only pixels are left to read"
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    return what, sound


@pytest.mark.parametrize(
    "block",
    [
        *range(3),
        *(pytest.param(block, marks=pytest.mark.slow) for block in range(3, 500 // BLOCK)),
    ],
)
def test_a_mutated_folder_is_data_or_one_message(block, tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [try_out(tmp_path, seed, capsys) for seed in range(block * BLOCK, (block + 1) * BLOCK)]
    sound = sum(fine for _, fine in results)
    assert 0 < sound < BLOCK, "mutations that all pass, or none, test nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_the_folders_are_sound_before(kind, tmp_path, capsys):
    make(tmp_path / "mine", kind)
    assert main(["data", "check", str(tmp_path / "mine")]) == 0
