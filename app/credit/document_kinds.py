"""What may be handed in as a document, told by its bytes, and what it may be called.

A name is a stranger's text: it is kept short, without folders and without signs that are not seen
or that turn the text around, and it ends as files of its kind do. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

MOST_BYTES: Final = 5 * 1024 * 1024
MOST_IN_NAME: Final = 100

ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "application/pdf": (".pdf",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
}
"""How names of each kind end, by media type."""

WORDS: Final[Mapping[str, str]] = {
    "application/pdf": "PDF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WebP",
}
"""What each kind is called, in any language."""

_NOT_SEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FALLBACK: Final = "document"
_LONGEST_ENDING: Final = 4


def kind_of(raw: bytes) -> str | None:
    """Returns the media type that the first bytes tell, None where it is none of ENDINGS.

    At the very beginning: a PDF may stand behind other bytes, and so could be a page as well.
    """
    if raw.startswith(b"%PDF-"):
        return "application/pdf"
    if raw.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return "image/webp"
    return None


def clean_name(given: str, kind: str) -> str:
    """Returns what a document of this kind is called: 1 to MOST_IN_NAME characters, NFC."""
    name, endings = plain_name(given), ENDINGS.get(kind, ("",))
    ending = next((one for one in endings if name.lower().endswith(one)), "")
    stem = (name[: len(name) - len(ending)] if ending else name).rstrip(". ")
    ending = ending or endings[0]
    return (stem[: MOST_IN_NAME - len(ending)].rstrip() or _FALLBACK) + ending


def plain_name(given: str) -> str:
    """Returns a file's name as it may be shown: at most MOST_IN_NAME characters, NFC, perhaps none."""
    last = given.replace("\\", "/").rpartition("/")[2]
    seen = "".join(
        " " if sign.isspace() else sign
        for sign in unicodedata.normalize("NFC", last)
        if sign.isspace() or unicodedata.category(sign) not in _NOT_SEEN
    )
    name = " ".join(seen.split()).lstrip(". ")
    if len(name) <= MOST_IN_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > _LONGEST_ENDING:
        return name[:MOST_IN_NAME].rstrip()
    return f"{stem[: MOST_IN_NAME - len(ending) - 1].rstrip()}.{ending}"
