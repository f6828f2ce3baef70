"""CIFAR-10N and CIFAR-100N: torch files without code, pages to images, checks against the official labels."""

import os
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hilmix.data.sources import Options, cifar10n, cifar100n, load_source
from hilmix.data.sources.base import Access, Resource
from hilmix.data.sources.cifar10 import Cifar
from hilmix.data.sources.cifar10n import load_arrays, read_human
from hilmix.data.sources.fetch import RemoteFile
from hilmix.errors import DataError


def old_names(path):
    """Rewrites a torch file as numpy 1 would have pickled its arrays."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return path


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "int32", "uint16"])
def test_arrays_of_torch_files(tmp_path, old, dtype):
    torch.save({"a": np.arange(5).astype(dtype)}, tmp_path / "x.pt")
    path = old_names(tmp_path / "x.pt") if old else tmp_path / "x.pt"
    arrays = load_arrays(path)
    assert arrays["a"].tolist() == [0, 1, 2, 3, 4]
    assert arrays["a"].dtype == np.int64


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("was_run",))


def test_torch_files_run_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, tmp_path / "x.pt")
    resource = Resource((RemoteFile("http://127.0.0.1:9/x", "x.pt"),), lambda paths: load_arrays(paths[0]))
    with pytest.raises(DataError, match=r"Cannot read .*x\.pt"):
        Access(tmp_path).read(resource)
    assert not (tmp_path / "was_run").exists()


def human(tmp_path, n=6):
    columns = {
        key: np.arange(n) % (i + 2)
        for i, key in enumerate(
            ["clean_label", "aggre_label", "worse_label", "random_label1", "random_label2", "random_label3"]
        )
    }
    torch.save(columns, tmp_path / "h.pt")
    return columns, read_human([tmp_path / "h.pt"])


def test_the_three_random_labels_are_read(tmp_path):
    columns, table = human(tmp_path)
    for i, key in enumerate(["clean_label", "random_label1", "random_label2", "random_label3"]):
        np.testing.assert_array_equal(table[:, i], columns[key])


def cifar(target, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (len(target), 32, 32, 3), dtype=np.uint8)
    return Cifar(images, np.asarray(target, dtype=np.int64), tuple("abcdefghij"))


def access(*contents):
    """An Access whose resources are given, in the order of the source's ``resources``."""
    return lambda source: SimpleNamespace(
        read=lambda wanted: dict(zip(map(id, source.resources), contents, strict=True))[id(wanted)]
    )


def test_cifar10n_holds_train_with_votes_and_test_without():
    table = np.array([[0, 0, 1, 2], [1, 1, 1, 1]])
    train, test = cifar([0, 1]), cifar([2, 3, 4], 1)
    data = cifar10n.SOURCE.build(access(table, train, test)(cifar10n.SOURCE), Options())
    votes = data.annotations
    assert data.split.tolist() == ["train"] * 2 + ["test"] * 3
    assert data.target.tolist() == [0, 1, 2, 3, 4]
    assert votes.exchangeable
    assert votes.labels_per_item.tolist() == [3, 3, 0, 0, 0]
    assert votes.label.tolist() == [0, 1, 2, 1, 1, 1]
    np.testing.assert_array_equal(
        data.inputs.fetch(np.array([1, 4])).permute(0, 2, 3, 1), np.stack([train.images[1], test.images[2]])
    )


def test_cifar10n_refuses_labels_of_other_images():
    table = np.array([[0, 0, 1, 2], [2, 1, 1, 1]])
    with pytest.raises(DataError, match="clean labels that equal CIFAR-10's: found 1, expected 2"):
        cifar10n.SOURCE.build(access(table, cifar([0, 1]), cifar([2]))(cifar10n.SOURCE), Options())


def test_cifar100n_pages_are_spread_over_five_images(tmp_path):
    torch.save({"clean_label": np.arange(10), "noisy_label": np.arange(10)[::-1].copy()}, tmp_path / "h.pt")
    (tmp_path / "side.csv").write_text("Image-batch,Worker-id,Work-time-in-seconds\n5--9,4,50\n0--4,7,10\n")
    found = cifar100n.read_human([tmp_path / "h.pt", tmp_path / "side.csv"])
    assert found.annotator.tolist() == [7] * 5 + [4] * 5
    assert found.seconds.tolist() == [2.0] * 5 + [10.0] * 5
    data = cifar100n.SOURCE.build(access(found, (cifar(range(10)), cifar([1])))(cifar100n.SOURCE), Options())
    votes = data.annotations
    assert votes.annotators == ("4", "7")
    assert votes.annotator.tolist() == [1] * 5 + [0] * 5
    assert votes.labels_per_item.tolist() == [1] * 10 + [0]
    assert data.split.tolist() == ["train"] * 10 + ["test"]


@pytest.mark.slow
def test_cifar10n_of_the_mirror(real_data, tmp_path):
    data = load_source("cifar10n", downloads=tmp_path)
    votes = data.annotations
    assert votes.num_pairs == 150_000
    given_labels = votes.label.reshape(50_000, 3)
    wrong = (given_labels != data.target[:50_000, None]).mean(0)
    np.testing.assert_allclose(wrong, [0.1723, 0.1812, 0.1764], atol=5e-5)


def test_cifar100n_without_images_is_refused_with_the_remedy(real_data, tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network here")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", offline)
    with pytest.raises(DataError, match=r"cifar-100-python\.tar\.gz: no network here.*by hand"):
        load_source("cifar100n", downloads=tmp_path)


def test_cifar100n_labels_of_the_mirror_line_up_with_their_annotators(real_data, tmp_path):
    found = Access(tmp_path, real_data).read(cifar100n.SOURCE.resources[0])
    wrong = found.label != found.clean
    assert wrong.mean() == pytest.approx(0.4020, abs=5e-5)
    assert len(np.unique(found.annotator)) == 519
    number = np.bincount(found.annotator)
    rate = (np.bincount(found.annotator, wrong) / number)[number >= 100]
    assert rate.std() > 0.15  # identical annotators would give 0.03
