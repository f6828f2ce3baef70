"""Installs a wheel without its dependencies and checks that the package finds its configs there."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIND_CONFIGS = """
import importlib.util
import pathlib
# found, not imported: the wheel is installed without what it requires
found = pathlib.Path(importlib.util.find_spec("hilmix").submodule_search_locations[0]) / "configs"
print(*sorted(str(f.relative_to(found)) for f in found.rglob("*.yaml")), sep="\\n")
"""


def main(wheel: Path) -> None:
    """Exits with a message where the wheel lacks a config, a study's pages, ``py.typed`` or the licence, or fails."""
    wanted = sorted(str(f.relative_to(ROOT / "configs")) for f in (ROOT / "configs").rglob("*.yaml"))
    held = zipfile.ZipFile(wheel).namelist()
    for name in (
        "hilmix/py.typed",
        "hilmix/__init__.pyi",
        "hilmix/human/elicit/serve/pages/index.html",
        "hilmix/report/pages/report.html.j2",
        "licenses/LICENSE",
    ):
        if not any(entry.endswith(name) for entry in held):
            sys.exit(f"{wheel.name} lacks {name}.")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel.resolve())], check=True)
        shown = subprocess.run([python, "-c", FIND_CONFIGS], check=True, capture_output=True, text=True, cwd=folder)
    if shown.stdout.split() != wanted:
        sys.exit(f"{wheel.name} holds the configs {shown.stdout.split()}, expected {wanted}.")
    print(f"{wheel.name}: {len(wanted)} configs found by the installed package.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
