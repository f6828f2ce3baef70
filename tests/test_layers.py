"""The direction of imports (shared design): a file imports only from its own or a lower layer."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hilmix"
LAYERS = {
    0: [
        "errors",
        "faults",
        "integrity",
        "checks",
        "types",
        "moved",
        "trusted",
        "redaction",
        "parts",
        "functional",
        "names",
        "terminal",
    ],
    1: [
        "annotations",
        "yaml_files",
        "repeats",
        "soft_columns",
        "values",
        "vote_tables",
        "columns",
        "spreadsheets",
        "mix",
        "annotators",
        "metrics",
        "backbones",
        "regularizers",
        "group_dro",
        "explanations",
        "propagation",
        "perception",
    ],
    2: ["data", "modules"],
    3: ["callbacks", "checkpoint", "logging", "plotting", "report", "elicit"],
    4: [
        "commands",
        "parser_errors",
        "config_files",
        "run_folder",
        "saved_config",
        "exit_codes",
        "given_settings",
        "run_defaults",
        "results_folder",
        "default_callbacks",
        "start_checks",
        "lightning_cli",
        "cli",
        "__main__",
    ],
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
APART = [("data", "modules"), ("modules", "data"), ("callbacks", "modules")]
"""(importer, imported) pairs that the layers would allow and the design does not."""

FILES = sorted(f for f in PACKAGE.rglob("*.py") if f != PACKAGE / "__init__.py")


def module_of(file: Path) -> list[str]:
    """``hilmix/data/items.py`` -> ["hilmix", "data", "items"]; a package's ``__init__`` is the package."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return list(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(file: Path) -> Iterator[str]:
    """Full dotted names of everything that a file imports, wherever in the file, relative ones resolved."""
    module = module_of(file)
    package = module if file.name == "__init__.py" else module[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str | None:
    """``hilmix.data.items.Inputs`` -> "data"; None for other packages and for attributes of ``hilmix`` itself."""
    root, *rest = name.split(".")
    if root != "hilmix" or not rest:
        return None
    is_module = (PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").is_file()
    return rest[0] if is_module else None


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_downwards(file: Path):
    part = module_of(file)[1]
    assert part in LAYER_OF, f"{part} is in no layer: add it to the table here and in the design"
    for name in imported_names(file):
        other = part_of(name)
        if other is None:
            continue
        assert LAYER_OF[other] <= LAYER_OF[part], f"layer {LAYER_OF[part]} imports {name} of layer {LAYER_OF[other]}"
        assert (part, other) not in APART, f"{part} must not know {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_only_logging_imports_wandb(file: Path):
    if file != PACKAGE / "logging.py":
        assert not [name for name in imported_names(file) if name.split(".")[0] == "wandb"]


@pytest.mark.parametrize("file", sorted((PACKAGE / "functional").rglob("*.py")), ids=lambda f: f.name)
def test_functional_needs_torch_numpy_and_scipy_only(file: Path):
    allowed = {"torch", "numpy", "scipy", "hilmix", *sys.stdlib_module_names}
    assert {name.split(".")[0] for name in imported_names(file)} <= allowed


def test_importing_hilmix_alone_is_quick():
    heavy = ["torch", "lightning", "pandas", "timm", "wandb", "scipy", "sklearn", "matplotlib"]
    code = f"import hilmix, sys; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert shown.stdout.strip() == "[]"


def test_everything_that_hilmix_offers_is_there():
    import hilmix

    for name in getattr(hilmix, "__all__", []):
        assert getattr(hilmix, name) is not None


def test_the_walk_resolves_relative_and_nested_imports(tmp_path, monkeypatch):
    """The guard itself: a rule that sees nothing would pass every file."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "hilmix")
    folder = tmp_path / "hilmix" / "mix"
    folder.mkdir(parents=True)
    file = folder / "base.py"
    file.write_text("from . import x\nfrom ..data.items import y\ndef f():\n    import hilmix.cli, torch.nn\n")
    assert list(imported_names(file)) == ["hilmix.mix.x", "hilmix.data.items.y", "hilmix.cli", "torch.nn"]
