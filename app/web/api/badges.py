"""Domains on which a party shows its trust badge. The badges themselves are at /badge/{party}."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time, format_time_if
from app.oversight.badges import Place
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems
from app.web.paging import PageBody, page_response

router = api_router(tag="badges")

_Domain = Annotated[str, Path(max_length=300, examples=["shop.example"])]


class DomainIn(Body):
    """A domain as the address bar shows it."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"domain": "shop.example"}]},
    }

    domain: Annotated[str, Field(min_length=1, max_length=300)]


class DomainOut(BaseModel):
    """A domain. `token`: the line that the file at `url` must hold. verified: a badge may stand there.

    `error`: why it was not found the last time.
    """

    domain: str
    token: str
    url: str
    verified: bool
    created_at: str
    checked_at: str | None = None
    verified_at: str | None = None
    error: str | None = None


@router.post(
    "/badge-domains",
    status_code=201,
    summary="Name a domain for your badge",
    responses=problems("forbidden", "domains-full"),
    response_model_exclude_none=True,
)
def add_domain(rooms: InRooms, principal: Caller, body: DomainIn) -> DomainOut:
    """Names it; the answer says which file to put there. The same again is no harm."""
    return _shown(rooms.badges.add(principal, body.domain))


@router.get(
    "/badge-domains",
    summary="Your badge's domains",
    responses=problems("forbidden"),
    response_model=PageBody[DomainOut],
)
def list_domains(rooms: InRooms, principal: Caller) -> Response:
    """Lists the domains of the key's party, at most 20."""
    return page_response([_shown(one) for one in rooms.badges.places(principal)], None)


@router.post(
    "/badge-domains/{domain}/check",
    summary="Look for the file",
    responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)
def check_domain(rooms: InRooms, principal: Caller, domain: _Domain) -> DomainOut:
    """Looks at the domain now; it is looked at again every week."""
    return _shown(rooms.badges.check(principal, domain))


@router.delete(
    "/badge-domains/{domain}",
    status_code=204,
    summary="Take a domain away",
    responses=problems("forbidden", "not-found"),
)
def drop_domain(rooms: InRooms, principal: Caller, domain: _Domain) -> None:
    """Takes it away: there is no badge for it from now on."""
    rooms.badges.drop(principal, domain)


def _shown(place: Place) -> DomainOut:
    return DomainOut(
        domain=place.domain,
        token=place.token,
        url=place.url,
        verified=place.valid,
        created_at=format_time(place.created_at),
        checked_at=format_time_if(place.checked_at),
        verified_at=format_time_if(place.verified_at),
        error=place.error or None,
    )
