"""Sphinx: the Markdown pages as they lie in the repository, with the docstrings of every public name.

Sphinx with MyST, since the readers come from PyTorch, Lightning and scikit-learn, whose sites it builds: docstrings
with their roles are read as they are, other projects link to ours by name, and notebooks are run by MyST-NB. The source
folder is the root of the repository, so that links between pages work on GitHub and on the site alike.
"""

import importlib.util
import inspect
import os
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PYTHONPATH", str(ROOT))  # of the kernels that run notebooks

import hilmix  # noqa: E402  # found by the line above

project, author = "hilmix", "The hilmix authors"
release = version = hilmix.__version__
project_copyright = "The hilmix authors, Apache-2.0"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx_design",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "experiments/**/*.md", "benchmarks/*.md", "notebooks/*.ipynb"]
exclude_patterns = ["docs/site/**", "docs/images/**", "**/tables/**"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_heading_anchors = 4
# Tables of experiments are far wider than a line; a link to a file of the repository is one to download.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
nb_execution_mode = os.environ.get("HILMIX_DOCS_NOTEBOOKS", "cache")
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_cache_path = str(ROOT / "build" / "notebooks")
nb_execution_in_temp = True
nb_execution_excludepatterns = ["*human_mixup*"]  # it needs H-Mix and CIFAR-10
nb_merge_streams = True

autodoc_typehints = "none"  # docstrings give shapes and types
autodoc_inherit_docstrings = False  # those of Lightning have roles of its own site
autodoc_member_order = "bysource"
autoclass_content = "class"
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_custom_sections = [("Reference", "notes_style")]
napoleon_use_ivar = True
intersphinx_mapping: dict[str, Any] = {}
"""Empty: a build must not depend on the sites of others; names of torch stay text."""

html_theme = "furo"
html_title = "hilmix"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["extra", str(ROOT / "build" / "reports")]
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
html_show_sourcelink = False

PAGE = re.compile(r"^docs/api/(hilmix[\w.]*)$")


@cache
def make_api() -> ModuleType:
    """docs/make_api.py, which knows the public modules."""
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def homes() -> dict[int, str]:
    """The page on which each public object is described: that of the innermost package that exports it."""
    found: dict[int, str] = {}
    for name, module in sorted(make_api().public_modules().items(), key=lambda pair: pair[0].count(".")):
        found |= {id(getattr(module, public)): name for public in module.__all__}
    return found


def as_formulas(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Makes the indented formulas of a docstring literal, which they are to a reader of the source."""
    literal: list[str] = []
    level = 0  # indentation of the paragraph before
    for line in lines:
        indent = len(line) - len(line.lstrip())
        after_blank = bool(literal) and not literal[-1].strip()
        if line.strip() and after_blank and level == 0 and indent >= 4:
            literal += ["::", ""]
        if line.strip():
            # the text of a section such as Args is indented from the line below its name on
            level = indent
        literal.append(line)
    lines[:] = literal


def skip_generated(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out what scikit-learn generates for its estimators."""
    return True if re.fullmatch(r"[gs]et_\w+_(request|routing)", name) else None


def add_docstrings(app: Any, docname: str, source: list[str]) -> None:
    """Puts the docstrings of a package's public names below their table, each where it is at home."""
    if docname == "docs/api/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\nhilmix*\n```\n"
    if (match := PAGE.match(docname)) is None:
        return
    name = match[1]
    module = make_api().public_modules()[name]
    lines = [f"\n## Docstrings\n\n```{{eval-rst}}\n.. currentmodule:: {name}\n"]
    for public in sorted(module.__all__):
        thing = getattr(module, public)
        if homes()[id(thing)] != name:
            continue
        if inspect.isclass(thing):
            lines.append(f".. autoclass:: {public}\n   :members:\n   :show-inheritance:\n")
        elif inspect.isfunction(thing):
            lines.append(f".. autofunction:: {public}\n")
    if len(lines) > 1:
        source[0] += "\n".join(lines) + "\n```\n"


def setup(app: Any) -> None:
    """Registers the docstrings of the API pages."""
    app.connect("source-read", add_docstrings)
    app.connect("autodoc-process-docstring", as_formulas, priority=400)  # before napoleon, which drops the indentation
    app.connect("autodoc-skip-member", skip_generated)
