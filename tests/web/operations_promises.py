"""Operations on commitments, lists, grades over time, warnings and webhooks."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL
from tests.web.operations import (
    ABSENT,
    FORBIDDEN,
    HOOK,
    INVALID,
    PAGES,
    UNKNOWN_USCC,
    Bad,
    Operation,
    listing,
    signed,
)

LIFE = (409, "lifecycle-conflict")
STANDS = (409, "already-exists")
_ID = "0192f3a0-0000-7000-8000-0000000c0de1"
_MINE = "/api/v1/parties/{shop}/commitments"
_ITEMS = "/api/v1/lists/items"


def _said(what: str) -> Operation:
    return Operation(
        path=f"{_ITEMS}/{{listing}}/{what}", by=SHOP, scope="credit",
        body=lambda _: {"text": "x"}, waits=what == "removal",
        bad=(
            Bad(name="unknown listing", path=f"{_ITEMS}/x/{what}", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN),
            Bad(name="nothing said", body={"text": ""}, answer=INVALID, kind="length"),
            Bad(name="bad id", body={"text": "x", "id": "x"}, answer=INVALID, kind="record_id"),
        ),
    )  # fmt: skip


def _of_party(what: str, *more: Bad, **given: Any) -> Operation:
    unknown = f"/api/v1/credit/{UNKNOWN_USCC}/{what}"
    return Operation(
        path=f"/api/v1/credit/{{shop}}/{what}", **given,
        bad=(*more, Bad(name="unknown party", path=unknown, answer=ABSENT, by=given.get("by")
                        and AUTHORITY)),
    )  # fmt: skip


_DAYS = (Bad(name="no days", query="days=0", answer=INVALID, kind="range"),)

PROMISES: dict[tuple[str, str], Operation] = {
    ("GET", "/api/v1/commitments/templates"): Operation(path="/api/v1/commitments/templates"),
    ("GET", "/api/v1/parties/{party}/commitments"): Operation(
        path=_MINE,
        bad=(
            *PAGES,
            Bad(name="unknown party", path=f"/api/v1/parties/{UNKNOWN_USCC}/commitments",
                answer=ABSENT),
        ),
    ),
    ("POST", "/api/v1/parties/{party}/commitments"): Operation(
        path=_MINE, by=SHOP, scope="credit", body=lambda _: signed("lawful_trade"),
        bad=(
            Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN),
            Bad(name="unknown template", answer=INVALID, kind="enum",
                body={"template": "x", "text_digest": "0" * 64}),
            Bad(name="another text", answer=INVALID, kind="value",
                body={"template": "lawful_trade", "text_digest": "0" * 64}),
            Bad(name="no digest", answer=INVALID, kind="pattern",
                body={"template": "lawful_trade", "text_digest": "x"}),
            Bad(name="bad id", body=signed("lawful_trade", id="x"), answer=INVALID,
                kind="record_id"),
            Bad(name="signed already", body=signed("sound_goods"), answer=STANDS),
        ),
    ),
    ("POST", "/api/v1/parties/{party}/commitments/{commitment}/withdrawal"): Operation(
        path=_MINE + "/{commitment}/withdrawal", by=SHOP, scope="credit",
        body=lambda _: {"id": _ID},
        bad=(
            Bad(name="unknown commitment", path=_MINE + "/x/withdrawal", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN),
            Bad(name="bad id", body={"id": "x"}, answer=INVALID, kind="record_id"),
        ),
    ),
    ("POST", "/api/v1/parties/{party}/commitments/{commitment}/decision"): Operation(
        path=_MINE + "/{promise}/decision", by=AUTHORITY, scope="credit",
        body=lambda _: {"outcome": "broken", "reason": "x"},
        bad=(
            Bad(name="unknown commitment", path=_MINE + "/x/decision", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="nothing to clear", answer=LIFE,
                body={"outcome": "cleared", "reason": "x"}),
            Bad(name="unknown outcome", body={"outcome": "x", "reason": "x"}, answer=INVALID,
                kind="enum"),
            Bad(name="no reason", body={"outcome": "broken"}, answer=INVALID, kind="missing"),
        ),
    ),
    ("GET", "/api/v1/lists/{name}"): Operation(
        path="/api/v1/lists/black",
        bad=(*PAGES, Bad(name="no list", path="/api/v1/lists/grey", answer=INVALID, kind="enum")),
    ),
    ("POST", "/api/v1/lists/{name}"): Operation(
        path="/api/v1/lists/black", by=AUTHORITY, scope="credit", body=lambda _: listing(RIVAL),
        bad=(
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="itself", body=listing(AUTHORITY), answer=FORBIDDEN),
            Bad(name="unknown party", body=listing(UNKNOWN_USCC), answer=ABSENT),
            Bad(name="listed already", body=listing(SHOP), answer=STANDS),
            Bad(name="unknown criterion", body=listing(RIVAL, criterion="x"), answer=INVALID,
                kind="enum"),
            Bad(name="the service's own", path="/api/v1/lists/red", answer=INVALID, kind="enum",
                body=listing(RIVAL, criterion="grade_a_kept")),
            Bad(name="no document", answer=INVALID, kind="missing",
                body=listing(RIVAL, evidence={"title": "x", "entry": "x"})),
            Bad(name="not met", answer=INVALID, kind="value",
                body=listing(RIVAL, criterion="serious_dishonesty",
                             evidence={"title": "x", "entry": "x"})),
            Bad(name="rests on nothing", body=listing(RIVAL, evidence={"title": "x"}),
                answer=INVALID, kind="missing"),
            Bad(name="bad id", body=listing(RIVAL, id="x"), answer=INVALID, kind="record_id"),
        ),
    ),
    ("POST", "/api/v1/lists/items/{listing}/objection"): _said("objection"),
    ("POST", "/api/v1/lists/items/{listing}/decision"): Operation(
        path=_ITEMS + "/{listing}/decision", by=AUTHORITY, scope="credit",
        body=lambda _: {"outcome": "withdrawn", "reason": "x"},
        bad=(
            Bad(name="unknown listing", path=_ITEMS + "/x/decision", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="nothing to grant", answer=LIFE, body={"outcome": "granted", "reason": "x"}),
            Bad(name="unknown outcome", body={"outcome": "x", "reason": "x"}, answer=INVALID,
                kind="enum"),
        ),
    ),
    ("POST", "/api/v1/lists/items/{listing}/removal"): _said("removal"),
    ("GET", "/api/v1/credit/undecided"): Operation(
        path="/api/v1/credit/undecided", by=AUTHORITY, scope="credit",
        bad=(*PAGES, Bad(name="foreign role", by=SHOP, answer=FORBIDDEN)),
    ),
    ("GET", "/api/v1/credit/{party}/advice"): _of_party(
        "advice", Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN), by=SHOP, scope="credit",
    ),
    ("GET", "/api/v1/credit/{party}/lists"): _of_party("lists"),
    ("GET", "/api/v1/credit/{party}/history"): _of_party("history", *PAGES),
    ("GET", "/api/v1/credit/{party}/warnings"): _of_party(
        "warnings", *PAGES, Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN), by=SHOP,
        scope="credit",
    ),
    ("GET", "/api/v1/credit/{party}/ratings"): _of_party("ratings", *_DAYS),
    ("GET", "/api/v1/credit/{party}/ratings/records"): _of_party(
        "ratings/records", *PAGES, *_DAYS
    ),
    ("GET", "/api/v1/credit/{party}/ratings/buyers"): Operation(
        path="/api/v1/credit/{shop}/ratings/buyers", by=SHOP, scope="credit",
        bad=(
            *PAGES,
            Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN),
            Bad(name="an authority", by=AUTHORITY, answer=FORBIDDEN),
            Bad(name="unknown party", path=f"/api/v1/credit/{UNKNOWN_USCC}/ratings/buyers",
                answer=FORBIDDEN),
        ),
    ),
    ("POST", "/api/v1/webhooks"): Operation(
        path="/api/v1/webhooks", by=SHOP, scope="credit", body=lambda _: dict(HOOK),
        bad=(
            Bad(name="plain HTTP", body={**HOOK, "url": "http://shop.example/"}, answer=INVALID,
                kind="url"),
            Bad(name="own network", body={**HOOK, "url": "https://10.0.0.1/"}, answer=INVALID,
                kind="url"),
            Bad(name="unknown event", body={**HOOK, "events": ["x"]}, answer=INVALID,
                kind="enum"),
            Bad(name="nothing", body={**HOOK, "events": []}, answer=INVALID, kind="length"),
        ),
    ),
    ("GET", "/api/v1/webhooks"): Operation(path="/api/v1/webhooks", by=SHOP, scope="credit"),
    ("GET", "/api/v1/webhooks/deliveries"): Operation(
        path="/api/v1/webhooks/deliveries", by=SHOP, scope="credit",
        bad=(*PAGES, Bad(name="status", query="status=x", answer=INVALID, kind="enum")),
    ),
    ("POST", "/api/v1/webhooks/deliveries/{delivery}/resend"): Operation(
        path="/api/v1/webhooks/deliveries/{delivery}/resend", by=SHOP, scope="credit",
        bad=(
            Bad(name="unknown", path="/api/v1/webhooks/deliveries/x/resend", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=ABSENT),
        ),
    ),
    ("DELETE", "/api/v1/webhooks/{webhook}"): Operation(
        path="/api/v1/webhooks/{webhook}", by=SHOP, scope="credit",
        bad=(
            Bad(name="unknown", path="/api/v1/webhooks/x", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=ABSENT),
        ),
    ),
}  # fmt: skip
