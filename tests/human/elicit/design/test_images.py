import hashlib
import re

import numpy as np
import pytest
from PIL import Image

from hilmix.errors import DataError
from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.images import Mix, check_images, hash_data, write_images
from hilmix.human.elicit.design.settings import Design
from hilmix.human.study import render_mix
from tests.human.elicit.study_data import pictures

MIXES = [Mix(0, 1, 0.25), Mix(3, 2, 1.0), Mix(0, 1, 0.25), Mix(0, 1, 0.75)]


@pytest.mark.parametrize("channels", [1, 3])
def test_files_hold_what_the_display_renderer_gives(tmp_path, channels):
    data = pictures(channels=channels)
    written = write_images(data, MIXES, tmp_path, seed=0)
    assert len(written) == 3
    for mix, picture in written.items():
        a, b = data.inputs.array[mix.first], data.inputs.array[mix.second]
        with Image.open(tmp_path / picture.name) as image:
            assert image.format == "PNG"
            assert image.size == (4, 5)
            shown = np.asarray(image).reshape(a.shape)
        assert np.array_equal(shown, render_mix(a, b, mix.weight))
        assert picture.sha256 == hashlib.sha256(shown.tobytes()).hexdigest()


def test_names_are_opaque_and_follow_from_the_seed(tmp_path):
    names = []
    for seed in (0, 0, 1):
        folder = tmp_path / str(len(names))
        folder.mkdir()
        written = write_images(pictures(), MIXES, folder, seed=seed)
        names.append({mix: picture.name for mix, picture in written.items()})
        assert all(re.fullmatch(r"[0-9a-f]{16}\.png", name) for name in names[-1].values())
        assert len(set(names[-1].values())) == 3
    assert names[0] == names[1]
    assert not set(names[0].values()) & set(names[2].values())


def test_more_images_than_fit_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("hilmix.human.elicit.design.images._AT_ONCE", 2)
    data = pictures()
    in_parts = write_images(data, MIXES, tmp_path, seed=0), hash_data(data, np.arange(7))
    monkeypatch.undo()
    assert in_parts == (write_images(data, MIXES, tmp_path, seed=0), hash_data(data, np.arange(7)))


def test_the_hash_of_the_data_is_over_names_and_pixels_of_the_items_in_use():
    data, total = pictures(), hashlib.sha256()
    for row in (2, 5):
        total.update(f"i{row}".encode() + b"\0" + data.inputs.array[row].tobytes())
    assert hash_data(data, np.array([5, 2, 5])) == total.hexdigest()


def test_pictures_that_are_not_those_of_the_manifest_are_named(tmp_path):
    study = build_study(pictures(), tmp_path / "s", Design(tasks=("infer",), pairs=4, per_batch=4))
    check_images(study, tmp_path / "s")
    file = tmp_path / "s" / "images" / study.stimuli[1].images[0]
    with Image.open(file) as image:
        pixels = np.array(image)
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(file)
    with pytest.raises(DataError, match=rf"{file.name}: .*pixels.*stimulus 1"):
        check_images(study, tmp_path / "s")
    file.write_text("no picture")
    with pytest.raises(DataError, match=rf"Cannot read .*{file.name}, which stimulus 1 shows"):
        check_images(study, tmp_path / "s")
    file.unlink()
    with pytest.raises(DataError, match=rf"Cannot read .*{file.name}, .*stimulus 1"):
        check_images(study, tmp_path / "s")
