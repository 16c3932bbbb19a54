"""What every request passes first and every answer last.

In: the path to route on, the client's address and language, its key, the limit for each key and for those
without one, the size of the body. Out: security headers, a request id, and for an error nobody expected one
log line and a problem that says only the request's id. HEAD is asked of the handlers as GET.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import structlog
import uuid_utils
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.i18n import pick_language
from app.kit.errors import Fault, TooLarge, TooMany
from app.parties.access import APIKeys, KeyRefused
from app.parties.principal import Principal
from app.web.body import MAX_BODY_BYTES, MAX_FORM_BYTES
from app.web.limits import RateLimit, client_address, is_ours, parse_networks
from app.web.paths import route_path
from app.web.problems import answer
from app.web.visit import REQUEST_ID, SCOPE_KEY, Visit

log = structlog.get_logger(__name__)

# No inline script or style anywhere, nothing from other hosts, no camera. A page that needs more (/scan:
# the camera, and WebAssembly to read its pictures) sets its own policies, which are then left alone.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode("ascii"),
    b"x-content-type-options": b"nosniff",
    # The path of a scan is the code itself: other sites must not learn it from a link.
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
# A badge is a picture on somebody else's page, and data that its scripts read: refusals too, or the page
# would take one for a network that failed.
_BADGE: Final = re.compile(r"/badge/[^/]+\.(?:svg|json)")
_SHARED: Final = (
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"access-control-allow-origin", b"*"),
)
_API: Final = "/api/"
_TAKES_DOCUMENTS: Final = ("/desk/credit/", "/desk/decisions/", "/desk/parties/")
"""Below these a form may bring several files. It is read only once its sender is known."""

_REGION: Final = re.compile(r"[1-8][0-9]{5}", re.ASCII)

Headers = Mapping[bytes, str]
"""The first of each name. Names are in lower case, which ASGI promises."""


class Gate:
    """ASGI middleware. Finds API keys at `app.state.rooms.keys`.

    trusted_proxies: networks whose X-Forwarded-For is believed. https: whether the public address is.
    region_header: name of the header by which those proxies tell a client's city, "" for none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        anonymous_per_second: int = 0,
        key_per_second: int = 0,
        trusted_proxies: Sequence[str] = (),
        https: bool = False,
        region_header: str = "",
    ) -> None:
        self._app = app
        self._limit = RateLimit(anonymous_per_second, name="address", monotonic_s=time.monotonic)
        self._key_limit = RateLimit(key_per_second, name="key", monotonic_s=time.monotonic)
        self._trusted = parse_networks(trusted_proxies)
        self._region_header = region_header.lower().encode("latin-1")
        self._headers = {**_HEADERS, **dict([_HSTS] if https else [])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        visit = self._open(scope, headers)
        # A copy: the server reads its own scope when it answers, and drops the body after a HEAD.
        scope = {**scope, SCOPE_KEY: visit}
        if visit.is_head:
            scope["method"] = "GET"
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._finish_headers(message, visit)
                if _BADGE.fullmatch(scope["path"]):
                    message["headers"] += _SHARED
            await send(message)

        before = REQUEST_ID.set(visit.id)
        try:
            await self._admit(scope, headers, visit)
            await self._app(scope, _Counted(receive, _most_of(scope)), send_on)
        except Fault as fault:
            if started:
                raise
            await answer(Request(scope), fault)(scope, receive, send_on)
        except ClientDisconnect:
            log.debug("request.abandoned", path=_told(scope))
        except Exception:
            log.exception("request.failed", method=scope["method"], path=_told(scope))
            if started:
                raise
            await answer(Request(scope), Fault("internal"))(scope, receive, send_on)
        finally:
            REQUEST_ID.reset(before)

    def _open(self, scope: Scope, headers: Headers) -> Visit:
        peer = scope.get("client")
        hops = [v.decode("latin-1") for n, v in scope["headers"] if n == b"x-forwarded-for"]
        by_us = bool(self._region_header) and is_ours(peer[0] if peer else "", self._trusted)
        region = headers.get(self._region_header, "") if by_us else ""
        return Visit(
            id=str(uuid_utils.uuid7()),
            address=client_address(peer[0] if peer else None, hops, self._trusted),
            lang=pick_language(headers.get(b"accept-language")),
            is_head=scope["method"] == "HEAD",
            region=region if _REGION.fullmatch(region) else None,
        )

    async def _admit(self, scope: Scope, headers: Headers, visit: Visit) -> None:
        """Raises the fault that keeps this request out, else completes scope and visit."""
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        scope["path"] = route_path(raw_path)
        refused: KeyRefused | None = None
        authorization = headers.get(b"authorization")
        if authorization is not None and scope["path"].startswith(_API):
            try:
                visit.principal = await _authenticate(scope, authorization)
            except KeyRefused as fault:
                refused = fault
        # A wrong key counts as none, so that guessing is limited like everything without a key.
        if visit.principal is None:
            if not self._limit.take(visit.address):
                visit.limit = self._limit
                raise TooMany("too_many_requests", retry_after_s=1)
        elif not self._key_limit.take(visit.principal.key_id):
            visit.limit = self._key_limit
            raise TooMany("key_too_often", retry_after_s=1)
        if refused is not None:
            raise refused
        length = headers.get(b"content-length", "0")
        most = _most_of(scope)
        if not length.isdigit() or int(length[:20]) > most:
            raise _too_large(most)

    def _finish_headers(self, message: Message, visit: Visit) -> None:
        headers = message["headers"] = list(message.get("headers", ()))
        present = {name for name, _ in headers}
        headers += [(name, value) for name, value in self._headers.items() if name not in present]
        headers.append((b"x-request-id", visit.id.encode("ascii")))
        if visit.limit is not None:
            headers += visit.limit.fields
        if visit.principal is not None and b"cache-control" not in present:
            headers.append((b"cache-control", b"no-store"))


async def _authenticate(scope: Scope, authorization: str) -> Principal:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise KeyRefused("key_refused")
    keys: APIKeys = scope["app"].state.rooms.keys
    known = keys.recall(token.strip())
    if known is not None:
        return known
    return await run_in_threadpool(keys.authenticate, token.strip())


class _Counted:
    """A body that ends with TooLarge where it grows beyond the limit, whatever length it announced."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > self._most:
                raise _too_large(self._most)
        return message


def _told(scope: Scope) -> str:
    """Returns the path as a log may hold it: an invitation's link is as good as a password."""
    path: str = scope["path"]
    secret = next((one for one in ("/join/", "/push/") if path.startswith(one)), None)
    return path if secret is None else f"{secret}…"


def _most_of(scope: Scope) -> int:
    """Returns how many bytes a request's body may have; its path is one to route on."""
    return MAX_FORM_BYTES if scope["path"].startswith(_TAKES_DOCUMENTS) else MAX_BODY_BYTES


def _too_large(most: int) -> TooLarge:
    return TooLarge("body_too_large", limit=most)
