"""HTTP to other machines: every request ends, whatever the other side does.

The time-outs of a client are for one read or write. Who sends a byte of a header line now and then, or
takes one of what we send, keeps within them for ever, and with them a thread of ours. So each request here
has a deadline for the whole of it, from the connection to the last byte of the answer; what is still
waited for then is httpx.TimeoutException. Names are looked up by the system, which has its own limits.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

import httpcore
import httpx

DEADLINE_S: Final = 15.0

_UNTIL: ContextVar[float] = ContextVar("until")  # of the request that this thread is at


def new_client(*, most_connections: int = 10, most_kept: int | None = None) -> httpx.Client:
    """Returns a client that follows no redirect and takes nothing from the environment but certificates.

    most_kept: connections that are used again; None: all. A request says its own deadline by the
    extension `deadline_s`.
    """
    return httpx.Client(
        transport=Transport(most_connections=most_connections, most_kept=most_kept),
        follow_redirects=False,
        trust_env=False,
    )


class Transport(httpx.HTTPTransport):
    """httpx's own, with a deadline for each request (seconds; extension `deadline_s`)."""

    def __init__(self, *, most_connections: int = 10, most_kept: int | None = None) -> None:
        context = _trusting()
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=most_connections,
            max_keepalive_connections=most_kept,
            keepalive_expiry=5.0,
            network_backend=_Backend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = time.monotonic() + request.extensions.get("deadline_s", DEADLINE_S)
        with _ending(until):
            answer = super().handle_request(request)
        assert isinstance(answer.stream, httpx.SyncByteStream)
        answer.stream = _Body(answer.stream, until)
        return answer


@cache
def _trusting() -> ssl.SSLContext:
    """Whose certificates are trusted, for all clients: reading them takes 30 ms."""
    return httpx.create_ssl_context()


class _Body(httpx.SyncByteStream):
    """What is left of an answer."""

    def __init__(self, body: httpx.SyncByteStream, until: float) -> None:
        self._body = body
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._body)
        while True:
            with _ending(self._until):
                part = next(parts, None)
            if part is None:
                return
            yield part

    def close(self) -> None:
        self._body.close()


class _Backend(httpcore.NetworkBackend):
    """Connections that know when their request ends."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        found = self._plain.connect_tcp(
            host, port, _left(timeout), local_address, socket_options or ()
        )
        return _Stream(found)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        socket = self._inner.get_extra_info("socket")
        rest = memoryview(buffer)
        while rest:  # the inner one would give each part its own time
            try:
                socket.settimeout(_left(timeout))
                rest = rest[socket.send(rest) :]
            except TimeoutError as err:
                raise httpcore.WriteTimeout(str(err)) from err
            except OSError as err:
                raise httpcore.WriteError(str(err)) from err

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def _ending(until: float) -> Iterator[None]:
    token = _UNTIL.set(until)
    try:
        yield
    finally:
        _UNTIL.reset(token)


def _left(timeout: float | None) -> float:
    """Returns the seconds that a step may take. Raises ReadTimeout where none are left."""
    left = _UNTIL.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the whole request took too long")
    return left if timeout is None else min(left, timeout)
