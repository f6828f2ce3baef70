"""``hilmix data`` as a user types it."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import SOURCES, Options
from hilmix.errors import DataError


@pytest.fixture(autouse=True)
def no_data(workplace, monkeypatch):
    """Downloads go to the current folder."""
    monkeypatch.delenv("HILMIX_DATA", raising=False)


@pytest.fixture
def folder(workplace):
    """Ten PNGs, three annotators."""
    root = workplace / "mine"
    root.mkdir()
    rows = []
    for i in range(10):
        Image.new("RGB", (6, 6), (25 * i, 0, 0)).save(root / f"{i}.png")
        rows += [f"{i},{who},{('cat', 'dog')[(i + (who == 'cyd' and i < 2)) % 2]}" for who in ("ann", "bob", "cyd")]
    (root / "items.csv").write_text(
        "item,path,target\n" + "".join(f"{i},{i}.png,{('cat', 'dog')[i % 2]}\n" for i in range(10))
    )
    (root / "annotations.csv").write_text("item,annotator,label\n" + "\n".join(rows))
    (root / "dataset.yaml").write_text("name: tiny\ninput: image\nlicence: CC0\n")
    return root


def test_list_names_every_source_with_its_licence(capsys):
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    for source in SOURCES.values():
        assert source.name in out
    assert "CC BY-NC-SA 4.0" in out


@pytest.mark.parametrize("name", SOURCES)
def test_show_says_licence_citation_files_and_origin(name, capsys):
    assert main(["data", "show", name]) == 0
    words = " ".join(capsys.readouterr().out.split())
    source = SOURCES[name]
    assert source.licence in words
    assert source.note[:40] in words
    for resource in source.resources:
        for file in resource.files:
            assert file.url in words
            assert (file.verification or "--allow-unverified") in words
    assert ("made on the fly" in words) == (not source.resources and not source.folder)
    assert (f"placed by hand in data/downloads/{source.folder}" in words) == bool(source.folder)


def test_prepare_and_check(capsys):
    assert main(["data", "prepare", "digits-class", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "Licence: CC BY 4.0" in out
    assert "1,797 items" in out
    assert read_folder("data/digits-class").name == "digits-class"
    assert main(["data", "check", "data/digits-class"]) == 0
    out = capsys.readouterr().out
    assert "Krippendorff" in out
    assert "train 1,078 (1,078 annotated)" in out
    assert out.rstrip().endswith("ok")


def test_prepare_applies_the_seed_and_out():
    for seed, out in (("0", "one"), ("1", "other"), ("0", "again")):
        assert main(["data", "prepare", "digits-class", "--seed", seed, "--out", out]) == 0
    one, other, again = (read_folder(name).annotations.label for name in ("one", "other", "again"))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_prepare_does_not_touch_an_existing_folder(workplace, capsys):
    (workplace / "data" / "digits-class").mkdir(parents=True)
    assert main(["data", "prepare", "digits-class"]) == 2
    assert "exists already" in capsys.readouterr().err


def offline(*args, **kwargs):
    raise OSError("no network here")


def test_prepare_offline_is_refused_and_leaves_no_folder(workplace, monkeypatch, capsys):
    monkeypatch.setattr("urllib.request.OpenerDirector.open", offline)
    assert main(["data", "prepare", "mnist"]) == 2
    error = capsys.readouterr().err
    for part in (
        "error: Cannot download https://",
        "train-images-idx3-ubyte.gz: no network here",
        "HILMIX_DATA",
        "data/downloads/mnist/train-images-idx3-ubyte.gz",
    ):
        assert part in error
    assert not (workplace / "data" / "mnist").exists()


@pytest.mark.parametrize("name", ["labelme", "labelme-features"])
def test_a_file_that_cannot_be_verified_needs_consent(name, workplace, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *args, **kwargs: asked.append(args) or offline())
    assert main(["data", "prepare", name]) == 2
    error = capsys.readouterr().err
    assert "--allow-unverified" in error
    assert "data/downloads/deep_LabelMe.tar.gz" in error
    assert not asked
    assert main(["data", "prepare", name, "--allow-unverified"]) == 2
    assert "no network here" in capsys.readouterr().err
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "cifar"], "got 'cifar'"),
        (["show", "cifar"], "got 'cifar'"),
        (
            ["prepare", "digits-class", "--annotators", "3"],
            "digits-class has no option --annotators; its options: --seed",
        ),
        (["prepare", "labelme", "--seed", "3"], "labelme has no option --seed; its options: none"),
        (["check", "gone"], "There is no data folder at 'gone'"),
    ],
)
def test_mistakes_end_with_code_2_and_one_message(arguments, message, capsys):
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["frobnicate"], ["prepare"], ["prepare", "mnist", "--labels-per-item", "few"]]
)
def test_wrong_usage_is_refused_by_the_parser(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["data", *arguments])
    assert stopped.value.code == 2
    assert "hilmix data" in capsys.readouterr().err


def test_options_reach_the_source(monkeypatch):
    seen = []
    recorder = replace(SOURCES["mnist"], resources=(), build=lambda access, options: seen.append(options) or tiny())
    monkeypatch.setitem(SOURCES, "mnist", recorder)
    assert main(["data", "prepare", "mnist", "--labels-per-item", "1-3", "--annotators", "9", "--seed", "4"]) == 0
    assert main(["data", "prepare", "mnist", "--labels-per-item", "2", "--out", "two"]) == 0
    assert seen == [Options(4, 9, (1, 3)), Options(0, 20, 2)]


def tiny(**changes):
    votes = Annotations.build(
        [0, 1, 1], [0, 0, 1], [0, 1, 1], num_items=3, classes=["x", "y", "z"], annotators=["u", "v"]
    )
    given = {
        "name": "tiny",
        "items": ("a", "b", "c"),
        "inputs": ArrayInputs(np.zeros((3, 2)), "vector"),
        "annotations": votes,
    } | changes
    return AnnotatedData(**given)


def test_check_prints_what_an_own_folder_holds(folder, capsys):
    assert main(["data", "check", str(folder)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in (
        "tiny",
        "CC0",
        "image, 3 x 6 x 6",
        "items 10",
        "annotations 30",
        "3 to 3, mean 3.00",
        "3, with 10 to 10 labels, median 10",
        "known for 10 items",
        "wrong labels 6.7 %",
        "majority vote 100.0 % right",
        "agreement 86.7 % of pairs",
        "cat 50.0 % 50.0 %",
    ):
        assert text in out, text


def test_check_shows_masks_and_groups(folder, capsys):
    table = (folder / "items.csv").read_text().splitlines()
    rows = [f"{row},{group}" for row, group in zip(table[1:], "xxxxxxyyy ", strict=True)]
    (folder / "items.csv").write_text("\n".join([f"{table[0]},group", *rows]).replace(" ", ""))
    half = np.repeat([0, 255], 18).astype(np.uint8).reshape(6, 6)
    for name, picture in {"ann/0": half, "bob/0": half.T, "bob/3": 0 * half}.items():
        (folder / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "masks" / f"{name}.png")
    assert main(["data", "check", "mine"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "masks on 2 of 10 items, by 2 annotators; 1 to 2 per item" in out
    assert "masks mark 33.3 % of the input on average; 1 mark nothing" in out
    assert "masks overlap by 33.3 %" in out
    assert "group all x 6 y 3 none 1" in out
    (folder / "masks" / "bob" / "3.png").write_bytes((folder / "masks" / "bob" / "3.png").read_bytes()[:44])
    assert main(["data", "check", "mine", "--quick"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "masks on 2 of 10 items" in out
    assert "masks mark" not in out
    assert main(["data", "check", "mine"]) == 2
    assert "Cannot decode the mask mine/masks/bob/3.png" in capsys.readouterr().err


def test_check_works_without_any_truth_or_votes(workplace, capsys):
    write_folder(tiny(annotations=Annotations.build([], [], [], num_items=3, classes=2, annotators=0)), workplace / "t")
    assert main(["data", "check", "t"]) == 0
    out = capsys.readouterr().out
    assert "known for 0 items" in out
    assert "majority" not in out
    assert "no annotations at all" in out


def test_check_warns_of_what_training_cannot_learn(workplace, capsys):
    write_folder(tiny(split=np.array(["train", "val", "val"])), workplace / "t")
    assert main(["data", "check", "t"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert re.search(r"warning: [^.]* 1 annotator [^.]*: v\. warning: [^.]* 1 class [^.]*: z\.", out)
    assert "none on 1 items" in out


def test_check_warns_of_splits_without_votes(workplace, capsys):
    write_folder(tiny(split=np.array(["train", "train", "val"])), workplace / "t")
    assert main(["data", "check", "t"]) == 0
    assert "no item of split 'val' has an annotation" in capsys.readouterr().out


def test_check_says_that_annotators_are_exchangeable(workplace, capsys):
    write_folder(tiny(annotations=Annotations.from_counts([[2, 1, 0], [0, 0, 3], [1, 0, 0]])), workplace / "t")
    assert main(["data", "check", "t"]) == 0
    assert "exchangeable (identities unknown)" in capsys.readouterr().out


def test_many_classes_are_cut_to_the_most_frequent(workplace, capsys):
    votes = Annotations.build([0, 1, 2], [0, 0, 0], [99, 99, 7], num_items=3, classes=100, annotators=["u"])
    write_folder(tiny(annotations=votes), workplace / "t")
    assert main(["data", "check", "t"]) == 0
    out = capsys.readouterr().out
    assert "80 more" in out
    assert out.index("99 ") < out.index("7  ")


def test_unreadable_images_are_found_unless_quick(folder, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "3.png")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    assert main(["data", "check", str(folder), "--quick"]) == 0
    assert "inputs not decoded" in capsys.readouterr().out
    assert main(["data", "check", str(folder)]) == 2
    assert "3.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("annotations.csv", "annotator", "who", "annotations.csv, 'annotator'"),
        ("annotations.csv", "9,bob,dog", "12,bob,dog", "'item', row 28: '12'"),
        ("dataset.yaml", "licence", "license", "'license'"),
        ("items.csv", "5.png", "gone.png", "gone.png does not exist"),
    ],
)
def test_bad_folders_end_with_code_2(folder, capsys, file, old, new, message):
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    assert main(["data", "check", str(folder)]) == 2
    assert message in capsys.readouterr().err


def test_a_misspelt_target_without_a_list_of_classes_shows_as_a_class(folder, capsys):
    path = folder / "items.csv"
    path.write_text(path.read_text().replace("4.png,cat", "4.png,cow"))
    assert main(["data", "check", str(folder)]) == 0
    assert re.search(r"^warning: .* 1 class .*: cow\.$", capsys.readouterr().out, re.MULTILINE)


def test_a_full_disk_is_one_clear_message(monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hilmix.data.folder.write.yaml.safe_dump", full)
    assert main(["data", "prepare", "digits-class"]) == 2
    assert "Cannot write 'data/digits-class': [Errno 28] No space left on device" in capsys.readouterr().err
    assert os.listdir("data") == []


@pytest.mark.parametrize("name", ["labelme-features", "cifar10h"])
def test_prepare_from_the_mirror(real_data, monkeypatch, capsys, name):
    monkeypatch.setenv("HILMIX_DATA", str(real_data))
    assert main(["data", "prepare", name]) == 0
    assert f"mirror {real_data}" in capsys.readouterr().out
    assert main(["data", "check", f"data/{name}", "--quick"]) == 0


def test_import_of_splits_says_what_was_understood(workplace, capsys):
    for name in ("train/cat", "train/dog", "valid/cat", "valid/dog", "test/cat", "test/dog"):
        (workplace / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (6, 6)).save(workplace / "photos" / name / "one.png")
    assert main(["data", "import", "photos"]) == 0
    out = capsys.readouterr().out
    assert "2 classes" in out
    assert "'valid' as val" in out
    data = read_folder("data/photos")
    assert data.classes == ("cat", "dog")
    assert dict(zip(data.items, data.split, strict=True))["valid/dog/one.png"] == "val"
    assert main(["data", "check", "data/photos"]) == 0


def test_import_writes_class_folders_as_a_data_folder(workplace, capsys):
    for name in ("cat", "dog"):
        (workplace / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (6, 6)).save(workplace / "photos" / name / "one.png")
    (workplace / "photos" / "cat" / "IMG.heic").write_bytes(b"?")
    assert main(["data", "import", "photos"]) == 0
    out = capsys.readouterr().out
    assert "2 images of 2 classes, 6 x 6 pixels, written to data/photos" in out
    assert "Left out as no image that can be read: photos/cat/IMG.heic\n" in out
    data = read_folder("data/photos")
    assert data.items == ("cat/one.png", "dog/one.png")
    assert main(["data", "check", "data/photos"]) == 0
    assert main(["data", "import", "photos"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["data", "import", "photos", "--out", "other", "--image-size", "0"]) == 2
    assert re.search(r"--image-size.*got 0", capsys.readouterr().err)


def test_a_download_is_described_before_it_starts(workplace, monkeypatch, capsys):
    """Licence, size, checksum and time of every file that is fetched, whatever happens then."""
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *args, **kwargs: offline())
    assert main(["data", "prepare", "flowers102"]) == 2
    words = " ".join(capsys.readouterr().out.split())
    assert f"Licence: {SOURCES['flowers102'].licence}" in words
    for resource in SOURCES["flowers102"].resources:
        for file in resource.files:
            assert file.url in words
            assert file.checksum in words
    assert "344,862,509 bytes, about 69 s" in words  # at 5 MB/s


def test_files_that_are_there_are_not_announced(workplace, monkeypatch, capsys):
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *args, **kwargs: offline())
    (workplace / "data" / "downloads" / "trec").mkdir(parents=True)
    (workplace / "data" / "downloads" / "trec" / "TREC_10.label").write_text("")
    assert main(["data", "prepare", "trec"]) == 2
    announced = capsys.readouterr().out.split("Download: ")[1:]
    assert len(announced) == 1
    assert "train_5500.label" in announced[0]


def test_options_that_are_not_given_are_the_sources_own(monkeypatch):
    seen = []

    def build(access, options):
        seen.append(options)
        raise DataError("enough")

    monkeypatch.setitem(SOURCES, "letter", replace(SOURCES["letter"], build=build))
    assert main(["data", "prepare", "letter", "--seed", "3"]) == 2
    assert seen == [Options(seed=3, labels_per_item=(2, 4))]
