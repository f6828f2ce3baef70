"""The direction of imports (shared design): a file imports only from its own or a lower layer."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hilmix"
LAYERS = [
    """
    codes errors faults integrity checks types trusted moved redaction parts functional names terminal sockets
    """,
    """
    values columns spreadsheets files clean_batches yaml_files annotations aggregates mix annotators metrics
    timm_networks backbones regularizers group_dro explanations
    """,
    "data modules",
    """
    diagnostics callbacks checkpoint logging plotting report cross_fitting aggregator new_votes exported_weights
    predictor selective export initial_weights
    """,
    # The wing, with layers of its own.
    "human.functional",
    "human.perception",
    "human.human_mix human.image_features human.study",
    "human.report human.elicit.design human.elicit.store",
    "human.elicit.answers",
    "human.elicit.serve",
    "human.elicit.jspsych human.elicit.simulation",
    "human",
    # The command line.
    "commands lightning_cli serving methods estimator_inputs estimator cli __main__",
]
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names.split()}
APART = [
    ("data", "modules"),
    ("modules", "data"),
    ("callbacks", "modules"),
    ("diagnostics", "callbacks"),
    ("report", "callbacks"),
]
"""(importer, imported) pairs that the layers would allow and the design does not."""

FILES = sorted(f for f in PACKAGE.rglob("*.py") if f != PACKAGE / "__init__.py")


def module_of(file: Path) -> list[str]:
    """``hilmix/data/items.py`` -> ["hilmix", "data", "items"]; a package's ``__init__`` is the package."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return list(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported_names(file: Path) -> list[str]:
    """Full dotted names of everything that a file imports, wherever in the file, relative ones resolved."""
    return [*_imported(file)]


def _imported(file: Path) -> Iterator[str]:
    module = module_of(file)
    package = module if file.name == "__init__.py" else module[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def module_name(name: str) -> str | None:
    """``hilmix.data.items.Inputs`` -> "data.items", the module; None for other packages and for names of the root."""
    root, *rest = name.split(".")
    if root != "hilmix":
        return None
    while rest and not ((PACKAGE.joinpath(*rest)).is_dir() or PACKAGE.joinpath(*rest).with_suffix(".py").is_file()):
        rest.pop()
    return ".".join(rest) or None


def place_of(module: str) -> str | None:
    """The longest entry of the table that is the module or a package around it."""
    parts = module.split(".")
    starts = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((start for start in starts if start in LAYER_OF), None)


def test_imports_point_downwards():
    modules = {file: ".".join(module_of(file)[1:]) for file in FILES}
    places = {file: place_of(module) for file, module in modules.items()}
    homeless = [module for file, module in modules.items() if places[file] is None]
    assert not homeless, f"{homeless} are in no layer: add them to the table here and in the design"
    imports = [
        (places[file], place_of(other), f"{modules[file]} imports {name}")
        for file in FILES
        for name in imported_names(file)
        if (other := module_name(name)) is not None
    ]
    assert [what for place, there, what in imports if LAYER_OF[there] > LAYER_OF[place]] == []
    assert [what for place, there, what in imports if (place, there) in APART] == []


def test_the_page_on_architecture_has_the_same_table():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text().split("## Layers")[1].split("\n## ")[0]
    rows = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    assert [{name.rstrip("/") for name in re.findall(r"`([^`]+)`", row)} for row in rows] == [
        set(names.split()) for names in LAYERS
    ]


def test_no_files_import_each_other_in_a_circle():
    """Also under ``TYPE_CHECKING``: a circle of types is a circle of ideas."""
    modules = {".".join(module_of(file)[1:]): file for file in FILES}
    graph = {
        module: {other for name in imported_names(file) if (other := module_name(name)) in modules and other != module}
        for module, file in modules.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as circle:
        pytest.fail(f"a circle of imports: {' -> '.join(circle.args[1])}")


def test_only_logging_imports_wandb():
    found = [file for file in FILES if any(name.split(".")[0] == "wandb" for name in imported_names(file))]
    assert found == [PACKAGE / "logging.py"]


def test_what_few_commands_need_is_imported_where_it_is_used():
    """With timm and scikit-learn at the top of files every command, also ``fit --help``, starts a fifth later."""
    late = {"timm", "sklearn", "wandb", "matplotlib"}
    tops = {
        file: [n for n in ast.parse(file.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        for file in FILES
    }
    # The estimator is one of scikit-learn: nothing imports its files but who wants it.
    for name in ("estimator.py", "estimator_inputs.py"):
        tops.pop(PACKAGE / name)
    names = {
        file: {alias.name for node in nodes for alias in node.names if isinstance(node, ast.Import)}
        | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        for file, nodes in tops.items()
    }
    assert [file for file, found in names.items() if late & {name.split(".")[0] for name in found}] == []


def test_commands_about_data_start_without_lightning():
    """Nor torchvision: both take longer to import than all else that these commands need."""
    late = ["lightning", "torchvision", "torchmetrics", "timm", "sklearn"]
    commands = [
        f"hilmix.commands.{name}" for name in ("data_list", "data_check", "aggregate", "hmix_fit", "elicit_build")
    ]
    code = f"import {', '.join(commands)}, sys; print([name for name in {late} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert shown.stdout.strip() == "[]"


def test_functional_needs_torch_numpy_and_scipy_only():
    allowed = {"torch", "numpy", "scipy", "hilmix", "lazy_loader", *sys.stdlib_module_names}
    files = [*(PACKAGE / "functional").rglob("*.py")]
    others = {file.name: {name.split(".")[0] for name in imported_names(file)} - allowed for file in files}
    assert files
    assert {name: found for name, found in others.items() if found} == {}


@pytest.mark.parametrize("file", sorted((PACKAGE / "diagnostics").glob("*.py")), ids=lambda f: f.name)
def test_diagnostics_need_no_trainer(file: Path):
    """But for the one file that runs a clean pass of a trainer."""
    if file.name != "trainer_pass.py":
        assert not [name for name in imported_names(file) if name.split(".")[0] == "lightning"]


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
