"""How pages speak of documents: their kinds, how large they are and may be."""

from __future__ import annotations

from typing import Any, Final

from app.credit.document_kinds import MOST_BYTES, WORDS

_KB: Final = 1024


def say_size(count: int) -> str:
    """Returns a number of bytes as people read it: whole KB, from a MB on with one decimal."""
    if count < _KB * _KB:
        return f"{-(-count // _KB)} KB"
    return f"{count / _KB**2:.1f} MB"


DOCUMENT_WORDS: Final[dict[str, Any]] = {
    "file_kinds": WORDS,
    "file_most": MOST_BYTES // _KB**2,
    "file_size": say_size,
}
