import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hilmix.errors import DataError
from hilmix.human.elicit.store.database import Store, read_rows
from hilmix.human.elicit.store.rows import AnswerRow, Rows, Survey


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"


@pytest.fixture
def store(file: Path):
    opened = Store(file, manifest="m")
    yield opened
    opened.close()


def join(store: Store, code: str, platform: str | None = None) -> int:
    store.run(lambda rows: rows.add_participant(code=code, platform=platform, now=1.0))
    return store.run(lambda rows: rows.find_by_code(code)).number


def given(participant: int, trial: int, *, key: str = "k", value: float = 0.5, received: float = 3.0) -> AnswerRow:
    return AnswerRow(
        participant=participant,
        trial=trial,
        key=key,
        answer={"task": "infer", "weight": value},
        seconds=2.0,
        touched={"mix": True},
        times={"mix": 1.5},
        received=received,
    )


def test_what_goes_in_comes_out_after_reopening(file):
    store = Store(file, manifest="m")
    number = join(store, "alice", "hash")
    one = given(number, 4, value=0.1 + 0.2)
    store.run(lambda rows: rows.add_answer(one))
    store.run(lambda rows: rows.add_survey(Survey(number, 7, None, "a\x00b ✓", "")))
    store.run(
        lambda rows: rows.update_participant(
            number, phase="trials", batch=2, order=(4, 3), lease_until=9.5, excluded="why"
        )
    )
    store.close()
    again = Store(file, manifest="m")
    person = again.run(lambda rows: rows.find_by_platform("hash"))
    assert (person.code, person.phase, person.batch, person.order) == ("alice", "trials", 2, (4, 3))
    assert (person.lease_until, person.excluded, person.attempts, person.consented) == (9.5, "why", 0, None)
    assert again.run(lambda rows: rows.read_answers()) == [one]
    assert again.run(lambda rows: rows.read_surveys()) == [Survey(number, 7, None, "a\x00b ✓", "")]
    again.close()


