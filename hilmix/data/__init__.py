"""Data: annotated items, folders, sources, simulated annotators, and the DataModule."""

from hilmix.data.datamodule import AnnotatedDataModule
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.items import AnnotatedData, ArrayInputs, ImageFiles

__all__ = ["AnnotatedData", "AnnotatedDataModule", "ArrayInputs", "ImageFiles", "read_folder", "write_folder"]
