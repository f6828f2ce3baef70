"""The least that a server of answers can do: one endpoint, one insert, one flush. Takes a file and a port."""

import json
import logging
import sqlite3
import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI


def bare(file: str) -> FastAPI:
    """Returns an application that appends what is posted to ``/answers`` to a new SQLite file, row by row."""
    sql, lock = sqlite3.connect(file, isolation_level=None, check_same_thread=False), threading.Lock()
    sql.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE answers(body TEXT NOT NULL);")
    app = FastAPI()

    @app.post("/answers")
    def answer(body: dict[str, Any]) -> dict[str, bool]:
        with lock:
            sql.execute("INSERT INTO answers VALUES (?)", (json.dumps(body),))
        return {"saved": True}

    return app


if __name__ == "__main__":
    uvicorn.run(bare(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level=logging.WARNING)
