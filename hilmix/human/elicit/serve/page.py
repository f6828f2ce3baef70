"""The pages of a study in its language: the page of all participants, and one that says why a link does not work."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hilmix.human.elicit.design.manifest import Manifest
from hilmix.human.elicit.design.words import fill, read_language

PAGES = Path(__file__).parent / "pages"
_PLACE = re.compile(r"\{\{(@?)(\w+)\}\}")


def render_page(manifest: Manifest, *, preview: bool) -> str:
    """Returns the page of a participant: the same for all, with every word that its scripts show.

    Args:
        manifest: of the study.
        preview: whether answers are thrown away, which the page then says.
    """
    words = manifest.page_words
    banner = f'<p class="preview" role="note">{html.escape(words["preview"])}</p>' if preview else ""
    # In a data block nothing is executed, but "</script" and "<!--" would end or change it.
    data = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    own = {"language": manifest.language, "direction": manifest.direction, "words": data, "preview": banner}
    return _fill_in("index.html", words, own)


def render_message(
    key: str, *, manifest: Manifest | None = None, root: str = "", values: Mapping[str, Any] | None = None
) -> str:
    """Returns a page of one message: the words ``KEY_title`` and ``KEY_text``.

    Args:
        key: beginning of the keys.
        manifest: of the study, for language and contact; None: English.
        root: path of the study on its server.
        values: of the placeholders of the text.
    """
    words = read_language("en") if manifest is None else manifest.page_words
    contact = "" if manifest is None or manifest.contact is None else manifest.contact
    line = f"<p>{html.escape(words['facts_contact'])}: {html.escape(contact)}</p>" if contact else ""
    own = {
        "language": "en" if manifest is None else manifest.language,
        "direction": "ltr" if manifest is None else manifest.direction,
        "title": html.escape(words[f"{key}_title"]),
        "text": html.escape(fill(words[f"{key}_text"], **(values or {}))),
        "contact": line,
        "root": html.escape(root),
    }
    return _fill_in("message.html", words, own)


def _fill_in(name: str, words: Mapping[str, str], own: Mapping[str, str]) -> str:
    """``{{@name}}`` is markup of our own, ``{{name}}`` a word, escaped."""
    template = (PAGES / name).read_text(encoding="utf-8")
    return _PLACE.sub(lambda found: own[found[2]] if found[1] else html.escape(words[found[2]]), template)
