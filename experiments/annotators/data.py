"""Prepares the data folders of the benchmark.

    python -m experiments.annotators.data --out data/annotators
    python -m experiments.annotators.data --out data/annotators --weights data/efficientnet_lite0.pth cifar10n cifar10h

Without names every folder is made. A folder that is there is complete and is kept, so the command can
be repeated. Public data are downloaded, or read from the folder that HILMIX_DATA names. Features of images need
``--weights``; ``features.py`` describes how to get them. Everything is drawn from one seed.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from experiments.annotators import public, simulated
from experiments.annotators.features import Features
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.folder.describe import describe_data
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access
from hilmix.data.sources.mnist import FASHION, MNIST


@dataclass(frozen=True)
class Recipe:
    """One data folder.

    Args:
        family: data that share a hyperparameter search.
        summary: one line.
        build: makes the data.
        needs_weights: whether features of images have to be computed.
    """

    family: str
    summary: str
    build: Callable[[Access, Features], AnnotatedData]
    needs_weights: bool = False


def _digits(kind: str, build: Callable[[int, int], AnnotatedData], level: int, labels: int = 2) -> tuple[str, Recipe]:
    name = f"digits-{kind}-{level}" + ("" if labels == 2 else f"-{labels}label{'s' * (labels > 1)}")
    summary = f"digits, 20 annotators, errors by {kind}, about {level} % wrong, {labels} label(s) per item"
    return name, Recipe(f"digits-{kind}", summary, lambda access, features: build(level, labels))


_LEVELS = ((30, 2), (50, 2), (65, 2), (50, 1), (50, 4))
RECIPES: Mapping[str, Recipe] = {
    **dict(_digits("class", simulated.digits_by_class, *setting) for setting in _LEVELS),
    **dict(_digits("instance", simulated.digits_by_item, *setting) for setting in _LEVELS),
    "labelme-features": Recipe(
        "labelme",
        "LabelMe, VGG-16 features, all 1,000 items train, clean validation",
        lambda access, features: public.labelme_features(access),
    ),
    "labelme-features-heldout": Recipe(
        "labelme",
        "LabelMe, VGG-16 features, 15 % of the training items validate with their votes",
        lambda access, features: public.labelme_features_heldout(access),
    ),
    "sentiment-polarity": Recipe(
        "sentiment",
        "sentences of film reviews, TF-IDF features, 203 people",
        lambda access, features: public.sentiment_polarity(access),
    ),
    "fashion-class": Recipe(
        "fashion",
        "Fashion-MNIST, 2,000 items, 3 labels each, 200 annotators, errors by class",
        lambda access, features: simulated.images_by_class(access, FASHION, train=2_000, labels_per_item=3, crowds=10),
    ),
    "fashion-instance": Recipe(
        "fashion",
        "Fashion-MNIST, 3,000 items, 1 to 3 labels each, 50 annotators, errors by instance",
        lambda access, features: simulated.images_by_item(
            access, FASHION, train=3_000, labels_per_item=(1, 3), annotators=50, knowledge=1.0
        ),
    ),
    "mnist-class-1label": Recipe(
        "mnist",
        "MNIST, 3,000 items, 1 label each, 20 annotators, errors by class",
        lambda access, features: simulated.images_by_class(access, MNIST, train=3_000, labels_per_item=1, crowds=1),
    ),
    "mnist-instance-500": Recipe(
        "mnist",
        "MNIST, 3,000 items, 4 labels each, 500 annotators, errors by instance",
        lambda access, features: simulated.images_by_item(
            access, MNIST, train=3_000, labels_per_item=4, annotators=500, knowledge=1.0
        ),
    ),
    "clusters-26": Recipe(
        "clusters",
        "clusters of 26 classes, 1,000 items, 2 labels each, 10 annotators, errors by instance; not in the grid",
        lambda access, features: simulated.clusters_by_item(),
    ),
    "labelme-images": Recipe(
        "labelme-images",
        "LabelMe, EfficientNet-Lite0 features of the 1,000 annotated images",
        public.labelme_images,
        needs_weights=True,
    ),
    "cifar10n": Recipe(
        "cifar10n",
        "CIFAR-10N, EfficientNet-Lite0 features of 5,000 images with three labels each",
        public.cifar10n_human,
        needs_weights=True,
    ),
    "cifar10n-worse": Recipe(
        "cifar10n",
        "the same with one label each, a wrong one where there is any",
        public.cifar10n_worse,
        needs_weights=True,
    ),
    "cifar10h": Recipe(
        "cifar10h",
        "CIFAR-10H, EfficientNet-Lite0 features of 4,000 images with two labels each",
        public.cifar10h_thinned,
        needs_weights=True,
    ),
}
"""The folders of the benchmark by name."""


def prepare(name: str, out: Path, access: Access, features: Features) -> bool:
    """Makes one data folder unless it is there; False where the weights for it are missing."""
    recipe = RECIPES[name]
    if (out / name).exists():
        return True
    if recipe.needs_weights and not features.available:
        return False
    write_folder(replace(recipe.build(access, features), name=name), out / name)
    return True


def overview(folders: list[Path]) -> Table:
    """A row for each data folder: its size, annotators and noise."""
    table = Table(
        title="Per cent wrong labels, majority votes right, of all items with votes", box=None, padding=(0, 1, 0, 0)
    )
    table.add_column("data", no_wrap=True)
    for column in ("train", "val", "test", "labels", "mean", "people", "wrong", "right"):
        table.add_column(column, justify="right", no_wrap=True)
    for folder in folders:
        found = describe_data(read_folder(folder))
        low, mean, high = found.labels_per_item
        table.add_row(
            folder.name,
            *(str(found.splits[split][0]) for split in ("train", "val", "test")),
            f"{low}-{high}",
            f"{mean:.1f}",
            str(found.annotators),
            f"{100 * found.wrong_labels:.1f}",
            f"{100 * found.majority_accuracy:.1f}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(["names:", *(f"  {name:27}{recipe.summary}" for name, recipe in RECIPES.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="folders to make, see below")
    parser.add_argument("--out", type=Path, required=True, help="where the folders go")
    parser.add_argument("--downloads", type=Path, default=Path("data/downloads"), help="folder of public files")
    parser.add_argument("--weights", type=Path, help="converted weights of EfficientNet-Lite0")
    args = parser.parse_args()
    names = args.names or list(RECIPES)
    if unknown := sorted(set(names) - set(RECIPES)):
        parser.error(f"there is no data {unknown}; known are: {', '.join(RECIPES)}")
    if args.weights is not None and not args.weights.is_file():
        parser.error(
            f"--weights {args.weights} is not there; experiments/annotators/features.py describes how to get it"
        )
    make = partial(
        prepare, out=args.out, access=Access(args.downloads), features=Features(args.weights, args.out / "features")
    )
    console = Console()
    made = [name for name in track(names, description="data folders", console=console) if make(name)]
    console.print(overview([args.out / name for name in made]))
    if skipped := [name for name in names if name not in made]:
        console.print(
            f"Skipped {', '.join(skipped)}: give --weights (how to get them: experiments/annotators/features.py)."
        )


if __name__ == "__main__":
    main()
