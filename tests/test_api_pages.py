"""docs/api/ lists the public names; README, docs and notebooks import public names only."""

import ast
import importlib
import importlib.util
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]


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


def code_of(page: Path) -> Iterator[str]:
    """Python blocks of a page, cells of a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        yield from (
            re.sub(r"^%.*", "", "".join(cell["source"]), flags=re.MULTILINE)
            for cell in json.loads(text)["cells"]
            if cell["cell_type"] == "code"
        )
    else:
        yield from (textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))


def imports_of(page: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of what a page imports from hilmix."""
    for code in code_of(page):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hilmix":
                yield from ((str(node.module), alias.name) for alias in node.names)


def test_pages_import_public_names_only() -> None:
    found = [(page.name, *pair) for page in PAGES for pair in imports_of(page)]
    assert len(found) > 40
    private = [
        f"{page}: from {module} import {name}"
        for page, module, name in found
        if name not in getattr(importlib.import_module(module), "__all__", ())
    ]
    assert not private
