"""Faults of data folders, where readers of folders look for them."""

from hilmix.faults import Fault, FaultyDataError, Findings, group_faults

__all__ = ["Fault", "FaultyDataError", "Findings", "group_faults"]
