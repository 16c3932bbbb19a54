"""Operations on ranking, orders, search and zone: one part of the table of bad input."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import PLATFORM, SHOP
from tests.web.market import GTIN, RIVAL
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    FORBIDDEN,
    INVALID,
    PAGES,
    UNKNOWN_GTIN,
    UNKNOWN_USCC,
    Bad,
    Operation,
)


def _count(**more: Any) -> dict[str, Any]:
    told = {"seller": SHOP, "gtin": GTIN, "period": "2026-10", "orders": 4, **more}
    return {"counts": [told]}


RANKING = {
    ("POST", "/api/v1/ranking"): Operation(
        path="/api/v1/ranking", by=PLATFORM, scope="ranking",
        body=lambda _: {"candidates": [{"id": "a", "gtin": GTIN, "seller": SHOP, "base": 1}]},
        bad=(
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="nothing", body={"candidates": []}, answer=INVALID, kind="length"),
            Bad(name="negative", answer=INVALID, kind="range",
                body={"candidates": [{"id": "a", "gtin": GTIN, "seller": SHOP, "base": -1}]}),
            Bad(name="unknown field inside", answer=INVALID, kind="unknown_field",
                body={"candidates": [
                    {"id": "a", "gtin": GTIN, "seller": SHOP, "base": 1, "bid": 5}
                ]}),
        ),
    ),
    ("GET", "/api/v1/ranking/receipts/{receipt}"): Operation(
        path="/api/v1/ranking/receipts/{receipt}",
        bad=(Bad(name="unknown", path="/api/v1/ranking/receipts/" + "0" * 32, answer=ABSENT),),
    ),
    ("GET", "/api/v1/ranking/features"): Operation(
        path="/api/v1/ranking/features", by=PLATFORM, scope="ranking",
        bad=(
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="since x", query="since=x", answer=INVALID, kind="type"),
            Bad(name="since -1", query="since=-1", answer=INVALID, kind="range"),
            Bad(name="limit 501", query="limit=501", answer=INVALID, kind="range"),
        ),
    ),
    ("GET", "/api/v1/ranking/advice"): Operation(
        path="/api/v1/ranking/advice", query="gtin={gtin}", by=SHOP, scope="ranking",
        bad=(
            Bad(name="another's", query=f"gtin={GTIN}&seller={RIVAL}", answer=FORBIDDEN),
            Bad(name="check digit", query=f"gtin={BAD_GTIN}", answer=INVALID, kind="check_digit"),
            Bad(name="unknown", query=f"gtin={UNKNOWN_GTIN}", answer=ABSENT),
            Bad(name="nothing", query="seller=", answer=INVALID, kind="missing"),
        ),
    ),
    ("POST", "/api/v1/orders/counts"): Operation(
        path="/api/v1/orders/counts", by=PLATFORM, scope="ranking", body=lambda _: _count(),
        bad=(
            Bad(name="foreign role", by=SHOP, answer=FORBIDDEN),
            Bad(name="nothing", body={"counts": []}, answer=INVALID, kind="length"),
            Bad(name="no period", body=_count(period="2026-13"), answer=INVALID, kind="date"),
            Bad(name="to come", body=_count(period="2999-01"), answer=INVALID, kind="range"),
            Bad(name="negative", body=_count(orders=-1), answer=INVALID, kind="range"),
            Bad(name="half", body=_count(orders=0.5), answer=INVALID, kind="type"),
            Bad(name="check digit", body=_count(gtin=BAD_GTIN), answer=INVALID,
                kind="check_digit"),
            Bad(name="unknown product", body=_count(gtin=UNKNOWN_GTIN), answer=INVALID,
                kind="unknown_product"),
            Bad(name="unknown seller", body=_count(seller=UNKNOWN_USCC), answer=INVALID,
                kind="unknown_party"),
            Bad(name="no id", body={**_count(), "id": "x"}, answer=INVALID, kind="record_id"),
            Bad(name="twice", body={"counts": _count()["counts"] * 2}, answer=INVALID,
                kind="twice"),
        ),
    ),
    ("GET", "/api/v1/search"): Operation(
        path="/api/v1/search", query="q=%E7%AB%AF",
        bad=(
            *(
                Bad(name=bad.name, query=f"q=%E7%AB%AF&{bad.query}", answer=bad.answer,
                    kind=bad.kind)
                for bad in PAGES
            ),
            Bad(name="nothing", query="q=", answer=INVALID, kind="length"),
            Bad(name="too long", query="q=" + "a" * 101, answer=INVALID, kind="length"),
            Bad(name="sort", query="q=a&sort=paid", answer=INVALID, kind="enum"),
            Bad(name="category", query="q=a&category=x", answer=INVALID, kind="enum"),
        ),
    ),
    ("GET", "/api/v1/zone"): Operation(
        path="/api/v1/zone",
        bad=(*PAGES, Bad(name="category", query="category=other", answer=INVALID, kind="enum")),
    ),
}  # fmt: skip
