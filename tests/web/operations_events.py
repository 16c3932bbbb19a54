"""Operations on events, the log, oversight and credit: the other part of the table of bad input."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import EVENTS, GTIN, PRODUCT, RIVAL
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    CONFLICT,
    FORBIDDEN,
    ID,
    INVALID,
    PAGES,
    PROOF,
    UNKNOWN,
    UNKNOWN_GTIN,
    UNKNOWN_USCC,
    Bad,
    Operation,
    World,
    parcel,
)
from tests.web.operations_authority import AUTHORITIES
from tests.web.operations_documents import DOCUMENTS
from tests.web.operations_goods import GOODS
from tests.web.operations_imports import IMPORTS
from tests.web.operations_promises import PROMISES
from tests.web.operations_proof import PROOF as PROOFS
from tests.web.operations_ranking import RANKING
from tests.web.operations_store import STORE
from tests.web.operations_texts import TEXTS
from tests.web.operations_underway import UNDERWAY

NO_MANDATE = (403, "no-mandate")
LIFE = (409, "lifecycle-conflict")
SIGNATURE = (422, "signature-invalid")
UNVERIFIED = (403, "party-unverified")
Body = Callable[[World], dict[str, Any]]


def event(type_: str = "dispatch", data: dict[str, Any] | None = None, **more: Any) -> Body:
    """An event on the sold unit; values may be functions of the world."""
    told = {"carrier": CARRIER, "to": "440100"} if data is None else data

    def body(world: World) -> dict[str, Any]:
        given = {name: value(world) if callable(value) else value for name, value in more.items()}
        return {"code": world.unit.code, "type": type_, "data": told, **given}

    return body


def shipment(**more: Any) -> Body:
    def body(world: World) -> dict[str, Any]:
        given = {name: value(world) if callable(value) else value for name, value in more.items()}
        return {
            **parcel(world),
            **(given if "gtin" in given else {"codes": [world.fresh.code]} | given),
        }

    return body


def signed(world: World) -> dict[str, Any]:
    return {"key": world.signing_key, "value": b64encode(bytes(64)).decode()}


REPLAYED = event("sale", {"platform": PLATFORM, "region": "440300"}, actor=SHOP, id=ID,
                 occurred_at=lambda w: w.at(-200))  # fmt: skip
REVIEW = {"rating": 5}


def claim(world: World) -> dict[str, str]:
    return {"Suxin-Claim": world.token}


_EVENT_BAD = (
    Bad(name="bad check digit", body=event(code=f"01/{BAD_GTIN}/21/A"), answer=INVALID,
        kind="check_digit"),
    Bad(name="unknown code", body=event(code=f"{PRODUCT}/21/events"), answer=UNKNOWN),
    Bad(name="unknown lot with %2F", answer=UNKNOWN,
        body=event("notice", {"text": "x"}, code=f"{PRODUCT}/10/B%2F2")),
    Bad(name="lot with a raw slash", answer=INVALID, kind="qualifier",
        body=event("notice", {"text": "x"}, code=f"{PRODUCT}/10/B/2")),
    Bad(name="foreign unit", body=event(code=lambda w: w.theirs.code), answer=FORBIDDEN),
    Bad(name="foreign product", body=event("recall", {"reason": "x"}, code=PRODUCT),
        answer=FORBIDDEN),
    Bad(name="foreign lot", answer=FORBIDDEN,
        body=event("recall", {"reason": "x"}, code=f"{PRODUCT}/10/THEIRS")),
    Bad(name="foreign key", by=RIVAL, answer=FORBIDDEN),
    Bad(name="foreign role", body=event("inspection", {"result": "passed"}), answer=FORBIDDEN),
    Bad(name="unverified", by="pending", answer=UNVERIFIED),
    Bad(name="no mandate", by=RIVAL, body=event(actor=SHOP), answer=NO_MANDATE),
    Bad(name="expired mandate", by=PLATFORM, answer=NO_MANDATE,
        body=event("sale", {}, actor=RIVAL, code=lambda w: w.theirs.code)),
    Bad(name="actor is nobody", body=event(actor="商店"), answer=INVALID, kind="unknown_party"),
    Bad(name="replayed id", by=PLATFORM, body=REPLAYED, answer=CONFLICT),
    Bad(name="impossible", body=event("sale", {}), answer=LIFE),
    Bad(name="unknown type", body=event("teleport"), answer=INVALID, kind="unknown_type"),
    Bad(name="future", body=event(occurred_at=lambda w: w.at(1)), answer=INVALID,
        kind="future_time"),
    Bad(name="no time", body=event(occurred_at="2026-11-23"), answer=INVALID, kind="time"),
    Bad(name="unknown data", body=event(data={"carrier": "x", "colour": 1}), answer=INVALID,
        kind="unknown_field"),
    Bad(name="missing data", body=event(data={}), answer=INVALID, kind="missing"),
    Bad(name="wrong data", body=event(data={"carrier": 5}), answer=INVALID, kind="type"),
    Bad(name="null data", body=event(data={"carrier": None}), answer=INVALID, kind="type"),
    Bad(name="float sealed", body=event(sealed={"waybill": {"content": {"n": 1.5}}}),
        answer=INVALID, kind="float"),
    Bad(name="too deep", answer=INVALID, kind="depth",
        body=event(sealed={"waybill": {"content": {"a": [[[[[[[[1]]]]]]]]}}})),
    Bad(name="too large", body=event(sealed={"waybill": {"content": {"n": "x" * 66_000}}}),
        answer=(413, "too-large")),
    Bad(name="signature", body=event(signed=signed), answer=SIGNATURE),
    Bad(name="signing key", body=event(signed={"key": "0", "value": "AA=="}), answer=SIGNATURE),
    Bad(name="corrects a foreign record", by=CARRIER, answer=FORBIDDEN,
        body=event("correction", {"of": ID})),
    Bad(name="corrects nothing", answer=ABSENT,
        body=event("correction", {"of": ID.replace("beef", "dead")})),
    Bad(name="measure on nobody", by=AUTHORITY, answer=UNKNOWN,
        body=event("measure", {"kind": "warn", "basis": "x"}, code=f"party/{UNKNOWN_USCC}")),
    Bad(name="measure by a shop", answer=FORBIDDEN,
        body=event("measure", {"kind": "warn", "basis": "x"}, code=f"party/{RIVAL}")),
)  # fmt: skip

_CONSUMERS = (
    Bad(name="no proof", by="nobody", body=event("review", REVIEW), answer=(401, "unauthenticated")),
    Bad(name="proof of another unit", by="nobody", headers=claim, answer=PROOF,
        body=event("review", REVIEW, code=lambda w: w.other.code)),
    Bad(name="token of nobody", by="nobody", headers={"Suxin-Claim": "P" + "A" * 26}, answer=PROOF,
        body=event("review", REVIEW)),
    Bad(name="inner code of another unit", by="nobody", answer=PROOF,
        headers=lambda w: {"Suxin-Inner": w.other.inner}, body=event("review", REVIEW)),
    Bad(name="inner code on an unknown unit", by="nobody", headers={"Suxin-Inner": "A"},
        answer=UNKNOWN, body=event("review", REVIEW, code=f"{PRODUCT}/21/NOBODY")),
    Bad(name="consumer sells", by="nobody", headers=claim, body=event("sale", {}), answer=FORBIDDEN),
    Bad(name="follow-up without review", by="nobody", headers=claim, answer=LIFE,
        body=event("follow_up", REVIEW)),
    Bad(name="rating", by="nobody", headers=claim, body=event("review", {"rating": 6}),
        answer=INVALID, kind="range"),
    Bad(name="wait", query="wait=forever", answer=INVALID, kind="enum"),
)  # fmt: skip


def _in_a_batch(bad: Bad) -> Bad:
    """The same bad event as the second item of an all-or-none batch: nothing may be written."""

    def body(world: World) -> dict[str, Any]:
        good = event("notice", {"text": "x"}, code=f"{PRODUCT}/10/A%2F1")(world)
        told = bad.body(world) if callable(bad.body) else bad.body or event()(world)
        return {"events": [good, told] if bad.by is None else [told]}

    return Bad(
        name=bad.name, answer=bad.answer, body=body, by=bad.by, kind=bad.kind, query="atomic=true"
    )


def fact(**changes: Any) -> dict[str, Any]:
    """Returns an entry that a regulator may make, with changes."""
    evidence = {"title": "抽检报告", "number": "2026-1123"}
    return {"rule": "spot_check_failed", "evidence": evidence} | changes


def statement(what: str, entry: str = "entry") -> Operation:
    """Returns what a party may say to an entry of its own, by its name in the world."""
    path = f"/api/v1/credit/entries/{{{entry}}}/{what}"
    return Operation(
        path=path, by=SHOP, scope="credit", body=lambda _: {"text": "x"},
        bad=(
            Bad(name="unknown entry", path=f"/api/v1/credit/entries/x/{what}", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=FORBIDDEN),
            Bad(name="nothing said", body={"text": ""}, answer=INVALID, kind="length"),
            Bad(name="no digest", body={"text": "x", "attachments": ["x"]}, answer=INVALID,
                kind="pattern"),
        ),
    )  # fmt: skip


EVENTS_AND_MORE: dict[tuple[str, str], Operation] = {
    ("POST", EVENTS): Operation(
        path=EVENTS, by=SHOP, scope="events", body=event(), bad=(*_EVENT_BAD, *_CONSUMERS),
    ),
    ("POST", EVENTS + "/batch"): Operation(
        path=EVENTS + "/batch", by=SHOP, scope="events",
        body=lambda w: {"events": [event()(w)]},
        bad=(
            *map(_in_a_batch, _EVENT_BAD),
            Bad(name="nothing", body={"events": []}, answer=INVALID, kind="length"),
            Bad(name="too many", body={"events": [1] * 1001}, answer=INVALID, kind="length"),
            Bad(name="atomic", query="atomic=perhaps", answer=INVALID, kind="type"),
        ),
    ),
    ("POST", "/api/v1/shipments"): Operation(
        path="/api/v1/shipments", by=SHOP, scope="events", body=shipment(),
        bad=(
            Bad(name="bad check digit", body=shipment(gtin=BAD_GTIN, quantity=1), answer=INVALID,
                kind="check_digit"),
            Bad(name="unknown product", body=shipment(gtin=UNKNOWN_GTIN, quantity=1),
                answer=UNKNOWN),
            Bad(name="foreign product", answer=FORBIDDEN,
                body=shipment(gtin=lambda w: w.item, quantity=1)),
            Bad(name="foreign lot", body=shipment(gtin=GTIN, lot="THEIRS", quantity=1),
                answer=FORBIDDEN),
            Bad(name="unknown lot", body=shipment(gtin=GTIN, lot="B/2", quantity=1),
                answer=UNKNOWN),
            Bad(name="unknown code", answer=UNKNOWN,
                body=shipment(codes=lambda w: [w.fresh.code, f"{PRODUCT}/21/events"])),
            Bad(name="foreign unit", answer=FORBIDDEN,
                body=shipment(codes=lambda w: [w.fresh.code, w.theirs.code])),
            Bad(name="sold unit", answer=LIFE,
                body=shipment(codes=lambda w: [w.fresh.code, w.unit.code])),
            Bad(name="expired mandate", by=PLATFORM, answer=NO_MANDATE,
                body=shipment(actor=RIVAL, codes=lambda w: [w.theirs.code])),
            Bad(name="replayed id", body=shipment(id=lambda w: w.shipment), answer=CONFLICT),
            Bad(name="replayed order", answer=CONFLICT,
                body=shipment(id=lambda w: w.shipment, codes=lambda w: [w.plain.code], order="Z")),
            Bad(name="future", body=shipment(shipped_at=lambda w: w.at(1)), answer=INVALID,
                kind="future_time"),
            Bad(name="waybill", body=shipment(waybill="单号"), answer=INVALID, kind="charset"),
            Bad(name="unverified", by="pending", answer=UNVERIFIED),
            Bad(name="foreign key", by=RIVAL, answer=FORBIDDEN),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    # --- the log ---
    ("GET", "/log/checkpoint"): Operation(path="/log/checkpoint"),
    ("GET", "/log/tile/{path}"): Operation(
        path="/log/tile/0/000.p/1",
        bad=(
            Bad(name="not published", path="/log/tile/0/999", answer=ABSENT),
            Bad(name="another spelling", path="/log/tile/0/0", answer=ABSENT),
            Bad(name="no tile", path="/log/tile/..%2F..%2Fetc", answer=ABSENT),
        ),
    ),
    ("GET", "/log/proof/{leaf_index}"): Operation(
        path="/log/proof/0",
        bad=(
            Bad(name="not published", path="/log/proof/999999", answer=ABSENT),
            Bad(name="no number", path="/log/proof/x", answer=INVALID, kind="type"),
            Bad(name="below nothing", path="/log/proof/-1", answer=INVALID, kind="range"),
            Bad(name="too large", path=f"/log/proof/{2**63}", answer=INVALID, kind="range"),
        ),
    ),
    ("GET", "/log/key"): Operation(path="/log/key"),
    ("GET", "/log/of/{number}/checkpoint"): Operation(
        path="/log/of/0/checkpoint",
        bad=(
            Bad(name="no such log", path="/log/of/1/checkpoint", answer=ABSENT),
            Bad(name="no number", path="/log/of/x/checkpoint", answer=INVALID, kind="type"),
            Bad(name="below nothing", path="/log/of/-1/checkpoint", answer=INVALID, kind="range"),
        ),
    ),
    ("GET", "/log/of/{number}/tile/{path}"): Operation(
        path="/log/of/0/tile/0/000.p/1",
        bad=(
            Bad(name="no such log", path="/log/of/1/tile/0/000.p/1", answer=ABSENT),
            Bad(name="not published", path="/log/of/0/tile/0/999", answer=ABSENT),
            Bad(name="no tile", path="/log/of/0/tile/x", answer=ABSENT),
        ),
    ),
    ("GET", "/log/of/{number}/proof/{leaf_index}"): Operation(
        path="/log/of/0/proof/0",
        bad=(
            Bad(name="no such log", path="/log/of/1/proof/0", answer=ABSENT),
            Bad(name="not published", path="/log/of/0/proof/999999", answer=ABSENT),
            Bad(name="no number", path="/log/of/0/proof/x", answer=INVALID, kind="type"),
        ),
    ),
    ("GET", "/log/of/{number}/key"): Operation(
        path="/log/of/0/key",
        bad=(
            Bad(name="no such log", path="/log/of/1/key", answer=ABSENT),
            Bad(name="no number", path="/log/of/x/key", answer=INVALID, kind="type"),
        ),
    ),
    ("GET", "/log/receipt-key"): Operation(path="/log/receipt-key"),
    ("GET", "/api/v1/ledger"): Operation(path="/api/v1/ledger"),
    ("GET", "/api/v1/ledger/consistency"): Operation(
        path="/api/v1/ledger/consistency", query="from=1&to=2",
        bad=(
            Bad(name="from nothing", query="from=0", answer=INVALID, kind="range"),
            Bad(name="backwards", query="from=2&to=1", answer=INVALID, kind="range"),
            Bad(name="not published", query="from=1&to=999999", answer=INVALID, kind="range"),
            Bad(name="missing", query="to=2", answer=INVALID, kind="missing"),
            Bad(name="no number", query="from=one", answer=INVALID, kind="type"),
            Bad(name="no such log", query="from=1&log=1", answer=ABSENT),
            Bad(name="no log", query="from=1&log=x", answer=INVALID, kind="type"),
        ),
    ),
    ("GET", "/api/v1/ledger/handovers"): Operation(path="/api/v1/ledger/handovers"),
    ("GET", "/api/v1/ledger/heads"): Operation(
        path="/api/v1/ledger/heads", query="stream=01/{gtin}",
        bad=(
            Bad(name="missing", query="", answer=INVALID, kind="missing"),
            Bad(name="a party", query="stream=party/{shop}", answer=INVALID, kind="code_form"),
            Bad(name="bad check digit", query=f"stream=01/{BAD_GTIN}", answer=INVALID,
                kind="check_digit"),
            Bad(name="no stream", query="stream=log/x", answer=INVALID, kind="code_form"),
            Bad(name="too long", query=f"stream=01/{'0' * 2050}", answer=INVALID, kind="length"),
        ),
    ),
    # --- oversight ---
    ("POST", "/api/v1/audits"): Operation(
        path="/api/v1/audits", by=AUTHORITY, scope="audit", body=lambda _: {"scope": "all"},
        bad=(
            Bad(name="bad check digit", body={"scope": {"gtin": BAD_GTIN}}, answer=INVALID,
                kind="check_digit"),
            Bad(name="unknown product", body={"scope": {"gtin": UNKNOWN_GTIN}}, answer=UNKNOWN),
            Bad(name="unknown code", body={"scope": {"code": f"{PRODUCT}/21/events"}},
                answer=UNKNOWN),
            Bad(name="unknown party", body={"scope": {"party": "商店"}}, answer=ABSENT),
            Bad(name="foreign party", by=SHOP, body={"scope": {"party": RIVAL}}, answer=FORBIDDEN),
            Bad(name="foreign unit", by=SHOP, answer=FORBIDDEN,
                body=lambda w: {"scope": {"code": w.theirs.code}}),
            Bad(name="all of it", by=SHOP, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/audits/{audit_id}"): Operation(
        path="/api/v1/audits/{audit}", by=AUTHORITY, scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/audits/x", answer=ABSENT),
            Bad(name="foreign audit", by=SHOP, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/findings"): Operation(
        path="/api/v1/findings", by=SHOP, scope="audit",
        bad=(
            *PAGES,
            Bad(name="status", query="status=new", answer=INVALID, kind="enum"),
            Bad(name="foreign party", query=f"party={RIVAL}", answer=FORBIDDEN),
            Bad(name="severity", query="severity=mild", answer=INVALID, kind="enum"),
            Bad(name="region", query="region=99", answer=INVALID, kind="region"),
            Bad(name="since", query="since=soon", answer=INVALID, kind="date"),
            Bad(name="assignee", query="assignee=nobody-here", by=AUTHORITY, answer=INVALID,
                kind="assignee"),
        ),
    ),
    ("GET", "/api/v1/findings/{finding}"): Operation(
        path="/api/v1/findings/{finding}", by=SHOP, scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x", answer=ABSENT),
            Bad(name="foreign finding", by=RIVAL, answer=ABSENT),
        ),
    ),
    ("POST", "/api/v1/findings/{finding}/attribution"): Operation(
        path="/api/v1/findings/{finding}/attribution", by=AUTHORITY, scope="audit",
        body=lambda _: {"to": "none", "reason": "flood"},
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x/attribution", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="to nobody", body={"to": "me", "reason": "x"}, answer=INVALID, kind="enum"),
        ),
    ),
    ("POST", "/api/v1/findings/{finding}/dismissal"): Operation(
        path="/api/v1/findings/{no_fault}/dismissal", by=AUTHORITY, scope="audit",
        body=lambda _: {"reason": "the parcel was found"},
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x/dismissal", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="no reason", body={"reason": ""}, answer=INVALID, kind="length"),
        ),
    ),
    ("POST", "/api/v1/reports"): Operation(
        path="/api/v1/reports", body=lambda w: {"text": "something", "code": w.unit.code},
        bad=(
            Bad(name="bad check digit", body={"text": "x", "code": f"01/{BAD_GTIN}"},
                answer=INVALID, kind="check_digit"),
            Bad(name="no code", body={"text": "x", "code": "hello"}, answer=INVALID,
                kind="code_form"),
            Bad(name="nothing said", body={"text": ""}, answer=INVALID, kind="length"),
        ),
    ),
    # --- credit ---
    ("GET", "/api/v1/credit/policy"): Operation(path="/api/v1/credit/policy"),
    ("GET", "/api/v1/credit/policy/{version}"): Operation(
        path="/api/v1/credit/policy/1",
        bad=(
            Bad(name="unknown", path="/api/v1/credit/policy/9", answer=ABSENT),
            Bad(name="no number", path="/api/v1/credit/policy/x", answer=INVALID, kind="type"),
            Bad(name="too large", path="/api/v1/credit/policy/99999", answer=INVALID, kind="range"),
        ),
    ),
    ("GET", "/api/v1/credit/{party}"): Operation(
        path="/api/v1/credit/{shop}",
        bad=(
            Bad(name="unknown party", path=f"/api/v1/credit/{UNKNOWN_USCC}", answer=ABSENT),
            Bad(name="no party", path="/api/v1/credit/%E5%BA%97", answer=ABSENT),
        ),
    ),
    ("GET", "/api/v1/credit/{party}/entries"): Operation(
        path="/api/v1/credit/{shop}/entries",
        bad=(
            *PAGES,
            Bad(name="unknown party", path=f"/api/v1/credit/{UNKNOWN_USCC}/entries", answer=ABSENT),
        ),
    ),
    ("GET", "/api/v1/credit/policy/schema"): Operation(path="/api/v1/credit/policy/schema"),
    ("POST", "/api/v1/credit/{party}/entries"): Operation(
        path="/api/v1/credit/{shop}/entries", by=AUTHORITY, scope="credit",
        body=lambda _: fact(),
        bad=(
            Bad(name="unknown party", path=f"/api/v1/credit/{UNKNOWN_USCC}/entries", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="the service's own rule", answer=FORBIDDEN,
                body=fact(rule="chain_completed")),
            Bad(name="unknown rule", body=fact(rule="x"), answer=INVALID, kind="enum"),
            Bad(name="day to come", body=fact(occurred_on="2999-01-01"), answer=INVALID,
                kind="range"),
            Bad(name="no day", body=fact(occurred_on="x"), answer=INVALID, kind="date"),
            Bad(name="bad id", body=fact(id="x"), answer=INVALID, kind="record_id"),
            Bad(name="rests on nothing", body=fact(evidence={"title": "x"}), answer=INVALID,
                kind="missing"),
            Bad(name="no digest", body=fact(evidence={"title": "x", "record": "x"}),
                answer=INVALID, kind="pattern"),
            Bad(name="unknown field", body=fact(points=5), answer=INVALID, kind="unknown_field"),
        ),
    ),
    ("POST", "/api/v1/credit/entries/{entry}/objection"): statement("objection"),
    ("POST", "/api/v1/credit/entries/{entry}/repair"): statement("repair", "repairable"),
    ("POST", "/api/v1/credit/entries/{entry}/decision"): Operation(
        path="/api/v1/credit/entries/{entry}/decision", by=AUTHORITY, scope="credit",
        body=lambda _: {"outcome": "withdrawn", "reason": "x"},
        bad=(
            Bad(name="unknown entry", path="/api/v1/credit/entries/x/decision", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="nothing to grant", answer=(409, "lifecycle-conflict"),
                body={"outcome": "granted", "reason": "x"}),
            Bad(name="no reason", body={"outcome": "upheld"}, answer=INVALID, kind="missing"),
            Bad(name="unknown outcome", body={"outcome": "x", "reason": "x"}, answer=INVALID,
                kind="enum"),
        ),
    ),
}  # fmt: skip

OPERATIONS = (
    GOODS
    | EVENTS_AND_MORE
    | RANKING
    | STORE
    | PROMISES
    | IMPORTS
    | TEXTS
    | UNDERWAY
    | AUTHORITIES
    | DOCUMENTS
    | PROOFS
)
