"""ALOI: colour histograms of 1,000 small objects, with simulated annotators of the annot-mix study."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.published_splits import STUDY, draw_published_split, simulate_published_annotators

WIDTH = 128
SHAPE, NUM_CLASSES, VAL = (108_000, WIDTH), 1_000, 2_000


class Objects(NamedTuple):
    """N pictures of K objects, in the order of the file."""

    inputs: NDArray[np.float32]
    """(N, 128)."""
    target: NDArray[np.int64]


def read_objects(paths: list[Path]) -> Objects:
    """From LIBSVM's sparse text: the class, then ``column:value`` with columns from 1."""
    from sklearn.datasets import load_svmlight_file  # here: every command imports this module

    inputs, target = load_svmlight_file(str(paths[0]), n_features=WIDTH, dtype=np.float32, zero_based=False)
    return Objects(inputs.toarray(), target.astype(np.int64))


OBJECTS = Resource(
    (
        RemoteFile(
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/aloi.bz2",
            "aloi/aloi.bz2",
            unverified="its page states neither size nor checksum",
        ),
    ),
    read_objects,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    inputs, numbers = access.read(OBJECTS)
    known, target = np.unique(numbers, return_inverse=True)
    require_published("ALOI: shape of the inputs, classes", (inputs.shape, len(known)), (SHAPE, NUM_CLASSES))
    split = draw_published_split(target, test=0.2, val=VAL)
    classes = [f"object {number}" for number in known]
    return AnnotatedData(
        name=SOURCE.name,
        items=tuple(f"picture-{i:06d}" for i in range(len(target))),
        inputs=ArrayInputs(inputs, "vector"),
        annotations=simulate_published_annotators(
            inputs, target, split, classes=classes, options=options, hidden=(256, 128), max_epochs=20, batch_size=50
        ),
        target=target,
        split=split,
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="aloi",
    summary="108,000 pictures of 1,000 objects as 128 numbers, 20 simulated annotators, one label each",
    licence="none stated (research)",
    citation="J. Geusebroek, G. Burghouts, A. Smeulders, The Amsterdam Library of Object Images, IJCV 2005; "
    f"A. Rocha, S. Goldenstein, 2014 (features, as LIBSVM's data set); {STUDY}",
    build=_build,
    resources=(OBJECTS,),
    options=("seed", "annotators", "labels_per_item"),
    defaults=Options(labels_per_item=1),
    profile=Profile(
        "108,000",
        "20, simulated",
        "1; test items 20",
        "not measured (in the study 43.4 %)",
        "a thousand classes, one label each",
    ),
    note="Every annotator labels the 21,600 test items. No checksum is published; the numbers of items, features and "
    "classes are checked. The annot-mix study read the same data from OpenML, 42396, whose order may differ. hilmix "
    "was not tested with the original file.",
)
