"""Short fingerprints of data, by which a checkpoint knows them again."""

import hashlib
from collections.abc import Iterable

from hilmix.annotations import Annotations


def digest_of_votes(votes: Annotations) -> str:
    """Returns the SHA-256 over who said what about which item."""
    columns = (votes.item, votes.annotator, votes.label, votes.probs)
    return hashlib.sha256(b"".join(c.tobytes() for c in columns if c is not None)).hexdigest()


def digest(names: Iterable[object]) -> str:
    """Returns the SHA-256 over names, one per line."""
    return hashlib.sha256("\n".join(map(str, names)).encode()).hexdigest()
