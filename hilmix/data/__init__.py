"""Data: annotated items, folders, sources, simulated annotators, and the DataModule."""

from hilmix.data.datamodule import AnnotatedDataModule
from hilmix.data.folder.read import read_folder, write_folder
from hilmix.data.inputs import ArrayInputs, ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.data.targets import Aggregated, Pairs, Targets, TrueLabels

__all__ = [
    "Aggregated",
    "AnnotatedData",
    "AnnotatedDataModule",
    "ArrayInputs",
    "ImageFiles",
    "Pairs",
    "Targets",
    "TrueLabels",
    "read_folder",
    "write_folder",
]
