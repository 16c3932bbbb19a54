"""Operations on what people wrote: hiding, erasing, following a complaint."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import RIVAL
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    FORBIDDEN,
    INVALID,
    PAGES,
    PROOF,
    UNKNOWN,
    Bad,
    Operation,
    World,
)

_NOBODY = "0192f3a0-0000-7000-8000-00000000dead"


def _hiding(**more: Any) -> Any:
    return lambda w: {"code": w.other.code, "of": w.names["review"], "reason": "insult", **more}


def _erasure(**more: Any) -> Any:
    return lambda w: {"code": w.other.code, "of": w.names["follow_up"], **more}


def _claim(world: World) -> dict[str, str]:
    return {"Suxin-Claim": world.other_token}


TEXTS = {
    ("POST", "/api/v1/hidings"): Operation(
        path="/api/v1/hidings", by=AUTHORITY, scope="audit", body=_hiding(),
        bad=(
            Bad(name="the seller", by=SHOP, answer=FORBIDDEN),
            Bad(name="another reason", body=_hiding(reason="too honest"), answer=INVALID,
                kind="enum"),
            Bad(name="no text", body=_hiding(of=_NOBODY), answer=ABSENT),
            Bad(name="unknown unit", answer=UNKNOWN,
                body=_hiding(code="01/06901234567892/21/NOBODY")),
            Bad(name="bad check digit", body=_hiding(code=f"01/{BAD_GTIN}/21/A"), answer=INVALID,
                kind="check_digit"),
            Bad(name="bad id", body=_hiding(id="x"), answer=INVALID, kind="record_id"),
            Bad(name="a product", body=_hiding(code="01/06901234567892"), answer=FORBIDDEN),
        ),
    ),
    ("POST", "/api/v1/erasures"): Operation(
        path="/api/v1/erasures", body=_erasure(), headers=_claim,
        bad=(
            Bad(name="no proof", headers={"Suxin-Claim": ""}, answer=PROOF),
            Bad(name="token of nobody", headers={"Suxin-Claim": "P" + "A" * 26}, answer=PROOF),
            Bad(name="no text", body=_erasure(of=_NOBODY), answer=ABSENT),
            Bad(name="unknown unit", answer=UNKNOWN,
                body=_erasure(code="01/06901234567892/21/NOBODY")),
        ),
    ),
    ("GET", "/api/v1/tickets/{ticket}"): Operation(
        path="/api/v1/tickets/{ticket}", headers=lambda w: {"Suxin-Ticket": w.names["query_code"]},
        bad=(
            Bad(name="another ticket", path="/api/v1/tickets/AAAAAAAAAA", answer=PROOF),
            Bad(name="another code", headers={"Suxin-Ticket": "A" * 13}, answer=PROOF),
        ),
    ),
    ("GET", "/api/v1/complaints"): Operation(
        path="/api/v1/complaints", by=SHOP, scope="events",
        bad=(
            *PAGES,
            Bad(name="no state", query="state=x", answer=INVALID, kind="enum"),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/complaints/{ticket}"): Operation(
        path="/api/v1/complaints/{ticket}", by=SHOP, scope="events",
        bad=(
            Bad(name="another ticket", path="/api/v1/complaints/AAAAAAAAAA", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=ABSENT),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    ("POST", "/api/v1/complaints/{ticket}/opening"): Operation(
        path="/api/v1/complaints/{ticket}/opening", by=SHOP, scope="events",
        body=lambda _: {"purpose": "answer the ticket"},
        bad=(
            Bad(name="another ticket", path="/api/v1/complaints/AAAAAAAAAA/opening", answer=ABSENT),
            Bad(name="somebody else's", by=RIVAL, answer=ABSENT),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
            Bad(name="no purpose", body={"purpose": "x"}, answer=INVALID, kind="length"),
        ),
    ),
    ("GET", "/api/v1/reports"): Operation(
        path="/api/v1/reports", by=AUTHORITY, scope="audit",
        bad=(
            *PAGES,
            Bad(name="no state", query="state=x", answer=INVALID, kind="enum"),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
        ),
    ),
    ("POST", "/api/v1/reports/{ticket}/opening"): Operation(
        path="/api/v1/reports/{report}/opening", by=AUTHORITY, scope="audit",
        body=lambda _: {"purpose": "look into it"},
        bad=(
            Bad(name="another ticket", path="/api/v1/reports/AAAAAAAAAA/opening", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="no purpose", body={"purpose": "x"}, answer=INVALID, kind="length"),
        ),
    ),
    ("POST", "/api/v1/reports/{ticket}/closing"): Operation(
        path="/api/v1/reports/{report}/closing", by=AUTHORITY, scope="audit",
        body=lambda _: {"reason": "looked into"},
        bad=(
            Bad(name="another ticket", path="/api/v1/reports/AAAAAAAAAA/closing", answer=ABSENT),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="no reason", body={"reason": "x"}, answer=INVALID, kind="length"),
        ),
    ),
    ("GET", "/api/v1/reviews"): Operation(
        path="/api/v1/reviews", by=SHOP, scope="events",
        bad=(
            *PAGES,
            Bad(name="six stars", query="rating=6", answer=INVALID, kind="range"),
            Bad(name="foreign role", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
}  # fmt: skip
