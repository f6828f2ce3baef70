"""Command, date and commit of each start of a run."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hilmix.files import write_json
from hilmix.redaction import redacted

STARTS = "run.json"
"""File of a run folder: a list with an entry for each start of the training, the first one and each that resumed it."""


def save_start(folder: Path) -> None:
    """Adds this start of the training to the list in the run folder.

    Args:
        folder: the run folder.
    """
    file = folder / STARTS
    earlier: list[dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else []
    start = {
        "command": shown_command(["hilmix", *sys.argv[1:]]),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": find_commit(Path.cwd()),
    }
    write_json([*earlier, start], file)


def shown_command(argv: Sequence[str]) -> str:
    """Returns a command line as one would type it, without values that are secrets.

    Args:
        argv: the command and its options.

    Example:
        >>> shown_command(["hilmix", "fit", "--api_key", "1234", "--run_dir", "my run"])
        "hilmix fit --api_key '***' --run_dir 'my run'"
    """
    shown = []
    for i, token in enumerate(argv):
        # A value may be secret by the name of its option, which comes before it or in the same token.
        before = argv[i - 1].lstrip("-") if i and argv[i - 1].startswith("-") and "=" not in argv[i - 1] else "value"
        kept = redacted({before: token})
        shown.append(str(kept[before]) if before in kept else "***")
    return shlex.join(shown)


def find_commit(folder: Path) -> str | None:
    """Returns the commit of the git repository that a folder lies in, with ``-dirty`` where tracked files differ.

    Args:
        folder: any.

    Returns:
        None where there is no repository, no commit or no git.
    """
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):  # no git, or a file system that does not answer
        return None
    return found.stdout.strip() or None
