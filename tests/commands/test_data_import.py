"""``hilmix data import`` as a user types it, on exports in the layouts of other tools."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data.folder import read_folder
from tests.commands.exports import (
    CROWD_KIT,
    MTURK,
    OWN,
    TOLOKA,
    VOTES,
    mturk_ticks,
    table,
    wide,
    write_photos,
    zooniverse,
)

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def photos(workplace):
    return write_photos(workplace / "photos")


def votes_of(folder, name=str):
    """The votes of a data folder, items by the name of their photo, and the red of each photo by the same."""
    data = read_folder(folder)
    a = data.annotations
    rows = zip(a.item.tolist(), a.annotator.tolist(), a.label.tolist(), strict=True)
    red = data.inputs.fetch(np.arange(len(data)))[:, 0, 0, 0].tolist()
    names = [name(item) for item in data.items]
    return {(names[i], a.annotators[w], a.classes[k]) for i, w, k in rows}, dict(zip(names, red, strict=True))


def check(folder, name=str):
    """All votes, each photo with its own item."""
    votes, red = votes_of(folder, name)
    assert votes == set(VOTES)
    assert red == {f"photo {i}": 40 * i for i in range(5)}


def stem(item):
    return re.search(r"photo \d", item)[0]


def words(capsys):
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("votes.csv", CROWD_KIT, str),
        ("batch.csv", MTURK, stem),
        ("assignments.tsv", TOLOKA, stem),
        ("classifications.csv", zooniverse(), lambda subject: f"photo {subject[-1]}"),
        ("votes.csv", "\ufeff" + table("Item,Annotator ID,Label", "{item},{who},{label}", ";"), str),
        ("votes.jsonl", "".join(json.dumps(dict(zip("abc", v, strict=True))) + "\n" for v in VOTES)
         .replace('"a"', '"image"').replace('"b"', '"user"').replace('"c"', '"class"'), str),
    ],
    ids=["crowd-kit", "mturk", "toloka", "zooniverse", "excel-csv", "jsonl"],
)  # fmt: skip
def test_columns_of_the_common_tools_are_guessed(photos, file, text, name):
    (photos.parent / file).write_text(text, encoding="utf-8")
    assert main(["data", "import", file, "--images", "photos", "-o", "mine"]) == 0
    check("mine", name)
    assert main(["data", "check", "mine"]) == 0


@pytest.mark.parametrize("header", ["Answer.kind.{}", "Answer.{}.on"])
def test_ticks_of_mturk_are_one_column_of_labels(photos, header, capsys):
    (photos.parent / "batch.csv").write_text(mturk_ticks(header))
    assert main(["data", "import", "batch.csv", "--images", "photos", "-o", "mine"]) == 0
    assert "1 answer(s) have no tick" in words(capsys)
    check("mine", stem)


def test_several_ticks_and_several_questions_of_mturk(photos, capsys):
    batch = mturk_ticks("Answer.kind.{}").replace("ann,https://x/photo 3.png,false", "ann,https://x/photo 3.png,true")
    (photos.parent / "batch.csv").write_text(batch)
    command = ["data", "import", "batch.csv", "--images", "photos", "-o", "mine"]
    assert main(command) == 2
    assert "1 answer(s) hold several choices, such as 'cat', 'dog'" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--several", "explode"]) == 0
    assert votes_of("mine", stem)[0] == {*VOTES, ("photo 3", "ann", "cat")}
    lines = mturk_ticks("Answer.kind.{}").splitlines()
    more = [",Answer.quality.good,Answer.quality.bad", *[",true,false"] * (len(lines) - 1)]
    (photos.parent / "two.csv").write_text("".join(a + b + "\n" for a, b in zip(lines, more, strict=True)))
    command = ["data", "import", "two.csv", "--images", "photos", "-o", "two"]
    assert main(command) == 2
    assert "'Answer.kind', 'Answer.quality'" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--label", "Answer.kind"]) == 0
    check("two", stem)


def test_columns_and_the_separator_can_be_named(photos):
    (photos.parent / "own.txt").write_text(OWN)
    command = "data import own.txt --item picture --annotator rater --label verdict --sep ; --images photos -o mine"
    assert main(command.split()) == 0
    check("mine")


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_stored_tables_are_read(photos, suffix):
    frame = pd.DataFrame(VOTES, columns=["task", "worker", "label"])
    if suffix == "xlsx":
        pytest.importorskip("openpyxl")
        frame.to_excel("votes.xlsx", index=False)
    else:
        frame.to_parquet("votes.parquet")
    assert main(["data", "import", f"votes.{suffix}", "--images", "photos", "-o", "mine"]) == 0
    check("mine")


def test_a_wide_table_is_read(photos):
    wide().to_csv("wide.csv")
    assert main(["data", "import", "wide.csv", "--wide", "--images", "photos", "-o", "mine"]) == 0
    check("mine")


def test_numbers_of_rows_name_the_items_of_a_wide_table_without_a_column_for_them(workplace):
    write_photos(workplace / "photos", "0.png", "1.png")
    (workplace / "wide.csv").write_text("ann,bob\n0.0,1.0\n,1.0\n")
    assert main(["data", "import", "wide.csv", "--wide", "--images", "photos", "-o", "mine"]) == 0
    assert votes_of("mine")[0] == {("0", "ann", "0"), ("0", "bob", "1"), ("1", "bob", "1")}


def test_a_dry_run_prints_what_is_understood_and_writes_nothing(photos, capsys):
    (photos.parent / "votes.csv").write_text(MTURK)
    for more in ([], ["--images", "photos"]):
        assert main(["data", "import", "votes.csv", "--dry_run", *more]) == 0
        out = words(capsys)
        for text in (
            "item column 'Input.image_url'",
            "annotator column 'WorkerId'",
            "label column 'Answer.category.label'",
            "not used 'HITId', 'HITTypeId'",
            "annotations 9",
            "cat 55.6 %",
        ):
            assert text in out, text
    assert {f.name for f in photos.parent.iterdir()} == {"photos", "votes.csv"}


def test_missing_and_surplus_images_are_counted(photos, capsys):
    (photos / "photo 4.png").rename(photos / "other.png")
    (photos.parent / "votes.csv").write_text(CROWD_KIT)
    assert main(["data", "import", "votes.csv", "--images", "photos", "-o", "mine"]) == 0
    out = words(capsys)
    assert "1 of 5 items have no image and are left out: 'photo 4'" in out
    assert "1 of 5 images belong to no item and are left out: 'other.png'" in out
    votes, _ = votes_of("mine")
    assert votes == {vote for vote in VOTES if vote[0] != "photo 4"}


def test_images_beside_the_table_need_no_option(workplace):
    write_photos(workplace / "set")
    (workplace / "set" / "votes.csv").write_text(table("path,user,label", "{item}.png,{who},{label}"))
    assert main(["data", "import", "set/votes.csv", "-o", "mine"]) == 0
    check("mine", stem)


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a,b\n1,2\n", "", "'item', 'annotator', 'label'|the column of 'item' is not among 'a', 'b'"),
        (CROWD_KIT, "--item tsk", "column 'tsk', given for 'item', is missing; expected one of 'task'"),
        ("Input.a,Input.b,WorkerId,Answer.x\n1,2,3,4\n", "", "'item' may be any of 'Input.a', 'Input.b'"),
        ("item,annotator,label\nx,ann,cat\n", "", "No image in 'photos' .* none is called 'x'"),
        ("item,annotator,label\nphoto 0,ann,\n", "", "column 'label', row 0: it is empty"),
        (
            "item,annotator,label,target\nphoto 0,a,x,x\nphoto 0,b,x,y\n",
            "",
            "item 'photo 0' has several values: 'x', 'y'",
        ),
        ('item,annotator,label\nphoto 0,ann,"x\n', "", "Cannot read votes.csv"),
        ("", "", "Cannot read votes.csv"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_message(photos, capsys, text, options, sentence):
    (photos.parent / "votes.csv").write_text(text)
    assert main(["data", "import", "votes.csv", "--images", "photos", "-o", "mine", *options.split()]) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (photos.parent / "mine").exists()


def test_options_of_an_export_are_refused_for_folders(photos, capsys):
    assert main(["data", "import", "photos", "--sep", ";"]) == 2
    assert "--sep must be left out for the folder 'photos'" in capsys.readouterr().err
    assert main(["data", "import", "photos", "--images", "photos"]) == 2
    assert main(["data", "import", "none.csv", "-o", "mine"]) == 2
    assert "There is no file at 'none.csv'" in capsys.readouterr().err


def test_labels_that_are_none_and_repeats(photos, capsys):
    rows = CROWD_KIT + "photo 2,cyd,skip\nphoto 4,bob,dog\n"
    (photos.parent / "votes.csv").write_text(rows)
    command = ["data", "import", "votes.csv", "--images", "photos", "--missing", "skip", "--duplicates", "first"]
    assert main([*command, "-o", "mine"]) == 0
    assert votes_of("mine")[0] == set(VOTES)


# -- the bare table in other commands --------------------------------------------------------------------------------


def test_check_describe_and_aggregate_take_the_bare_table(workplace, capsys):
    (workplace / "votes.csv").write_text(CROWD_KIT)
    for command in ("check", "describe"):
        assert main(["data", command, "votes.csv"]) == 0
        out = words(capsys)
        assert "items 5" in out
        assert "annotators 3, with 2 to 4 labels" in out
    assert main(["data", "check", "votes.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["annotations"] == 9
    assert main(["aggregate", "votes.csv", "--method", "majority", "-o", "labels.csv"]) == 0
    labels = pd.read_csv("labels.csv").set_index("item")["label"]
    assert labels.to_dict() == {f"photo {i}": label for i, label in enumerate(["cat", "dog", "cat", "dog", "cat"])}
    (workplace / "own.csv").write_text(OWN)
    columns = "--item picture --annotator rater --label verdict"
    assert main(["aggregate", "own.csv", *columns.split(), "--method", "majority", "-o", "again.csv"]) == 0
    assert (workplace / "again.csv").read_bytes() == (workplace / "labels.csv").read_bytes()


def test_check_of_a_table_lists_all_faults(workplace, capsys):
    (workplace / "votes.csv").write_text("item,annotator,label\nx,,cat\ny,bob,\n")
    assert main(["data", "check", "votes.csv"]) == 2
    err = capsys.readouterr().err
    assert "column 'annotator', row 0" in err
    assert "column 'label', row 1" in err
