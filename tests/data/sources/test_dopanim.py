"""dopanim: the published archives with made-up pictures, answers and questionnaires."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from hilmix.data import read_folder, write_folder
from hilmix.data.sources import Options, dopanim
from hilmix.data.sources.base import Access
from hilmix.data.sources.dopanim_questions import _ANIMALS, _TUTORIALS, FEATURES, encode_questionnaire
from hilmix.errors import DataError

TASKS = {"11": ("train", "Jaguar"), "12": ("train", "Leopard"), "13": ("valid", "Leopard"), "14": ("test", "Jaguar")}
ANSWERS = [
    ("lunar-lynx", 11, {"Jaguar": 30, "Leopard": 10}, 2.5),
    ("neon-ninja", 12, {"Leopard": 0, "Jaguar": 0}, 4.0),
    ("neon-ninja", 11, {"Leopard": 100, "Jaguar": 0}, 9.0),
    ("neon-ninja", 11, {"Leopard": 20, "Jaguar": 60}, 3.0),  # again: the last counts
]
RIGHT = {
    "pre_oldest_animal_choice": "Greenland shark",
    "pre_mammal_migration_choice": "Caribou",
    "pre_big_cats_choice": "Leopard",
    "pre_hares_choice": "Rabbits are born blind and hairless, hares are born with fur and can see.",
    "pre_squirrels_choice": "Squirrel tails help with balance.",
    "pre_insects_choice": "Wasps have eight legs.",  # the one wrong answer
}


def questionnaire(**changed):
    scales = {
        "pre_interest_choice": "Very high",
        "pre_knowledge_choice": "Average",
        "post_likelihood_choice": "Good",
        "post_concentration_choice": "Very unconcentrated",
        "post_tutorial_choice": "Rarely",
        "post_motivation_choice": "Very motivated",
    }
    ease = {f"post_{name}_choice": "Somewhat easy" for name in _ANIMALS} | {"post_jaguar_choice": "Very difficult"}
    numbers = dict.fromkeys(_TUTORIALS, 2) | {"pre_time": 61.5, "post_time": 30, "post_estimated_accuracy": 70}
    return scales | RIGHT | ease | numbers | changed


def write_archive(folder):
    (folder / "dopanim").mkdir()
    with zipfile.ZipFile(folder / "dopanim" / "11479590.zip", "w") as archive:
        tasks = {key: {"split": split, "taxon_name": taxon} for key, (split, taxon) in TASKS.items()}
        keys = ("annotator_id", "observation_id", "likelihoods", "annotation_time")
        answers = {str(i): dict(zip(keys, answer, strict=True)) for i, answer in enumerate(ANSWERS)}
        people = {"neon-ninja": questionnaire(pre_time=10), "lunar-lynx": questionnaire()}
        for name, content in (("task", tasks), ("annotation", answers)):
            archive.writestr(f"{name}_data.json", json.dumps(content))
        archive.writestr("annotator_metadata.json", json.dumps(people))
        for split in ("train", "valid", "test"):
            inner = io.BytesIO()
            with zipfile.ZipFile(inner, "w") as pictures:
                for key, (where, taxon) in TASKS.items():
                    if where == split:
                        stream = io.BytesIO()
                        Image.new("RGB", (300, 240), (10 * int(key), 0, 0)).save(stream, "JPEG")
                        pictures.writestr(f"{split}/{taxon}/{key}.jpeg", stream.getvalue())
            archive.writestr(f"{split}.zip", inner.getvalue())
    return Access(folder)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(dopanim, "SIZES", {"train": 2, "val": 1, "test": 1})
    monkeypatch.setattr(dopanim, "NUM_CLASSES", 2)
    monkeypatch.setattr(dopanim, "NUM_ANNOTATORS", 2)
    return dopanim.SOURCE.build(write_archive(tmp_path), Options())


def test_pictures_truth_and_split(data):
    assert data.items == ("11", "12", "13", "14")
    assert [data.classes[k] for k in data.target] == ["Jaguar", "Leopard", "Leopard", "Jaguar"]
    assert data.split.tolist() == ["train", "train", "val", "test"]
    pixels = data.inputs.fetch(np.arange(4))
    assert pixels.shape == (4, 3, 224, 224)
    assert (abs(pixels[:, 0].float().mean((1, 2)) - pixels.new_tensor([110, 120, 130, 140])) < 3).all()


def test_soft_labels_and_seconds(data):
    votes = data.annotations
    rows = [(data.items[i], votes.annotators[a]) for i, a in zip(votes.item, votes.annotator, strict=True)]
    assert rows == [("11", "lunar-lynx"), ("11", "neon-ninja"), ("12", "neon-ninja")]
    np.testing.assert_allclose(votes.probs, [[0.75, 0.25], [0.75, 0.25], [0.5, 0.5]])
    assert votes.seconds.tolist() == [2.5, 3.0, 4.0]


def test_questionnaires_become_numbers(data):
    lynx, ninja = data.annotator_features
    expected = [4, 2, 3, 0, 1, 4, 5 / 6, 14 * 3 / 15, 2, 61.5, 30, 70]
    assert len(FEATURES) == len(expected)
    np.testing.assert_allclose(lynx, expected, rtol=1e-6)
    assert ninja[FEATURES.index("pre_time")] == 10


def test_all_of_it_survives_the_data_folder(data, tmp_path):
    again = read_folder(write_folder(data, tmp_path / "folder"))
    order = [again.annotations.annotators.index(name) for name in data.annotations.annotators]
    np.testing.assert_allclose(again.annotator_features[order], data.annotator_features)
    np.testing.assert_allclose(again.annotations.probs, data.annotations.probs)
    np.testing.assert_allclose(again.annotations.seconds, data.annotations.seconds)


@pytest.mark.parametrize("changed", [{"pre_interest_choice": "Extreme"}, {"post_leopard_choice": ""}])
def test_an_answer_off_its_scale_is_refused(changed):
    with pytest.raises(ValueError, match="tuple"):
        encode_questionnaire(questionnaire(**changed))


def test_other_numbers_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"dopanim.*10484"):
        dopanim.SOURCE.build(write_archive(tmp_path), Options())
