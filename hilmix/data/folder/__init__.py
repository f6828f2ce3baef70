"""The data folder: reading, writing, checking, cleaning, and importing class folders."""

from hilmix.data.folder.class_folders import read_class_folders
from hilmix.data.folder.copy import copy_readable
from hilmix.data.folder.describe import Description, describe_data
from hilmix.data.folder.mask_summary import MaskSummary, summarise_masks
from hilmix.data.folder.masks import MaskPictures
from hilmix.data.folder.read import FolderContents, LabelledItems, examine_folder, read_folder, read_labels
from hilmix.data.folder.write import write_folder

__all__ = [
    "Description",
    "FolderContents",
    "LabelledItems",
    "MaskPictures",
    "MaskSummary",
    "copy_readable",
    "describe_data",
    "examine_folder",
    "read_class_folders",
    "read_folder",
    "read_labels",
    "summarise_masks",
    "write_folder",
]
