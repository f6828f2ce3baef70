"""Trained models in the formats of other programs, each verified against the model that it comes from."""

from hilmix.export.formats import FORMATS, export_model
from hilmix.export.module import ExportModule, ModelCard

__all__ = ["FORMATS", "ExportModule", "ModelCard", "export_model"]
