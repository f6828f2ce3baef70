"""Seeded mutations of whole data folders: bytes, cells, keys, types, arrays, pictures, names of files."""

import io
import os
import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from PIL import Image

from tests.data.folder.mutations_tables import CSV, PARQUET, Way
from tests.nasty import NASTY

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    10**30,
    "",
    " ",
    "x",
    "image",
    "vector",
    "exchangeable",
    [],
    ["cat"],
    ["cat", "cat"],
    ["cat", None],
    [1, 2],
    [["cat"], ["dog"]],
    [{}],
    {},
    {"cat": "dog"},
    {1: 2},
    date(2020, 1, 1),
    b"bytes",
    ["cat", "dog", "cow"],
    ["Cat", "cat"],
    [True, False],
    ["x" * 3000, "y"],
    *NASTY[:6],
)
YAML = (
    "",
    "- a\n- b\n",
    "just text",
    "42",
    "null",
    "input: image\ninput: vector\n",
    "input: [image\n",
    "a: &a [*a]\n",
    "\tinput: image",
    "input: image\n--- \ninput: vector\n",
    "!!python/object/apply:os.system ['true']",
    "input: !!binary |\n  R0lG\n",
    "? [a, b]\n: c\n",
    "input: image\nclasses: !!set {cat, dog}\n",
    "input: image\nlicence: 2026-13-45\n",
    "&a input: image\n*a : x\n",
    "input: image\n\x07: 1\n",
    "{" * 200,
    "input: image\nname: 0o17\n",
    "input: image\nclasses: [001, 010, yes, 1.10]\n",
    "1: 2\nnull: 3\n",
)


def make(root: Path, kind: str) -> None:
    """A sound folder: ``images`` and masks drawn, ``vectors`` as arrays and Parquet, or ``soft`` answers."""
    root.mkdir()
    rng, number = np.random.default_rng(7), 8
    items = pd.DataFrame({"item": [f"i{k}" for k in range(number)], "target": ["cat", "dog"] * 4})
    items["split"] = ["train"] * 6 + ["val", "test"]
    items["group"] = ["a", "b"] * 4
    votes = pd.DataFrame({"item": np.repeat(items["item"], 2), "annotator": ["ann", "bob"] * number})
    meta = {"name": "fuzz", "input": "vector", "classes": ["cat", "dog"], "licence": "CC0"}
    if kind == "soft":
        share = rng.integers(1, 9, 2 * number) / 10
        votes = votes.assign(prob_cat=share, prob_dog=1 - share, confidence=0.5, seconds=1.5)
    else:
        votes["label"] = rng.permutation(["cat", "dog"] * number)
    if kind == "images":
        meta["input"] = "image"
        (root / "masks" / "ann").mkdir(parents=True)
        items["path"] = [f"{k}.{('png', 'jpg')[k % 2]}" for k in range(number)]
        for k, name in enumerate(items["path"]):
            Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(root / name)
            if k < 3:
                Image.new("L", (5, 6), 255).save(root / "masks" / ("ann" if k else "") / f"{k}.png")
    else:
        np.save(root / "inputs.npy", rng.normal(size=(number, 3)).astype(np.float32))
        items["row"] = range(number)
        np.save(root / "masks.npy", rng.random((2, 3)))
        pd.DataFrame({"item": ["i0", "i1"], "annotator": "ann"}).to_csv(root / "masks.csv", index=False)
        pd.DataFrame({"annotator": ["ann", "bob"], "age": [30, 40]}).to_csv(root / "annotators.csv", index=False)
    suffix = "parquet" if kind == "vectors" else "csv"
    for stem, table in (("items", items), ("annotations", votes)):
        getattr(table, f"to_{suffix}")(root / f"{stem}.{suffix}", index=False)
    (root / "dataset.yaml").write_text(yaml.safe_dump(meta))


def mutate(root: Path, seed: int) -> str:
    """Changes one or two things of a folder; returns what."""
    rng = random.Random(seed)
    done = []
    for _ in range(rng.choice([1, 1, 1, 2])):
        files = sorted(path for path in root.rglob("*") if path.is_file())
        if not files:
            break
        file = rng.choice(files)
        ways = {".csv": CSV, ".parquet": PARQUET, ".npy": ARRAYS, ".yaml": META, ".png": PICTURES, ".jpg": PICTURES}
        way = rng.choice([*ways.get(file.suffix, ()) * 5, *BYTES])
        done.append(f"{way.__name__} {file.relative_to(root)}")
        try:
            way(file, rng)
        except (ValueError, OSError, pa.ArrowException):  # an earlier change has left nothing to change in this way
            _flip(file, rng)
    return f"seed {seed}: {', '.join(done)}"


def _cut(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content) + 1)])


def _flip(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 2, 8, 64])):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(bytes(content))


