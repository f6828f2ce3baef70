"""Names are data: how a name from elsewhere is shown in a terminal, a page, a figure and a spreadsheet.

Names of items, annotators, classes, groups, files and studies come from tables, folders and strangers. Each function
here makes a name harmless for one medium and keeps it recognisable; nothing is ever cut, but by the two that fit names
into a figure, :func:`short_names` and :func:`fold_name`.
"""

import html
import re
import textwrap
import unicodedata
from collections.abc import Sequence

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that a reader cannot see, or that move the text around them."""
_JOINERS = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")
"""Between letters beyond ASCII joiners are spelling (Persian, Indic scripts, emoji), elsewhere they hide."""
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Beginnings of formulas to a spreadsheet (OWASP, CSV injection), after apostrophes of an escape."""
_LONGEST = 200
"""Characters of a name in a figure."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def printable(name: object) -> str:
    r"""Returns a name on one line with control, bidirectional and invisible characters as escapes.

    Example:
        >>> printable("cat\x1b[2J\u202e")
        'cat\\x1b[2J\\u202e'
    """
    text = str(name)
    if text.isascii() and text.isprintable():
        return text
    # Escaping these would break names in scripts that are spelled with them.
    kept = {match.start() for match in _JOINERS.finditer(text)}
    return "".join(_escaped(char) if _hides(char) and place not in kept else char for place, char in enumerate(text))


def html_text(name: object) -> str:
    """Returns a name as text or attribute value of an HTML page."""
    return html.escape(printable(name))


def figure_text(name: object) -> str:
    """Returns a name for matplotlib, which would typeset what is between two dollar signs."""
    return printable(name).replace("$", r"\$")


def short_names(names: Sequence[str], length: int) -> list[str]:
    """Returns names of at most ``length`` characters, but longer ones where two of them would look the same.

    Example:
        >>> short_names(["cat", "a long name"], 9)
        ['cat', 'a long n…']
    """
    texts = [printable(name) for name in names]
    ways = ([_cut(text, length) for text in texts], [_cut(text, length, both=True) for text in texts])
    return next((way for way in ways if len(set(way)) == len(set(texts))), texts)


def fold_name(name: object, width: int) -> list[str]:
    """Returns lines of at most ``width`` characters; of a name that would fill a figure, beginning and end."""
    return textwrap.wrap(_cut(printable(name), _LONGEST, both=True), width) or [""]


def escape_formula(text: str) -> str:
    """Returns a cell that no spreadsheet takes for a formula: an apostrophe is put before ``=``, ``+``, ``-``, ``@``,
    tab and line breaks, unless the cell is a number. :func:`unescape_formula` gives the text back.

    Reference:
        OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection

    Example:
        >>> [escape_formula(text) for text in ("=1+1", "-1.5", "cat", "'=1+1")]
        ["'=1+1", '-1.5', 'cat', "''=1+1"]
    """
    return f"'{text}" if _is_formula(text) else text


def unescape_formula(cell: str) -> str:
    """Inverts :func:`escape_formula`."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _cut(text: str, length: int, *, both: bool = False) -> str:
    if len(text) <= length:
        return text
    tail = (length - 1) // 2 if both else 0
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text.lstrip("'"))


def _hides(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
