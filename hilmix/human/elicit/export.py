"""Exports of a study: its answers as tables, as a data folder or as H-Mix; or its pages, for another host."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import pyarrow.parquet as pq

from hilmix.data.folder import read_folder, write_folder
from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.answers.read import StudyAnswers, build_mix_studies, collect_answers
from hilmix.human.elicit.answers.tables import build_tables
from hilmix.human.elicit.answers.training import TRAINABLE, add_answers
from hilmix.human.elicit.design.manifest import MANIFEST, Task
from hilmix.human.elicit.jspsych.experiment import write_jspsych
from hilmix.human.study import write_released

Format = Literal["native", "folder", "hmix", "jspsych"]
FORMATS: tuple[Format, ...] = get_args(Format)


class Export(NamedTuple):
    """Request of an export: formats and destination.

    Args:
        study: folder of the study.
        out: folder to make.
        format: ``native`` tables, a data ``folder``, ``hmix`` files, or the ``jspsych`` pages.
        data: data folder that the study was built from; format folder only.
        task: which answers; format folder only, and there only where several could be taken.
        with_excluded: those of participants whom the rules of quality exclude, too.
    """

    study: Path
    out: Path
    format: Format = "native"
    data: Path | None = None
    task: Task | None = None
    with_excluded: bool = False


class Exported(NamedTuple):
    """Written files of an export.

    Args:
        notes: what is left out, and why.
        task: whose answers are the labels; None outside the format folder.
    """

    notes: list[str]
    task: Task | None = None


def export(wanted: Export) -> Exported:
    """Writes an export atomically, and returns notes on what it leaves out.

    Raises:
        ConfigError: for an unknown format, or options that do not belong together.
        DataError: if there are no answers, none that the format can hold, the data are others, or ``out`` is there.
    """
    if wanted.format not in FORMATS:
        raise ConfigError(f"`format` must be one of {', '.join(FORMATS)}, got '{wanted.format}'.")
    if wanted.format == "folder" and wanted.data is None:
        raise ConfigError("`data` must be the data folder that the study was built from, got None.")
    for option in ("data", "task"):
        if wanted.format != "folder" and getattr(wanted, option) is not None:
            raise ConfigError(f"`{option}` must be None for the format {wanted.format}; only folder takes it.")
    if wanted.out.exists():
        raise DataError(f"'{wanted.out}' exists already. Remove it, or choose another folder.")
    if wanted.format == "jspsych":
        if wanted.with_excluded:
            raise ConfigError("`with_excluded` must be False for the format jspsych, which holds no answers.")
        with _whole_folder(wanted.out) as folder:
            write_jspsych(wanted.study, folder)
        return Exported([])
    collected = collect_answers(wanted.study)
    written = _WRITERS[wanted.format](collected, wanted)
    return written._replace(notes=[*_left_out(collected, wanted), *written.notes])


def _left_out(collected: StudyAnswers, wanted: Export) -> list[str]:
    if wanted.with_excluded or not collected.excluded:
        return []
    excluded = "; ".join(f"{name} ({reason})" for name, reason in collected.excluded.items())
    return [f"Left out, unless `with_excluded`: {excluded}."]


def _write_native(collected: StudyAnswers, wanted: Export) -> Exported:
    with _whole_folder(wanted.out) as folder:
        for name, table in build_tables(collected, with_excluded=wanted.with_excluded).items():
            pq.write_table(table, folder / f"{name}.parquet")
        shutil.copyfile(wanted.study / MANIFEST, folder / MANIFEST)
    return Exported([])


def _write_data_folder(collected: StudyAnswers, wanted: Export) -> Exported:
    assert wanted.data is not None
    task = wanted.task or _only_task(collected)
    data = add_answers(read_folder(wanted.data), collected, task, with_excluded=wanted.with_excluded)
    with _naming_folder(wanted.out):
        write_folder(data, wanted.out)
    return Exported([], task)


def _only_task(collected: StudyAnswers) -> Task:
    there = collected.manifest.tasks
    usable = [task for task in there if task in TRAINABLE]
    if len(usable) > 1:
        raise ConfigError(f"`task` must be one of {', '.join(usable)}, those of the study with labels, got None.")
    return (usable or list(there))[0]


def _write_hmix(collected: StudyAnswers, wanted: Export) -> Exported:
    studies = build_mix_studies(collected, with_excluded=wanted.with_excluded)
    if not studies:
        raise DataError(
            f"{wanted.study} holds no answers that count to the tasks of H-Mix: construct, select, infer, categorical. "
            "Votes go into a data folder or native tables."
        )
    with _whole_folder(wanted.out) as folder:
        for study in studies.values():
            write_released(study, folder)
    votes = ["Votes are left out; the layout of H-Mix has no place for them."]
    return Exported(votes if "vote" in collected.manifest.tasks else [])


_WRITERS: dict[Format, Callable[[StudyAnswers, Export], Exported]] = {
    "native": _write_native,
    "folder": _write_data_folder,
    "hmix": _write_hmix,
}


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder that bears its name only when complete."""
    # Beside the target, so that rename stays in one file system; named by process, against two exports at once.
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _naming_folder(out):
            partial.mkdir(parents=True)
            yield partial
            partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _naming_folder(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"Cannot write {out}: {error.strerror or error}. Choose a writable folder.") from error
