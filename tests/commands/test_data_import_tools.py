"""``hilmix data import`` on exports of Label Studio, doccano, Argilla, CVAT and FiftyOne."""

import json

import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data.folder import read_folder
from tests.commands.exports import (
    CROWD_KIT,
    USERS,
    VOTES,
    argilla,
    argilla_1,
    argilla_1_texts,
    cvat,
    doccano,
    fiftyone,
    label_studio,
    label_studio_min,
    write_photos,
)
from tests.commands.test_data_import import check, stem, votes_of, words
from tests.helpers import QUICK

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def photos(workplace):
    return write_photos(workplace / "photos")


def test_label_studio_with_several_annotations_skips_and_truth(workplace, capsys):
    """Uploaded files have a random prefix, which the names in the folder of uploads have too."""
    write_photos(workplace / "upload", *(f"0a1b2c3d-photo {n}.png" for n in range(5)))
    (workplace / "project-1.json").write_text(json.dumps(label_studio(with_skip=True)))
    assert main(["data", "import", "project-1.json", "--images", "upload", "-o", "mine"]) == 0
    assert "1 answer(s) are skipped" in words(capsys)
    check("mine", stem)
    data = read_folder("mine")
    assert {stem(i): data.classes[k] for i, k in zip(data.items, data.target, strict=True) if k >= 0} == {
        "photo 0": "cat"
    }
    assert set(data.annotations.seconds) == {2.5}


def test_label_studio_json_min(photos):
    (photos.parent / "min.json").write_text(json.dumps(label_studio_min()))
    assert main(["data", "import", "min.json", "--images", "photos", "-o", "mine"]) == 0
    names = {str(number): who for who, number in USERS.items()}
    assert {(item, names[who], label) for item, who, label in votes_of("mine", stem)[0]} == set(VOTES)


@pytest.mark.parametrize("way", ["refuse", "explode"])
def test_several_choices_are_refused_or_counted_each(workplace, capsys, way):
    write_photos(workplace / "upload", *(f"0a1b2c3d-photo {n}.png" for n in range(5)))
    tasks = label_studio()
    tasks[4]["annotations"][0]["result"][0]["value"]["choices"].append("dog")
    (workplace / "tasks.json").write_text(json.dumps(tasks))
    command = ["data", "import", "tasks.json", "--images", "upload", "-o", "mine"]
    if way == "refuse":
        assert main(command) == 2
        err = capsys.readouterr().err
        assert "1 answer(s) hold several choices, such as 'cat', 'dog'" in err
        return
    assert main([*command, "--several", "explode"]) == 0
    votes, _ = votes_of("mine", stem)
    assert votes == {*VOTES, ("photo 4", "bob", "dog")}


def test_one_of_several_questions_is_named(workplace, capsys):
    write_photos(workplace / "upload", *(f"0a1b2c3d-photo {n}.png" for n in range(5)))
    tasks = label_studio()
    extra = tasks[0]["annotations"][0]["result"][0] | {"from_name": "quality", "value": {"choices": ["sharp"]}}
    tasks[0]["annotations"][0]["result"].append(extra)
    (workplace / "tasks.json").write_text(json.dumps(tasks))
    command = ["data", "import", "tasks.json", "--images", "upload", "-o", "mine"]
    assert main(command) == 2
    assert "there are 2 choices; expected one of 'kind', 'quality'" in capsys.readouterr().err
    assert main([*command, "--annotator", "completed_by", "--label", "kind"]) == 2
    assert "given for 'annotator'" in capsys.readouterr().err
    assert main([*command, "--label", "kind"]) == 0
    check("mine", stem)


def test_doccano_names_annotators_by_file(photos):
    for who in USERS:
        (photos.parent / f"{who}.jsonl").write_text(doccano(who))
    assert main(["data", "import", "ann.jsonl", "bob.jsonl", "cyd.jsonl", "--images", "photos", "-o", "mine"]) == 0
    check("mine", stem)


@pytest.mark.parametrize("flat", [True, False])
def test_argilla_nested_and_flattened(photos, flat):
    (photos.parent / "records.json").write_text(json.dumps(argilla(flat=flat)))
    assert main(["data", "import", "records.json", "--images", "photos", "-o", "mine"]) == 0
    check("mine", stem)


@pytest.mark.parametrize("flat", [True, False])
def test_argilla_1_nested_and_flattened(photos, flat):
    lines = "".join(json.dumps(record) + "\n" for record in argilla_1(flat=flat))
    (photos.parent / "records.jsonl").write_text(lines)
    assert main(["data", "import", "records.jsonl", "--images", "photos", "-o", "mine"]) == 0
    check("mine", stem)


def test_texts_of_argilla_1_have_one_annotator_each(workplace):
    lines = "".join(json.dumps(record) + "\n" for record in argilla_1_texts())
    (workplace / "records.jsonl").write_text(lines)
    assert main(["aggregate", "records.jsonl", "--method", "soft", "-o", "labels.csv"]) == 0
    found = pd.read_csv("labels.csv", index_col="item")
    assert found["votes"].to_dict() == {"photo 0": 2, "photo 1": 3, "photo 2": 1, "photo 3": 2, "photo 4": 1}
    assert found.loc["photo 1", "prob_dog"] == pytest.approx(2 / 3)


