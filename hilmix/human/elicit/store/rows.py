"""The records of a study and every statement that reads or writes them, run by ``store.database``."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, NamedTuple

SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE participants(
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, also after a withdrawal
    code TEXT NOT NULL UNIQUE, platform TEXT UNIQUE, phase TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, batch INTEGER, lease_until REAL, order_json TEXT NOT NULL DEFAULT '[]',
    consented REAL, excluded TEXT);
CREATE TABLE answers(
    participant INTEGER NOT NULL REFERENCES participants(number), trial INTEGER NOT NULL, key TEXT NOT NULL,
    answer_json TEXT NOT NULL, seconds REAL NOT NULL, touched_json TEXT NOT NULL, times_json TEXT NOT NULL,
    received REAL NOT NULL, PRIMARY KEY(participant, trial)) WITHOUT ROWID;
CREATE TABLE surveys(
    participant INTEGER PRIMARY KEY REFERENCES participants(number), clarity INTEGER, difficulty INTEGER,
    strategy TEXT NOT NULL, comments TEXT NOT NULL);
CREATE TABLE events(
    participant INTEGER REFERENCES participants(number), at REAL NOT NULL, what TEXT NOT NULL, detail TEXT);
CREATE INDEX events_of ON events(participant);
"""
# Deleted in this order: the other tables refer to participants.
_OF_A_PARTICIPANT = {
    "answers": "participant",
    "surveys": "participant",
    "events": "participant",
    "participants": "number",
}
# Names of columns go into the statement as text, so only known ones.
_CHANGEABLE = {"phase", "attempts", "batch", "lease_until", "order_json", "consented", "excluded"}


@dataclass(frozen=True, kw_only=True)
class Participant:
    """A row of ``participants``. Times are seconds since 1970; ``order`` the trials in the order shown."""

    number: int
    code: str
    platform: str | None
    phase: str
    attempts: int
    created: float
    batch: int | None
    lease_until: float | None
    order: tuple[int, ...]
    consented: float | None
    excluded: str | None


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """A row of ``answers``: what a participant gave to a trial, seconds it took, controls touched and when."""

    participant: int
    trial: int
    key: str
    answer: dict[str, Any]
    seconds: float
    touched: dict[str, bool]
    times: dict[str, float]
    received: float


class Survey(NamedTuple):
    """A row of ``surveys``. The free text never goes into an export of answers."""

    participant: int
    clarity: int | None
    difficulty: int | None
    strategy: str
    comments: str


class Event(NamedTuple):
    """A row of ``events``; ``participant`` is None for the tombstone of one who withdrew."""

    participant: int | None
    at: float
    what: str
    detail: str | None


class Coverage(NamedTuple):
    """Counts for the assignment of batches; answers of excluded participants do not count.

    Attributes:
        answers: (trial, batch that the answerer holds a running lease on, None without one) -> number of answers.
        leases: batch -> number of running leases.
    """

    answers: dict[tuple[int, int | None], int]
    leases: dict[int, int]


