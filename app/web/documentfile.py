"""A document as a file to save: for the API and for pages alike."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from app.credit.documents import Opened

_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._- ()")


def answer_document(document: Opened) -> Response:
    """Returns the answer that a browser saves and never shows: what is in it is a stranger's."""
    headers = {
        "Content-Disposition": _disposition(document.name),
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(document.content, media_type=document.kind, headers=headers)


def _disposition(name: str) -> str:
    """Returns the header (RFC 6266): a name in ASCII for old clients, the true one for all others."""
    plain = "".join(sign if sign in _PLAIN else "_" for sign in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
