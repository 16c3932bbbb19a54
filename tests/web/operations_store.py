"""Operations on credit that is kept for others, and on the sending of our own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from app.exchange.signing import sign_request
from app.ledger.note import NoteSigner
from tests.exchange.changes import as_body, made
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.operations import (
    ABSENT,
    CONFLICT,
    FORBIDDEN,
    INVALID,
    PAGES,
    PARTNER,
    UNKNOWN_USCC,
    Bad,
    Operation,
    World,
)

NOBODY = (401, "unauthenticated")
PATH = "/api/v1/credit-store"
_STRANGER = NoteSigner("stranger.example/credit", bytes([9]) * 32)


def _body(_: World) -> dict[str, Any]:
    return as_body(made(2))


def _signed(world: World, signer: Any, *, minutes: int = 0) -> dict[str, str]:
    at = world.market.clock.now() + timedelta(minutes=minutes)
    return sign_request(
        signer, method="POST", url=f"{world.market.url}{PATH}/changes",
        body=json.dumps(_body(world)).encode(), at=at,
    )  # fmt: skip


STORE: dict[tuple[str, str], Operation] = {
    ("POST", f"{PATH}/changes"): Operation(
        path=f"{PATH}/changes", body=_body, signs=True,
        bad=(
            Bad(name="not signed", headers={"Signature-Input": ""}, answer=NOBODY),
            Bad(name="signed by a stranger", headers=lambda w: _signed(w, _STRANGER), answer=NOBODY),
            Bad(name="signed for another time", answer=NOBODY,
                headers=lambda w: _signed(w, PARTNER, minutes=-6)),
            Bad(name="signed ahead of time", answer=NOBODY,
                headers=lambda w: _signed(w, PARTNER, minutes=6)),
            Bad(name="nothing", body={"changes": []}, answer=INVALID, kind="length"),
            Bad(name="another hash", answer=INVALID,
                body={"changes": [{**as_body(made(2))["changes"][0], "hash": "0" * 64}]}),
            Bad(name="no record of credit", answer=INVALID, kind="change",
                body=as_body(made(2, type="sale"))),
            Bad(name="no number of ours", answer=INVALID, kind="float",
                body={"changes": [{"key": "x", "hash": "0" * 64, "record": {"a": 1.5}}]}),
            Bad(name="rewritten", answer=CONFLICT,
                body=as_body(made(1, id="0192f3a0-0000-7000-8000-00000000dead"))),
        ),
    ),
    ("GET", f"{PATH}/changes"): Operation(
        path=f"{PATH}/changes", query="sender=partner", by=AUTHORITY, scope="credit",
        bad=(
            *PAGES,
            Bad(name="no sender", query="limit=5", answer=INVALID, kind="missing"),
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
        ),
    ),
    ("GET", f"{PATH}/parties/{{party}}"): Operation(
        path=f"{PATH}/parties/{{shop}}",
        bad=(Bad(name="unknown party", path=f"{PATH}/parties/{UNKNOWN_USCC}", answer=ABSENT),),
    ),
    ("GET", f"{PATH}/sending"): Operation(
        path=f"{PATH}/sending", by=AUTHORITY, scope="credit",
        bad=(Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),),
    ),
    ("GET", f"{PATH}/dead-letters"): Operation(
        path=f"{PATH}/dead-letters", by=AUTHORITY, scope="credit",
        bad=(*PAGES, Bad(name="foreign role", by=SHOP, answer=FORBIDDEN)),
    ),
    ("POST", f"{PATH}/dead-letters/resend"): Operation(
        path=f"{PATH}/dead-letters/resend", by=AUTHORITY, scope="credit",
        body=lambda _: {"keys": [f"party/{SHOP}/1"]},
        bad=(
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="keys are no list", body={"keys": "all"}, answer=INVALID, kind="type"),
        ),
    ),
}  # fmt: skip
