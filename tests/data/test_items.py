"""Inputs in arrays and in image files, and the checks of annotated data."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.inputs import MIXED_SIZE, ArrayInputs, ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError


@given(
    shape=st.sampled_from([(5, 4, 3), (5, 4, 3, 1), (5, 4, 3, 3), (5, 4, 3, 4)]),
    dtype=st.sampled_from(["uint8", "float32", "float64"]),
    rows=st.lists(st.integers(0, 4), max_size=7),
)
def test_array_images_are_channels_first_and_keep_uint8(shape, dtype, rows):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    inputs = ArrayInputs(array, "image")
    part = inputs.fetch(np.array(rows, dtype=np.int64))
    channels = shape[3] if len(shape) == 4 else 1
    assert inputs.shape == (channels, 4, 3)
    assert part.shape == (len(rows), channels, 4, 3)
    assert part.dtype == (torch.uint8 if dtype == "uint8" else torch.float32)
    for b, n in enumerate(rows):
        for c in range(channels):
            np.testing.assert_array_equal(part[b, c], array[n, :, :, c] if len(shape) == 4 else array[n])


def test_vectors_become_float32():
    inputs = ArrayInputs(np.array([[1, 2], [3, 4]], dtype=np.int16), "vector")
    assert inputs.shape == (2,)
    assert torch.equal(inputs.fetch(np.array([1])), torch.tensor([[3.0, 4.0]]))


def test_fetched_tensors_are_copies():
    array = np.zeros((2, 3), dtype=np.float32)
    ArrayInputs(array, "vector").fetch(np.array([0, 1])).add_(1)
    assert not array.any()


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((3,), "vector", r"\(N, D\), got \(3,\)"),
        ((3, 2, 2), "vector", r"\(N, D\), got \(3, 2, 2\)"),
        ((3, 2), "image", r"'image'.*got \(3, 2\)"),
        ((3, 2, 2, 5), "image", "at most 4 channels last"),
        ((3, 1, 2, 2, 2), "image", r"got \(3, 1, 2, 2, 2\)"),
    ],
)
def test_arrays_of_the_wrong_shape_are_refused(shape, kind, message):
    with pytest.raises(DataError, match=message):
        ArrayInputs(np.zeros(shape), kind)


@pytest.fixture
def save(tmp_path):
    def write(name, pixels, mode=None):
        path = tmp_path / name
        Image.fromarray(np.asarray(pixels, dtype=np.uint8), mode).save(path)
        return path

    return write


def test_files_of_one_size_keep_it_and_their_pixels(save):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    files = ImageFiles([save(f"{i}.png", p) for i, p in enumerate(pixels)])
    assert files.shape == (3, 5, 7)
    part = files.fetch(np.array([1, 0]))
    assert part.dtype == torch.uint8
    np.testing.assert_array_equal(part.permute(0, 2, 3, 1), pixels[[1, 0]])


def test_grey_palette_and_transparent_files_become_rgb(save, tmp_path):
    grey = save("grey.png", np.full((4, 4), 7))
    alpha = save("alpha.png", np.full((4, 4, 4), 9))
    Image.new("P", (4, 4)).save(tmp_path / "palette.png")
    part = ImageFiles([grey, alpha, tmp_path / "palette.png"]).fetch(np.arange(3))
    assert part.shape == (3, 3, 4, 4)
    assert (part[0] == 7).all()
    assert (part[1] == 9).all()


def test_mixed_sizes_are_brought_to_one(save):
    wide, tall = save("wide.png", np.full((10, 30, 3), 50)), save("tall.png", np.full((300, 140, 3), 60))
    files = ImageFiles([wide, tall])
    assert files.shape == (3, MIXED_SIZE, MIXED_SIZE)
    part = files.fetch(np.arange(2))
    assert part.shape == (2, 3, MIXED_SIZE, MIXED_SIZE)
    assert (part[0] == 50).all()
    assert (part[1] == 60).all()


def test_the_centre_is_cropped_and_not_squeezed(save):
    pixels = np.zeros((8, 24, 3))
    pixels[:, 8:16] = 200
    part = ImageFiles([save("stripe.png", pixels)], size=8).fetch(np.array([0]))
    assert (part == 200).all()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        ImageFiles([tmp_path / "gone.png"])


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"Cannot read .*text\.png"):
        ImageFiles([tmp_path / "text.png"])


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg"])
def test_a_truncated_image_is_named_when_it_is_decoded(save, name):
    path = save(name, np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    path.write_bytes(path.read_bytes()[:1000])
    files = ImageFiles([path])
    with pytest.raises(DataError, match=rf"Cannot decode the image .*{name}"):
        files.fetch(np.array([0]))


def make(**changes):
    arguments = {
        "name": "mine",
        "items": ("a", "b"),
        "inputs": ArrayInputs(np.zeros((2, 3)), "vector"),
        "annotations": Annotations.from_dense([[0], [1]]),
    }
    return AnnotatedData(**(arguments | changes))


def test_defaults_are_no_truth_and_no_split():
    data = make()
    assert data.target.tolist() == [-1, -1]
    assert data.target.dtype == np.int64
    assert data.split is None
    assert (len(data), data.classes) == (2, ("0", "1"))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"inputs": ArrayInputs(np.zeros((3, 3)), "vector")}, "'inputs': 3"),
        ({"annotations": Annotations.from_dense([[0]])}, "'annotations': 1"),
        ({"target": np.array([0, 1, 0])}, "'target': 3"),
        ({"split": np.array(["train"])}, "'split': 1"),
    ],
)
def test_row_counts_must_agree(changes, wrong):
    with pytest.raises(DataError, match=f"mine: 2 items, but other row counts in .*{wrong}"):
        make(**changes)


def test_a_photograph_is_read_as_a_viewer_shows_it(tmp_path) -> None:
    """Orientation 6: stored lying, to be turned clockwise by 90 degrees."""
    stored = np.zeros((20, 40, 3), dtype=np.uint8)
    stored[:, :20] = 255  # the left half, which is on top once turned
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    inputs = ImageFiles([tmp_path / "phone.jpg"])
    assert inputs.shape == (3, 40, 20)
    image = inputs.fetch(np.array([0]))[0].float()
    assert image[:, :18].min() > 200
    assert image[:, 22:].max() < 55


def test_pixels_of_sixteen_bits_are_refused_not_cut_off(tmp_path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "wide.png")
    with pytest.raises(DataError, match=r"wide\.png has more than 8 bits per channel"):
        ImageFiles([tmp_path / "wide.png"]).fetch(np.array([0]))
