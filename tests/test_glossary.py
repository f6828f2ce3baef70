"""The words of docs/glossary.md: idioms that it replaces do not return to code, comments, configs and pages."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BANNED = {
    "label, output, message": r"said|told",
    "distinguish, show, state": r"tells|tell\s+apart",
    "depend on": r"hangs?\s+on",
    "return, reply": r"c[oa]mes?\s+back",
    "annotator, participant": r"whoever|somebody|everybody|nobody|anybody",
    "cannot": r"can[ _]not",
    "atomically": r"in\s+one\s+stroke",
    "respect": r"heed(?:s|ed)?",
    "no-op by default": r"by\s+default\s+no\s+matter",
    "must be X, got Y": r"allowed\s+(?:is|are)",
}
"""What to write, and the pattern of what it replaces."""
IDIOM = re.compile(f"(?:{'|'.join(BANNED.values())})(?![a-z])")
QUESTION = re.compile(r"(what|whether|how|who|whom|whose|which|where|when|why|that)\b", re.IGNORECASE)
FOLDERS = (".", ".ci", "hilmix", "experiments", "benchmarks", "docs", "configs", "notebooks", "tests")
SUFFIXES = (".py", ".pyi", ".md", ".yaml", ".ipynb", ".cfg", ".toml")
EXCLUDED = (
    "docs/api",  # generated from docstrings
    "tests/test_glossary.py",
)
FORMER = {
    "said": (
        "CHANGELOG.md",
        "docs/diagnostics.md",
        "hilmix/diagnostics/annotators.py",
        "tests/callbacks/test_reports.py",
    ),
}
"""Names that must stand: a former column of confusion.parquet, kept for one version."""


def read_files() -> dict[str, str]:
    """Returns the text of every file that people write, by its path."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).glob("*" if folder == "." else "**/*"):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and not any(f"{name}/".startswith(f"{part}/") for part in EXCLUDED):
                found[name] = path.read_text()
    return found


def idioms(name: str, text: str) -> list[str]:
    """Returns line and idiom of each banned one."""
    lower = text.lower()  # faster than ignoring case, as is a look at the letter before a hit than a look-behind
    hits = [hit for hit in IDIOM.finditer(lower) if not lower[hit.start() - 1 : hit.start()].isalpha()]
    hits = [hit for hit in hits if name not in FORMER.get(hit[0], ())]
    return [f"{name}:{lower.count(chr(10), 0, hit.start()) + 1}: {hit[0]}" for hit in hits]


@pytest.mark.parametrize(
    "text", ["What is Said", "def test_can_not_be", "it hangs\n on", "as_told = 1", "in one\nstroke", "allowed are 1"]
)
def test_an_idiom_is_found(text):
    assert len(idioms("x.py", text)) == 1


@pytest.mark.parametrize("text", ["saidit", "unsaid", "cannot", "file.tell()", "untold", "hands on"])
def test_other_words_pass(text):
    assert not idioms("x.py", text)


def test_no_idiom_returns():
    texts = read_files()
    assert {"README.md", "hilmix/cli.py", "configs/base.yaml", "docs/methods.md"} <= set(texts), "the walk works"
    assert [hit for name, text in texts.items() for hit in idioms(name, text)] == []


def openings(code: str) -> list[tuple[int, str, bool]]:
    """Returns line, text, and whether it belongs to an attribute, of each docstring."""
    found = []
    for parent in ast.walk(ast.parse(code)):
        for place, node in enumerate(
            getattr(parent, "body", ()) if not isinstance(parent, ast.Lambda | ast.IfExp) else ()
        ):
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.append((node.lineno, value.value.strip(), place > 0))
    return found


def test_docstrings_open_with_a_verb_or_a_noun():
    """An attribute that is true or false may open with Whether, as in torch."""
    texts = {
        name: text for name, text in read_files().items() if name.endswith(".py") and not name.startswith("tests/")
    }
    found = {name: openings(text) for name, text in texts.items()}
    assert sum(map(len, found.values())) > 2000, "the walk works"
    asked = [
        f"{name}:{line}: {text.splitlines()[0]}"
        for name, all_of in found.items()
        for line, text, attribute in all_of
        if QUESTION.match(text) and not (attribute and text.startswith("Whether "))
    ]
    assert asked == []
