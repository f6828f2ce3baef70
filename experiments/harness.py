"""Run the missing jobs of a study in a pool of processes, keep their rows in CSV files, and fill tables into pages."""

import argparse
import fcntl
import multiprocessing
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from hilmix.errors import HilmixError

Row = dict[str, Any]
Job = TypeVar("Job")


class _TimeLeft(ProgressColumn):
    """From the mean time of all runs so far; rich's own estimate is far off when workers finish in pairs."""

    def render(self, task: Task) -> Text:
        if not task.completed or task.elapsed is None or task.remaining is None:
            return Text("left -:--:--")
        return Text(f"left {timedelta(seconds=round(task.elapsed / task.completed * task.remaining))}")


def progress(console: Console) -> Progress:
    """A bar with the time that is left."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), _TimeLeft(), TextColumn("{task.description}"))
    return Progress(*columns, console=console)


def finished(jobs: Sequence[Job], workers: int, work: Callable[[Job], Row]) -> Iterator[tuple[Job, Row | str]]:
    """Yields each job with its row, or its error, as they finish.

    Args:
        jobs: plain values.
        workers: processes at a time.
        work: turns a job into its row; a function at the top level of a module, for it runs in other processes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])  # imports are paid once, by the server that the runs fork from
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(_isolated, context, work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:  # nothing is left to stop, unless the user interrupted
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _isolated(context: Any, work: Callable[[Any], Row], job: Any) -> Row | str:
    """Runs in a fresh process: its peak memory is the run's, and a run that is killed takes no other with it."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, job), daemon=True)
    process.start()
    sender.close()
    try:
        answer: Row | str = receiver.recv()
    except EOFError:
        process.join()
        return f"The process ended with exit code {process.exitcode} (-9: killed, as a rule for memory)."
    process.join()
    return answer


def _child(sender: Connection, work: Callable[[Any], Row], job: Any) -> None:
    try:
        answer: Row | str = work(job)
    except HilmixError as error:
        answer = str(error)
    except Exception:  # whatever it is, the parent reports it and goes on
        answer = traceback.format_exc()
    sender.send(answer)


def _run_all(
    title: str,
    todo: Sequence[Job],
    *,
    wanted: int,
    workers: int,
    work: Callable[[Job], Row],
    keep: Callable[[Job, Row], None],
    name_of: Callable[[Job], str],
) -> int:
    """Runs jobs under a bar of progress and returns the number of failed ones, whose errors are printed at the end.

    Args:
        title: what they are for: the name of the results file.
        todo: the jobs whose results are not there yet.
        wanted: number of all jobs.
        workers: processes at a time.
        work: see :func:`finished`.
        keep: takes each row as it comes.
        name_of: how a person calls a job.
    """
    console, failed = Console(), dict[str, str]()
    console.print(f"{title}: {wanted - len(todo)} of {wanted} runs are there, {len(todo)} to go.")
    with progress(console) as shown:
        bar = shown.add_task(title, total=len(todo))
        for job, row in finished(todo, workers, work):
            if isinstance(row, str):
                failed[name_of(job)] = row
            else:
                keep(job, row)
            shown.update(bar, advance=1, description=name_of(job))
    for name, error in failed.items():
        console.print(f"[red]failed:[/] {name}\n{error}", highlight=False)
    return len(failed)


def run_missing(
    file: Path,
    jobs: Sequence[Job],
    *,
    key_of: Callable[[Job], tuple[Any, ...]],
    read: Callable[[Path], pd.DataFrame],
    key: list[str],
    workers: int,
    work: Callable[[Job], Row],
    name_of: Callable[[Job], str],
    check: Callable[[Job, Row], None] = lambda _job, _row: None,
) -> int:
    """Run the jobs without a row in the file, keep each row, and return the number of failed jobs.

    Args:
        file: results, one row for each key.
        jobs: what the file should hold.
        key_of: the values of ``key`` of a job.
        read: see :func:`keep_row`.
        key: the columns that distinguish rows.
        workers: processes at a time.
        work: see :func:`finished`.
        name_of: the name of a job in progress and error messages.
        check: called with each row after it is written.
    """

    def keep(job: Job, row: Row) -> None:
        keep_row(file, row, key, read)
        check(job, row)

    todo = missing_jobs(jobs, read(file), key, key_of)
    return _run_all(file.name, todo, wanted=len(jobs), workers=workers, work=work, keep=keep, name_of=name_of)


def missing_jobs(
    jobs: Sequence[Job], rows: pd.DataFrame, key: list[str], key_of: Callable[[Job], tuple[Any, ...]]
) -> list[Job]:
    """Return the jobs whose key has no row, in their order."""
    done = set(rows[key].itertuples(index=False, name=None))
    return [job for job in jobs if key_of(job) not in done]


def step_parser(page: str | None, steps: Sequence[str]) -> argparse.ArgumentParser:
    """Return the command line of a study in one file, which takes the step to do.

    Args:
        page: the docstring of the file, shown as it is by ``--help``.
        steps: their names.
    """
    parser = argparse.ArgumentParser(description=page, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=steps)
    return parser


def ended(step: Callable[[], int]) -> int:
    """Does a step of a study and returns its exit code; 2 if the input is at fault, 130 if interrupted."""
    try:
        return step()
    except HilmixError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; finished runs are kept, the same command goes on.", file=sys.stderr)
        return 130


def keep_row(file: Path, row: Row, key: list[str], read: Callable[[Path], pd.DataFrame]) -> None:
    """Writes a row in place of one with the same key; several processes may do so at once, a kill harms nothing.

    Args:
        file: a table as CSV, made if it is not there.
        row: columns of the key and others.
        key: the columns that distinguish rows, and sort them.
        read: gives the table of a file, empty if it is not there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        table = pd.concat([read(file).astype(object), pd.DataFrame([row], dtype=object)], ignore_index=True)
        fresh = file.with_suffix(".new")
        table.drop_duplicates(key, keep="last").sort_values(key).to_csv(fresh, index=False)
        os.replace(fresh, file)
    finally:
        os.close(folder)  # gives the lock back


def read_rows(file: Path, key: list[str], **options: Any) -> pd.DataFrame:
    """Read a results file with options of ``pandas.read_csv``; no rows and the columns of ``key`` without a file."""
    return pd.read_csv(file, **options) if file.exists() else pd.DataFrame(columns=key)


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], *, left: int | None = None) -> str:
    """Format cells as a Markdown table.

    Args:
        head: names of the columns.
        body: rows of cells.
        left: the number of columns, from the first one on, that are aligned to the left; the others hold numbers and
            are aligned to the right. None leaves the alignment to the reader's program.
    """
    lines = [f"| {' | '.join(line)} |" for line in (head, *body)]
    rule = "|---" * len(head) + "|" if left is None else "|" + " --- |" * left + " ---: |" * (len(head) - left)
    return "\n".join([lines[0], rule, *lines[1:]])


def mean_and_std(values: "pd.Series[float]", digits: int) -> str:
    """Format mean and standard deviation of the values that are there; of a single one only itself, of none a dash."""
    values = values.dropna()
    spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}" if len(values) else "-"


def fill(file: Path, name: str, text: str) -> None:
    """Replace the text between the markers ``<!-- NAME -->`` and ``<!-- end -->`` of a Markdown file.

    Raises:
        ValueError: if the file has no such markers.
    """
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    before = file.read_text()
    if not pattern.search(before):
        raise ValueError(f"{file} has no markers <!-- {name} --> and <!-- end -->.")
    file.write_text(pattern.sub(lambda m: f"{m[1]}{text}\n{m[2]}", before))
