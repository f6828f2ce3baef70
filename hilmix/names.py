"""Names are data: how a name from elsewhere is shown in a terminal, a page, a figure and a spreadsheet.

Names of items, annotators, classes, groups, files and studies come from tables, folders and strangers. Each function
here makes a name harmless for one medium and keeps it recognisable; nothing is ever cut.
"""

import html
import re
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that a reader cannot see, or that move the text around them."""
_JOINERS = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")
"""Between letters beyond ASCII joiners are spelling (Persian, Indic scripts, emoji), elsewhere they hide."""
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What spreadsheets take for the beginning of a formula (OWASP, CSV injection), apostrophes of an escape before it."""
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


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text.lstrip("'"))


def _hides(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
