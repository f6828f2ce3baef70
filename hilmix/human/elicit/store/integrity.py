"""Integrity of the answers of a study: a digest of every row, beside the rows.

SQLite notices a broken page, but not a changed number in a whole one. Triggers of the writing connection keep the
digests, in the same transaction as the rows; so no statement has to think of them, and a row that is gone is missed.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hilmix.errors import DataError

_KEYS = {
    "meta": "{row}key",
    "participants": "{row}number",
    "answers": "{row}participant || ' ' || {row}trial",
    "surveys": "{row}participant",
    "events": "{row}rowid",
}
"""Name of a row of each table; ``{row}`` is the table, or ``new.`` and ``old.`` in a trigger."""
_SHOWN = 3


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]

    def of(self, row: str = "") -> str:
        return f"'{self.name} ' || {_KEYS[self.name].format(row=row)}"

    def digest(self, row: str = "") -> str:
        return f"digest_of({', '.join(row + column for column in self.columns)})"


def keep_digests(sql: sqlite3.Connection) -> None:
    """Lets a connection keep the digests of all that it writes; the first time, rows of before get theirs."""
    _add_function(sql)
    first = not _has_digests(sql)
    if first:
        sql.execute("CREATE TABLE digests(of TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID")
    for table in _tables(sql):
        if first:
            sql.execute(f"INSERT INTO digests SELECT {table.of()}, {table.digest()} FROM {table.name}")
        # REPLACE: tables are written with INSERT OR REPLACE, too, whose delete fires no trigger.
        set_new = f"INSERT OR REPLACE INTO digests VALUES ({table.of('new.')}, {table.digest('new.')});"
        drop_old = f"DELETE FROM digests WHERE of = {table.of('old.')};"
        # An update may change what names the row, so the former digest goes first.
        for event, body in (("INSERT", set_new), ("UPDATE", drop_old + set_new), ("DELETE", drop_old)):
            name = f"digest_{event}_{table.name}"
            # TEMP: digest_of is known to connections of hilmix only; in the file, it would break any other program that
            # writes.
            sql.execute(f"CREATE TEMP TRIGGER {name} AFTER {event} ON {table.name} BEGIN {body} END")


def check_integrity(sql: sqlite3.Connection, path: Path) -> None:
    """Checks the structure of the file, and each row against its digest.

    A file that was last written before hilmix kept digests has none; its structure is checked.

    Args:
        sql: an open connection.
        path: of the file, for the message.

    Raises:
        DataError: naming what is damaged, and the remedy.
    """
    broken = [str(row[0]) for row in sql.execute(f"PRAGMA integrity_check({_SHOWN})")]
    if broken != ["ok"]:
        raise _damaged(path, " ".join("; ".join(broken).split()))
    if not _has_digests(sql):
        return
    _add_function(sql)
    changed = list(_changed(sql))
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise _damaged(path, f"{', '.join(changed[:_SHOWN])}{more} changed since written, or gone")


def _changed(sql: sqlite3.Connection) -> Iterator[str]:
    """The names of rows that differ from their digest, have none, or are gone."""
    kept = dict(tuple(row) for row in sql.execute("SELECT of, digest FROM digests"))
    for table in _tables(sql):
        for of, digest in sql.execute(f"SELECT {table.of()}, {table.digest()} FROM {table.name}"):
            if kept.pop(of, None) != digest:
                yield f"row '{of}'"
    # Digests that no row has claimed: their rows are gone.
    yield from (f"row '{of}'" for of in kept)


def _has_digests(sql: sqlite3.Connection) -> bool:
    return sql.execute("SELECT 1 FROM sqlite_schema WHERE name = 'digests'").fetchone() is not None


def _tables(sql: sqlite3.Connection) -> list[_Table]:
    return [_Table(name, tuple(row[1] for row in sql.execute(f"PRAGMA table_info({name})"))) for name in _KEYS]


def _add_function(sql: sqlite3.Connection) -> None:
    sql.create_function("digest_of", -1, _digest_of, deterministic=True)


def _digest_of(*values: object) -> str:
    # repr: of text, whole numbers, floats and None it is exact, and separates 1 from 1.0 and '1'
    return hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"'{path}' is damaged: {what}. Stop the server, keep a copy of the file, and put back a backup of it; "
        "docs/elicit.md has how to make one."
    )
