"""Masks of a data folder: drawn in a paint program, or one array; whatever is wrong names its file."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.folder.masks import ANNOTATOR, read_mask
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.masks import Masks
from hilmix.errors import DataError

WIDTH, HEIGHT = 6, 4
BLOB = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
BLOB[1:3, 2:] = 255


def save(path, pixels, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return path


@pytest.fixture
def root(tmp_path):
    """A folder of three photographs; "b" lies in a sub-folder of its own, the item "second" is called after no file."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "dataset.yaml").write_text("input: image\n")
    (folder / "items.csv").write_text(
        "item,path,group\na,images/a.jpg,plain\nsecond,images/x/b.jpg,\nc,images/c.jpg,patch\n"
    )
    (folder / "annotations.csv").write_text("item,annotator,label\na,ann,cat\nc,ann,dog\n")
    for name in ("a", "x/b", "c"):
        save(folder / "images" / f"{name}.jpg", np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    return folder


def masks_of(root, **settings):
    masks = read_folder(root, **settings).masks
    assert masks is not None
    return masks


def test_a_folder_without_masks_has_none(root):
    assert read_folder(root).masks is None
    (root / "masks").mkdir()
    assert read_folder(root).masks is None


def test_groups_are_names_and_may_be_empty(root):
    data = read_folder(root)
    assert data.groups == ("patch", "plain")
    assert data.group.tolist() == [1, -1, 0]


@pytest.mark.parametrize("name", ["b.png", "second.png", "images/x/b.png", "images/x/b.jpg.png"])
def test_a_picture_is_found_by_its_file_or_its_item(root, name):
    save(root / "masks" / name, BLOB)
    masks = masks_of(root)
    assert masks.annotators == (ANNOTATOR,)
    assert masks.explained.tolist() == [False, True, False]
    assert masks.fetch(np.arange(3))[:, 0].tolist() == [(BLOB * k).tolist() for k in (0, 1, 0)]


def test_the_name_of_the_file_goes_before_that_of_another_item(root):
    (root / "items.csv").write_text("item,path\n1,images/c.jpg\na,images/x/b.jpg\nb,images/a.jpg\n")
    (root / "annotations.csv").write_text("item,annotator,label\na,ann,cat\n")
    save(root / "masks" / "a.png", BLOB)
    assert masks_of(root).item.tolist() == [2]


def test_several_people_draw_into_folders_of_their_own(root):
    save(root / "masks" / "bob" / "a.png", BLOB)
    save(root / "masks" / "ann" / "a.png", 255 - BLOB)
    save(root / "masks" / "ann" / "c.png", BLOB)
    (root / "masks" / ".DS_Store").write_text("hidden")
    masks = masks_of(root)
    assert masks.annotators == ("ann", "bob")
    assert list(zip(masks.item.tolist(), masks.annotator.tolist(), strict=True)) == [(0, 0), (0, 1), (2, 0)]
    assert masks.fetch(np.array([0])).unique().tolist() == [255]
    assert masks.fetch(np.array([0]), "agreement").unique().tolist() == [0.5]


GREY = BLOB // 3
LAYER = np.dstack([np.full_like(BLOB, 200), 90 * np.ones_like(BLOB), 0 * BLOB, BLOB])


@pytest.mark.parametrize(
    ("picture", "expected"),
    {
        "black and white": (BLOB, BLOB),
        "grey counts in part": (GREY, GREY),
        "one bit": (BLOB > 0, BLOB),
        "RGB": (np.dstack([BLOB] * 3), BLOB),
        "an opaque alpha channel says nothing": (np.dstack([BLOB] * 3 + [np.full_like(BLOB, 255)]), BLOB),
        "painted on a transparent layer, in any colour": (LAYER, BLOB),
        "brushed softly": (np.dstack([0 * BLOB, GREY]), GREY),
    }.values(),
)
def test_what_a_picture_marks(tmp_path, picture, expected):
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", picture)), expected)


def test_a_palette_with_a_transparent_colour(tmp_path):
    picture = Image.fromarray(BLOB // 255, mode="P")
    picture.putpalette([0, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "m.gif", transparency=0)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.gif"), BLOB)


def test_a_mask_saved_as_jpeg_is_nearly_what_was_drawn(tmp_path):
    path = save(tmp_path / "m.jpg", np.kron(np.dstack([BLOB] * 3), np.ones((8, 8, 1), dtype=np.uint8)), quality=90)
    assert np.abs(read_mask(path).astype(int) - np.kron(BLOB, np.ones((8, 8), dtype=int))).mean() < 5


def test_a_mask_is_resized_and_cropped_like_its_image(root):
    """Images that are their own masks stay equal to them."""
    rng = np.random.default_rng(0)
    for name, height in (("a", 9), ("x/b", 12), ("c", 31)):
        pixels = rng.integers(0, 256, (height, 14), dtype=np.uint8)
        save(root / "images" / f"{name}.png", np.dstack([pixels] * 3))
        save(root / "masks" / f"{name.removeprefix('x/')}.png", pixels)
    table = (root / "items.csv").read_text().replace(".jpg", ".png")
    (root / "items.csv").write_text(table)
    data = read_folder(root, image_size=8)
    assert data.masks is not None
    images, masks = data.inputs.fetch(np.arange(3)), data.masks.fetch(np.arange(3))
    assert masks.shape == (3, 1, 8, 8)
    assert torch.equal(images[:, :1], masks)


def test_masks_of_images_in_an_array(root):
    (root / "items.csv").write_text("item\nfirst/one.jpg\nsecond\nc\n")
    (root / "annotations.csv").write_text("item,annotator,label\nc,ann,cat\n")
    np.save(root / "inputs.npy", np.zeros((3, HEIGHT, WIDTH, 3), dtype=np.uint8))
    save(root / "masks" / "first" / "one.png", BLOB)
    save(root / "masks" / "bob" / "c.png", BLOB)
    masks = masks_of(root)
    assert (masks.item.tolist(), [masks.annotators[a] for a in masks.annotator]) == ([0, 2], [ANNOTATOR, "bob"])


@pytest.mark.parametrize(
    ("files", "message"),
    {
        "no item": ({"z.png": BLOB}, r"The mask .*z\.png belongs to no item"),
        "no item of a person": ({"ann/z.png": BLOB}, r"ann/z\.png belongs to no item"),
        "another size": ({"a.png": BLOB.T}, r"a\.png has 4 x 6 pixels, its image .*a\.jpg 6 x 4"),
        "twice": ({"a.png": BLOB, "a.bmp": BLOB}, r"a\.bmp and .*a\.png .*one item.*one annotator"),
    }.values(),
)
def test_pictures_that_do_not_fit_are_named(root, files, message):
    for name, pixels in files.items():
        save(root / "masks" / name, pixels)
    with pytest.raises(DataError, match=message):
        read_folder(root)


def test_a_name_of_two_files_is_refused(root):
    (root / "items.csv").write_text("item,path\na,images/a.jpg\nsecond,images/x/a.jpg\n")
    (root / "annotations.csv").write_text("item,annotator,label\na,ann,cat\n")
    save(root / "images" / "x" / "a.jpg", np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    save(root / "masks" / "second.png", BLOB)
    assert masks_of(root).item.tolist() == [1]
    save(root / "masks" / "images" / "a.png", BLOB)
    assert masks_of(root).item.tolist() == [0, 1]
    (root / "items.csv").write_text("item,path\nfirst,images/a.jpg\nsecond,images/x/a.jpg\n")
    (root / "annotations.csv").write_text("item,annotator,label\nfirst,ann,cat\n")
    save(root / "masks" / "a.png", BLOB)
    with pytest.raises(DataError, match=r"a\.png may belong to 'first' or 'second'"):
        read_folder(root)


def test_a_whole_name_goes_before_a_part_of_one(root):
    (root / "items.csv").write_text("item\n1\n1.5\nsub/1\n")
    (root / "annotations.csv").write_text("item,annotator,label\n1,ann,cat\n")
    np.save(root / "inputs.npy", np.zeros((3, HEIGHT, WIDTH, 3), dtype=np.uint8))
    for name in ("1", "1.5", "sub/1", "ann/1.5"):
        save(root / "masks" / f"{name}.png", BLOB)
    masks = masks_of(root)
    found = [(i, masks.annotators[a]) for i, a in zip(masks.item.tolist(), masks.annotator, strict=True)]
    assert found == [(0, ANNOTATOR), (1, "ann"), (1, ANNOTATOR), (2, ANNOTATOR)]


def test_unreadable_and_coloured_pictures_are_named(root):
    path = root / "masks" / "a.png"
    path.parent.mkdir()
    path.write_text("no picture")
    with pytest.raises(DataError, match=r"mask .*a\.png.*PNG"):
        read_folder(root)
    save(path, np.dstack([BLOB, 0 * BLOB, 0 * BLOB]))
    masks = masks_of(root)
    with pytest.raises(DataError, match=r"The mask .*a\.png has colours.*transparent layer"):
        masks.fetch(np.arange(3))
    save(path, (BLOB > 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"The mask .*a\.png holds only 0 and 1"):
        masks.fetch(np.arange(3))
    path.write_bytes(path.read_bytes()[:44])
    with pytest.raises(DataError, match=r"Cannot decode the mask .*a\.png"):
        masks.fetch(np.arange(3))


def stored(root, array, table="item,annotator,row\nc,bob,1\na,ann,0\n"):
    np.save(root / "masks.npy", array)
    (root / "masks.csv").write_text(table)
    return root


def test_masks_from_an_array(root):
    array = np.stack([BLOB, GREY])
    masks = masks_of(stored(root, array))
    assert masks.annotators == ("ann", "bob")
    assert masks.fetch(np.arange(3))[:, 0].tolist() == [BLOB.tolist(), (0 * BLOB).tolist(), GREY.tolist()]
    masks = masks_of(stored(root, array / 255, "item\nc\na\n"))
    assert masks.annotators == (ANNOTATOR,)
    np.testing.assert_allclose(masks.fetch(np.arange(3))[:, 0], np.stack([GREY, 0 * BLOB, BLOB]) / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "table", "message"),
    {
        "unknown item": (BLOB[None], "item\nz\n", "masks.csv: item, row 0: 'z' is unknown"),
        "empty": (BLOB[None], "item,annotator\na,\n", "masks.csv, row 0: 'annotator' is empty"),
        "no item": (BLOB[None], "picture\na\n", "masks.csv: column 'item' is missing"),
        "row": (BLOB[None], "item,row\na,1\n", "need rows 1 to 1, masks.npy has 1 rows"),
        "twice": (BLOB[None], "item,row\na,0\na,0\n", "masks.csv: .*item number 0.*'someone'"),
        "shape": (BLOB.T[None], "item\na\n", r"masks.csv: .*\(3, 4, 6\).*got \(1, 6, 4\)"),
        "scale": (BLOB[None] * 1.0, "item\na\n", "masks.npy .*got 0 to 255"),
        "nan": (BLOB[None] * np.nan, "item\na\n", "masks.npy .*got nan to nan"),
        "integers": (BLOB[None].astype(int), "item\na\n", "masks.npy .*got int64"),
        "0 and 1": (BLOB[None] // 255, "item\na\n", "only 0 and 1 as uint8, where 255 means irrelevant"),
    }.values(),
)
def test_arrays_that_do_not_fit_are_named(root, array, table, message):
    with pytest.raises(DataError, match=message):
        read_folder(stored(root, array, table))


def test_one_of_two_ways_and_all_of_it(root):
    np.save(root / "masks.npy", BLOB[None])
    with pytest.raises(DataError, match=r"masks\.npy and a table .* are needed together"):
        read_folder(root)
    save(root / "masks" / "a.png", BLOB)
    with pytest.raises(DataError, match="holds both pictures"):
        read_folder(root)


@pytest.mark.parametrize("channels", [0, 3, None])
def test_round_trip(tmp_path, channels):
    """Images with one-channel and channel-wise masks, and vectors."""
    rng = np.random.default_rng(0)
    shape = (7,) if channels is None else (5, 4)
    images = ArrayInputs(
        rng.random((4, *shape, *([3] if channels is not None else []))), "image" if len(shape) == 2 else "vector"
    )
    array = rng.random((3, *shape, *([channels] if channels else []))).astype(np.float32)
    masks = Masks.build(
        [2, 0, 2, 1],
        [0, 0, 1, 1],
        ArrayInputs(array, images.kind),
        num_items=4,
        annotators=["7", "10"],
        picture=[2, 0, 2, 0],
    )
    data = AnnotatedData(
        "toy",
        tuple("abcd"),
        images,
        Annotations.from_dense([[0], [1], [0], [1]]),
        masks=masks,
        group=np.array([1, -1, 0, 1]),
        groups=("left", "right"),
    )
    back = read_folder(write_folder(data, tmp_path / "out"))
    assert (back.groups, back.group.tolist()) == (("left", "right"), [1, -1, 0, 1])
    assert back.masks.annotators == ("7", "10")
    assert len(back.masks.pictures) == 2, "a shared picture is stored once, an unused one not at all"
    for how in ("union", "agreement"):
        assert torch.equal(back.masks.fetch(np.arange(4), how), masks.fetch(np.arange(4), how))
    table = pd.read_parquet(tmp_path / "out" / "masks.parquet")
    assert table["item"].tolist() == ["a", "b", "c", "c"]
    nothing = Masks.build([], [], ArrayInputs(array, images.kind), num_items=4, annotators=[])
    assert read_folder(write_folder(replace(data, masks=nothing), tmp_path / "none")).masks is None


def test_vectors_have_no_pictures(root):
    (root / "dataset.yaml").write_text("input: vector\n")
    (root / "items.csv").write_text("item\na\nc\n")
    np.save(root / "inputs.npy", np.zeros((2, 5)))
    save(root / "masks" / "a.png", BLOB)
    with pytest.raises(DataError, match=r"masks .*dataset.yaml.*'input: vector'"):
        read_folder(root)
