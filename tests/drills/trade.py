"""Trade on a served deployment, all of it through the HTTP API: parties, goods, whole chains."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.drills.deployment import Deployment, wait_until

SHOP = "91441200MA4TE5T00Q"
STALL = "92441202MA4TE5T01M"
PLATFORM = "91441204MA4TE5T02Q"
CARRIER = "91440000MA4TE5T04E"
AUTHORITY = "11441200007000001C"
GTIN = "06901234567892"
LOT = "A/1"
ORDER = "ORDER-{n}-7741"
WAYBILL = "TEST00000{n:05}"
BUYER = "张三丰"

_ROLES = {
    SHOP: ("端州砚坊", "merchant"),
    STALL: ("星湖小铺", "merchant"),
    PLATFORM: ("示例平台", "platform"),
    CARRIER: ("示例快递", "carrier"),
    AUTHORITY: ("示例监管局", "regulator"),
}
_SCOPES = ["parties", "products", "codes", "events", "credit", "ranking", "audit"]


@dataclass
class Trade:
    """What was made. units: codes by seller, the completed ones first; claims: tokens by code."""

    place: Deployment
    keys: dict[str, str] = field(default_factory=dict)
    units: dict[str, list[str]] = field(default_factory=dict)
    inner: dict[str, str] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)

    def begin(self) -> Trade:
        """Registers parties, the product, its lot and both listings."""
        call, admin = self.place.call, self.place.admin
        for party, (name, role) in _ROLES.items():
            body: dict[str, Any] = {"uscc": party, "name": name, "roles": [role]}
            body["region"] = "441200"
            call("POST", "/api/v1/parties", body, token=admin, expect=201)
            seen = {"status": "verified", "evidence": "营业执照（示例）"}
            path = f"/api/v1/parties/{party}"
            call("POST", f"{path}/verification", seen, token=admin, expect=201)
            made = call("POST", f"{path}/keys", {"scopes": _SCOPES}, token=admin, expect=201)
            self.keys[party] = made.json()["token"]
        product = {"gtin": GTIN, "name": "端砚文房礼盒", "category": "consumer_goods"}
        call("POST", "/api/v1/products", product, token=self.keys[SHOP], expect=201)
        lot = {"gtin": GTIN, "lot": LOT, "produced_on": "2026-10-01", "quantity": 500}
        call("POST", "/api/v1/lots", lot, token=self.keys[SHOP], expect=201)
        for seller in (SHOP, STALL):
            mandate = {"agent": PLATFORM, "types": ["sale", "listing"]}
            path = f"/api/v1/parties/{seller}/mandates"
            call("POST", path, mandate, token=self.keys[seller], expect=201)
            listing = {"platform": PLATFORM, "title": "端砚礼盒"}
            long_ago = moment(days=60)
            self.send(SHOP if seller == SHOP else STALL, [
                event(f"01/{GTIN}", "listing", listing, long_ago)
            ])  # fmt: skip
        return self

    def issue(self, seller: str, count: int, *, lot: str | None = None) -> list[str]:
        """Returns new codes of a seller, each with a hidden code inside."""
        order: dict[str, Any] = {"gtin": GTIN, "count": count, "inner": True}
        if lot is not None:
            order["lot"] = lot
        token = self.keys[seller]
        batch = self.place.call("POST", "/api/v1/codes", order, token=token, expect=202).json()
        path = f"/api/v1/batches/{batch['batch_id']}"
        wait_until(lambda: self.place.get(path, token=token)["status"] == "done", "codes issued")
        told = self.place.call("GET", f"{path}/codes.csv", token=token, expect=200).text
        rows = list(csv.DictReader(io.StringIO(told.lstrip("\ufeff"))))
        self.inner |= {row["code"]: row["inner"] for row in rows}
        self.units.setdefault(seller, []).extend(row["code"] for row in rows)
        return [row["code"] for row in rows]

    def send(self, sender: str, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the answers to a batch, all of which must be accepted."""
        path, token = "/api/v1/events/batch", self.keys[sender]
        answer = self.place.call("POST", path, {"events": list(events)}, token=token, expect=200)
        results = answer.json()["results"]
        refused = [one["problem"] for one in results if one["status"] != 201]
        assert not refused, refused[0]
        return [one["event"] for one in results]

    def sell(self, seller: str, codes: Sequence[str], *, at: datetime | None = None) -> None:
        """The platform records the sales; its answer carries the buyers' claim tokens."""
        sales = [
            event(code, "sale", {"platform": PLATFORM, "region": "440100"}, at or moment(hours=3),
                  actor=seller, sealed={"order": {"number": ORDER.format(n=n)},
                                        "buyer": {"name": BUYER, "account": f"buyer-{n}"}})
            for n, code in enumerate(codes)
        ]  # fmt: skip
        for answer in self.send(PLATFORM, sales):
            self.claims[answer["code"]] = answer["claim_token"]

    def dispatch(self, seller: str, codes: Sequence[str], *, at: datetime | None = None) -> None:
        data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
        self.send(seller, [
            event(code, "dispatch", data, at or moment(hours=2),
                  sealed={"waybill": {"number": WAYBILL.format(n=n)}})
            for n, code in enumerate(codes)
        ])  # fmt: skip

    def sign(self, codes: Sequence[str], *, at: datetime | None = None) -> None:
        data = {"kind": "in_person"}
        when = at or moment(hours=1)
        self.send(CARRIER, [event(code, "signature", data, when) for code in codes])

    def complete(self, seller: str, count: int) -> list[str]:
        """Returns the codes of whole new chains: sale, dispatch, signature."""
        codes = self.issue(seller, count, lot=LOT if seller == SHOP else None)
        self.sell(seller, codes)
        self.dispatch(seller, codes)
        self.sign(codes)
        return codes

    def moved_to(self, place: Deployment) -> Trade:
        """Returns the same trade on a copy of its deployment."""
        return Trade(place, *copy.deepcopy((self.keys, self.units, self.inner, self.claims)))

    # --- what follows --------------------------------------------------------------------------

    def credit(self, party: str) -> dict[str, Any]:
        return self.place.get(f"/api/v1/credit/{party}")

    def offer(self, seller: str) -> dict[str, Any]:
        """Returns how the seller's offer ranks, with `why` by factor."""
        candidate = {"id": seller, "gtin": GTIN, "seller": seller, "base": 1}
        told = self.place.call(
            "POST", "/api/v1/ranking", {"candidates": [candidate]},
            token=self.keys[PLATFORM], expect=200,
        ).json()["items"][0]  # fmt: skip
        return {**told, "why": {one["factor"]: one["value"] for one in told["why"]}}

    def findings(self, **query: str) -> list[dict[str, Any]]:
        token = self.keys[AUTHORITY]
        return self.place.get("/api/v1/findings", params=query, token=token)["items"]

    def page(self, code: str, *, lang: str = "en") -> str:
        """Returns the page that a phone opens."""
        return self.place.call("GET", f"/{code}", params={"lang": lang}, expect=200).text

    def verdict(self, code: str) -> str:
        return self.place.get(f"{api_path(code)}/verification")["verdict"]


def event(
    code: str,
    type: str,
    data: dict[str, Any],
    at: datetime,
    *,
    actor: str | None = None,
    sealed: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "code": code, "type": type, "occurred_at": at.isoformat(), "data": data,
        "sealed": {name: {"content": content} for name, content in (sealed or {}).items()},
    }  # fmt: skip
    return body if actor is None else {**body, "actor": actor}


def api_path(code: str) -> str:
    gtin, serial = code.removeprefix("01/").split("/21/")
    return f"/api/v1/codes/{gtin}/{serial}"


def moment(**ago: float) -> datetime:
    """Returns the time so long ago."""
    return datetime.now(UTC) - timedelta(**ago)
