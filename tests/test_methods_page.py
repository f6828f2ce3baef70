"""docs/methods.md describes every method that ships, and no other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "methods.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))
METHODS = sorted(file.stem for file in (ROOT / "configs" / "method").glob("*.yaml"))


def test_each_config_has_a_section_and_each_section_a_config() -> None:
    assert sorted(SECTIONS) == METHODS
    assert len(re.findall(r"^### ", TEXT, flags=re.MULTILINE)) == len(METHODS), "a heading stands twice"


@pytest.mark.parametrize("name", METHODS)
def test_each_section_has_idea_formula_use_cost_paper_and_command(name: str) -> None:
    section = SECTIONS[name].strip()
    assert re.match(r"[\w`]", section), "starts with the idea"
    assert re.search(r"^    .*=", section, flags=re.MULTILINE), "has a formula"
    assert re.findall(r"^\* \*\*(\w+)\*\*", section, flags=re.MULTILINE) == ["When", "Cost", "Paper"]
    assert section.endswith(f"`hilmix fit -c configs/method/{name}.yaml --data.root FOLDER --run_dir runs/{name}`")


def test_every_config_that_the_page_names_exists() -> None:
    named = set(re.findall(r"configs/[\w./-]+\.yaml", TEXT))
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_guide_takes_methods_that_exist() -> None:
    guide = TEXT.split("## Which method for my data")[1].split("\n## ")[0]
    taken = [row.split("|")[2] for row in guide.splitlines() if row.startswith("|")][2:]
    assert len(taken) > 10
    names = {name for cell in taken for name in re.findall(r"`([^`]+)`", cell)}
    assert names - set(METHODS) == {"hilmix aggregate"}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    for path, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", TEXT):
        file = (PAGE.parent / path).resolve() if path else PAGE
        assert file.is_file(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
