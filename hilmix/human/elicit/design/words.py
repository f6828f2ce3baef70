"""Words of a study by language: a file of messages each, complete or refused. Texts are Markdown, the rest is plain."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from hilmix.errors import DataError
from hilmix.yaml_files import load_yaml

LANGUAGES = ("en", "de", "fr", "es", "ja")
"""Languages with a file of their own in ``hilmix/human/elicit/words``, by their ISO 639-1 codes."""
LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"
"""Form of a language tag (BCP 47): ``ar``, ``pt-BR``, ``zh-Hant``."""
BUILD_ONLY = ("text.", "check.", "example.")
"""Beginnings of the keys that only build a study; the pages show all others."""
MOST_BYTES = 256 * 1024
_RIGHT_TO_LEFT = frozenset(["ar", "arc", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"])
_FOLDER = Path(__file__).parents[1] / "words"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@cache
def read_language(language: str) -> Mapping[str, str]:
    """Returns the words of one of :data:`LANGUAGES`, by key."""
    found: dict[str, str] = load_yaml((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return found


def read_words(file: Path) -> dict[str, str]:
    """Reads a file of messages of a study's own: YAML with the keys of ``en.yaml``, and their placeholders.

    Raises:
        DataError: naming every key that is missing, unknown or has other placeholders.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} must be at most {MOST_BYTES // 1024} kB, got {file.stat().st_size // 1024} kB.")
        found = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"Cannot read {file}: {' '.join(str(error).split())}. Give YAML in UTF-8.") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} must hold keys and texts, as hilmix/human/elicit/words/en.yaml does.")
    words = {str(key): value for key, value in found.items()}
    if faults := [*find_faults(words)]:
        shown = "; ".join(faults[:20]) + (f"; and {len(faults) - 20} more" if len(faults) > 20 else "")
        raise DataError(f"{file}: {len(faults)} faults in its messages: {shown}. Correct them.")
    return words


def find_faults(words: Mapping[str, object], *, complete: bool = True) -> Iterator[str]:
    """Yields what is wrong with messages: missing, unknown and empty keys, placeholders other than the English ones.

    Args:
        words: by key.
        complete: whether a missing key is a fault.
    """
    english = read_language("en")
    if complete:
        yield from (f"{key} is missing" for key in english if key not in words)
    for key, text in words.items():
        if key not in english:
            yield f"{key} is unknown"
        elif not isinstance(text, str) or not text.strip():
            yield f"{key} must be a text, got {text!r}"
        elif (found := find_placeholders(text)) != (wanted := find_placeholders(english[key])):
            yield f"{key} must have the placeholders {_listed(wanted)}, got {_listed(found)}"


def find_placeholders(text: str) -> frozenset[str]:
    """Returns the names in braces."""
    return frozenset(_PLACEHOLDER.findall(text))


def fill(text: str, **values: object) -> str:
    """Returns a text with its placeholders filled in; braces inside of the values stay as they are."""
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)


def take_page_words(words: Mapping[str, str]) -> dict[str, str]:
    """Returns the words that the pages show, without those that only build a study."""
    return {key: text for key, text in words.items() if not key.startswith(BUILD_ONLY)}


def find_direction(language: str) -> str:
    """Returns ``rtl`` for a language that is written from right to left, else ``ltr``."""
    parts = language.split("-")
    return "rtl" if parts[0] in _RIGHT_TO_LEFT or "Arab" in parts or "Hebr" in parts else "ltr"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
