"""Whether a document is what its first bytes say: a picture that can be seen, a PDF that is whole.

Who is to judge by a document must be able to open it, and who handed in half of one learns it at once. A
picture is decoded, within the bounds of photos, but that a PNG may be a scan. Of a PDF beginning and end are
read and nothing between: a PDF is a program, and none of a stranger's is run here. Neither says anything
about what it shows. What stands behind the end of a picture stays there: phones put a film behind a photo, no
reader of pictures looks at it, and what is handed out is an attachment of just this kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from app.credit.document_kinds import WORDS
from app.kit.pictures import MAX_PNG_PIXELS, Format, PictureUnfit, opened_picture
from app.kit.turn import OneAtATime

_FORMATS: Final[Mapping[str, Format]] = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
}
# ISO 32000-1 7.5.2 and 7.5.5: the version, and where the last table of objects begins. Readers look for the
# end mark in the last 1,024 bytes, for some programs write behind it.
_PDF_HEAD: Final = re.compile(rb"%PDF-[12]\.[0-9]")
_PDF_END: Final = re.compile(rb"startxref\s+[0-9]+\s+%%EOF")
_TAIL: Final = 1_024 + 64
# Not the turn of photos at /scan: those are of strangers.
_turn = OneAtATime("documents_busy")


def fault_of_body(raw: bytes, kind: str) -> tuple[str, str | int] | None:
    """Returns what is wrong with a document of this kind, and what was expected; None for nothing.

    Raises Overloaded where others' pictures take too long.
    """
    damaged = "file_damaged", WORDS[kind]
    if kind not in _FORMATS:
        is_whole = _PDF_HEAD.match(raw) and _PDF_END.search(raw, max(0, len(raw) - _TAIL))
        return None if is_whole else damaged
    try:
        opened = opened_picture(raw, formats=(_FORMATS[kind],), max_png_pixels=MAX_PNG_PIXELS)
        with _turn, opened as image:
            image.load()
    except PictureUnfit as unfit:
        return ("file_pixels", unfit.millions) if unfit.millions else damaged
    return None
