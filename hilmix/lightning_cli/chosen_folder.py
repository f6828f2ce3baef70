"""Run folders on request: named by the date and the method, or free again for a new run."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from hilmix.errors import ConfigError
from hilmix.lightning_cli.given_settings import given_settings, last_of
from hilmix.lightning_cli.results_folder import MARK
from hilmix.lightning_cli.run_folder import refuse_data_folder
from hilmix.logging import IDENTITY
from hilmix.report import OTHER_DATA
from hilmix.report.run import FILES

WRITTEN = (*FILES, MARK, IDENTITY, "annotators.parquet", "split.csv")
"""Files of a run, at the top of its folder."""
_FIELDS = ("{date}", "{method}")


def with_named_folder(argv: Sequence[str], *, now: time.struct_time | None = None) -> list[str]:
    """Returns the command line with ``{date}`` and ``{method}`` of the run folder filled in.

    Ranks that are started with this command line get the same folder.

    Args:
        argv: command and options.
        now: the local time; default: that of the call.

    Raises:
        ConfigError: for ``{method}`` without a config of ``configs/method/``.

    Example:
        >>> line = ["fit", "-c", "configs/method/mv.yaml", "--run_dir", "runs/{date}-{method}"]
        >>> with_named_folder(line, now=time.gmtime(0))[-1]
        'runs/19700101-000000-mv'
    """
    given = last_of(given_settings(argv[1:]), "run_dir")
    folder = "" if given is None else str(given.settings["run_dir"])
    if not any(field in folder for field in _FIELDS):
        return [*argv]
    named = folder.replace("{date}", time.strftime("%Y%m%d-%H%M%S", now or time.localtime()))
    if "{method}" in named:
        if (method := given_method(argv)) is None:
            raise ConfigError("`run_dir` with {method} must come with -c configs/method/NAME.yaml, got none.")
        named = named.replace("{method}", method)
    # Behind all others, as the last one counts.
    return [*argv, "--run_dir", named]


def given_method(argv: Sequence[str]) -> str | None:
    """Returns the name of the last config of ``configs/method/`` on a command line, None without one."""
    files = [argv[i + 1] for i, token in enumerate(argv[:-1]) if token in ("-c", "--config")]
    files += [token.partition("=")[2] for token in argv if token.startswith(("-c=", "--config="))]
    names = [Path(file).stem for file in files if Path(file).parent.name == "method"]
    return names[-1] if names else None


def remove_run(run_dir: Path) -> None:
    """Removes what a run has written into its folder: weights, tables, figures, logs; other files stay.

    Raises:
        RunError: for a data folder.
    """
    refuse_data_folder(run_dir)
    for folder in (run_dir / "checkpoints", run_dir / "csv", *run_dir.glob(f"{OTHER_DATA}*")):
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
    for file in (*(run_dir / name for name in WRITTEN), *run_dir.glob("hpc_ckpt_*.ckpt")):
        file.unlink(missing_ok=True)
