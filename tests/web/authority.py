"""A market with two merchants in two provinces, and people of an authority in office in one of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.parties.accountstore import find_by_name
from app.parties.identity import uscc_check_digit
from app.parties.sessions import person_of
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM
from tests.web.market import GTIN, PRODUCT
from tests.web.people import make_account, open_people_market

HERE, THERE = "441200", "110100"
SCOPES = ("parties", "products", "events", "credit", "audit")
_numbers = itertools.count(1)


@contextmanager
def open_two_provinces(folder: Path) -> Iterator[Any]:
    """`near` is registered here and `far` elsewhere; `regional` is the token of a key with a region."""
    with open_people_market(folder) as market:
        market.near = market.newcomer(region=HERE)
        market.far = market.newcomer(region=THERE)
        # The codes of central authorities name no province, so their people are in office everywhere.
        first_17 = "11100000MB000000A"
        market.nation = market.settle(first_17 + uscc_check_digit(first_17), "regulator")
        for party in (market.near, market.far):
            market.mandate(party, PLATFORM, "sale", "dispatch", "listing")
            market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=-500)
        market.keys["regional"] = key_of_person(market, region=HERE)
        yield market


def key_of_person(
    market: Any, party: str = AUTHORITY, *, region: str | None, scopes: Sequence[str] = SCOPES
) -> str:
    """Returns a key that an owner with a region made for the own authority."""
    name, _ = make_account(market, "owner", party, region=region)
    with market.rooms.database.read() as connection:
        person = person_of(find_by_name(connection, name))
    return market.rooms.keys.create(person.principal(), party, scopes=scopes).token


def sold(market: Any, seller: str, **sealed: dict[str, Any]) -> Any:
    """Sells and sends a new unit; returns it with the numbers that were sealed."""
    n = next(_numbers)
    (unit,) = market.issue(by=seller)
    told = {"order": {"number": f"ORD-{n:04d}"}, "buyer": {"name": "王五"}, **sealed}
    market.clock.advance(1)
    market.send(
        seller, unit.code, "sale", {}, hours=-1,
        sealed={name: {"content": content} for name, content in told.items()},
    )  # fmt: skip
    waybill = f"WAYB{n:08d}"
    market.send(
        seller, unit.code, "dispatch",
        {"carrier": CARRIER, "from": "441200", "to": "440100"}, hours=-0.9,
        sealed={"waybill": {"content": {"number": waybill}}},
    )  # fmt: skip
    return unit, told["order"]["number"], waybill


def neglected(market: Any, seller: str) -> Any:
    """Sells a new unit that is never sent, which the seller answers for once its time is over."""
    (unit,) = market.issue(by=seller)
    market.clock.advance(1)
    market.send(seller, unit.code, "sale", {}, hours=-1)
    return unit


def seek(market: Any, q: str = "", *, by: str = AUTHORITY, status: int = 200, **more: Any) -> Any:
    body = {"q": q, **more}
    return market.ask(
        "POST", "/api/v1/desk/search", body, token=market.keys.get(by, by), status=status
    )


def keys_of(found: Any, group: str) -> list[str]:
    return [one["key"] for one in found["groups"][group]["items"]]


__all__ = [
    "GTIN",
    "HERE",
    "THERE",
    "key_of_person",
    "keys_of",
    "neglected",
    "open_two_provinces",
    "seek",
    "sold",
]  # fmt: skip
