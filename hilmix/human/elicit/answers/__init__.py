"""The answers of a study: validation, quality, status, tables and labels to train on."""

from hilmix.human.elicit.answers.read import read_answers

__all__ = ["read_answers"]
