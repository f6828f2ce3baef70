"""Names in the cells of a table: one value, one spelling, whatever file and type they come from; blank is missing."""

import ast
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
MISSING_TEXTS = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None")
"""Texts that tools write for an empty cell."""

_PLAIN = r"[A-Za-z_][A-Za-z0-9_./-]*|0|[1-9][0-9]*"
"""Texts that are their own spelling, whatever the rules below; of these ``true`` and ``false`` alone have a value."""
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)(\.0*)?")
_LARGE = re.compile(r"-?[0-9](\.[0-9]+)?e\+[0-9]{2,3}")
"""As programs write floats of 1e16 and more; ``1e5`` may be a name."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")
_AS_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")
_BOOLEANS = {"true": "True", "false": "False"}
_SHOWN = 200
_LISTED = 8
_OF_ONE_TYPE = ("string", "boolean", "integer", "empty")
_INVISIBLE = ("Cf", "Cc", "Zs", "Zl", "Zp")
"""Unicode categories without a glyph: format and control characters, blanks."""
_BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks without a glyph, such as the Hangul filler: Default_Ignorable_Code_Point of Unicode."""
_LIST_CALL = re.compile(r"(array|set|frozenset|list|tuple|dict|deque)\(.*\)", re.DOTALL)


class Names(NamedTuple):
    """A column of L names, each of its U distinct texts once."""

    code: IntArray
    """(L,) int64, place in ``texts``, -1 for a missing cell."""
    texts: tuple[str, ...]
    """The U distinct texts, in the order of their first row."""

    def coded(self) -> "pd.Series[Any]":
        """(L,) the texts as :func:`coded_column`."""
        code = pa.array(self.code.astype(np.int32), mask=self.code < 0)
        return coded_column(pa.DictionaryArray.from_arrays(code, pa.array(self.texts, pa.string())))

    def column(self) -> NDArray[Any]:
        """(L,) object: the texts, None for a missing cell."""
        return np.asarray([*self.texts, None], dtype=object)[self.code]

    def rows(self, texts: Iterable[str]) -> IntArray:
        """The rows that hold one of these texts."""
        wanted = set(texts)
        return np.flatnonzero(self.of([text in wanted for text in self.texts], False))

    def of(self, value: Iterable[Any], missing: Any) -> NDArray[Any]:
        """(L,) the value of each row's text, given one for each of the U texts and one for a missing cell."""
        return np.asarray([*value, missing])[self.code]

    def without(self, texts: Iterable[str]) -> "Names":
        """The same column where these texts are missing."""
        dropped = set(texts)
        return self.renamed([None if text in dropped else text for text in self.texts])

    def renamed(self, texts: Sequence[str | None]) -> "Names":
        """The same column with another text for each of the U; equal ones are merged, None is missing."""
        if tuple(texts) == self.texts:
            return self
        place: dict[str, int] = {}
        code = [-1 if text is None else place.setdefault(text, len(place)) for text in texts]
        return Names(self.of(code, -1).astype(np.int64), tuple(place))


def read_names(values: "ArrayLike | pd.Series[Any]") -> Names:
    """Returns the cells as written, stripped; empty, blank and null ones are missing.

    Numbers and booleans become text: 1.0 is "1.0", True is "True". A list or map becomes its Python text, which
    :func:`is_list` recognises. Rows are looped over only where a column mixes types.

    Args:
        values: (L,) cells of any type.
    """
    column = values if isinstance(values, pd.Series) else pd.Series(values)
    if is_coded(column):
        coded = pa.chunked_array(column.array.__arrow_array__()).combine_chunks()
        return _read_texts(coded.indices.fill_null(-1).to_numpy(), coded.dictionary.to_pylist())
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) not in _OF_ONE_TYPE:
        column = pd.Series([_text(value) for value in column], dtype=object)  # 1, 1.0 and True are equal, and lists odd
    # Not np.unique, which sorts and cannot compare mixed types.
    code, found = pd.factorize(column)
    if isinstance(found.dtype, pd.StringDtype):
        return _read_texts(code, found.to_numpy(object).tolist())
    if isinstance(found.dtype, np.dtype) and found.dtype.kind == "f":
        found = np.asarray(found)  # an index would hand out float64, in which a float32 of 0.1 is 0.10000000149
    texts = _dates(found) if isinstance(found, pd.DatetimeIndex) else [_text(value) for value in found]
    return Names(code.astype(np.int64), tuple(str(value) for value in found)).renamed(texts)


