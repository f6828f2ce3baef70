"""Write the table of docs/sources.md: one line per public data set, from the records of ``hilmix/data/sources/``.

python docs/make_sources.py
"""

import re
from pathlib import Path

from hilmix.data.sources import SOURCES, Source

PAGE = Path(__file__).parent / "sources.md"
HEAD = ("name", "items", "annotators", "labels per item", "noise", "good for", "download", "licence")
_TABLE = re.compile(r"(<!-- sources -->\n).*?(<!-- end -->)", re.DOTALL)


def describe_download(source: Source) -> str:
    """Size of all files, and how they are verified."""
    if source.folder:
        return "by hand"
    files = {file for resource in source.resources for file in resource.files}
    if not files:
        return "none"
    sizes = [file.size for file in files]
    known = sum(size for size in sizes if size is not None)
    size = "size unknown" if None in sizes and not known else f"{'over ' if None in sizes else ''}{_round(known)}"
    return size if all(file.verification for file in files) else f"{size}; cannot be verified"


def _round(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def make_table() -> str:
    """The table as Markdown."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for source in SOURCES.values():
        profile = source.profile
        if profile is None:
            raise ValueError(f"The source '{source.name}' has no profile.")
        cells = (profile.items, profile.annotators, profile.labels, profile.noise, profile.use)
        rows.append((f"`{source.name}`", *cells, describe_download(source), source.licence))
    return "\n".join(f"| {' | '.join(row)} |".replace(" --- ", "---") for row in rows)


def fill(page: str) -> str:
    """The page with today's table."""
    return _TABLE.sub(lambda match: f"{match[1]}{make_table()}\n{match[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text()))
