"""The data folder: reading, writing, checking, cleaning, and importing class folders."""

from hilmix.data.folder.read import (
    FolderContents,
    LabelledItems,
    examine_folder,
    read_folder,
    read_labels,
    write_folder,
)

__all__ = ["FolderContents", "LabelledItems", "examine_folder", "read_folder", "read_labels", "write_folder"]
