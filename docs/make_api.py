"""Write docs/api/: the public names of hilmix, package by package, with their signatures and first lines.

python docs/make_api.py
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import hilmix

FOLDER = Path(__file__).parent / "api"
HEAD = """# {title}

{about}

| name | what it is |
|---|---|
"""
INDEX = """# API

Public is what stands on these pages: what `__all__` of `hilmix` and of its packages lists. Every other name is private
and may change in any version ([stability](../../CONTRIBUTING.md#stability)). Written by `python docs/make_api.py`.

{links}
"""


def public_modules() -> dict[str, ModuleType]:
    """The root, and every package and module below it that lists public names."""
    found = {"hilmix": hilmix}
    for info in pkgutil.walk_packages(hilmix.__path__, "hilmix."):
        if info.name.split(".")[1] in ("commands", "configs", "lightning_cli") or info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        inner = not info.ispkg and info.name.count(".") > 1
        if getattr(module, "__all__", None) and not inner:
            found[info.name] = module
    return found


def first_line(thing: object) -> str:
    """The first paragraph of a docstring on one line, its roles and double backticks as Markdown code."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?([\w]+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def page(name: str, module: ModuleType) -> str:
    """A Markdown page of a module's public names."""
    rows = []
    for public in sorted(module.__all__):
        thing = getattr(module, public)
        if inspect.ismodule(thing):
            rows.append(f"| `{public}` | module: {first_line(thing)} |")
        elif inspect.isclass(thing) or callable(thing):
            rows.append(f"| `{public}` | {first_line(thing)} |")
        else:
            rows.append(f"| `{public}` | constant |")
    return HEAD.format(title=f"`{name}`", about=first_line(module)) + "\n".join(rows) + "\n"


def main() -> None:
    """Write one page for each module, and an index."""
    FOLDER.mkdir(exist_ok=True)
    modules = public_modules()
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, module in modules.items():
        (FOLDER / f"{name}.md").write_text(page(name, module), encoding="utf-8")
    links = "\n".join(f"* [`{name}`]({name}.md): {first_line(module)}" for name, module in modules.items())
    (FOLDER / "README.md").write_text(INDEX.format(links=links), encoding="utf-8")


if __name__ == "__main__":
    main()
