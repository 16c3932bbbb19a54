"""One request, as the gate saw it: what every handler, problem and log line may ask about it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from app.i18n import Lang
from app.parties.principal import Principal

SCOPE_KEY = "suxin.visit"


@dataclass(slots=True)
class Visit:
    """id: the request's own, in logs and problems. address: of the client, behind proxies of ours.

    is_head: the client asked by HEAD; handlers see GET. principal: None for who showed no key.
    """

    id: str
    address: str
    lang: Lang
    is_head: bool = False
    principal: Principal | None = None


def visit_of(connection: HTTPConnection) -> Visit:
    """Returns the visit that the gate opened for this request."""
    visit: Visit = connection.scope[SCOPE_KEY]
    return visit
