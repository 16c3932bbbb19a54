"""A table as the answer to a request: the one way in which API and pages hand out CSV."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.responses import Response, StreamingResponse

from app.imports.export import MEDIA_TYPES


def answer_csv(pieces: Iterable[bytes], *, name: str) -> Response:
    """Returns CSV as a file of this name, sent as it is made; no cache keeps it.

    Who makes the pieces refuses before the first of them: once a part is sent, nothing can be refused.
    """
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(iter(pieces), media_type=MEDIA_TYPES["csv"], headers=headers)
