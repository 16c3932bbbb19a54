"""The hot paths, answered before the framework's work on every request.

To find a route, open its exit stacks and solve its parameters costs more than to record a plain
event. So who answers a path shortly is asked first; what is unusual, or wrong and has to be told in
full, it leaves alone, and the request goes the long way from the beginning, as if nobody had looked.
Only a short body of somebody with a key is read here at all: what one must parse, one must wait for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.errors import Fault
from app.web.body import INLINE_BYTES, holds_controls, parse_body
from app.web.problems import handle_fault
from app.web.visit import visit_of

ShortAnswer = Callable[[Request, Any], Awaitable[Response | None]]
"""Returns the answer to a request with this JSON body, or None for the long way. May raise Faults.

Asked only for who has a key and sends no header of ours.
"""


class Shortcuts:
    """ASGI middleware inside the gate. answers: by the path of a POST without a query."""

    def __init__(self, app: ASGIApp, *, answers: Mapping[str, ShortAnswer]) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer_shortly = self._answers.get(scope.get("path", ""))
        if answer_shortly is None or scope["method"] != "POST" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if not _is_plain(request):
            await self._app(scope, receive, send)
            return
        try:
            raw = await _read(receive)
            body = parse_body(request, raw, checks_text=False)
            is_plain = not holds_controls(body, raw)
            response = await answer_shortly(request, body) if is_plain else None
        except Fault as fault:
            await handle_fault(request, fault)(scope, receive, send)
            return
        if response is None:
            await self._app(scope, _again(raw, receive), send)
        else:
            await response(scope, receive, send)


def _is_plain(request: Request) -> bool:
    """Whether a program with a key sends a body so short that it may be parsed on the event loop."""
    if visit_of(request).principal is None:
        return False
    length: bytes | None = None
    for name, value in request.scope["headers"]:
        if name.startswith(b"suxin-"):
            return False
        if name == b"content-length" and length is None:
            length = value
    return length is not None and int(length[:20]) <= INLINE_BYTES


async def _read(receive: Receive) -> bytes:
    """Returns the whole body, most often one message. Raises ClientDisconnect."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _again(raw: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives a body that was read already, and then what comes after it."""
    told = False

    async def receive_again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive_again