class Rows:
    """The statements, inside a transaction of :class:`~hilmix.human.elicit.store.database.Store`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self.deleted = False

    def read_meta(self, key: str) -> str | None:
        row = self._sql.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row["value"]

    def set_meta(self, key: str, value: str) -> None:
        self._sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add_participant(self, *, code: str, platform: str | None, now: float) -> None:
        insert = "INSERT INTO participants(code, platform, phase, created) VALUES (?, ?, 'consent', ?)"
        number = self._sql.execute(insert, (code, platform, now)).lastrowid
        self.add_event(number, what="joined", now=now)

    def find_by_code(self, code: str) -> Participant | None:
        row = self._sql.execute("SELECT * FROM participants WHERE code = ?", (code,)).fetchone()
        return None if row is None else _participant(row)

    def find_by_platform(self, platform: str) -> Participant | None:
        row = self._sql.execute("SELECT * FROM participants WHERE platform = ?", (platform,)).fetchone()
        return None if row is None else _participant(row)

    def read_participants(self) -> list[Participant]:
        return [_participant(row) for row in self._sql.execute("SELECT * FROM participants ORDER BY number")]

    def update_participant(self, number: int, **columns: Any) -> None:
        """Sets columns of a participant; ``order`` takes the trial ids."""
        if "order" in columns:
            columns["order_json"] = json.dumps(list(columns.pop("order")))
        if not columns.keys() <= _CHANGEABLE:
            raise ValueError(f"{sorted(columns.keys() - _CHANGEABLE)} cannot be changed")
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._sql.execute(f"UPDATE participants SET {assignments} WHERE number = ?", (*columns.values(), number))

    def add_answer(self, given: AnswerRow) -> None:
        self._sql.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                given.participant,
                given.trial,
                given.key,
                json.dumps(given.answer),
                given.seconds,
                json.dumps(given.touched),
                json.dumps(given.times),
                given.received,
            ),
        )

    def find_answer(self, number: int, trial: int) -> AnswerRow | None:
        row = self._sql.execute("SELECT * FROM answers WHERE participant = ? AND trial = ?", (number, trial)).fetchone()
        return None if row is None else _given(row)

    def read_answered_trials(self, number: int) -> set[int]:
        """The trials that a participant has answered."""
        return {row["trial"] for row in self._sql.execute("SELECT trial FROM answers WHERE participant = ?", (number,))}

    def read_answers(self, number: int | None = None) -> list[AnswerRow]:
        """The answers of one participant, or of all, in the order received."""
        where, values = ("", ()) if number is None else ("WHERE participant = ?", (number,))
        select = f"SELECT * FROM answers {where} ORDER BY participant, received, trial"
        return [_given(row) for row in self._sql.execute(select, values)]

    def add_survey(self, survey: Survey) -> None:
        self._sql.execute("INSERT INTO surveys VALUES (?, ?, ?, ?, ?)", survey)

    def read_surveys(self) -> list[Survey]:
        return [Survey(*row) for row in self._sql.execute("SELECT * FROM surveys ORDER BY participant")]

    def add_event(self, number: int | None, *, what: str, now: float, detail: str | None = None) -> None:
        self._sql.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (number, now, what, detail))

    def count_events(self, number: int, what: str) -> int:
        select = "SELECT COUNT(*) FROM events WHERE participant = ? AND what = ?"
        return int(self._sql.execute(select, (number, what)).fetchone()[0])

    def read_events(self) -> list[Event]:
        return [Event(*row) for row in self._sql.execute("SELECT * FROM events ORDER BY rowid")]

    def read_coverage(self, now: float) -> Coverage:
        answers = self._sql.execute(
            # A lapsed lease promises nothing, but the answers given under it stay: they come with batch NULL.
            "SELECT trial, CASE WHEN lease_until > ? THEN batch END, COUNT(*) FROM answers "
            "JOIN participants ON number = participant WHERE excluded IS NULL GROUP BY 1, 2",
            (now,),
        )
        leases = self._sql.execute(
            "SELECT batch, COUNT(*) FROM participants WHERE lease_until > ? AND excluded IS NULL GROUP BY 1", (now,)
        )
        return Coverage({(trial, batch): count for trial, batch, count in answers}, dict(tuple(row) for row in leases))

    def delete_participant(self, number: int, now: float) -> None:
        """Deletes every row of a participant; an anonymous event of the withdrawal remains."""
        for table, column in _OF_A_PARTICIPANT.items():
            self._sql.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        self.add_event(None, what="withdrew", now=now)
        # Has the store empty the write-ahead log, where deleted rows would stay readable.
        self.deleted = True


def _participant(row: sqlite3.Row) -> Participant:
    values = dict(row)
    return Participant(order=tuple(json.loads(values.pop("order_json"))), **values)


def _given(row: sqlite3.Row) -> AnswerRow:
    values = dict(row)
    parsed = {name: json.loads(values.pop(f"{name}_json")) for name in ("answer", "touched", "times")}
    return AnswerRow(**parsed, **values)
