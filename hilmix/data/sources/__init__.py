"""Public data sets by name. ``hilmix data list`` shows them; one file each."""

from pathlib import Path

from hilmix.data.items import AnnotatedData
from hilmix.data.sources import (
    cifar10h,
    cifar10n,
    cifar10s,
    cifar100n,
    decoys,
    embedded,
    isic,
    labelme,
    mnist,
    plant,
    salient_imagenet,
    sentiment,
)
from hilmix.data.sources.base import Access, Options, Source
from hilmix.errors import DataError

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        embedded.CLASS,
        embedded.INSTANCE,
        labelme.IMAGES,
        labelme.FEATURES,
        cifar10h.COUNTS,
        cifar10h.RAW,
        cifar10n.SOURCE,
        cifar100n.SOURCE,
        cifar10s.SOURCE,
        mnist.MNIST,
        mnist.FASHION,
        sentiment.SOURCE,
        *decoys.EVERY,
        isic.SOURCE,
        plant.SOURCE,
        salient_imagenet.SOURCE,
    )
}

__all__ = ["SOURCES", "Access", "Options", "Source", "find_source", "load_source"]


def find_source(name: str) -> Source:
    """Returns the source of that name.

    Raises:
        DataError: listing the names, if there is none.
    """
    if name not in SOURCES:
        raise DataError(f"There is no data set '{name}'; known are: {', '.join(SOURCES)}.")
    return SOURCES[name]


def load_source(
    name: str,
    *,
    downloads: Path = Path("data/downloads"),
    options: Options | None = None,
    allow_unverified: bool = False,
) -> AnnotatedData:
    """Returns a public data set in memory, downloading what is missing.

    Args:
        name: see :data:`SOURCES`.
        downloads: folder of the canonical files.
        options: seed and the like, for the sources that support them.
        allow_unverified: whether to download files whose content cannot be verified.

    Raises:
        DataError: for an unknown name, or if the data cannot be had.

    Example:
        >>> len(load_source("digits-class"))
        1797
    """
    return find_source(name).build(Access(downloads, allow_unverified=allow_unverified), options or Options())