def test_cvat_names_annotators_by_file(photos):
    for who in USERS:
        (photos.parent / f"{who}.xml").write_text(cvat(who))
    assert main(["data", "import", "ann.xml", "bob.xml", "cyd.xml", "--images", "photos", "-o", "mine"]) == 0
    check("mine", stem)


def test_a_folder_of_fiftyone_holds_its_images(workplace):
    write_photos(workplace / "set", *(f"data/photo {n}.png" for n in range(5)))
    (workplace / "set" / "samples.json").write_text(json.dumps(fiftyone()))
    assert main(["data", "import", "set", "-o", "mine"]) == 0
    check("mine", stem)
    assert main(["data", "import", "set", "-o", "other", "--target", "ann", "--label", "bob"]) == 0
    data = read_folder("other")
    assert data.annotations.annotators == ("bob",)
    assert {stem(i): data.classes[k] for i, k in zip(data.items, data.target, strict=True) if k >= 0} == {
        "photo 0": "cat",
        "photo 1": "dog",
        "photo 3": "dog",
    }


def test_labels_of_an_image_classification_of_fiftyone(workplace):
    write_photos(workplace / "set", *(f"data/photo {n}.png" for n in range(5)))
    labels = {f"photo {n}": k for n, k in enumerate([0, 1, 0, 1, None])}
    (workplace / "set" / "labels.json").write_text(json.dumps({"classes": ["cat", "dog"], "labels": labels}))
    assert main(["data", "import", "set", "-o", "mine"]) == 0
    votes, red = votes_of("mine")
    assert votes == {(f"photo {n}", "set", label) for n, label in enumerate(["cat", "dog", "cat", "dog"])}
    assert red == {f"photo {n}": 40 * n for n in range(5)}


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("x.json", "[1, 2]", "must hold a list of JSON objects"),
        ("x.json", "{", "Cannot read x.json"),
        ("x.jsonl", '{"item": 1}\n{', "Cannot read x.jsonl, line 2"),
        ("x.xml", "<annotations>", "Cannot read x.xml"),
        ("x.xml", "<other/>", "must be an export 'CVAT for images 1.1'"),
        ("x.json", '{"samples": [{"filepath": "a.png"}]}', "fields of classifications are missing"),
        ("x.pdf", "", "must be an export that ends in"),
    ],
)
def test_what_is_no_export_is_refused(photos, capsys, file, text, sentence):
    (photos.parent / file).write_text(text)
    assert main(["data", "import", file, "--images", "photos", "-o", "mine"]) == 2
    assert sentence in capsys.readouterr().err


# -- and back, and on ------------------------------------------------------------------------------------------------


def test_aggregates_go_back_to_label_studio(workplace):
    """The tasks are those of the export, with the tags of its project."""
    tasks = label_studio(with_skip=True)
    tasks.append({"id": 6, "data": {"image": "/data/upload/1/new.png"}, "annotations": [], "predictions": []})
    (workplace / "tasks.json").write_text(json.dumps(tasks))
    assert main(["aggregate", "tasks.json", "--method", "majority", "-o", "predictions.json"]) == 0
    found = json.loads((workplace / "predictions.json").read_text())
    assert [(task["id"], task["data"]) for task in found] == [(task["id"], task["data"]) for task in tasks]
    assert found[5]["predictions"] == []
    for task, label in zip(found, ["cat", "dog", "cat", "dog", "cat"], strict=False):
        (prediction,) = task["predictions"]
        assert (prediction["model_version"], prediction["score"]) == ("hilmix majority", 1.0)
        assert prediction["result"] == [
            {"from_name": "kind", "to_name": "img", "type": "choices", "value": {"choices": [label]}}
        ]


def test_aggregates_of_a_table_are_tasks_of_label_studio(workplace):
    (workplace / "votes.csv").write_text(CROWD_KIT)
    assert main(["aggregate", "votes.csv", "--method", "majority", "-o", "predictions.json"]) == 0
    found = json.loads((workplace / "predictions.json").read_text())
    assert [task["data"] for task in found] == [{"image": f"photo {n}"} for n in range(5)]
    assert found[1]["predictions"][0]["result"][0]["value"] == {"choices": ["dog"]}


def test_from_label_studio_to_predictions_of_a_new_folder(workplace):
    """Three annotators, three commands, no edited file."""
    tasks = label_studio()
    names = [f"0a1b2c3d-photo {n}.png" for n in range(5)]
    for n in range(5, 20):
        note = tasks[n % 5]["annotations"]
        names.append(f"0a1b2c3d-photo {n}.png")
        tasks.append(
            {"id": n, "data": {"image": f"/data/upload/1/{names[-1]}"}, "annotations": note, "predictions": []}
        )
    write_photos(workplace / "upload", *names)
    write_photos(workplace / "new", "a.png", "b.png")
    (workplace / "tasks.json").write_text(json.dumps(tasks))
    run = ["--run_dir", "run", "-c", "configs/method/mv.yaml", *QUICK]
    for command in (
        ["data", "import", "tasks.json", "--images", "upload", "-o", "mine"],
        ["fit", "--data.root", "mine", *run],
        ["predict", "run", "new", "-o", "new.csv"],
    ):
        assert main(command) == 0
    table = pd.read_csv("new.csv")
    assert len(table) == 2
    assert table[["prob_cat", "prob_dog"]].sum(axis=1).tolist() == pytest.approx([1, 1], abs=1e-5)
