"""A file of answers that was damaged is refused by everything that reads it, and never read as something else."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hilmix.cli import main
from hilmix.errors import DataError
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.store.database import Store, read_rows
from hilmix.human.elicit.store.rows import SCHEMA, AnswerRow, Rows, Survey
from tests.human.elicit.studies import make_study

READERS = (
    ["status"],
    ["simulate", "--participants", "1"],
    ["export", "-o", "out"],
    ["next", "--data", "d", "-o", "out"],
    ["import", "saved.json"],
)


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> Path:
    """A study with the answers of three people."""
    folder = make_study(tmp_path_factory.mktemp("study") / "s", mains=6, target_judgments=2)
    assert main(["elicit", "simulate", str(folder), "--participants", "3", "--seed", "1"]) == 0
    return folder


@pytest.fixture
def study(answered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(answered, tmp_path / "s"))


def everything(file: Path) -> list:
    with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as sql:
        tables = ("participants", "answers", "surveys", "events", "meta")
        return [sql.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def refuses(file: Path, manifest: str) -> bool:
    """Whether the reader refuses it; the writer must agree."""
    try:
        read_rows(file, lambda rows: (rows.read_participants(), rows.read_answers()), manifest=manifest)
    except DataError as error:
        text = str(error)
    else:
        return False
    assert str(file) in text
    with pytest.raises(DataError):
        Store(file, manifest=manifest)
    return True


def test_flipped_bytes_are_found_or_change_nothing(study):
    file, manifest = study / "answers.sqlite", Study.open(study).sha256
    whole, before = file.read_bytes(), everything(file)
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 4)):
            content[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(content)
        if refuses(file, manifest):
            found += 1
        else:
            assert everything(file) == before
    assert found > 30


@pytest.mark.parametrize("length", [1, 100, 4096, 20_000])
@pytest.mark.parametrize("kind", ["truncated", "noise", "noise from the middle on", "zeros"])
def test_larger_damage(study, kind, length):
    file, manifest = study / "answers.sqlite", Study.open(study).sha256
    whole, noise = file.read_bytes(), np.random.default_rng(0).bytes(length)
    file.write_bytes(
        {
            "truncated": whole[:-length],
            "noise": noise,
            "zeros": bytes(length),
            "noise from the middle on": whole[: len(whole) // 2] + noise * (len(whole) // 2 // length),
        }[kind]
    )
    assert refuses(file, manifest)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET seconds = seconds + 1e-9 WHERE trial = (SELECT max(trial) FROM answers)",
        "UPDATE answers SET answer_json = replace(answer_json, '0.', '0.1')",
        "DELETE FROM answers",
        "UPDATE participants SET excluded = NULL, phase = 'done', batch = 0 WHERE number = 2",
        "UPDATE surveys SET comments = '' WHERE participant = 1",
        "DELETE FROM events",
        "DELETE FROM digests",
        "INSERT INTO meta VALUES ('more', '')",
        "UPDATE meta SET value = 'x' WHERE key = 'hash_key'",
    ],
)
def test_changed_lost_and_added_rows_in_a_file_that_is_whole(study, change):
    file = study / "answers.sqlite"
    with sqlite3.connect(file) as sql:
        assert sql.execute(change).rowcount
    sql.close()
    assert refuses(file, Study.open(study).sha256)


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
@pytest.mark.parametrize("damage", ["noise", "a changed number", "empty", "another file"])
def test_every_command_that_reads_it_ends_with_one_sentence(study, command, damage, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("saved.json").write_text("")  # a jsPsych file without participants
    file = study / "answers.sqlite"
    if damage == "a changed number":
        with sqlite3.connect(file) as sql:
            sql.execute("UPDATE answers SET seconds = seconds * 2")
        sql.close()
    else:
        contents = {"noise": np.random.default_rng(1).bytes(9000), "empty": b"", "another file": b"PK\3\4" * 500}
        file.write_bytes(contents[damage])
    assert main(["elicit", command[0], str(study), *command[1:]]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert "answers.sqlite" in printed or command[0] == "next"
    assert "Traceback" not in printed


@pytest.mark.parametrize("damage", [b"", b"noise" * 1000])
def test_it_is_not_served(study, damage, capsys):
    (study / "answers.sqlite").write_bytes(damage)
    assert main(["elicit", "serve", str(study), "--port", "9"]) == 2
    assert "answers.sqlite" in capsys.readouterr().err
    assert (study / "answers.sqlite").read_bytes() == damage


def given(participant: int, trial: int) -> AnswerRow:
    return AnswerRow(
        participant=participant,
        trial=trial,
        key="k",
        answer={"task": "infer", "weight": 0.5},
        seconds=2.0,
        touched={},
        times={},
        received=3.0,
    )


def test_all_that_is_written_keeps_the_file_whole(tmp_path):
    file = tmp_path / "answers.sqlite"
    for name in ("anna", "bea"):
        store = Store(file, manifest="m")
        store.run(lambda rows, name=name: rows.add_participant(code=name, platform=None, now=1.0))
        number = store.run(lambda rows, name=name: rows.find_by_code(name)).number
        store.run(
            lambda rows, n=number: rows.update_participant(n, phase="trials", batch=1, order=(3, 4), lease_until=9.5)
        )
        store.run(lambda rows, n=number: [rows.add_answer(given(n, trial)) for trial in (3, 4)])
        store.run(lambda rows, n=number: rows.add_survey(Survey(n, 1, None, "a\x00b ✓", "")))
        store.run(lambda rows: rows.set_meta("token", "t" * len(rows.read_participants())))
        read_rows(file, Rows.read_answers)  # beside the open store
        store.close()
    store = Store(file, manifest="m")
    store.run(lambda rows: rows.delete_participant(1, 5.0))
    store.close()
    assert [one.participant for one in read_rows(file, Rows.read_answers)] == [2, 2]
    with sqlite3.connect(file) as sql:
        left = {of for (of,) in sql.execute("SELECT of FROM digests")}
    assert not [of for of in left if of.startswith(("participants 1", "answers 1 ", "surveys 1"))]


def old_file(file: Path, seconds: float = 2.0) -> None:
    """As hilmix 0.1.0 wrote it: without digests."""
    with sqlite3.connect(file) as sql:
        sql.executescript(SCHEMA)
        sql.executemany("INSERT INTO meta VALUES (?, ?)", [("version", "1"), ("manifest", "m"), ("hash_key", "00")])
        sql.execute("INSERT INTO participants(code, phase, created) VALUES ('anna', 'trials', 1.0)")
        sql.execute("INSERT INTO answers VALUES (1, 3, 'k', '{}', ?, '{}', '{}', 3.0)", (seconds,))
    sql.close()


def test_a_file_of_before_is_read_as_it_was_and_protected_once_it_was_opened(tmp_path):
    file = tmp_path / "answers.sqlite"
    old_file(file)
    assert [one.seconds for one in read_rows(file, Rows.read_answers, manifest="m")] == [2.0]
    Store(file, manifest="m").close()
    assert [one.seconds for one in read_rows(file, Rows.read_answers, manifest="m")] == [2.0]
    with sqlite3.connect(file) as sql:
        sql.execute("UPDATE answers SET seconds = 3.0")
    sql.close()
    with pytest.raises(DataError, match=r"answers 1 3"):
        read_rows(file, Rows.read_answers)


def test_text_that_is_no_json_in_a_file_of_before(tmp_path):
    file = tmp_path / "answers.sqlite"
    old_file(file)
    with sqlite3.connect(file) as sql:
        sql.execute("UPDATE answers SET answer_json = '{bad'")
    sql.close()
    with pytest.raises(DataError, match=r"answers\.sqlite"):
        read_rows(file, Rows.read_answers)
