"""The released files of H-Mix, downloaded into a folder of the user's."""

from pathlib import Path

from hilmix.data.sources.base import require_published
from hilmix.data.sources.fetch import RemoteFile, fetch
from hilmix.human.study.layout import INFERENCES, LAYOUTS, SOFT_LABELS
from hilmix.human.study.read import read_study

LICENCE = (
    "The repository of H-Mix states no licence: ask its authors before you pass the files, or pictures of them, on."
)
_URL = "https://github.com/cambridge-mlg/hill-mixup/raw"
_TABLES = f"{_URL}/0231d4f010b65d9b614370f82accf825b38f94fd/h_mix"  # commits, so that the content cannot change
_MADE = f"{_URL}/82b679f5c7efd94dd9f0e9eb4296580c9e572861/h_mix"
_PARTICIPANTS = {"construct": 45, "select": 25, "infer": 81, "categorical": 8}

FILES = (
    *(RemoteFile(f"{_TABLES}/{layout.file}", layout.file) for layout in LAYOUTS.values()),
    RemoteFile(
        f"{_MADE}/{INFERENCES}",
        INFERENCES,
        779_101,
        "sha256:0cec610ca92a493a8551b923dec5fdfedfcca0fe199f55aa2447db16621bcea7",
    ),
    RemoteFile(
        f"{_MADE}/{SOFT_LABELS}",
        SOFT_LABELS,
        23_785,
        "sha256:1433a745204f798c5fc3c1c029b37a8a29e2e4c558320a9443a8d1dd93b0db6b",
    ),
)
"""The four tables, without published checksums, whose content is checked, and the two files made from them."""


def download_hmix(folder: Path) -> list[Path]:
    """Downloads what is not in the folder yet, checks all of it, and returns the files.

    Args:
        folder: made if it is not there.

    Raises:
        DataError: if a file cannot be had, is not the published one, or holds another number of participants.
    """
    # No checksums were published for the tables: reading them checks their content, and the count that none is cut
    # short.
    files = [fetch(file, folder) for file in FILES]
    for task, layout in LAYOUTS.items():
        participants = len(read_study(folder, task).participants)
        require_published(f"{folder / layout.file}: participants", participants, _PARTICIPANTS[task])
    return files
