"""Sources of decoys: the published split, seeds, and the real images where they are at hand."""

import numpy as np
import pytest

from hilmix.data.sources import SOURCES, Options, collect_sources, decoys
from hilmix.data.sources.base import Access
from hilmix.data.sources.cifar10 import CLASSES, Cifar
from hilmix.data.sources.decoys import draw_published_split
from hilmix.data.sources.mnist import Images


def test_the_split_is_the_published_one() -> None:
    split = draw_published_split(60_000, 70_000)
    assert {s: int((split == s).sum()) for s in np.unique(split)} == {"train": 54_000, "val": 6_000, "test": 10_000}
    assert (split[60_000:] == "test").all()
    order = np.random.default_rng(42).permutation(np.arange(60_000))  # as the release draws it
    assert set(np.flatnonzero(split == "val")) == set(order[54_000:])


class Given:
    """Sixty random images in place of the downloads."""

    def read(self, resource):
        rng = np.random.default_rng(0)
        if len(resource.mirror) > 2 or "cifar" in resource.files[0].path:
            return Cifar(rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8), np.arange(60) % 10, CLASSES)
        return Images(rng.integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60) % 10, 50)


@pytest.mark.parametrize("source", collect_sources([decoys]).values(), ids=lambda s: s.name)
def test_every_source_is_built_with_masks_groups_and_seed(source) -> None:
    assert SOURCES[source.name] is source
    data = source.build(Given(), Options())
    assert data.name == source.name
    assert data.licence == source.licence
    assert data.masks is not None
    assert data.masks.explained.all()
    assert data.groups == data.classes
    assert set(data.split) == {"train", "val", "test"}
    other = source.build(Given(), Options(seed=1))
    if source.name == "color-mnist":  # the colours are not random, the channels are
        assert (other.masks.picture != data.masks.picture).any()
    else:
        assert (other.inputs.fetch(np.arange(60)) != data.inputs.fetch(np.arange(60))).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decoy-mnist", "decoy-fashion-mnist", "color-mnist", "decoy-cifar10"])
def test_real_images(real_data, tmp_path, name) -> None:
    data = SOURCES[name].build(Access(tmp_path, real_data), Options())
    sizes = [int((data.split == s).sum()) for s in ("train", "val", "test")]
    assert sizes == ([45_000, 5_000, 10_000] if name == "decoy-cifar10" else [54_000, 6_000, 10_000])
    assert data.inputs.fetch(np.arange(2)).shape[1:] == data.inputs.shape
