"""Generated tables stand between markers in Markdown files: ``<!-- NAME -->`` and ``<!-- end -->``."""

import re
from pathlib import Path


def fill(file: Path, name: str, text: str) -> None:
    """Replaces what stands between the markers of ``name``.

    Raises:
        ValueError: if the file has no such markers.
    """
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    before = file.read_text()
    if not pattern.search(before):
        raise ValueError(f"{file} has no markers <!-- {name} --> and <!-- end -->.")
    file.write_text(pattern.sub(lambda m: f"{m[1]}{text}\n{m[2]}", before))
