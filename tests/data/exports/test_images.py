"""Images of items: by relative path, file name, or name without extension, whichever is one-to-one."""

import pytest

from hilmix.data.exports.images import match_images
from hilmix.errors import DataError
from tests.commands.exports import write_photos


@pytest.mark.parametrize(
    ("cells", "way"),
    [
        (["a/1.png", "b/1.png"], "relative path"),
        (["/home/me/set/a/1.png", "C:\\set\\b\\1.png"], "relative path"),
        (["https://host.example.com/set/a/1.png?key=x", "/data/local-files/?d=set/b/1.png"], "relative path"),
        (["https://host.example.com/x/c%202.png", "c/3.x.png"], "file name"),
        (["c 2", "3.x"], "name without extension"),
        (["c 2.jpg", "3.x.tif"], "name without extension"),
    ],
)
def test_cells_of_many_kinds_name_their_image(tmp_path, cells, way):
    folder = write_photos(tmp_path / "set", "a/1.png", "b/1.png", "d/c 2.png", "d/3.x.png", ".hidden/4.png")
    (folder / "notes.txt").write_text("no image")
    match = match_images(cells, folder)
    expected = ["a/1.png", "b/1.png"] if way == "relative path" else ["d/c 2.png", "d/3.x.png"]
    assert [match.files[place].relative_to(folder).as_posix() for place in match.file] == expected
    assert match.way == way
    assert {file.relative_to(folder).as_posix() for file in match.surplus} == (
        {"a/1.png", "b/1.png", "d/c 2.png", "d/3.x.png"} - set(expected)
    )


def test_the_way_that_finds_most_is_taken(tmp_path):
    folder = write_photos(tmp_path / "set", "x/1.png", "2.png")
    match = match_images(["1.png", "2.png", "3.png"], folder)
    assert (match.way, match.file.tolist()) == ("file name", [1, 0, -1])


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (["1"], "'1' may be any of 2 images"),
        (["x/3.png", "y/3.png"], "2 items name the image '3.png'"),
        (["nothing"], "of 4 images, none is called 'nothing'"),
    ],
)
def test_what_is_not_one_to_one_is_refused(tmp_path, cells, sentence):
    folder = write_photos(tmp_path / "set", "a/1.png", "b/1.png", "c/2.png", "d/3.png")
    with pytest.raises(DataError, match=sentence):
        match_images(cells, folder)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        match_images(["1"], tmp_path / "none")
    with pytest.raises(DataError, match="holds no image"):
        match_images(["1"], tmp_path)
