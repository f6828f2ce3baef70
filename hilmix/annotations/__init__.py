"""The sparse table of annotations and what reads one: columns, soft labels, repeated rows."""

from hilmix.annotations.table import Annotations, FloatArray, IntArray

__all__ = ["Annotations", "FloatArray", "IntArray"]
