"""Operations on what people wrote: hiding, erasing, following a complaint."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import AUTHORITY, SHOP
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    FORBIDDEN,
    INVALID,
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
}  # fmt: skip
