"""Operations on goods on their way, gaps and cases."""

from __future__ import annotations

from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.operations import (
    ABSENT,
    CASE,
    FORBIDDEN,
    ID,
    INVALID,
    PAGES,
    UNKNOWN,
    UNKNOWN_GTIN,
    Bad,
    Operation,
    World,
)

C = "/api/v1/cases"
_EMPTY = "306912345000000025"


def _codes(world: World) -> dict[str, object]:
    return {"codes": [world.loose.code]}


def _on_case(path: str, **more: object) -> Bad:
    return Bad(name="no SSCC", path=path, answer=INVALID, kind="not_sscc", **more)  # type: ignore[arg-type]


UNDERWAY: dict[tuple[str, str], Operation] = {
    ("GET", "/api/v1/shipments"): Operation(
        path="/api/v1/shipments", by=SHOP, scope="events",
        bad=(
            *PAGES,
            Bad(name="state", query="state=signed", answer=INVALID, kind="enum"),
        ),
    ),
    ("GET", "/api/v1/shipments/latest"): Operation(
        path="/api/v1/shipments/latest", by=SHOP, scope="events",
        bad=(Bad(name="limit", query="limit=101", answer=INVALID, kind="range"),),
    ),
    ("GET", "/api/v1/gaps"): Operation(
        path="/api/v1/gaps", by=SHOP, scope="events", bad=PAGES,
    ),
    ("GET", "/api/v1/shipments/labels.pdf"): Operation(
        path="/api/v1/shipments/labels.pdf", by=SHOP, scope="codes",
        bad=(
            Bad(name="layout", query="layout=a5", answer=INVALID, kind="enum"),
            Bad(name="offset", query="offset=24", answer=INVALID, kind="range"),
            Bad(name="not a seller", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/first-steps"): Operation(
        path="/api/v1/first-steps", by=SHOP, scope="products",
        bad=(Bad(name="not a seller", by=CARRIER, answer=FORBIDDEN),),
    ),
    ("POST", C): Operation(
        path=C, by=SHOP, scope="events", body=lambda _: {"company_prefix": "06912345"},
        bad=(
            Bad(name="prefix", body={"company_prefix": "12"}, answer=INVALID, kind="company_prefix"),
        ),
    ),
    ("GET", C): Operation(path=C, by=SHOP, scope="events", bad=PAGES),
    ("GET", f"{C}/{{sscc}}"): Operation(
        path=f"{C}/{CASE}", by=SHOP, scope="events",
        bad=(
            Bad(name="never used", path=f"{C}/{_EMPTY}", answer=ABSENT),
            _on_case(f"{C}/123"),
        ),
    ),
    ("GET", f"{C}/{{sscc}}/label.{{form}}"): Operation(
        path=f"{C}/{CASE}/label.svg",
        bad=(
            _on_case(f"{C}/123/label.svg"),
            Bad(name="form", path=f"{C}/{CASE}/label.gif", answer=INVALID, kind="enum"),
        ),
    ),
    ("POST", f"{C}/{{sscc}}/pack"): Operation(
        path=f"{C}/{CASE}/pack", by=SHOP, scope="events", body=_codes,
        bad=(
            _on_case(f"{C}/123/pack"),
            Bad(name="nothing", body={"codes": []}, answer=INVALID, kind="length"),
            Bad(name="a case in it", body={"codes": [_EMPTY]}, answer=INVALID, kind="nested_case"),
            Bad(name="a product", body={"codes": [f"01/{UNKNOWN_GTIN}"]}, answer=INVALID, kind="level"),
            Bad(name="unknown unit", body={"codes": [f"01/{UNKNOWN_GTIN}/21/A"]}, answer=UNKNOWN),
            Bad(name="id", body=lambda w: {**_codes(w), "id": "x"}, answer=INVALID, kind="record_id"),
            Bad(name="not the holder", by=CARRIER, answer=FORBIDDEN),
        ),
    ),
    ("POST", f"{C}/{{sscc}}/unpack"): Operation(
        path=f"{C}/{CASE}/unpack", by=SHOP, scope="events", body=lambda w: {"codes": [w.packed]},
        bad=(
            Bad(name="nothing in it", path=f"{C}/{_EMPTY}/unpack", body={}, answer=ABSENT),
            Bad(name="a unit that is not in it", path=f"{C}/{_EMPTY}/unpack",
                answer=(409, "lifecycle-conflict")),
            Bad(name="no role for it", by=AUTHORITY, body={}, answer=FORBIDDEN),
        ),
    ),
    ("POST", f"{C}/{{sscc}}/events"): Operation(
        path=f"{C}/{CASE}/events", by=SHOP, scope="events",
        body=lambda _: {"type": "dispatch", "data": {"carrier": CARRIER}, "id": ID},
        bad=(
            Bad(name="type", body={"type": "recall", "data": {}}, answer=INVALID, kind="enum"),
            Bad(name="another case", answer=INVALID, kind="reserved",
                body={"type": "sale", "data": {"case": _EMPTY}}),
            Bad(name="count", answer=(409, "lifecycle-conflict"),
                body={"type": "sale", "data": {}, "count": 400}),
            Bad(name="nothing of theirs", by=CARRIER, answer=ABSENT),
        ),
    ),
}  # fmt: skip
