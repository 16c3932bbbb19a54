"""Operations on spreadsheets, and what carriers push."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.imports.sheets import as_csv, gtin
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import GTIN
from tests.web.operations import (
    ABSENT,
    FORBIDDEN,
    INVALID,
    PAGES,
    Bad,
    Operation,
    World,
)

I = "/api/v1/imports"  # noqa: E741 - as P for parties
M = "/api/v1/import-mappings"
A = "/api/v1/carriers/push-address"
_LINE = "------suxin"
_TYPE = f"multipart/form-data; boundary={_LINE[2:]}"


def form(raw: bytes | None, **fields: str) -> tuple[str, bytes]:
    """A form with a file, by its media type and bytes."""
    parts = [
        f'{_LINE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if raw is not None:
        head = f'{_LINE}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        parts.append(head.encode() + raw + b"\r\n")
    return _TYPE, b"".join(parts) + f"{_LINE}--\r\n".encode()


def _products(_: World) -> tuple[str, bytes]:
    return form(as_csv([["条码", "名称", "类别"], [gtin(77_001), "竹椅", "其他"]], encoding="gbk"))


def _lots(_: World) -> tuple[str, bytes]:
    return form(as_csv([["条码", "批号"], [GTIN, "IMPORTED"]]))


def _shipments(world: World) -> tuple[str, bytes]:
    head = ["订单号", "条码", "数量", "下单时间", "发货时间", "快递公司", "快递单号"]
    row = ["I-1", GTIN, "1", world.at(-30), world.at(-2), CARRIER, "TEST0000000055"]
    return form(as_csv([head, row]))


def _events(_: World) -> tuple[str, bytes]:
    return form(
        as_csv([["运单号", "事件", "时间"], ["TEST0000000002", "签收", "2026-09-07 10:30"]])
    )


def _import(kind: str, raw: Callable[[World], tuple[str, bytes]], scope: str) -> Operation:
    file = as_csv([["条码", "名称", "类别"], ["", "甲", "其他"]])
    return Operation(
        path=f"/api/v1/{kind}/import", raw=raw, by=SHOP, scope=scope,
        bad=(
            Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),
            Bad(name="not verified", by="pending", answer=(403, "party-unverified")),
            Bad(name="JSON", headers={"Content-Type": "application/json"},
                answer=(415, "unsupported-media-type")),
            Bad(name="compressed", headers={"Content-Encoding": "gzip"},
                answer=(415, "unsupported-media-type")),
            Bad(name="no form at all", raw=(_TYPE, b"hello"), answer=(400, "malformed")),
            Bad(name="no boundary", raw=("multipart/form-data", b"hello"), answer=(400, "malformed")),
            Bad(name="no file", raw=form(None, mapping="{}"), answer=INVALID, kind="missing"),
            Bad(name="empty", raw=form(b""), answer=INVALID),
            Bad(name="a picture", raw=form(b"\x89PNG\r\n\x1a\n\0\0"), answer=INVALID),
            Bad(name="foreign columns", raw=form(b"a,b\n1,2\n"), answer=INVALID),
            Bad(name="mapping no JSON", raw=form(file, mapping="{"), answer=INVALID, kind="type"),
            Bad(name="mapping of nothing", raw=form(file, mapping='{"columns":{"x":"y"}}'),
                answer=INVALID, kind="unknown_field"),
            Bad(name="unknown mapping", raw=form(file, mapping_name="nobody"), answer=ABSENT),
            Bad(name="NUL", raw=form(file, mapping_name="a\0b"), answer=INVALID, kind="control"),
            Bad(name="too large", raw=form(b"a" * 9 * 2**20), answer=(413, "too-large")),
        ),
    )  # fmt: skip


def _mapping(_: World) -> dict[str, Any]:
    return {"columns": {"name": "品名"}}


IMPORTS: dict[tuple[str, str], Operation] = {
    ("POST", "/api/v1/products/import"): _import("products", _products, "products"),
    ("POST", "/api/v1/lots/import"): _import("lots", _lots, "products"),
    ("POST", "/api/v1/shipments/import"): _import("shipments", _shipments, "events"),
    ("POST", "/api/v1/events/import"): _import("events", _events, "events"),
    ("GET", I): Operation(
        path=I, by=SHOP, bad=(*PAGES, Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN))
    ),
    ("GET", f"{I}/{{import_id}}"): Operation(
        path=f"{I}/{{import_id}}", by=SHOP, scope="products",
        bad=(Bad(name="unknown", path=f"{I}/nobody", answer=ABSENT),
             Bad(name="another's", by=CARRIER, answer=ABSENT)),
    ),
    ("GET", f"{I}/{{import_id}}/rows"): Operation(
        path=f"{I}/{{import_id}}/rows", by=SHOP, scope="products",
        bad=(*PAGES, Bad(name="unknown", path=f"{I}/nobody/rows", answer=ABSENT),
             Bad(name="outcome", query="outcome=x", answer=INVALID, kind="enum")),
    ),
    ("GET", f"{I}/{{import_id}}/errors.csv"): Operation(
        path=f"{I}/{{import_id}}/errors.csv", by=SHOP, scope="products",
        bad=(Bad(name="unknown", path=f"{I}/nobody/errors.csv", answer=ABSENT),),
    ),
    ("GET", "/api/v1/import-templates/{kind}"): Operation(
        path="/api/v1/import-templates/lots",
        bad=(Bad(name="kind", path="/api/v1/import-templates/x", answer=INVALID, kind="enum"),
             Bad(name="format", query="format=pdf", answer=INVALID, kind="enum")),
    ),
    ("GET", "/api/v1/import-presets"): Operation(path="/api/v1/import-presets"),
    ("GET", M): Operation(
        path=M, by=SHOP, bad=(Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),)
    ),
    ("PUT", f"{M}/{{kind}}/{{name}}"): Operation(
        path=f"{M}/products/mine", by=SHOP, scope="products", body=_mapping,
        bad=(
            Bad(name="kind", path=f"{M}/x/mine", answer=INVALID, kind="enum"),
            Bad(name="long name", path=f"{M}/products/{'x' * 65}", answer=INVALID, kind="length"),
            Bad(name="no such field", body={"columns": {"x": "y"}}, answer=INVALID,
                kind="unknown_field"),
            Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),
        ),
    ),
    ("DELETE", f"{M}/{{kind}}/{{name}}"): Operation(
        path=f"{M}/products/nobody", by=SHOP, scope="products",
        bad=(Bad(name="kind", path=f"{M}/x/mine", answer=INVALID, kind="enum"),
             Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN)),
    ),
    ("POST", A): Operation(
        path=A, by=CARRIER, scope="events", bad=(Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),)
    ),
    ("GET", A): Operation(
        path=A, by=CARRIER, scope="events",
        bad=(Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),
             Bad(name="none was made", by=PLATFORM, answer=ABSENT)),
    ),
    ("POST", f"{A}/renewal"): Operation(
        path=f"{A}/renewal", by=CARRIER, scope="events",
        bad=(Bad(name="none was made", by=PLATFORM, answer=ABSENT),),
    ),
    ("DELETE", A): Operation(
        path=A, by=CARRIER, scope="events", bad=(Bad(name="a regulator", by=AUTHORITY, answer=FORBIDDEN),)
    ),
    ("POST", "/api/v1/carriers/push"): Operation(
        path="/api/v1/carriers/push", by=CARRIER, scope="events",
        body=lambda w: {
            "feed": "kuaidi100",
            "items": [{"waybill": "TEST0000000002", "state": "0", "occurred_at": w.at(-1)}],
        },
        bad=(
            Bad(name="no items", body={"items": []}, answer=INVALID, kind="length"),
            Bad(name="unknown feed", answer=INVALID, kind="enum",
                body=lambda w: {"feed": "x", "items": [
                    {"waybill": "TEST0000000002", "state": "0", "occurred_at": w.at(-1)}]}),
            Bad(name="no list", body={"items": {}}, answer=INVALID, kind="type"),
        ),
    ),
}  # fmt: skip
