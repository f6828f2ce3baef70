"""A run goes on with the very data it began with; anything else is refused by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hilmix.data.fingerprint import of_inputs
from hilmix.data.items import ArrayInputs, ImageFiles
from tests.test_cli import fit, write

GO_ON = ["--trainer.max_epochs", "2", "--ckpt_path", "last"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert fit(write(folder / "data"), folder / "run") == 0
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The data of the run, to be changed."""
    return write(tmp_path / "data")


def refusal(trained: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert fit(data, trained / "run", *GO_ON) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("row", [0, 17, 59])
def test_a_changed_input_row(row: int, trained: Path, copy: Path, capsys) -> None:
    values = np.load(copy / "inputs.npy")
    values[row, 3] = np.nextafter(values[row, 3], np.float32(9))
    np.save(copy / "inputs.npy", values)
    assert "other data: inputs of" in refusal(trained, copy, capsys)


@pytest.mark.parametrize("row", [3, 58])
def test_a_changed_target(row: int, trained: Path, copy: Path, capsys) -> None:
    items = pd.read_parquet(copy / "items.parquet")
    items.loc[row, "target"] = "x" if items["target"][row] != "x" else "y"
    items.to_parquet(copy / "items.parquet", index=False)
    assert "other data: targets of" in refusal(trained, copy, capsys)


def test_an_untouched_copy_and_an_older_checkpoint(trained: Path, copy: Path) -> None:
    last = trained / "run" / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    state = next(value for value in saved.values() if isinstance(value, dict) and "votes" in value)
    for name in ("inputs", "targets", "mask pictures", "annotator metadata", "confidence"):
        del state[name]
    older = last.with_name("older.ckpt")
    torch.save(saved, older)
    for given in (older, "last"):
        assert fit(copy, trained / "run", "--trainer.max_epochs", "1", "--ckpt_path", given) == 0


def test_each_byte_of_small_arrays_and_files_counts(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (12, 5, 4, 3)).astype(np.uint8)
    seen = {of_inputs(ArrayInputs(values, "image"))}
    for row in range(12):
        other = values.copy()
        other[row, 2, 1, 0] ^= 1
        seen.add(of_inputs(ArrayInputs(other, "image")))
    assert len(seen) == 13
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path, picture in zip(paths, values, strict=True):
        Image.fromarray(picture).save(path)
    before = of_inputs(ImageFiles(paths))
    assert of_inputs(ImageFiles(paths)) == before
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
        assert of_inputs(ImageFiles(paths, size=4)) != before
        path.write_bytes(content)


def test_large_inputs_are_sampled() -> None:
    """No more is read than asked for, always the same rows, the first and the last among them."""
    values = np.zeros((1000, 100), dtype=np.float32)
    read: list[int] = []

    class Counted(ArrayInputs):
        def fetch(self, rows):
            read.extend(rows.tolist())
            return super().fetch(rows)

    first = of_inputs(Counted(values, "vector"), most=40_000)
    assert len(read) <= 101 + 1
    assert {0, 999} <= set(read)
    changed = values.copy()
    changed[999] = 1
    assert of_inputs(ArrayInputs(changed, "vector"), most=40_000) != first
    assert of_inputs(ArrayInputs(values, "vector"), most=40_000) == first
