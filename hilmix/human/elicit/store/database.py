"""The answers of a study: one SQLite file in write-ahead mode, and the one thread that owns it."""

import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from json import JSONDecodeError
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from hilmix.errors import DataError
from hilmix.human.elicit.store.integrity import check_integrity, keep_digests
from hilmix.human.elicit.store.rows import SCHEMA, Rows

T = TypeVar("T")
Job = Callable[[Rows], T]

VERSION = "2"
"""Of the schema; 1 was without digests, and is brought to 2 when it is opened to be written."""
_READABLE = ("1", VERSION)


class Store:
    """The file of a study, from opening to :meth:`close`.

    Args:
        path: the file; made, readable by its owner only, when absent.
        manifest: hash of the study's manifest. A file of another manifest is refused.

    Raises:
        DataError: if the file is no store, of another version or of another manifest, or damaged.
    """

    # One thread owns the connection and commits whatever has queued up meanwhile at once. Behind a plain lock each
    # answer would wait for a flush of its own: on a disk that takes 4 ms that is 200 to 245 a second, just the load
    # asked for. So there are no locks, no second connection, and an answer is acknowledged after its flush.

    def __init__(self, path: Path, *, manifest: str) -> None:
        self._jobs: SimpleQueue[tuple[Job[Any], Future[Any]] | None] = SimpleQueue()
        self._sql = _opened(path, manifest)
        # daemon: a failure elsewhere must not keep the process alive; what was acknowledged is on the disk.
        self._thread = threading.Thread(target=self._work, name="hilmix-elicit-store", daemon=True)
        self._closed = False
        self._thread.start()

    def run(self, job: Job[T]) -> T:
        """Runs ``job`` in a transaction of its own and returns its result once that is on the disk.

        Whatever the job raises undoes its changes, and is raised here.
        """
        return self.submit(job).result()

    def submit(self, job: Job[T]) -> Future[T]:
        """Queues ``job`` up and returns at once; the future is done when :meth:`run` would return."""
        if self._closed:
            raise RuntimeError("the store is closed")
        done: Future[T] = Future()
        self._jobs.put((job, done))
        return done

    def close(self) -> None:
        """Ends the thread after the jobs at hand, and closes the file; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._sql.close()

    def _work(self) -> None:
        serving = True
        while serving:
            batch = [self._jobs.get()]
            while not self._jobs.empty():  # no other thread takes from the queue, so get() does not wait
                batch.append(self._jobs.get())
            serving = None not in batch
            # Cancelled jobs are left out; from here on none can be cancelled, and every future takes its result.
            self._commit([entry for entry in batch if entry is not None and entry[1].set_running_or_notify_cancel()])

    def _commit(self, batch: Sequence[tuple[Job[Any], Future[Any]]]) -> None:
        rows = Rows(self._sql)
        try:
            # IMMEDIATE: takes the write lock now, not at the first write, where waiting for it could fail.
            self._sql.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job, rows) for job, _ in batch]
            self._sql.execute("COMMIT")
            if rows.deleted:  # what was deleted must not stay readable in the log
                self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:  # a full or broken disk: no job of this batch is reported as saved
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            outcomes = [(None, error)] * len(batch)
        for (_, done), (result, failure) in zip(batch, outcomes, strict=True):
            # Only now, after the commit: the caller may confirm to the participant that the answer is safe.
            done.set_exception(failure) if failure is not None else done.set_result(result)

    def _attempt(self, job: Job[Any], rows: Rows) -> tuple[Any, Exception | None]:
        # Of each job its own: one that fails must not undo the others of its transaction.
        self._sql.execute("SAVEPOINT job")
        result, failure = None, None
        try:
            result = job(rows)
        except Exception as error:  # raised again where it was asked
            failure = error
            self._sql.execute("ROLLBACK TO job")
        self._sql.execute("RELEASE job")
        return result, failure


def read_rows(path: Path, job: Job[T], *, manifest: str | None = None, checked: bool = True) -> T:
    """Runs a job that only reads on a connection of its own, beside a server at work or without one.

    Args:
        path: the file.
        job: what to read.
        manifest: hash of the study's manifest, where the file must be of that one.
        checked: whether every row is compared with its digest first; a server at work did so at its start.

    Raises:
        DataError: if there is no such file, or it is no store, of another manifest, or damaged.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as sql:
            sql.row_factory = sqlite3.Row
            sql.execute("BEGIN")  # one state of the file for all statements
            if checked:
                check_integrity(sql, path)
            _check(sql, path, manifest)
            return job(Rows(sql))
    except (sqlite3.Error, JSONDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as the answers of a study: {error}.") from error


def _opened(path: Path, manifest: str) -> sqlite3.Connection:
    try:
        known = path.exists()
        # Before SQLite makes it, whose mode would follow the umask; its -wal file takes over the mode of this one.
        path.touch(mode=0o600)
        # isolation_level=None: transactions are begun here, and sqlite3 would begin its own. Opened in this thread,
        # used by the one of the store.
        sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        sql.row_factory = sqlite3.Row
        fresh = not sql.execute("SELECT 1 FROM sqlite_schema").fetchone()
        if fresh and known:  # SQLite takes any very short file for one without tables
            raise DataError(f"'{path}' holds no answers. Put back a backup of it, or remove it to begin anew.")
        # FULL: in WAL mode NORMAL would lose the last answers when the power fails.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            sql.execute(f"PRAGMA {pragma}")
        if fresh:
            _fill(sql, manifest)
        check_integrity(sql, path)
        _check(sql, path, manifest)
        _keep_digests(sql)
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"'{path}' cannot be opened as the answers of a study: {error}.") from error
    return sql


def _keep_digests(sql: sqlite3.Connection) -> None:
    sql.execute("BEGIN IMMEDIATE")
    keep_digests(sql)
    rows = Rows(sql)
    if rows.read_meta("version") != VERSION:
        rows.set_meta("version", VERSION)
    sql.execute("COMMIT")


def _fill(sql: sqlite3.Connection, manifest: str) -> None:
    fixed = [("version", VERSION), ("manifest", manifest), ("hash_key", secrets.token_hex(32))]
    inserts = "".join(f"INSERT INTO meta VALUES ('{key}', '{value}');" for key, value in fixed)
    sql.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {inserts} COMMIT;")


def _check(sql: sqlite3.Connection, path: Path, manifest: str | None) -> None:
    rows = Rows(sql)
    if (version := rows.read_meta("version")) not in _READABLE:
        raise DataError(
            f"'{path}': the schema version must be {' or '.join(_READABLE)}, got {version}. Use the hilmix that wrote "
            "it."
        )
    if manifest is not None and rows.read_meta("manifest") != manifest:
        raise DataError(
            f"'{path}' holds the answers to another study.json than the one beside it. Put the former one back, or "
            "move the answers away to begin anew."
        )
