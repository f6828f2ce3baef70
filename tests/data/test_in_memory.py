"""Data that a program holds: arrays, tables, torch and Hugging Face data sets, and the data module on them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from hilmix import AnnotatedDataModule, Annotations, Classifier
from hilmix.data import from_arrays, from_class_folders, from_dataset, from_export, from_frame, from_hugging_face
from hilmix.errors import ConfigError, DataError
from tests.commands.exports import CROWD_KIT, VOTES, wide, write_photos
from tests.helpers import quiet_trainer, vector_data

WIDE = [["cat", "dog"], ["dog", None], ["cat", "cat"]]
EXPECTED = {(0, "0", "cat"), (0, "1", "dog"), (1, "0", "dog"), (2, "0", "cat"), (2, "1", "cat")}
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


def triples(data):
    a = data.annotations
    rows = zip(a.item.tolist(), a.annotator.tolist(), a.label.tolist(), strict=True)
    return {(i, a.annotators[w], a.classes[k]) for i, w, k in rows}


@pytest.mark.parametrize(
    "votes",
    [
        WIDE,
        pd.DataFrame(WIDE, columns=["0", "1"]),
        [{"0": "cat", "1": "dog"}, {"0": "dog"}, {"0": "cat", "1": "cat"}],
        pd.DataFrame(sorted(EXPECTED), columns=["item", "annotator", "label"]),
        Annotations.from_dense([[0, 1], [1, -1], [0, 0]], classes=["cat", "dog"]),
    ],
    ids=["array", "table", "mappings", "long", "annotations"],
)
def test_votes_of_every_form_are_the_same(votes):
    data = from_arrays(np.zeros((3, 4)), votes, target=["cat", "dog", None], split=["train", "val", "test"])
    assert triples(data) == EXPECTED
    assert (data.target.tolist(), data.split.tolist()) == ([0, 1, -1], ["train", "val", "test"])


def test_numbers_with_nan_are_classes_in_the_order_of_numbers():
    data = from_arrays(np.zeros((3, 1)), np.array([[10.0, np.nan], [9.0, 10.0], [np.nan, 9.0]]))
    assert data.classes == ("9", "10")
    assert triples(data) == {(0, "0", "10"), (1, "0", "9"), (1, "1", "10"), (2, "1", "9")}


@pytest.mark.parametrize("form", ["uint8", "float", "tensor", "grey"])
def test_images_of_every_form_are_fetched_as_they_are(form):
    given = {
        "uint8": IMAGES,
        "float": (IMAGES / 255).astype(np.float64),
        "tensor": torch.from_numpy(IMAGES).permute(0, 3, 1, 2),
        "grey": IMAGES[..., 0],
    }[form]
    data = from_arrays(given, WIDE)
    found = data.inputs.fetch(np.arange(3))
    expected = torch.from_numpy(IMAGES).permute(0, 3, 1, 2)
    expected = expected[:, :1] if form == "grey" else expected
    assert torch.allclose(found.float() if form == "float" else found / 255, expected / 255)


def test_paths_are_files(tmp_path):
    folder = write_photos(tmp_path / "photos")
    paths = sorted(map(str, folder.iterdir()))[:3]
    assert from_arrays(paths, WIDE).inputs.fetch(np.arange(3))[:, 0, 0, 0].tolist() == [0, 40, 80]


@pytest.mark.parametrize(
    ("inputs", "votes", "settings", "sentence"),
    [
        (IMAGES.astype(np.float32), WIDE, {}, r"must lie in \[0, 1\], got 0 to 2\d\d\. Divide by 255"),
        (IMAGES.astype(np.int64), WIDE, {}, "must be uint8, or float .* got int64"),
        (np.full((3, 4, 4), np.nan), WIDE, {}, "must lie in"),
        (np.full((3, 2), np.inf), WIDE, {}, "finite"),
        (IMAGES, WIDE[:2], {}, "row for each of the 3 items, got 2"),
        (IMAGES, [[-1, 0], [0, 1], [1, -1]], {}, "NaN or None where there is no label, got '-1'"),
        (IMAGES, WIDE, {"target": ["cow", "dog", "cat"], "classes": ["cat", "dog"]}, "`target` .* got 'cow'"),
        (IMAGES, WIDE, {"classes": ["cat"]}, "`votes` must be one of the classes 'cat', got 'dog'"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, votes, settings, sentence):
    with pytest.raises(DataError, match=sentence):
        from_arrays(inputs, votes, **settings)


def test_a_torch_dataset_has_targets_beside_votes_and_labels_without():
    dataset = TensorDataset(torch.from_numpy(IMAGES).permute(0, 3, 1, 2), torch.tensor([0, 1, 1]))
    data = from_dataset(dataset, WIDE, classes=["cat", "dog"])
    assert triples(data) == EXPECTED
    assert data.target.tolist() == [0, 1, 1]
    assert torch.equal(data.inputs.fetch(np.array([1])), torch.from_numpy(IMAGES[1:2]).permute(0, 3, 1, 2))
    alone = from_dataset(dataset, classes=["cat", "dog"])
    assert triples(alone) == {(0, "label", "cat"), (1, "label", "dog"), (2, "label", "dog")}
    with pytest.raises(DataError, match="`votes` must be given"):
        from_dataset([torch.zeros(3), torch.ones(3)])
    with pytest.raises(DataError, match="one shape"):
        from_dataset([torch.zeros(3), torch.ones(4)], WIDE[:2])


class HuggingFace:
    """What is read of ``datasets.Dataset``: names of columns, features with names of a ClassLabel, columns."""

    features = {
        "image": SimpleNamespace(),
        "ann": SimpleNamespace(names=["cat", "dog"]),
        "bob": SimpleNamespace(names=["cat", "dog"]),
        "truth": SimpleNamespace(),
    }
    column_names = list(features)
    columns = {
        "image": [Image.fromarray(image) for image in IMAGES],
        "ann": [0, 1, 0],
        "bob": [1, -1, 0],
        "truth": ["cat", None, "dog"],
    }

    def __getitem__(self, name):
        return self.columns[name]


def test_a_hugging_face_dataset_has_columns_of_annotators():
    data = from_hugging_face(HuggingFace(), annotators=["ann", "bob"], label="truth")
    assert triples(data) == {(i, {"0": "ann", "1": "bob"}[who], label) for i, who, label in EXPECTED}
    assert data.target.tolist() == [0, -1, 1]
    assert np.array_equal(data.inputs.fetch(np.arange(3)).permute(0, 2, 3, 1), IMAGES)
    with pytest.raises(DataError, match="no column 'cyd'"):
        from_hugging_face(HuggingFace(), annotators=["cyd"])
    with pytest.raises(DataError, match="must be left out"):
        from_hugging_face(HuggingFace(), WIDE, annotators=["ann"])


def test_exports_tables_and_class_folders(tmp_path):
    photos = write_photos(tmp_path / "photos")
    (tmp_path / "votes.csv").write_text(CROWD_KIT)
    long = pd.DataFrame(VOTES, columns=["task", "worker", "label"])
    for data in (
        from_export(tmp_path / "votes.csv", photos, item="task"),
        from_frame(long, photos),
        from_frame(wide(), photos, wide=True),
    ):
        assert {(data.items[i], who, label) for i, who, label in triples(data)} == set(VOTES)
    with pytest.raises(ConfigError, match="`sep` must be one of item"):
        from_export(tmp_path / "votes.csv", photos, sep=";")
    write_photos(tmp_path / "sorted", "cat/1.png", "dog/2.png")
    assert from_class_folders(tmp_path / "sorted").classes == ("cat", "dog")


# -- the data module -------------------------------------------------------------------------------------------------


def test_the_data_module_takes_data_a_path_and_arrays(tmp_path):
    data = vector_data()
    inputs = data.inputs.array
    module = AnnotatedDataModule((inputs, data.annotations), batch_size=8, val_fraction=0.2)
    assert AnnotatedDataModule(data).data is data
    assert module.data.annotations is data.annotations
    model = Classifier(module.num_classes, module.num_annotators, module.input_shape)
    trainer = quiet_trainer(tmp_path, max_epochs=1)
    trainer.fit(model, module)
    assert len(trainer.predict(model, module)) == 8
    assert module.hparams["root"] == "in-memory"
    with pytest.raises(ConfigError, match="must be set: the data of this run were in memory"):
        AnnotatedDataModule("in-memory").data  # noqa: B018
    with pytest.raises(ConfigError, match="got int"):
        AnnotatedDataModule(3)


def test_float_images_beyond_one_are_refused_by_the_data_module():
    data = from_arrays(IMAGES, WIDE)
    data.inputs.array = IMAGES.astype(np.float32)
    with pytest.raises(DataError, match="Divide by 255"):
        AnnotatedDataModule(data)


def test_setting_the_data_warns_of_its_end():
    module = AnnotatedDataModule("digits-class")
    with pytest.warns(DeprecationWarning, match=r"AnnotatedDataModule\(data\)"):
        module.data = vector_data()
    assert module.data.name == "toy"
    assert module.num_classes == 3
