"""Operations on parties, products, lots and codes: one part of the table of bad input."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT, RIVAL
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    BAD_USCC,
    CONFLICT,
    FORBIDDEN,
    ID,
    INVALID,
    PAGES,
    PROOF,
    PUBLIC,
    SIGNER,
    UNKNOWN,
    UNKNOWN_GTIN,
    UNKNOWN_USCC,
    Bad,
    Operation,
    P,
)


def _party(**more: Any) -> dict[str, Any]:
    return {"uscc": "91350100M000100Y43", "name": "新店（虚构）", "roles": ["merchant"], **more}


_PATHS = {
    "gtin": (
        Bad(name="bad check digit", path=BAD_GTIN, answer=INVALID, kind="check_digit"),
        Bad(name="unknown product", path=UNKNOWN_GTIN, answer=UNKNOWN),
        Bad(
            name="full-width digits",
            path="６９０１２３４５６７８９２",
            answer=INVALID,
            kind="not_gtin",
        ),
    ),
    "lot": (
        Bad(name="unknown lot with %2F", path="B%2F2", answer=UNKNOWN),
        Bad(name="unknown lot called events", path="events", answer=UNKNOWN),
        Bad(name="Chinese lot", path="%E6%89%B9", answer=INVALID, kind="charset"),
        Bad(name="dots", path="%2E%2E", answer=INVALID, kind="dot_segment"),
    ),
    "serial": (
        Bad(name="unknown serial called events", path="events", answer=UNKNOWN),
        Bad(name="unknown serial with %2F", path="A%2FB", answer=UNKNOWN),
        Bad(name="serial too long", path="A" * 21, answer=INVALID, kind="length"),
    ),
}


def _below(path: str) -> tuple[Bad, ...]:
    """What is bad about the GTIN, lot or serial in a path."""
    found = []
    for name, bads in _PATHS.items():
        slot = "{" + name + "}" if name != "lot" else "A%2F1"
        if slot in path:
            found += [
                Bad(
                    name=b.name, path=path.replace(slot, b.path or ""), answer=b.answer, kind=b.kind
                )
                for b in bads
            ]
    if "A%2F1" in path:
        found.append(Bad(name="raw slash", path=path.replace("A%2F1", "A/1"), answer=ABSENT))
    return tuple(found)


def _subject(path: str, *more: Bad, **given: Any) -> Operation:
    return Operation(path=path, bad=(*_below(path), *more), **given)


_CODES = "/api/v1/codes/{gtin}/{serial}"
_LOTS = "/api/v1/lots/{gtin}/A%2F1"
_PRODUCTS = "/api/v1/products/{gtin}"
_NO_PARTY = Bad(name="no such party", path=f"{P}/{UNKNOWN_USCC}", answer=ABSENT)


def _of_party(below: str, *more: Bad, write: bool = True, **given: Any) -> Operation:
    """Operations on a party: another's key is refused, an unknown party is not found."""
    path = f"{P}/{{shop}}{below}"
    foreign = Bad(name="foreign key", by=RIVAL, answer=FORBIDDEN)
    return Operation(
        path=path, by=SHOP, scope="parties", bad=(*((foreign,) if write else ()), *more), **given
    )