def coded_column(cells: "pa.Array | pa.ChunkedArray") -> "pd.Series[Any]":
    """Returns a column of texts that :func:`read_names` takes apart without looking at each row.

    Args:
        cells: dictionary-encoded texts, whose dictionaries list them in the order of their first row.
    """
    chunks = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    return pd.Series(pd.arrays.ArrowExtensionArray(chunks.unify_dictionaries()))


def is_coded(column: "pd.Series[Any]") -> bool:
    """Returns whether a column is one of :func:`coded_column`."""
    return isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_dictionary(column.dtype.pyarrow_dtype)


def _read_texts(code: NDArray[Any], texts: list[str]) -> Names:
    """Names of rows whose cells are texts, each of which is there once."""
    names = Names(code.astype(np.int64), tuple(texts))
    odd = np.flatnonzero(~_are_plain(texts))
    if len(odd):
        for place in odd.tolist():
            texts[place] = _text(texts[place])  # type: ignore[assignment]
        names = names.renamed(texts)
    return names


def _are_plain(texts: Sequence[str]) -> NDArray[np.bool_]:
    """(U,) whether each text is of the form :data:`_PLAIN`."""
    plain: NDArray[np.bool_] = pd.Series(texts, dtype="str").str.fullmatch(_PLAIN).to_numpy(dtype=bool)
    return plain


def spell(*columns: Names) -> tuple[Names, ...]:
    """Returns columns of the same kind of names with one spelling for each value.

    In a column whose values are all whole numbers ``1.0`` becomes ``1``; where all are booleans ``TRUE`` and ``true``
    become ``True``. Leading zeros, other decimals and mixtures stay as written, and numbers are never merged with
    booleans. A later column takes the spelling that an earlier one has for the same value.

    Example:
        >>> label, target = spell(read_names(["0.0", "1.0", ""]), read_names([1, 0]))
        >>> label.texts, target.texts
        (('0', '1'), ('1', '0'))
    """
    spelled = [column.renamed(_own_spelling(column.texts)) for column in columns]
    known: list[str] = []
    # A single column has no other to agree with.
    for number, column in enumerate(spelled[1:] and spelled):
        place = places(column.texts, known)
        spelled[number] = column.renamed(
            [known[p] if p >= 0 else text for p, text in zip(place, column.texts, strict=True)]
        )
        known += [text for p, text in zip(place, column.texts, strict=True) if p < 0]
    return tuple(spelled)


def places(texts: Sequence[str], listed: Sequence[str]) -> IntArray:
    """Returns (U,) int64 where each text stands in different names: as written, else by value; -1 if nowhere.

    Example:
        >>> places(["1.0", "TRUE", "01"], ["1", "true"]).tolist()
        [0, 1, -1]
    """
    if len(texts) == len(listed) and tuple(texts) == tuple(listed):
        return np.arange(len(texts))
    found: IntArray = pd.Index(listed, dtype=object).get_indexer(pd.Index(texts, dtype=object)).astype(np.int64)
    odd = [(u, value_of(texts[u])) for u in np.flatnonzero(found < 0).tolist()]
    if any(value is not None for _, value in odd):
        # Made only where a text is not listed as written, which is rare.
        by_value: dict[str, list[int]] = {}
        for place, name in enumerate(listed):
            by_value.setdefault(value_of(name) or "", []).append(place)
        for u, value in odd:
            same = by_value.get(value, []) if value is not None else []
            # Two listed names of one value, such as 1 and 1.0: which is meant cannot be known.
            if len(same) == 1:
                found[u] = same[0]
    return found


def value_of(text: str) -> str | None:
    """The one spelling of a whole number or boolean, None for any other text."""
    if _LARGE.fullmatch(text):
        return str(int(float(text))) if is_whole(text) else None
    return str(int(text.partition(".")[0])) if is_whole(text) else _BOOLEANS.get(text.lower())


def is_whole(text: str) -> bool:
    """Returns whether a text is a whole number without leading zeros; ``1.0`` is, and ``1e+16``, as of floats."""
    return _WHOLE.fullmatch(text) is not None or (_LARGE.fullmatch(text) is not None and float(text).is_integer())


