"""Names that some medium takes for more than a name, and data that use them for everything that has a name."""

from dataclasses import replace

from hilmix.annotations import Annotations
from hilmix.data.items import AnnotatedData

NASTY = (
    "[/x]",
    "cat [small]",
    "[bold red]dog[/]",
    "[link=https://example.org]x[/link]",
    ":smile:",
    "\x1b[2J\x1b[31mred",
    "\x9b31mred",
    "\x07bell",
    "a\u202egnp.exe",
    "\u2066isolate",
    "zero\u200bwidth",
    "<script>alert(1)</script>",
    "<img src=x onerror='alert(1)'>",
    "&lt;b&gt;",
    "\"quoted\" 'twice'",
    '=HYPERLINK("http://example.org")',
    "+1+1",
    "@SUM(A1)",
    "-2+3",
    "'=quoted",
    "$x^2$",
    "$\\frac{$ and $",
    "a,b;c",
    "a\tb",
    "line\nbreak",
    "car\rriage",
    "C:\\new\\[dir]",
    "{braces} %s %(x)s",
    "na\u00efve \u732b",
    "l" * 90 + "1",
    "l" * 90 + "2",
)
"""Printable or not, quoted or not; two long ones that differ in the last letter only."""


def renamed(data: AnnotatedData, number: int = len(NASTY)) -> AnnotatedData:
    """The data with other names for its items, classes, annotators, and with groups; as many classes as it had."""
    votes = data.annotations
    classes, people = NASTY[: votes.num_classes], tuple(reversed(NASTY))[: votes.num_annotators]
    annotations = Annotations.build(
        votes.item, votes.annotator, votes.label, num_items=len(data), classes=classes, annotators=people
    )
    items = tuple(f"{NASTY[i % number]} {i}" for i in range(len(data)))
    return replace(data, name=NASTY[0], items=items, annotations=annotations)
