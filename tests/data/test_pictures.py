"""Pictures as a viewer shows them; what cannot be read is named with its remedy. More in test_items.py."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from hilmix.data.pictures import open_picture, read_picture, read_upright_size
from hilmix.errors import DataError


def lying(path: Path) -> Path:
    """Six pixels wide and four high as stored; to be turned by a quarter, red then below."""
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[:, :3, 0] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    Image.fromarray(np.kron(pixels, np.ones((8, 8, 1), dtype=np.uint8))).save(path, exif=exif)
    return path


def test_pictures_stand_upright(tmp_path: Path) -> None:
    path = lying(tmp_path / "x.jpg")
    picture = read_picture(path)
    assert picture.size == read_upright_size(path) == (32, 48)
    red = np.asarray(picture)[..., 0]
    assert red[30:].min() > 200
    assert red[:18].max() < 50


def test_the_caller_says_what_it_is_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(DataError, match=r"Cannot read the mask .*x\.png.*Draw it again\."):
        open_picture(tmp_path / "x.png", what="mask", remedy="Draw it again.")
    lying(tmp_path / "y.jpg")
    (tmp_path / "y.jpg").write_bytes((tmp_path / "y.jpg").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"Cannot decode the mask .*y\.jpg.*Draw it again\."):
        read_picture(tmp_path / "y.jpg", what="mask", remedy="Draw it again.")
