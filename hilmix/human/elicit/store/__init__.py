"""The database of a study: one SQLite file, its statements, its integrity, and its lock."""
