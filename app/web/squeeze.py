"""Content coding (RFC 9110 section 8.4): a page on a bad line is a third of its size.

Compressed is what is asked for with no secret about: a page that repeats what its address says, beside a
secret of its reader, would tell that secret by its length (BREACH). So whoever is signed in, or carries a
proof of purchase, gets pages as they are; static files hold nobody's secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Half as long as level 6, for a tenth more bytes.
_LEVEL: Final = 1
_LEAST_BYTES: Final = 1_000
# Compressed already, or hashes.
_DENSE: Final = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "application/pdf")


class Squeeze:
    """ASGI middleware inside the gate. secret_cookies: whoever sends one of these gets pages as they are."""

    def __init__(self, app: ASGIApp, *, secret_cookies: Sequence[str]) -> None:
        self._app = app
        self._squeezed = GZipMiddleware(app, _LEAST_BYTES, _LEVEL, exclude_content_types=_DENSE)
        self._secret = frozenset(secret_cookies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (scope["type"] == "http" and scope["method"] == "GET" and self._may(scope)):
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                _weaken(MutableHeaders(raw=message["headers"]))
            await send(message)

        await self._squeezed(scope, receive, send_on)

    def _may(self, scope: Scope) -> bool:
        return scope["path"].startswith("/static/") or self._secret.isdisjoint(
            HTTPConnection(scope).cookies
        )


def _weaken(headers: MutableHeaders) -> None:
    """A file compressed is another one, byte by byte: nobody may go on in it where it broke off."""
    if headers.get("Content-Encoding") != "gzip":
        return
    del headers["Accept-Ranges"]
    tag = headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        headers["ETag"] = f"W/{tag}"
