"""Items of a split, fetched and collated a batch at a time."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, ArrayInputs
from hilmix.data.dataset import ItemDataset
from hilmix.data.inputs import ImageFiles
from hilmix.data.loaders import build_loader, choose_workers
from hilmix.data.masks import Masks
from hilmix.data.samplers import EpochSampler

N, A, K = 12, 4, 3
VOTES = [(0, 1, 2), (0, 3, 0), (4, 0, 1), (5, 2, 2), (5, 2, 1), (5, 1, 0), (11, 3, 1)]
"""(item, annotator, label); most items have none, annotator 2 labels item 5 twice."""


def data(kind: str = "image", *, soft: bool = False) -> AnnotatedData:
    rng = np.random.default_rng(0)
    item, annotator, label = np.array(VOTES).T
    array = rng.integers(0, 256, (N, 9, 7, 3), dtype=np.uint8) if kind == "image" else rng.normal(size=(N, 5))
    return AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(N)),
        inputs=ArrayInputs(array, kind),
        annotations=Annotations.build(
            item,
            annotator,
            None if soft else label,
            num_items=N,
            classes=K,
            annotators=A,
            probs=rng.dirichlet(np.ones(K), len(VOTES)) if soft else None,
            confidence=np.linspace(0, 1, len(VOTES)) if soft else None,
        ),
        target=np.arange(N) % K,
    )


def dataset(rows=range(N), ids=range(A), *, source: AnnotatedData | None = None, **settings) -> ItemDataset:
    source = source or data()
    return ItemDataset(source, np.array(rows), source.annotations, annotator_ids=np.array(ids), **settings)


def test_a_batch_by_loops() -> None:
    rows = [5, 2, 11, 0]
    source = data()
    batch = dataset(rows, source=source).__getitems__([3, 0, 1, 2])
    wanted = [0, 5, 2, 11]
    assert batch.index.tolist() == wanted, "index is the row of the whole table"
    assert batch.target.tolist() == [i % K for i in wanted]
    assert batch.plan is batch.mask is batch.group is batch.probs is batch.confidence is None
    expected = [(b, a, z) for b, i in enumerate(wanted) for j, a, z in VOTES if i == j]
    assert list(zip(batch.row.tolist(), batch.annotator.tolist(), batch.label.tolist(), strict=True)) == expected
    assert torch.equal(batch.input, source.inputs.fetch(np.array(wanted)))
    assert batch.input.dtype == torch.uint8
    assert {batch.index.dtype, batch.target.dtype, batch.row.dtype, batch.annotator.dtype, batch.label.dtype} == {
        torch.int64
    }


def test_items_without_votes_make_a_batch_without_pairs() -> None:
    batch = dataset().__getitems__([1, 2, 3])
    assert len(batch.input) == 3
    assert batch.row.shape == batch.annotator.shape == batch.label.shape == (0,)


def test_soft_answers_and_confidence_travel_with_their_pairs() -> None:
    source = data(soft=True)
    batch = dataset(source=source).__getitems__([11, 5])
    table = source.annotations
    where = np.concatenate([np.flatnonzero(table.item == i) for i in (11, 5)])
    np.testing.assert_array_equal(batch.probs.numpy(), table.probs[where])
    np.testing.assert_array_equal(batch.confidence.numpy(), table.confidence[where])
    assert torch.equal(batch.probs.argmax(1), batch.label)


def test_annotators_get_the_ids_of_the_model() -> None:
    batch = dataset(ids=[7, -1, 2, -1]).__getitems__([0, 4, 5])
    assert batch.annotator.tolist() == [-1, -1, 7, 2, 2, -1]


def test_a_position_may_carry_its_epoch() -> None:
    items = dataset([3, 5, 8])
    plain, coded = items.__getitems__([0, 2]), items.__getitems__([0 + 3 * 4, 2 + 3 * 9])
    assert plain.index.tolist() == coded.index.tolist() == [3, 8]
    assert torch.equal(plain.input, coded.input)


@pytest.mark.parametrize("augment", ["crop-flip", "resized-crop-flip"])
def test_augmentation_depends_on_seed_epoch_and_item_only(augment: str) -> None:
    items, n = dataset(augment=augment, seed=3), N
    batch = items.__getitems__([n * 2 + i for i in range(n)]).input
    assert batch.shape == (n, 3, 9, 7)
    assert batch.dtype == torch.uint8
    torch.manual_seed(12345)  # nothing global matters
    backwards = items.__getitems__([n * 2 + i for i in reversed(range(n))]).input.flip(0)
    assert torch.equal(batch, backwards)
    assert torch.equal(batch[5], items[n * 2 + 5].input[0])
    part = dataset([5, 7], augment=augment, seed=3)  # the same item in another split draws the same
    assert torch.equal(batch[5], part[2 * 2 + 0].input[0])
    assert not torch.equal(batch, items.__getitems__([n * 3 + i for i in range(n)]).input)
    assert not torch.equal(batch, dataset(augment=augment, seed=4).__getitems__([n * 2 + i for i in range(n)]).input)


@pytest.mark.parametrize("augment", ["crop-flip", "resized-crop-flip"])
def test_an_item_that_stands_twice_is_augmented_apart(augment: str) -> None:
    once, twice = dataset(augment=augment), dataset([*range(N), 3, 5], augment=augment)
    assert torch.equal(once.__getitems__(list(range(N))).input, twice.__getitems__(list(range(N))).input)
    again = twice.__getitems__([3, N, 5, N + 1])
    assert again.index.tolist() == [3, 3, 5, 5]
    assert not torch.equal(again.input[0], again.input[1])
    assert not torch.equal(again.input[2], again.input[3])


def test_augmentation_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    dataset(augment="crop-flip").__getitems__([0, 1, 2])
    assert torch.equal(torch.get_rng_state(), before)


def loaded(workers: int) -> list[torch.Tensor]:
    items = dataset(augment="crop-flip", seed=1)
    sampler = EpochSampler(items, seed=1)
    loader = build_loader(items, sampler, batch_size=5, num_workers=workers)
    out = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        out += [batch.input for batch in loader]
    return out


def test_workers_do_not_change_what_is_drawn() -> None:
    for alone, two in zip(loaded(0), loaded(2), strict=True):
        assert torch.equal(alone, two)


@pytest.mark.parametrize(
    ("cores", "ranks", "items", "augment", "workers"),
    [
        (8, 1, 1000, "crop-flip", 7),
        (64, 1, 1000, "crop-flip", 8),
        (16, 4, 1000, "crop-flip", 3),
        (2, 4, 1000, "crop-flip", 0),
        (1, 1, 1000, "crop-flip", 0),
        (8, 1, 999, "crop-flip", 0),
        (8, 1, 1000, "none", 0),
    ],
)
def test_workers_by_cores(
    cores: int, ranks: int, items: int, augment: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    found = dataset([*range(N)] * (items // N) + [0] * (items % N), augment=augment)
    assert len(found) == items
    assert choose_workers(found, ranks=ranks) == workers


def test_pictures_are_decoded_by_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    source = replace(data(), inputs=ImageFiles([tmp_path / "a.png"] * N))
    assert choose_workers(dataset([0] * 1000, source=source)) == 2


def test_crop_flip_only_moves_and_mirrors() -> None:
    """Reflection padding by an eighth: no new pixel values."""
    source = data()
    images = source.inputs.fetch(np.arange(N))
    changed = dataset(source=source, augment="crop-flip").__getitems__(list(range(N))).input
    for before, after in zip(images, changed, strict=True):
        assert set(after.unique().tolist()) <= set(before.unique().tolist())
    assert not torch.equal(images, changed)
    assert torch.equal(source.inputs.fetch(np.arange(N)), images), "the stored images stay"


def masked(masks_like_images: bool, *, floats: bool = False) -> AnnotatedData:
    """Items 0, 4 and 5 have masks (item 5 of two people); in the first case each is a copy of its image."""
    source = data()
    pixels = np.moveaxis(source.inputs.fetch(np.array([0, 4, 5, 5])).numpy(), 1, 3)
    pictures = pixels if masks_like_images else pixels[..., :1]
    pictures = (pictures / 255).astype(np.float32) if floats else pictures
    masks = Masks.build(
        [0, 4, 5, 5], [0, 0, 0, 1], ArrayInputs(pictures, "image"), num_items=N, annotators=["ann", "bob"]
    )
    return replace(source, masks=masks, group=np.arange(N) % 2 - 1, groups=("patch",))


def test_masks_and_groups_travel_with_their_items() -> None:
    source = masked(False)
    batch = dataset([5, 2, 0], source=source).__getitems__([1, 2, 0])
    assert batch.mask.shape == (3, 1, 9, 7)
    assert batch.mask.dtype == torch.uint8
    assert not batch.mask[0].any()
    assert torch.equal(batch.mask[1:], source.inputs.fetch(np.array([0, 5]))[:, :1])
    assert batch.group.tolist() == [-1, -1, 0]


def test_masks_of_several_people_are_aggregated_as_asked() -> None:
    source = masked(False)
    batch = dataset(source=source, masks="agreement").__getitems__([4, 5])
    torch.testing.assert_close(batch.mask, source.inputs.fetch(np.array([4, 5]))[:, :1] / 255)


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("augment", ["crop-flip", "resized-crop-flip"])
def test_masks_move_with_their_images(augment: str, floats: bool) -> None:
    source = masked(True, floats=floats)
    batch = dataset(source=source, augment=augment, seed=2).__getitems__([N * 3 + i for i in (5, 4, 1, 0)])
    images, masks = batch.input.float() / 255, batch.mask if floats else batch.mask.float() / 255
    assert not masks[2].any()
    # bytes are resized in fixed point and rounded twice, floats are not
    torch.testing.assert_close(images[[0, 1, 3]], masks[[0, 1, 3]], atol=1.01 / 255 if floats else 0, rtol=0)


@pytest.mark.parametrize("augment", ["crop-flip", "resized-crop-flip"])
def test_masks_do_not_change_what_is_drawn_for_the_images(augment: str) -> None:
    positions = [N * 5 + i for i in range(N)]
    with_masks = dataset(source=masked(False), augment=augment).__getitems__(positions)
    assert torch.equal(with_masks.input, dataset(augment=augment).__getitems__(positions).input)
