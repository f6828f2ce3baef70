"""Files of a data folder that are damaged, hostile or of another kind: one message, exit code 2, all in one run."""

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from hilmix.cli import main
from hilmix.data.folder import examine_folder, read_folder
from hilmix.data.folder.arrays import find_not_finite, read_array
from hilmix.data.inputs import ArrayInputs, ImageFiles
from hilmix.data.pictures import UNREADABLE, PictureError, examine_pictures, read_pixels
from hilmix.errors import DataError, RunError
from hilmix.faults import FaultyDataError
from hilmix.human.elicit.design.items import read_probs
from hilmix.report import read_run
from hilmix.terminal import refuse

GOOD = io.BytesIO()
Image.new("RGB", (6, 5), (200, 10, 30)).save(GOOD, "PNG")
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
PNG, JPEG = io.BytesIO(), io.BytesIO()
NOISE.save(PNG, "PNG")
NOISE.save(JPEG, "JPEG")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side: int = 50_000) -> bytes:
    """A PNG of 2.5 billion pixels in some hundred bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def wide() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(stream, "PNG")
    return stream.getvalue()


BAD = {
    "zero.png": b"",
    "text.png": b"no image at all",
    "bomb.png": bomb(),
    "cut.png": PNG.getvalue()[:600],
    "cut.jpg": JPEG.getvalue()[:300],
    "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) run\n",
    "wide.png": wide(),
    "page.jpg": b"<!doctype html><html>404</html>",
}
"""Content of an image file that is none."""


def write(root: Path, pictures: dict[str, bytes | None], *, good: int = 2) -> Path:
    """A folder with sound images 0 to good - 1, then ``pictures``; None for one that is not there."""
    root.mkdir()
    names = [f"{i}.png" for i in range(good)] + list(pictures)
    for name in names:
        if (content := pictures.get(name, GOOD.getvalue())) is not None:
            (root / name).write_bytes(content)
    pd.DataFrame({"item": [f"i{n}" for n in names], "path": names}).to_csv(root / "items.csv", index=False)
    votes = pd.DataFrame({"item": [f"i{n}" for n in names], "annotator": "ann"})
    votes["label"] = [("cat", "dog")[i % 2] for i in range(len(names))]
    votes.to_csv(root / "annotations.csv", index=False)
    (root / "dataset.yaml").write_text("input: image\n")
    return root


@pytest.mark.parametrize("name", BAD)
def test_a_picture_that_is_none_is_one_message(name, tmp_path, capsys):
    root = write(tmp_path / "mine", {name: BAD[name]})
    assert main(["data", "check", str(root)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert f"mine/{name}" in error
    assert "row 2" in error


def test_directories_pipes_loops_and_endless_names(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    names = ["folder.png", "pipe.png", "loop.png", "dangling.png", "x" * 5000, "nul\0.png", "/dev/zero", ""]
    seen = examine_pictures([tmp_path / name for name in names])
    assert seen.bad == list(range(len(names)))


def test_all_bad_pictures_are_found_in_one_run(tmp_path, capsys):
    root = write(tmp_path / "mine", BAD | {f"gone{i}.png": None for i in range(12)})
    with pytest.raises(FaultyDataError) as raised:
        read_folder(root)
    faults = {fault.kind: fault for fault in raised.value.faults}
    assert faults["missing-image"].count == 12
    assert faults["missing-image"].rows == tuple(range(10, 15))
    assert faults["large-image"].rows == (4,)
    decoded = examine_folder(root, decode=True)
    assert sum(fault.count for fault in decoded.found.faults) == len(BAD) + 12
    assert {fault.kind for fault in decoded.found.faults} == set(UNREADABLE)
    assert decoded.data is None


def test_headers_are_read_also_where_a_size_is_given(tmp_path):
    root = write(tmp_path / "mine", {"gone.png": None})
    with pytest.raises(FaultyDataError):
        read_folder(root, image_size=8)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_eight_bits_is_read_as_rgb(mode, tmp_path):
    path = tmp_path / "x.tiff"
    try:
        Image.new(mode, (3, 2)).save(path)
    except (OSError, KeyError):
        pytest.skip("Pillow writes no such file")
    assert read_pixels(path).shape == (2, 3, 3)


def test_a_damaged_exif_block_is_one_message(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "x.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    content = path.read_bytes()
    start = content.index(b"Exif\0\0") + 6
    for kind in (b"XX*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"):
        path.write_bytes(content[:start] + kind + content[start + len(kind) :])
        with contextlib.suppress(PictureError):
            assert read_pixels(path).shape == (8, 8, 3)


def test_a_hair_of_a_picture_does_not_fill_the_memory(tmp_path):
    stripe = np.zeros((1, 60_000, 3), dtype=np.uint8)
    stripe[0, 29_992:30_008] = 255
    Image.fromarray(stripe).save(tmp_path / "hair.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    part = ImageFiles([tmp_path / "hair.png", tmp_path / "x.png"]).fetch(np.array([0]))
    assert part.shape == (1, 3, 128, 128)
    assert part.min() == 255, "the middle"


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros((3, 2)))
    return stream.getvalue()


ARRAYS = {
    "empty": b"",
    "one number": npy(np.array(3.0)),
    "archive": npz(),
    "damaged archive": npz()[:100],
    "objects": npy(np.array([{"a": 1}, None, 3], dtype=object)),
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94.",
    "text": npy(np.array(["a", "b", "c"])),
    "complex": npy(np.zeros((3, 2), dtype=complex)),
    "dates": npy(np.zeros((3, 2), dtype="datetime64[s]")),
    "records": npy(np.zeros(3, dtype=[("a", float)])),
    "cut": npy(np.zeros((3, 2)))[:-9],
    "head only": npy(np.zeros((3, 2)))[:20],
    "huge shape": npy(np.zeros((3, 2))).replace(b"(3, 2)", b"(3, 9999999999999999999)"[:6]),
    "one column too few": npy(np.zeros(3)),
    "no columns": npy(np.zeros((3, 0))),
    "too few rows": npy(np.zeros((2, 2))),
    "NaN": npy(np.array([[0, 1], [np.nan, 1], [2, 3]])),
    "infinity": npy(np.array([[0, 1], [2, 1], [np.inf, 3]], dtype=np.float16)),
    "beyond 32 bits": npy(np.array([[0, 1], [1e200, 1], [2, 3]])),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_none_is_one_message(name, tmp_path, capsys):
    root = tmp_path / "mine"
    root.mkdir()
    (root / "items.csv").write_text("item\na\nb\nc\n")
    (root / "annotations.csv").write_text("item,annotator,label\na,ann,cat\nb,ann,dog\n")
    (root / "dataset.yaml").write_text("input: vector\n")
    (root / "inputs.npy").write_bytes(ARRAYS[name])
    for argv in (["data", "check", str(root)], ["data", "check", "--quick", str(root)]):
        assert main(argv) == 2
        error = capsys.readouterr().err
        assert error.count("error: ") == 1
        assert "inputs" in error
    with pytest.raises(DataError):
        read_folder(root)


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.array([[[0.0, 255.0]]]), r"must lie in \[0, 1\], got 0 to 255\. Divide by 255"),
        (np.array([[[-1.0, 0.5]]], dtype=np.float32), r"must lie in \[0, 1\], got -1 to 0\.5"),
        (np.array([[[0, 255]]]), r"uint8, or float in \[0, 1\], got int64"),
        (np.array([[[np.nan, 255.0]]]), "NaN or infinity"),
    ],
)
def test_images_in_another_range_are_named_with_all_other_faults(pixels, sentence, tmp_path):
    (tmp_path / "items.csv").write_text("item\na\n")
    (tmp_path / "annotations.csv").write_text("item,annotator,label\na,ann,cat\nb,ann,cat\n")
    (tmp_path / "dataset.yaml").write_text("input: image\n")
    np.save(tmp_path / "inputs.npy", pixels)
    with pytest.raises(FaultyDataError, match=rf"inputs\.npy.*{sentence}") as raised:
        read_folder(tmp_path)
    assert len(raised.value.faults) == 2  # the unknown item b, too


def test_rows_that_are_not_finite():
    array = np.zeros((3000, 2))
    array[[5, 1500], [0, 1]] = np.nan, -np.inf
    array[2999] = 3e38
    assert find_not_finite(array).tolist() == [5, 1500]
    assert find_not_finite(np.zeros((0, 4))).tolist() == []
    assert find_not_finite(np.zeros((3, 4), dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("kind", [">f4", "<f8", ">i2", "u2", "?", "f2", "g"])
def test_numbers_of_every_kind_are_fetched(kind, tmp_path):
    values = np.arange(12).reshape(3, 2, 2) % 2
    np.save(tmp_path / "x.npy", values.astype(kind))
    part = ArrayInputs(read_array(tmp_path / "x.npy"), "image").fetch(np.array([2, 0]))
    np.testing.assert_array_equal(part.numpy(), values[[2, 0], None])


@pytest.mark.parametrize(
    "metadata",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"index_columns": 3}',
        '{"columns": {}}',
        '{"index_columns": ["item"], "columns": [], "column_indexes": []}',
    ],
)
def test_metadata_for_pandas_do_not_matter(metadata, tmp_path):
    root = write(tmp_path / "mine", {})
    table = pa.Table.from_pandas(pd.read_csv(root / "items.csv"), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"pandas": metadata}), root / "items.parquet")
    (root / "items.csv").unlink()
    assert read_folder(root).items == ("i0.png", "i1.png")


@pytest.mark.parametrize("damage", ["cut", "head", "tail", "empty", "csv"])
def test_a_damaged_parquet_file_is_one_message(damage, tmp_path, capsys):
    root = write(tmp_path / "mine", {})
    pd.read_csv(root / "items.csv").to_parquet(root / "items.parquet")
    content = (root / "items.parquet").read_bytes()
    bad = {
        "cut": content[:-50],
        "head": b"XXXX" + content[4:],
        "tail": content[:-8] + b"\xff" * 8,
        "empty": b"",
        "csv": (root / "items.csv").read_bytes(),
    }
    (root / "items.csv").unlink()
    (root / "items.parquet").write_bytes(bad[damage])
    if damage == "head":  # pyarrow reads the end of the file alone
        return
    assert main(["data", "check", str(root)]) == 2
    assert capsys.readouterr().err.count("error: ") == 1


def test_a_folder_name_is_no_column(tmp_path):
    (tmp_path / "group=birds").mkdir()
    root = write(tmp_path / "group=birds" / "mine", {})
    pd.read_csv(root / "items.csv").to_parquet(root / "items.parquet")
    (root / "items.csv").unlink()
    assert read_folder(root).groups == ()


def test_masks_are_examined_in_one_run(tmp_path):
    root = write(tmp_path / "mine", {"gone.png": None})
    (root / "masks").mkdir()
    Image.new("L", (6, 5)).save(root / "masks" / "0.png")
    Image.new("L", (7, 5)).save(root / "masks" / "1.png")
    (root / "masks" / "gone.png").write_bytes(PNG.getvalue()[:600])
    (root / "masks" / "unknown.png").write_bytes(GOOD.getvalue())
    (root / "masks" / "2.png").write_bytes(b"")
    examined = examine_folder(root, decode=True)
    kinds = {fault.kind: fault for fault in examined.found.faults}
    assert set(kinds) == {"missing-image", "mask-size", "mask-name", "damaged-mask"}
    assert kinds["mask-name"].count == 2
    assert "7 x 5 pixels" in kinds["mask-size"].found
    assert "masks/gone.png" in kinds["damaged-mask"].found


class _Images(Dataset[torch.Tensor]):
    """Images as a data module fetches them in a process of its own."""

    def __init__(self, inputs: ImageFiles) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.inputs.fetch(np.array([row]))[0]


def test_an_image_that_a_worker_cannot_decode_is_one_sentence(tmp_path, capsys):
    root = write(tmp_path / "mine", {"cut.png": PNG.getvalue()[:600]}, good=0)
    loader = DataLoader(_Images(ImageFiles([root / "cut.png"])), num_workers=1)
    with pytest.raises(DataError) as raised:
        list(loader)
    assert refuse(raised.value) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: Cannot decode the image")
    assert "cut.png" in line


@pytest.mark.parametrize(
    "argv",
    [
        ["data", "check", "LONG"],
        ["data", "import", "LONG"],
        ["data", "prepare", "digits-class", "--out", "LONG"],
        ["aggregate", "LONG", "-o", "x.csv"],
        ["report", "LONG"],
        ["elicit", "status", "LONG"],
    ],
)
def test_a_name_that_is_too_long_is_one_message(argv, capsys):
    assert main(["x" * 5000 if one == "LONG" else one for one in argv]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("meta", ["input:\n", "input: ~\n", "input: null\nname: x\n", "name: x\n", "input: []\n"])
def test_an_input_without_a_value_is_one_message(meta, tmp_path, capsys):
    root = write(tmp_path / "mine", {})
    (root / "dataset.yaml").write_text(meta)
    assert main(["data", "check", str(root)]) == 2
    assert "'input'" in capsys.readouterr().err


@pytest.mark.parametrize("licence", ["[CC0]", "{a: b}", "&a [*a]", "!!binary R0lG", "!!set {a}"])
def test_a_licence_that_is_no_text_is_one_message(licence, tmp_path, capsys):
    root = write(tmp_path / "mine", {})
    (root / "dataset.yaml").write_text(f"input: image\nlicence: {licence}\n")
    assert main(["data", "check", str(root)]) == 2
    assert capsys.readouterr().err.count("error: ") == 1


@pytest.mark.parametrize("licence", ["2026-01-01", "4.0", "yes", "010", "CC0 [/x]"])
def test_a_licence_is_read_as_written(licence, tmp_path, capsys):
    root = write(tmp_path / "mine", {})
    (root / "dataset.yaml").write_text(f"input: image\nlicence: {licence}\n")
    assert main(["data", "check", str(root)]) == 0
    assert licence in capsys.readouterr().out


PANDAS = {"list": "[]", "number": "3", "no columns": '{"index_columns": ["x"]}'}


@pytest.mark.parametrize("metadata", PANDAS)
def test_predictions_with_broken_metadata_are_read(metadata, tmp_path):
    root = write(tmp_path / "mine", {})
    data = read_folder(root)
    table = pa.table({"item": list(data.items), "prob_cat": [0.25, 1.0], "prob_dog": [0.75, 0.0]})
    pq.write_table(table.replace_schema_metadata({"pandas": PANDAS[metadata]}), tmp_path / "p.parquet")
    np.testing.assert_array_equal(read_probs(tmp_path / "p.parquet", data), [[0.25, 0.75], [1, 0]])


@pytest.mark.parametrize("name", ["label_errors.parquet", "annotators.parquet"])
def test_a_report_names_a_damaged_table(name, tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    table = pa.table({"item": ["a"]}).replace_schema_metadata({"pandas": "[]"})
    pq.write_table(table, tmp_path / name)
    with pytest.raises(RunError, match=name):
        read_run(tmp_path)