def test_the_file_is_durable_and_private(file, store):
    names = ("journal_mode", "synchronous", "secure_delete")
    assert [store._sql.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == ["wal", 2, 1]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_a_job_raises_undoes_it_and_only_it(store):
    number = join(store, "alice")

    def fails(rows: Rows) -> None:
        rows.add_answer(given(number, 1))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        store.run(fails)
    store.run(lambda rows: rows.add_answer(given(number, 2)))
    with pytest.raises(sqlite3.IntegrityError):
        store.run(lambda rows: rows.add_answer(given(number, 2, key="other")))
    assert [one.trial for one in store.run(lambda rows: rows.read_answers(number))] == [2]


def test_jobs_of_many_threads_are_committed_together_each_on_its_own(store):
    """While the first job holds the thread, forty queue up: half of them fail, the others are all kept."""
    number, begun, go = join(store, "alice"), threading.Event(), threading.Event()
    failures = []

    def first(rows: Rows) -> None:
        begun.set()
        go.wait(5)

    def work(trial: int) -> None:
        def job(rows: Rows) -> None:
            rows.add_answer(given(number, trial))
            if trial % 2:
                raise ValueError(trial)

        try:
            store.run(job)
        except ValueError as error:
            failures.append(error.args[0])

    threads = [threading.Thread(target=store.run, args=(first,))]
    threads += [threading.Thread(target=work, args=(trial,)) for trial in range(40)]
    threads[0].start()
    begun.wait(5)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert sorted(failures) == list(range(1, 40, 2))
    assert [one.trial for one in store.run(lambda rows: rows.read_answers())] == list(range(0, 40, 2))


def test_a_job_given_up_before_its_turn_is_left_out_and_later_ones_run(store):
    number, go = join(store, "alice"), threading.Event()
    first = store.submit(lambda rows: go.wait(10))
    while not first.running():
        time.sleep(0.001)
    given_up = store.submit(lambda rows: rows.add_answer(given(number, 1)))
    later = store.submit(lambda rows: rows.add_answer(given(number, 2)))
    assert given_up.cancel()
    assert not first.cancel(), "it is too late to give up what has begun"
    go.set()
    assert (first.result(10), later.result(10)) == (True, None)
    assert [one.trial for one in store.run(lambda rows: rows.read_answers())] == [2]


def test_an_answer_is_not_acknowledged_when_the_commit_fails(store, monkeypatch):
    number = join(store, "alice")
    monkeypatch.setattr(store, "_sql", FailsToCommit(store._sql))
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        store.run(lambda rows: rows.add_answer(given(number, 1)))
    monkeypatch.setattr(store, "_sql", store._sql.sql)
    assert store.run(lambda rows: rows.read_answers()) == []


class FailsToCommit:
    def __init__(self, sql: sqlite3.Connection) -> None:
        self.sql = sql
        self.execute_really = sql.execute

    def execute(self, statement: str, *values):
        if statement == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self.sql.execute(statement, *values)

    @property
    def in_transaction(self) -> bool:
        return self.sql.in_transaction


def test_withdrawal_leaves_nothing_readable_and_no_number_is_given_twice(file, store):
    number = join(store, "alice-code", "alice-platform")
    other = join(store, "bob-code")
    store.run(lambda rows: rows.add_answer(given(number, 1, key="alice-key")))
    store.run(lambda rows: rows.add_answer(given(other, 1, key="bob-key")))
    store.run(lambda rows: rows.add_survey(Survey(number, 1, 2, "alice-strategy", "alice-comment")))
    store.run(lambda rows: rows.add_event(number, what="phase", detail="alice-detail", now=2.0))
    store.run(lambda rows: rows.delete_participant(number, 5.0))
    left = b"".join(part.read_bytes() for part in file.parent.iterdir())
    assert b"alice" not in left
    assert b"bob-key" in left
    events = store.run(lambda rows: rows.read_events())
    assert [(e.participant, e.what, e.detail) for e in events] == [(other, "joined", None), (None, "withdrew", None)]
    assert [one.participant for one in store.run(lambda rows: rows.read_answers())] == [other]
    store.run(lambda rows: rows.delete_participant(other, 6.0))
    assert join(store, "carol") > other


def test_coverage_counts_answers_by_running_lease_and_leaves_the_excluded_out(store):
    people = [join(store, code) for code in "abcd"]
    for number in people:
        store.run(lambda rows, n=number: rows.add_answer(given(n, 1)))
    leases = [(0, 10.0, None), (0, 4.0, None), (1, 10.0, None), (0, 10.0, "fast: ...")]
    for number, (batch, until, why) in zip(people, leases, strict=True):
        store.run(
            lambda r, n=number, b=batch, u=until, w=why: r.update_participant(n, batch=b, lease_until=u, excluded=w)
        )
    answers, running = store.run(lambda rows: rows.read_coverage(5.0))
    assert answers == {(1, 0): 1, (1, None): 1, (1, 1): 1}
    assert running == {0: 1, 1: 1}


def test_other_files_are_refused_with_the_remedy(file, store, tmp_path):
    with pytest.raises(DataError, match=r"another study\.json.*Put the former one back"):
        Store(file, manifest="other")
    store.run(lambda rows: rows.set_meta("version", "99"))
    with pytest.raises(DataError, match=r"schema version.*99"):
        Store(file, manifest="m")
    with pytest.raises(DataError, match=r"schema version.*99"):
        read_rows(file, lambda rows: rows.read_answers())
    text = tmp_path / "text.sqlite"
    text.write_text("no data base at all" * 100)
    with pytest.raises(DataError, match="cannot be opened"):
        Store(text, manifest="m")
    with pytest.raises(DataError, match="cannot be opened"):
        Store(tmp_path / "absent" / "answers.sqlite", manifest="m")


def test_reading_beside_the_server_sees_what_is_committed_and_cannot_write(file, store):
    number = join(store, "alice")
    assert read_rows(file, lambda rows: [p.code for p in rows.read_participants()]) == ["alice"]
    with pytest.raises(DataError, match="readonly"):
        read_rows(file, lambda rows: rows.update_participant(number, phase="done"))
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(file.with_name("absent"), lambda rows: rows.read_answers())
    assert not file.with_name("absent").exists()


def test_columns_that_nothing_may_change_are_refused(store):
    number = join(store, "alice")
    with pytest.raises(ValueError, match="code"):
        store.run(lambda rows: rows.update_participant(number, code="mallory"))


def test_a_closed_store_takes_no_job(file):
    store = Store(file, manifest="m")
    store.close()
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.run(lambda rows: rows.read_answers())


def test_answers_acknowledged_before_kill_9_are_there(file):
    """A child writes as fast as it can and prints each answer once it is acknowledged, until it is killed."""
    code = (
        "import sys; from pathlib import Path; from tests.human.elicit.store.test_database import given, join\n"
        "from hilmix.human.elicit.store.database import Store\n"
        "store = Store(Path(sys.argv[1]), manifest='m'); number = join(store, 'alice'); trial = 0\n"
        "while True:\n"
        "    store.run(lambda rows: rows.add_answer(given(number, trial)))\n"
        "    print(trial, flush=True); trial += 1\n"
    )
    root = Path(__file__).parents[4]
    child = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True, cwd=root)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(30)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    child.wait()
    store = Store(file, manifest="m")
    kept = [one.trial for one in store.run(lambda rows: rows.read_answers())]
    store.close()
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1, "at most one answer was on its way"
