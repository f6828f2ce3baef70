"""docs/api/ lists the public names."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_its_row(make_api: ModuleType) -> None:
    modules = make_api.public_modules()
    pages = {file.stem: file.read_text() for file in (ROOT / "docs" / "api").glob("hilmix*.md")}
    assert pages.keys() == modules.keys(), "run `python docs/make_api.py`"
    listed = {name: re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE) for name, text in pages.items()}
    assert listed == {name: sorted(module.__all__) for name, module in modules.items()}
