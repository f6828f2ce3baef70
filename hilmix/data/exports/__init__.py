"""Exports of other tools: tables of votes and JSON of annotation programs, read as annotated data."""
