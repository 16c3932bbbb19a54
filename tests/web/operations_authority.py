"""Operations of an authority: its search, chains, work on findings, the log of purposes, customs."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import CUSTOMS, PRODUCT, RIVAL
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    FORBIDDEN,
    INVALID,
    PAGES,
    UNKNOWN,
    Bad,
    Operation,
    World,
)

_F = "/api/v1/findings/{finding}"
_REACH = "/api/v1/recalls/reach"
_DECLARATION = "516620261000000012"


def _decision(**more: Any) -> Any:
    def body(world: World) -> dict[str, Any]:
        return {
            "number": _DECLARATION, "code": "01/06901234567892/10/DECLARED", "decision": "release",
            "port": "广州南沙", "purpose": "inspection 2026-9", **more,
        }  # fmt: skip

    return body


def _asked(**more: Any) -> Any:
    return {"code": PRODUCT, "purpose": "recall of a lot", **more}


_NO_REACH = (
    Bad(name="a carrier", by=CARRIER, answer=FORBIDDEN),
    Bad(name="another's lot", by=RIVAL, body={"code": f"{PRODUCT}/10/DECLARED"}, answer=FORBIDDEN),
    Bad(name="no purpose", body=_asked(purpose=""), answer=INVALID, kind="length"),
    Bad(name="code", body=_asked(code=f"01/{BAD_GTIN}"), answer=INVALID, kind="check_digit"),
    Bad(name="unknown", body=_asked(code=f"{PRODUCT}/10/NONE"), answer=UNKNOWN),
    Bad(name="serial", body=_asked(serials=["号"]), answer=INVALID, kind="charset"),
    Bad(name="many serials", body=_asked(serials=["A"] * 1001), answer=INVALID, kind="length"),
    Bad(name="a lot as serial", body=_asked(serials=[f"{PRODUCT}/10/DECLARED"]), answer=INVALID,
        kind="level"),
    Bad(name="another product's", body=_asked(serials=["01/06901234567908/21/A"]), answer=INVALID,
        kind="other_product"),
    Bad(name="day", body=_asked(sold_since="soon"), answer=INVALID, kind="date"),
    Bad(name="days", body=_asked(sold_since="2026-02-01", sold_until="2026-01-01"), answer=INVALID,
        kind="range"),
)  # fmt: skip

AUTHORITIES = {
    ("GET", "/api/v1/recalls"): Operation(
        path="/api/v1/recalls",
        by=AUTHORITY,
        scope="events",
        bad=(
            Bad(name="a carrier", by=CARRIER, answer=FORBIDDEN),
            *PAGES,
            Bad(name="code", query=f"code=01/{BAD_GTIN}", answer=INVALID, kind="check_digit"),
            Bad(name="open", query="open=perhaps", answer=INVALID, kind="type"),
        ),
    ),
    ("POST", _REACH): Operation(
        path=_REACH, by=AUTHORITY, scope="events", body=lambda _: _asked(), bad=_NO_REACH
    ),
    ("POST", f"{_REACH}.csv"): Operation(
        path=f"{_REACH}.csv", by=AUTHORITY, scope="events", body=lambda _: _asked(), bad=_NO_REACH
    ),
    ("POST", "/api/v1/desk/search"): Operation(
        path="/api/v1/desk/search",
        by=AUTHORITY,
        scope="audit",
        body=lambda w: {"q": w.unit.code},
        bad=(
            Bad(name="a shop", by=SHOP, answer=FORBIDDEN),
            Bad(name="nothing asked", body={}, answer=INVALID, kind="missing"),
            Bad(name="region", body={"q": "x", "region": "990000"}, answer=INVALID, kind="region"),
            Bad(name="day", body={"q": "x", "since": "soon"}, answer=INVALID, kind="date"),
            Bad(
                name="days",
                body={"q": "x", "since": "2026-02-01", "until": "2026-01-01"},
                answer=INVALID,
                kind="range",
            ),
            Bad(name="purpose", body={"q": "x", "purpose": "?"}, answer=INVALID, kind="length"),
            Bad(name="sealed number", body={"q": "TEST0000099998"}, answer=INVALID, kind="missing"),
            Bad(name="group", body={"q": "x", "group": "people"}, answer=INVALID, kind="enum"),
            Bad(name="cursor", body={"q": "x", "cursor": "x"}, answer=INVALID, kind="cursor"),
            Bad(name="onward", body={"q": "x", "onward": "x"}, answer=INVALID, kind="cursor"),
        ),
    ),
    ("GET", "/api/v1/publications"): Operation(
        path="/api/v1/publications",
        by=AUTHORITY,
        scope="audit",
        bad=(Bad(name="a shop", by=SHOP, answer=FORBIDDEN), *PAGES),
    ),
    ("GET", "/api/v1/access-log"): Operation(
        path="/api/v1/access-log",
        by=AUTHORITY,
        scope="parties",
        bad=(
            Bad(name="a shop", by=SHOP, answer=FORBIDDEN),
            *PAGES,
            Bad(name="another's", query=f"party={CUSTOMS}", answer=FORBIDDEN),
            Bad(name="day", query="since=soon", answer=INVALID, kind="date"),
            Bad(name="code", query=f"code=01/{BAD_GTIN}", answer=INVALID, kind="check_digit"),
        ),
    ),
    ("GET", "/api/v1/access-log.csv"): Operation(
        path="/api/v1/access-log.csv",
        by=AUTHORITY,
        scope="parties",
        bad=(
            Bad(name="a shop", by=SHOP, answer=FORBIDDEN),
            Bad(name="day", query="until=soon", answer=INVALID, kind="date"),
        ),
    ),
    ("GET", "/api/v1/findings/{finding}/work"): Operation(
        path=f"{_F}/work",
        by=AUTHORITY,
        scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x/work", answer=ABSENT),
            Bad(name="a shop", by=SHOP, answer=FORBIDDEN),
        ),
    ),
    ("POST", "/api/v1/findings/{finding}/assignment"): Operation(
        path=f"{_F}/assignment",
        by=AUTHORITY,
        scope="audit",
        body=lambda w: {"assignee": w.names["colleague"]},
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x/assignment", answer=ABSENT),
            Bad(name="a shop", by=SHOP, answer=FORBIDDEN),
            Bad(name="nobody", body={"assignee": "nobody-here"}, answer=INVALID, kind="assignee"),
        ),
    ),
    ("POST", "/api/v1/findings/{finding}/notes"): Operation(
        path=f"{_F}/notes",
        by=AUTHORITY,
        scope="audit",
        body=lambda _: {"text": "asked"},
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x/notes", answer=ABSENT),
            Bad(name="a shop", by=SHOP, answer=FORBIDDEN),
            Bad(name="empty", body={"text": " "}, answer=INVALID, kind="length"),
        ),
    ),
    ("POST", "/api/v1/customs/declarations"): Operation(
        path="/api/v1/customs/declarations",
        by=CUSTOMS,
        scope="events",
        body=lambda _: {"number": _DECLARATION, "purpose": "inspection 2026-9"},
        bad=(
            Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),
            Bad(
                name="nothing declared",
                body={"number": "516620261000000099", "purpose": "inspection 2026-9"},
                answer=ABSENT,
                looks=True,
            ),
            Bad(
                name="short",
                body={"number": "51", "purpose": "inspection 2026-9"},
                answer=INVALID,
                kind="length",
            ),
            Bad(name="no purpose", body={"number": _DECLARATION}, answer=INVALID, kind="missing"),
            Bad(
                name="onward",
                body={"number": _DECLARATION, "purpose": "inspection 2026-9", "onward": "x"},
                answer=INVALID,
                kind="cursor",
            ),
        ),
    ),
    ("POST", "/api/v1/customs/decisions"): Operation(
        path="/api/v1/customs/decisions",
        by=CUSTOMS,
        scope="events",
        body=_decision(),
        bad=(
            Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),
            Bad(
                name="other goods",
                body=_decision(code="01/06901234567892"),
                answer=ABSENT,
                looks=True,
            ),
            Bad(name="no reason", body=_decision(decision="hold"), answer=INVALID, kind="length"),
            Bad(name="no purpose", body=_decision(purpose=""), answer=INVALID, kind="length"),
            Bad(name="neither", body=_decision(decision="maybe"), answer=INVALID, kind="enum"),
        ),
    ),
}
