"""One request, as the gate saw it: what every handler, problem and log line may ask about it."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from app.i18n import Lang
from app.parties.principal import Principal
from app.web.limits import RateLimit

SCOPE_KEY = "suxin.visit"

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered, for log lines of whoever works on it."""


@dataclass(slots=True)
class Visit:
    """id: the request's own, in logs and problems. address: of the client, behind proxies of ours.

    is_head: the client asked by HEAD; handlers see GET. principal: None for who showed no key.
    region: the client's city (GB/T 2260) by a proxy of ours, None where none tells it. limit: that this
    request was beyond.
    """

    id: str
    address: str
    lang: Lang
    is_head: bool = False
    principal: Principal | None = None
    region: str | None = None
    limit: RateLimit | None = None


def visit_of(connection: HTTPConnection) -> Visit:
    """Returns the visit that the gate opened for this request."""
    visit: Visit = connection.scope[SCOPE_KEY]
    return visit


def add_request_id(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Lets a log line say which request it belongs to; a processor of structlog's."""
    if (request_id := REQUEST_ID.get()) is not None:
        event["request_id"] = request_id
    return event