def _insert(file: Path, rng: random.Random) -> None:
    content, place = file.read_bytes(), rng.randrange(file.stat().st_size + 1)
    file.write_bytes(content[:place] + rng.randbytes(rng.choice([1, 4, 100])) + content[place:])


def _swap(file: Path, rng: random.Random) -> None:
    others = sorted(path for path in file.parent.iterdir() if path.is_file() and path != file)
    if others:
        file.write_bytes(rng.choice(others).read_bytes())


def _delete(file: Path, rng: random.Random) -> None:
    file.unlink()


def _directory(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()


def _link(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.symlink_to(rng.choice([file.name, "nowhere", "/dev/null", ".."]))


def _stray(file: Path, rng: random.Random) -> None:
    names = [
        b"\xff.png",
        b"[bold].png",
        b".hidden.png",
        b"a.txt",
        b"i0.png",
        b"0.png.png",
        b"line\nbreak.png",
        b"x" * 200,
    ]
    folder = rng.choice([file.parent, file.parent / "masks", file.parent / "masks" / "ann" / "deep"])
    folder.mkdir(parents=True, exist_ok=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + rng.choice(names))).write_bytes(file.read_bytes())


BYTES: list[Way] = [_cut, _flip, _flip, _insert, _swap, _delete, _directory, _link, _stray]


def _array(file: Path, rng: random.Random) -> None:
    old = np.zeros((8, 3)) if "inputs" in file.name else np.ones((2, 3))
    ways: list[Any] = [
        np.array(3.0),
        np.array(None, dtype=object),
        np.array(["a"] * 8),
        old.astype(complex),
        old.astype(">f4"),
        old[:1],
        old[:0],
        old.T,
        old[:, :0],
        np.zeros((8, 4, 4, 3), np.uint8),
        np.zeros((8, 4, 4, 9)),
        np.full(old.shape, np.nan),
        old.ravel(),
        np.full(old.shape, np.inf),
        np.full(old.shape, 1e300),
        old.astype(bool),
        np.zeros((8, 0, 4)),
        old.astype(np.float16),
        np.zeros(8, dtype=[("a", "f4")]),
        old - 1,
        old.astype(np.int64) * 7,
        old.astype("M8[s]"),
        old.astype(np.longdouble),
    ]
    stream = io.BytesIO()
    if rng.random() < 0.1:
        np.savez(stream, a=old)
    else:
        np.save(stream, rng.choice(ways), allow_pickle=True)
    file.write_bytes(stream.getvalue())


def _array_header(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    ways = [
        (b"(8, 3)", b"(9, 9)"),
        (b"(8, 3)", b"(-8,3)"),
        (b"(8, 3)", b"[8, 3]"),
        (b"(8, 3)", b"('a',)"),
        (b"<f4", b"|O8"),
        (b"<f4", b"<q4"),
        (b"False", b"True "),
        (b"'shape'", b"'shepa'"),
        (b"{", b"("),
        (b"(2, 3)", b"(2, 2)"),
    ]
    old, new = rng.choice(ways)
    file.write_bytes(content.replace(old, new))


ARRAYS: list[Way] = [_array, _array, _array_header]


def _key(file: Path, rng: random.Random) -> None:
    meta = {
        "name": "fuzz",
        "input": "image" if (file.parent / "masks").is_dir() else "vector",
        "classes": ["cat", "dog"],
        "licence": "CC0",
    }
    keys = [*meta, "identity", "missing", "duplicates", "license", 3, None]
    for _ in range(rng.choice([1, 1, 2])):
        meta[rng.choice(keys)] = rng.choice(VALUES)  # type: ignore[index]
    file.write_text(yaml.safe_dump(meta, allow_unicode=rng.random() < 0.5), encoding="utf-8")


def _yaml(file: Path, rng: random.Random) -> None:
    file.write_text(rng.choice(YAML), encoding="utf-8")


META: list[Way] = [_key, _key, _key, _yaml]


def _picture(file: Path, rng: random.Random) -> None:
    mode = rng.choice(["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F", "RGB", "YCbCr"])
    size = rng.choice([(5, 6), (6, 5), (1, 1), (1, 300), (300, 2)])
    kind = rng.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA"])
    stream = io.BytesIO()
    try:
        Image.new(mode, size, rng.choice([0, 1])).save(stream, kind)
    except (OSError, KeyError, ValueError, TypeError):  # Pillow writes no such file
        Image.new("RGB", size).save(stream, "PNG")
    file.write_bytes(stream.getvalue())


def _other_file(file: Path, rng: random.Random) -> None:
    from tests.data.folder.test_bad_files import BAD

    file.write_bytes(rng.choice(sorted(BAD.values())))


PICTURES: list[Way] = [_picture, _picture, _other_file]