GOODS: dict[tuple[str, str], Operation] = {
    ("GET", "/healthz"): Operation(path="/healthz"),
    ("GET", "/readyz"): Operation(path="/readyz"),
    # --- parties ---
    ("POST", P): Operation(
        path=P,
        by=PLATFORM,
        scope="parties",
        body=lambda _: _party(),
        bad=(
            Bad(
                name="bad check digit",
                body=_party(uscc=BAD_USCC),
                answer=INVALID,
                kind="check_digit",
            ),
            Bad(name="replayed id", body=_party(uscc=SHOP), answer=CONFLICT),
            Bad(name="a role not theirs to give", body=_party(roles=["carrier"]), answer=FORBIDDEN),
            Bad(name="foreign role", by=RIVAL, answer=FORBIDDEN),
        ),
    ),
    ("GET", P + "/{party}"): Operation(
        path=f"{P}/{{shop}}",
        bad=(_NO_PARTY, Bad(name="no id", path=f"{P}/%E5%BA%97", answer=ABSENT)),
    ),
    ("POST", P + "/{party}/verification"): Operation(
        path=f"{P}/{{shop}}/verification",
        by=AUTHORITY,
        scope="parties",
        body=lambda _: {"status": "verified", "evidence": "seen"},
        bad=(
            Bad(name="foreign role", by=RIVAL, answer=FORBIDDEN),
            Bad(name="no such party", path=f"{P}/{UNKNOWN_USCC}/verification", answer=ABSENT),
            Bad(name="verifies itself", path=f"{P}/{AUTHORITY}/verification", answer=FORBIDDEN),
        ),
    ),
    ("GET", P + "/{party}/licences"): Operation(
        path=f"{P}/{{shop}}/licences",
        bad=(Bad(name="no such party", path=f"{P}/{UNKNOWN_USCC}/licences", answer=ABSENT),),
    ),
    ("POST", P + "/{party}/licences"): _of_party(
        "/licences",
        Bad(
            name="wrong check digit",
            body={"kind": "food_production", "number": "SC10144120000007"},
            answer=INVALID,
            kind="check_digit",
        ),
        Bad(
            name="over already",
            body={"kind": "other", "number": "1", "valid_until": "2020-01-01"},
            answer=INVALID,
            kind="range",
        ),
        Bad(
            name="begins after its end",
            body={
                "kind": "other",
                "number": "1",
                "valid_from": "2098-01-01",
                "valid_until": "2097-01-01",
            },
            answer=INVALID,
            kind="range",
        ),
        body=lambda _: {"kind": "seed", "number": "粤种2026", "valid_until": "2098-12-31"},
    ),
    ("POST", P + "/{party}/licences/{licence}/verification"): Operation(
        path=f"{P}/{{shop}}/licences/{{licence}}/verification",
        by=AUTHORITY,
        scope="parties",
        body=lambda _: {"status": "verified", "evidence": "register looked up"},
        bad=(
            Bad(name="foreign role", by=RIVAL, answer=FORBIDDEN),
            Bad(
                name="no reason",
                body={"status": "rejected", "evidence": "x"},
                answer=INVALID,
                kind="enum",
            ),
            Bad(
                name="waits no more",
                body={"status": "verified", "evidence": "x", "told": ID},
                answer=(409, "lifecycle-conflict"),
            ),
            Bad(
                name="no such licence",
                path=f"{P}/{{shop}}/licences/0000/verification",
                answer=ABSENT,
            ),
            Bad(
                name="verifies its own",
                path=f"{P}/{AUTHORITY}/licences/{{licence}}/verification",
                answer=FORBIDDEN,
            ),
        ),
    ),
    ("DELETE", P + "/{party}/licences/{licence}"): _of_party(
        "/licences/{given_up}",
        Bad(name="no such licence", path=f"{P}/{{shop}}/licences/0000", answer=ABSENT),
    ),
    ("GET", "/api/v1/licences"): Operation(
        path="/api/v1/licences",
        by=AUTHORITY,
        scope="parties",
        bad=(Bad(name="foreign role", by=RIVAL, answer=FORBIDDEN), *PAGES),
    ),
    ("POST", P + "/{party}/keys"): _of_party(
        "/keys",
        Bad(
            name="beyond one's own scopes", body={"scopes": ["admin"]}, answer=INVALID, kind="enum"
        ),
        body=lambda _: {"scopes": ["events"], "label": "till"},
    ),
    ("GET", P + "/{party}/keys"): _of_party("/keys"),
    ("DELETE", P + "/{party}/keys/{key_id}"): _of_party(
        "/keys/{key_id}",
        Bad(name="no such key", path=f"{P}/{SHOP}/keys/NOTHING", answer=ABSENT),
    ),
    ("POST", P + "/{party}/signing-keys"): _of_party(
        "/signing-keys",
        Bad(
            name="proof of another",
            answer=(422, "signature-invalid"),
            body={"public_key": PUBLIC, "proof": b64encode(bytes(64)).decode()},
        ),
        Bad(name="no key", body={"public_key": "x", "proof": "x"}, answer=INVALID, kind="base64"),
        body=lambda _: {
            "public_key": PUBLIC,
            "proof": b64encode(SIGNER.sign(f"suxin-key/1\n{SHOP}\n{PUBLIC}".encode())).decode(),
        },
    ),
    ("GET", P + "/{party}/signing-keys"): Operation(
        path=f"{P}/{{shop}}/signing-keys",
        bad=(Bad(name="no such party", path=f"{P}/{UNKNOWN_USCC}/signing-keys", answer=ABSENT),),
    ),
    ("DELETE", P + "/{party}/signing-keys/{key_id}"): _of_party(
        "/signing-keys/{signing_key}",
        Bad(name="no such key", path=f"{P}/{SHOP}/signing-keys/x", answer=ABSENT),
    ),
    ("POST", P + "/{party}/mandates"): _of_party(
        "/mandates",
        Bad(
            name="unknown agent",
            body={"agent": UNKNOWN_USCC, "types": ["sale"]},
            answer=INVALID,
            kind="unknown_party",
        ),
        Bad(
            name="unknown type",
            body={"agent": PLATFORM, "types": ["sell"]},
            answer=INVALID,
            kind="unknown_type",
        ),
        body=lambda _: {"agent": PLATFORM, "types": ["sale"], "until": "2030-01-01T00:00:00Z"},
    ),
    ("GET", P + "/{party}/mandates"): _of_party("/mandates"),
    ("DELETE", P + "/{party}/mandates/{mandate_id}"): Operation(
        path=f"{P}/{RIVAL}/mandates/{{mandate}}",
        by=RIVAL,
        scope="parties",
        bad=(
            Bad(name="foreign key", by=SHOP, answer=FORBIDDEN),
            Bad(name="no such mandate", path=f"{P}/{RIVAL}/mandates/x", answer=ABSENT),
            Bad(
                name="foreign mandate",
                path=f"{P}/{SHOP}/mandates/{{mandate}}",
                by=SHOP,
                answer=ABSENT,
            ),
        ),
    ),
    # --- products and lots ---
    ("POST", "/api/v1/products"): Operation(
        path="/api/v1/products",
        by=SHOP,
        scope="products",
        body=lambda _: {"gtin": UNKNOWN_GTIN, "name": "新品", "category": "other", "brand": "x"},
        bad=(
            Bad(
                name="bad check digit",
                body={"gtin": BAD_GTIN, "name": "x", "category": "other"},
                answer=INVALID,
                kind="check_digit",
            ),
            Bad(
                name="replayed id",
                body={"gtin": GTIN, "name": "x", "category": "other"},
                answer=CONFLICT,
            ),
            Bad(
                name="foreign item",
                answer=FORBIDDEN,
                body=lambda w: {"gtin": w.item, "name": "x", "category": "other"},
            ),
            Bad(
                name="foreign brand",
                by=RIVAL,
                answer=(409, "already-exists"),
                body={"gtin": "6900000000014", "name": "竹篮", "category": "other", "claim": True},
            ),
            Bad(name="unverified", by="pending", answer=(403, "party-unverified")),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/products"): Operation(
        path="/api/v1/products",
        bad=(
            *PAGES,
            Bad(name="no category", query="category=x", answer=INVALID, kind="enum"),
            Bad(name="control", query="q=%00", answer=INVALID, kind="control"),
        ),
    ),
    ("GET", "/api/v1/products/{gtin}"): _subject(_PRODUCTS),
    ("GET", "/api/v1/products/{gtin}/events"): _subject(_PRODUCTS + "/events"),
    ("GET", "/api/v1/products/{gtin}/verification"): _subject(_PRODUCTS + "/verification"),
    ("GET", "/api/v1/products/{gtin}/evidence"): _subject(_PRODUCTS + "/evidence"),
    ("POST", "/api/v1/products/{gtin}/owner"): _subject(
        _PRODUCTS + "/owner",
        Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
        Bad(
            name="no party",
            body={"party": BAD_USCC, "evidence": "x"},
            answer=INVALID,
            kind="unknown_party",
        ),
        Bad(
            name="a name",
            body={"party": "商店", "evidence": "x"},
            answer=INVALID,
            kind="unknown_party",
        ),
        Bad(
            name="unverified",
            body=lambda w: {"party": w.pending, "evidence": "x"},
            answer=(403, "party-unverified"),
        ),
        Bad(
            name="owned",
            path="/api/v1/products/06900000000014/owner",
            body={"party": RIVAL, "evidence": "x"},
            answer=(409, "already-exists"),
        ),
        by=AUTHORITY,
        scope="products",
        body=lambda _: {"party": SHOP, "evidence": "mark"},
    ),
    ("POST", "/api/v1/lots"): Operation(
        path="/api/v1/lots",
        by=SHOP,
        scope="products",
        body=lambda _: {"gtin": GTIN, "lot": "NEW", "produced_on": "2026-10-01", "quantity": 5},
        bad=(
            Bad(
                name="bad check digit",
                body={"gtin": BAD_GTIN, "lot": "X"},
                answer=INVALID,
                kind="check_digit",
            ),
            Bad(name="unknown product", body={"gtin": UNKNOWN_GTIN, "lot": "X"}, answer=UNKNOWN),
            Bad(
                name="foreign product",
                body=lambda w: {"gtin": w.item, "lot": "X"},
                answer=FORBIDDEN,
            ),
            Bad(name="foreign lot", body={"gtin": GTIN, "lot": "THEIRS"}, answer=CONFLICT),
            Bad(
                name="replayed id",
                body={"gtin": GTIN, "lot": "A/1", "quantity": 5},
                answer=CONFLICT,
            ),
            Bad(
                name="Chinese lot", body={"gtin": GTIN, "lot": "批"}, answer=INVALID, kind="charset"
            ),
            Bad(name="unverified", by="pending", answer=(403, "party-unverified")),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/lots/{gtin}/{lot}"): _subject(_LOTS),
    ("GET", "/api/v1/lots/{gtin}/{lot}/events"): _subject(_LOTS + "/events"),
    ("GET", "/api/v1/lots/{gtin}/{lot}/verification"): _subject(_LOTS + "/verification"),
    ("GET", "/api/v1/lots/{gtin}/{lot}/evidence"): _subject(_LOTS + "/evidence"),
    # --- codes ---
    ("POST", "/api/v1/codes"): Operation(
        path="/api/v1/codes",
        by=SHOP,
        scope="codes",
        body=lambda _: {"gtin": GTIN, "count": 1, "id": "new-order"},
        bad=(
            Bad(
                name="bad check digit",
                body={"gtin": BAD_GTIN, "count": 1},
                answer=INVALID,
                kind="check_digit",
            ),
            Bad(name="unknown product", body={"gtin": UNKNOWN_GTIN, "count": 1}, answer=UNKNOWN),
            Bad(
                name="foreign product",
                body=lambda w: {"gtin": w.item, "count": 1},
                answer=FORBIDDEN,
            ),
            Bad(name="unknown lot", body={"gtin": GTIN, "count": 1, "lot": "B/2"}, answer=UNKNOWN),
            Bad(
                name="foreign lot",
                body={"gtin": GTIN, "count": 1, "lot": "THEIRS"},
                answer=FORBIDDEN,
            ),
            Bad(
                name="replayed id",
                answer=CONFLICT,
                body={"gtin": GTIN, "count": 2, "id": "batch-of-the-shop"},
            ),
            Bad(
                name="too many", body={"gtin": GTIN, "count": 100_001}, answer=INVALID, kind="range"
            ),
            Bad(name="unverified", by="pending", answer=(403, "party-unverified")),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    **{
        ("GET", f"/api/v1/batches/{{batch_id}}{below}"): Operation(
            path=f"/api/v1/batches/{{batch}}{below}",
            by=SHOP,
            scope="codes",
            bad=(
                Bad(name="foreign batch", by=RIVAL, answer=ABSENT),
                Bad(name="unknown batch", path=f"/api/v1/batches/x{below}", answer=ABSENT),
                *more,
            ),
        )
        for below, more in (
            ("", ()),
            ("/codes.csv", ()),
            (
                "/labels.pdf",
                (
                    Bad(name="layout", query="layout=a5", answer=INVALID, kind="enum"),
                    Bad(name="symbol", query="symbol=ean13", answer=INVALID, kind="enum"),
                    Bad(name="start", query="start=5", answer=INVALID, kind="range"),
                    Bad(name="start -1", query="start=-1", answer=INVALID, kind="range"),
                    Bad(name="count 0", query="count=0", answer=INVALID, kind="range"),
                    Bad(name="count", query="count=10001", answer=INVALID, kind="range"),
                    Bad(name="offset", query="offset=24", answer=INVALID, kind="range"),
                    Bad(
                        name="offset on a roll",
                        query="layout=roll-60x40&offset=1",
                        answer=INVALID,
                        kind="range",
                    ),
                    Bad(
                        name="long reason",
                        query="reason=" + "x" * 201,
                        answer=INVALID,
                        kind="length",
                    ),
                ),
            ),
            (
                "/labels.zpl",
                (
                    Bad(name="dpi", query="dpi=600", answer=INVALID, kind="enum"),
                    Bad(name="symbol", query="symbol=ean13", answer=INVALID, kind="enum"),
                    Bad(name="start", query="start=5", answer=INVALID, kind="range"),
                ),
            ),
            ("/prints", PAGES),
        )
    },
    ("GET", "/api/v1/batches/{batch_id}/label.{form}"): Operation(
        path="/api/v1/batches/{batch}/label.png",
        by=SHOP,
        scope="codes",
        bad=(
            Bad(name="foreign batch", by=RIVAL, answer=ABSENT),
            Bad(name="unknown batch", path="/api/v1/batches/x/label.png", answer=ABSENT),
            Bad(name="layout", query="layout=a5", answer=INVALID, kind="enum"),
            Bad(name="start", query="start=1", answer=INVALID, kind="range"),
            Bad(
                name="form",
                path="/api/v1/batches/{batch}/label.gif",
                answer=INVALID,
                kind="enum",
            ),
        ),
    ),
    ("GET", "/api/v1/labels/calibration.pdf"): Operation(
        path="/api/v1/labels/calibration.pdf",
        bad=(Bad(name="layout", query="layout=a5", answer=INVALID, kind="enum"),),
    ),
    ("GET", "/api/v1/codes/{gtin}/{serial}"): _subject(_CODES),
    ("GET", "/api/v1/codes/{gtin}/{serial}/events"): _subject(_CODES + "/events"),
    ("GET", "/api/v1/codes/{gtin}/{serial}/verification"): _subject(_CODES + "/verification"),
    ("GET", "/api/v1/codes/{gtin}/{serial}/evidence"): _subject(_CODES + "/evidence"),
    ("GET", "/api/v1/codes/{gtin}/{serial}/chain"): _subject(_CODES + "/chain"),
    ("GET", "/api/v1/lots/{gtin}/{lot}/chain"): _subject(_LOTS + "/chain"),
    ("GET", "/api/v1/products/{gtin}/chain"): _subject(_PRODUCTS + "/chain"),
    ("GET", "/api/v1/codes/{gtin}/{serial}/sealed"): _subject(
        _CODES + "/sealed",
        Bad(name="no purpose", by=AUTHORITY, answer=INVALID, kind="length"),
        Bad(name="short purpose", by=CUSTOMS, query="purpose=x", answer=INVALID, kind="length"),
        by=SHOP,
        scope="events",
    ),
    ("GET", "/api/v1/codes/{gtin}/{serial}/label.{form}"): _subject(
        _CODES + "/label.png",
        Bad(name="symbol", query="symbol=x", answer=INVALID, kind="enum"),
        Bad(name="form", path=_CODES + "/label.gif", answer=INVALID, kind="enum"),
    ),
    ("GET", "/api/v1/code"): Operation(
        path="/api/v1/code",
        query="code=" + PRODUCT,
        bad=(
            Bad(
                name="bad check digit",
                query=f"code=01/{BAD_GTIN}",
                answer=INVALID,
                kind="check_digit",
            ),
            Bad(name="unknown code", query=f"code={PRODUCT}/21/events", answer=UNKNOWN),
            Bad(name="no code", query="code=hello", answer=INVALID, kind="code_form"),
            Bad(name="missing", query="other=1", answer=INVALID, kind="missing"),
            Bad(name="not UTF-8", query="code=%FF", answer=INVALID, kind="charset"),
            Bad(name="NUL", query="code=01%00", answer=INVALID, kind="control"),
        ),
    ),
    ("POST", "/api/v1/codes/{gtin}/{serial}/check"): _subject(
        _CODES + "/check",
        Bad(name="no hidden code", path="/api/v1/codes/{gtin}/{plain}/check", answer=PROOF),
        body=lambda _: {"inner": "ABCD2345EFGH6"},
    ),
}
