"""Annotated data in memory and in folders, and batches of them for training."""

from hilmix.data.datamodule import AnnotatedDataModule
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.inputs import ArrayInputs, ImageFiles, InputKind, Inputs
from hilmix.data.items import AnnotatedData
from hilmix.data.masks import Masks
from hilmix.data.splits import draw_stratified_split
from hilmix.data.targets import Aggregated, Pairs, Targets, TrueLabels
from hilmix.data.validation import check_validation

__all__ = [
    "Aggregated",
    "AnnotatedData",
    "AnnotatedDataModule",
    "ArrayInputs",
    "ImageFiles",
    "InputKind",
    "Inputs",
    "Masks",
    "Pairs",
    "Targets",
    "TrueLabels",
    "check_validation",
    "draw_stratified_split",
    "read_folder",
    "write_folder",
]