def is_list(text: str) -> bool:
    """Returns whether a text is a list or map, as JSON, Python or NumPy write it; a name in brackets is none.

    Example:
        >>> is_list('["cat", "dog"]'), is_list("{'cat'}"), is_list("[/cat]"), is_list("(small)")
        (True, True, False, False)
    """
    if text[-1:] not in ("]", "}", ")"):  # first, as most names end in none of them
        return False
    inner = text[1:-1].strip()
    if _LIST_CALL.fullmatch(text):
        return True
    if (text[:1], text[-1:]) not in (("[", "]"), ("{", "}"), ("(", ")")):
        return False
    if text[0] == "{" and (not inner or ":" in inner):
        return True
    if text[0] == "{" and "," in inner:  # as PostgreSQL writes arrays
        return True
    if text[0] == "[" and (not inner or "," in inner or inner[0] in "'\"[{"):
        return True
    try:
        return isinstance(ast.literal_eval(text), list | tuple | set | dict)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def short(value: str) -> str:
    """A value as a message shows it: lists, of which exports hold some of thousands of characters, are cut."""
    return f"{value[:_SHOWN]}..." if len(value) > _SHOWN and is_list(value) else value


def quoted(names: Sequence[str]) -> str:
    """The first names of a list, in quotes."""
    return ", ".join(f"'{short(name)}'" for name in names[:_LISTED]) + ", ..." * (len(names) > _LISTED)


def spelled_out(name: str) -> str:
    """A name in quotes, with its code points where a reader may not see how it differs."""
    return f"'{name}'" if name.isascii() else f"'{name}' ({ascii(name)[1:-1]})"


def lookalikes(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns the groups of names that look the same: but for case, Unicode form, blanks, invisible characters, or the
    way in which a number is written.

    Example:
        >>> lookalikes(["Cat", "cat", "dog", "01", "1.0"])
        [('Cat', 'cat'), ('01', '1.0')]
    """
    plain = _are_plain(names)
    bare = pd.Series(names, dtype="str").str.lower()
    # Folding the case is all that is to be done with most names.
    odd = np.flatnonzero(~plain | bare.isin([text.lower() for text in _BOOLEANS]).to_numpy())
    bare.iloc[odd] = [_bare(names[place]) for place in odd.tolist()]
    groups: dict[str, list[str]] = {}
    for place in np.flatnonzero(bare.duplicated(keep=False)).tolist():
        groups.setdefault(bare.iloc[place], []).append(names[place])
    return list(map(tuple, groups.values()))


def alike(name: str, names: Sequence[str]) -> list[str]:
    """Returns the names that look the same as one that is not among them; see :func:`lookalikes`.

    Example:
        >>> alike("Cat", ["cat", "dog"])
        ['cat']
    """
    bare = _bare(name)
    return [other for other in names if _bare(other) == bare]


def natural_order(name: str) -> tuple[int, float, str]:
    """Sort key: numbers by value, before other names."""
    return (0, float(name), name) if _NUMBER.fullmatch(name) else (1, 0.0, name)


def _own_spelling(texts: Sequence[str]) -> list[str]:
    if all(map(is_whole, texts)):
        return [text if text.isdecimal() else str(value_of(text)) for text in texts]
    return [_BOOLEANS[t.lower()] for t in texts] if all(t.lower() in _BOOLEANS for t in texts) else list(texts)


def _text(value: Any) -> str | None:
    """A cell as text, None where nothing is to be seen in it."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, str):
        text = value.strip()
        seen = (text.isascii() and text[:1].isalnum()) or not all(map(_invisible, text))
        return text if seen else None
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple | set | dict):
        return repr(value)
    if value is None or pd.isna(value):
        return None
    is_float = isinstance(value, float | np.floating)
    return f"{value:.1f}" if is_float and float(value).is_integer() else str(value)


def _dates(found: pd.DatetimeIndex) -> list[str]:
    """Days as ``2026-11-29``, as a CSV file of the same column has them, with the time where it is not midnight."""
    return [str(day.date()) for day in found] if (found == found.normalize()).all() else [str(day) for day in found]


def _bare(name: str) -> str:
    text = name if name.isascii() else unicodedata.normalize("NFKC", name)
    if not (text.isascii() and text.isprintable()):
        text = "".join(c for c in text if c.isspace() or not _invisible(c))
    folded = " ".join(text.casefold().split())
    if folded.isdecimal():
        return folded.lstrip("0") or "0"
    return str(Fraction(folded)) if _AS_NUMBER.fullmatch(folded) else value_of(name) or folded


def _invisible(letter: str) -> bool:
    return unicodedata.category(letter) in _INVISIBLE or _BLANK_LETTERS.match(letter) is not None
