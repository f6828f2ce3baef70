"""Runs of a study silence the loggers of their process; a test must not leave them so for the next."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in ("hilmix", "lightning.pytorch")}
    yield
    for logger, level in levels.items():
        logger.setLevel(level)
