import configparser
import hashlib
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"pytorch": "torch"}


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(text: str) -> dict[str, Requirement]:
    found = [Requirement(line) for line in text.strip().splitlines() if line.strip() and not line.startswith("#")]
    return {r.name: r for r in found}


def test_every_requirement_has_a_lower_bound_and_torch_never_is_2_13_0(setup_cfg):
    required = requirements(setup_cfg["options"]["install_requires"])
    assert all(any(s.operator == ">=" for s in r.specifier) for r in required.values())
    assert not required["torch"].specifier.contains("2.13.0")
    assert not required["torch"].specifier.contains("2.13.0+cpu")
    assert required["torch"].specifier.contains("2.15.0")
    assert required["jsonargparse"].extras == {"signatures"}


def test_every_requirement_says_why_its_bound():
    lines = (ROOT / "setup.cfg").read_text().split("install_requires =\n")[1].split("\n\n")[0].splitlines()
    together = {"scipy", "pandas", "pyarrow", "scikit-learn"}  # share the comment of numpy
    for above, line in zip(["", *lines], lines, strict=False):
        text = line.strip()
        if text and not text.startswith("#") and Requirement(text).name not in together:
            assert above.strip().startswith("#"), f"{text}: the line above must say why nothing older will do"


def test_the_conda_environment_is_in_step(setup_cfg):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str) and entry != "pip"]
    conda = {CONDA_NAMES.get(r.name, r.name): r.specifier for r in map(Requirement, plain)}
    assert conda.pop("python") == setup_cfg["options"]["python_requires"]
    required = requirements(setup_cfg["options"]["install_requires"])
    required |= requirements(setup_cfg["options.extras_require"]["plots"])
    assert conda == {name: r.specifier for name, r in required.items()}


def test_the_packages_are_those_of_the_folders(setup_cfg):
    folders = {str(f.parent.relative_to(ROOT)).replace("/", ".") for f in (ROOT / "hilmix").rglob("__init__.py")}
    assert set(setup_cfg["options"]["packages"].split()) == folders | {"hilmix.configs"}
    assert setup_cfg["options"]["package_dir"].split() == ["hilmix.configs", "=", "configs"]


def test_every_data_file_inside_the_package_ships(setup_cfg):
    shipped = setup_cfg["options.package_data"]
    for file in (ROOT / "hilmix").rglob("*"):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            patterns = shipped["hilmix"].replace(",", " ").split()
            assert any(file.relative_to(ROOT / "hilmix").match(p) for p in patterns), f"{file} is not in package_data"
    assert all(f.suffix == ".yaml" for f in (ROOT / "configs").rglob("*") if f.is_file())


def test_the_version_is_the_same_everywhere(setup_cfg):
    version = setup_cfg["metadata"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert re.search(rf'__version__ = "{re.escape(version)}"', (ROOT / "hilmix" / "__init__.py").read_text())


def test_the_console_script_is_there(setup_cfg):
    assert setup_cfg["options.entry_points"]["console_scripts"].strip() == "hilmix = hilmix.cli:main"
    from hilmix.cli import main

    assert callable(main)


def test_the_licence_is_apache_2_to_the_letter(setup_cfg):
    assert setup_cfg["metadata"]["license"] == "Apache-2.0"
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
