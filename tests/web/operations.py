"""What a line of the table of bad input says, and the world that its requests are about.

The table is in operations_goods.py and operations_events.py, one line an operation of /openapi.json;
tests/web/test_bad_input.py reads it. What every operation must refuse alike is not written there; the
test derives it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.credit.templates import templates
from app.ledger.note import NoteSigner
from tests.credit.files import PDF
from tests.exchange.changes import made
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import GTIN, RIVAL, Market
from tests.web.people import make_account

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PARTNER = NoteSigner("partner.example/credit", bytes(32))
PUBLIC = b64encode(SIGNER.public_key().public_bytes_raw()).decode()
ID = "0192f3a0-0000-7000-8000-00000000beef"
BAD_GTIN, UNKNOWN_GTIN = "06901234567893", "06923450656174"
BAD_USCC, UNKNOWN_USCC = "91441200MA4TE5T00R", "91441200MA4W000020"
P = "/api/v1/parties"

UNKNOWN = (404, "code-unknown")
ABSENT = (404, "not-found")
FORBIDDEN = (403, "forbidden")
INVALID = (422, "invalid")
PROOF = (403, "proof-invalid")
CONFLICT = (409, "id-conflict")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A bad request: what differs from the good one, and the problem it must meet.

    raw: media type and bytes of a body that is no JSON.
    by: whose key; "nobody": none. kind: of the one field that is wrong. looks: whether it is a look at
    sealed data all the same, which is written down, and nothing else.
    """

    name: str
    answer: tuple[int, str]
    path: str | None = None
    query: str | None = None
    body: Callable[[World], Any] | Any = None
    raw: tuple[str, bytes] | None = None
    by: str | None = None
    headers: Callable[[World], dict[str, str]] | dict[str, str] = field(default_factory=dict)
    kind: str | None = None
    looks: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """path, query: format strings over the world's names. body: of a request that would be taken.

    raw: media type and bytes of one that is no JSON. headers: of such a request, where it needs its own.
    by: whose key sends it; None: public. scope: what that key needs. signs: whether the request is
    signed, as a credit store does. waits: whether it is refused (lifecycle-conflict) for the one reason
    that time must pass first.
    """

    path: str
    query: str = ""
    body: Callable[[World], dict[str, Any]] | None = None
    raw: Callable[[World], tuple[str, bytes]] | None = None
    headers: Callable[[World], dict[str, str]] = lambda _: {}
    by: str | None = None
    scope: str | None = None
    signs: bool = False
    waits: bool = False
    bad: tuple[Bad, ...] = ()


class World:
    """What is there before the bad requests come: `names` fill paths, bodies ask for the rest."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.lot("A/1")
        market.lot("THEIRS", token=market.keys[RIVAL])
        told = {"declaration": "516620261000000012", "mode": "9610", "port": "广州", "origin": "IT"}
        market.lot("DECLARED", **{"import": told})
        self.unit, self.other, self.fresh = market.issue(3, lot="A/1", inner=True)
        (self.theirs,) = market.issue(by=RIVAL)
        (self.plain,) = market.issue()
        (self.loose,) = market.issue()  # nothing but a case is asked to hold it
        sealed = {"order": {"content": {"number": "A-1"}}}
        self.sale = market.sell_by_platform(self.unit.code, hours=-200, sealed=sealed, id=ID)
        self.token = self.sale["claim_token"]
        self.other_token = market.sell_by_platform(self.other.code, hours=-200)["claim_token"]
        market.clock.advance(25 * 3600)  # what follows a step told late is owed a day later
        market.work()
        shop = market.keys[SHOP]
        item = market.ask(
            "POST", "/api/v1/products", {"name": "散装", "category": "other"},
            token=market.keys[RIVAL], status=201,
        )["gtin"]  # fmt: skip
        owned = {"gtin": "6900000000014", "name": "竹篮", "category": "other"}
        market.ask("POST", "/api/v1/products", owned, token=shop, status=201)
        market.ask(
            "POST", "/api/v1/products/06900000000014/owner", {"party": SHOP, "evidence": "x"},
            token=market.admin,
        )  # fmt: skip
        audit = market.ask("POST", "/api/v1/audits", {"scope": "all"}, token=market.keys[AUTHORITY],
                           status=202)  # fmt: skip
        market.work()
        found = market.ask("GET", "/api/v1/findings", token=shop)["items"]
        proof = SIGNER.sign(f"suxin-key/1\n{SHOP}\n{PUBLIC}".encode())
        key = market.ask(
            "POST", f"{P}/{SHOP}/signing-keys",
            {"public_key": PUBLIC, "proof": b64encode(proof).decode()}, token=shop, status=201,
        )["key_id"]  # fmt: skip
        ended = market.mandate(RIVAL, PLATFORM, "sale", until=market.at(1))
        market.clock.advance(3601)
        pending = "91440300MA4TE5T051"
        market.register(pending, "merchant", "carrier")
        market.keys["pending"] = market.key_of(pending)
        market.keys["revoked"] = market.key_of(SHOP)
        market.ask("DELETE", f"{P}/{SHOP}/keys/{market.keys['revoked'].split('_')[1]}",
                   token=market.admin, status=204)  # fmt: skip
        self.item, self.pending, self.signing_key = item, pending, key
        self.batch = market.order(1, id="batch-of-the-shop")
        self.shipment = "0192f3a0-0000-7000-8000-00000000cafe"
        shipped = {**parcel(self), "id": self.shipment, "codes": [self.plain.code]}
        market.ask("POST", "/api/v1/shipments", shipped, token=shop, status=201)
        market.work()
        market.map_heads()
        market.rooms.receiver.let_in("partner", str(PARTNER.vkey))
        market.rooms.receiver.take("partner", [made()])
        fact = {"rule": "complaint_upheld", "evidence": {"title": "投诉处理决定", "number": "7"}}
        entry = market.ask(
            "POST", f"/api/v1/credit/{SHOP}/entries", fact, token=market.keys[AUTHORITY], status=201
        )
        slow = market.ask("POST", f"/api/v1/credit/{SHOP}/entries",
                          {**fact, "rule": "complaint_reply_slow"},
                          token=market.keys[AUTHORITY], status=201)  # fmt: skip
        market.rooms.samples.every = 1
        asked = {"candidates": [{"id": "a", "gtin": GTIN, "seller": SHOP, "base": 1}]}
        ranked = market.ask("POST", "/api/v1/ranking", asked, token=market.keys[PLATFORM])
        market.rooms.samples.every = 256
        self.names = {
            "licence": self._licence("2026-0001"),
            "given_up": self._licence("2026-0002"),
            "receipt": ranked["receipt"].rsplit("/", 1)[1],
            "shop": SHOP,
            "gtin": GTIN,
            "serial": self.unit.serial,
            "plain": self.plain.serial,
            "batch": self.batch,
            "finding": found[0]["id"],
            "entry": entry["id"],
            "repairable": slow["id"],
            "colleague": make_account(market, "owner", AUTHORITY)[0],
            "no_fault": found[1]["id"],
            "audit": audit["id"],
            "key_id": shop.split("_")[1],
            "signing_key": key,
            "mandate": ended,
            "item": item,
        }

        self._promise()
        self._prove(market.keys[AUTHORITY])

    def _licence(self, number: str) -> str:
        """Returns the id of a licence that the shop told and that was found true."""
        market, path = self.market, f"{P}/{SHOP}/licences"
        told = market.ask(
            "POST", path, {"kind": "other", "number": number}, token=market.keys[SHOP], status=201
        )
        seen = {"status": "verified", "evidence": "seen", "told": told["told"]}
        place = f"{path}/{told['id']}/verification"
        market.ask("POST", place, seen, token=market.keys[AUTHORITY], status=201)
        return str(told["id"])

    def _prove(self, by: str) -> None:
        """Makes the audit's report, leaves another audit waiting, and names a domain."""
        market = self.market
        market.ask("POST", f"/api/v1/audits/{self.names['audit']}/report", token=by, status=201)
        asked = {"scope": {"gtin": GTIN}}
        waiting = market.ask("POST", "/api/v1/audits", asked, token=by, status=202)
        self.names["waiting"] = waiting["id"]
        told = {"text": "the seal was broken"}
        self.names["report"] = market.ask("POST", "/api/v1/reports", told, status=201)["ticket"]
        domain = {"domain": "shop.example"}
        market.ask("POST", "/api/v1/badge-domains", domain, token=market.keys[SHOP], status=201)

    def _promise(self) -> None:
        """Signs, lists and registers what paths name; one message waits for its webhook."""
        market, shop = self.market, self.market.keys[SHOP]
        for name, template in (("commitment", "sound_goods"), ("promise", "true_information")):
            made = market.ask(
                "POST", f"{P}/{SHOP}/commitments", signed(template), token=shop, status=201
            )
            self.names[name] = made["id"]
        by, hooks = market.keys[AUTHORITY], "/api/v1/webhooks"
        made = market.ask("POST", "/api/v1/lists/black", listing(SHOP), token=by, status=201)
        self.names["listing"] = made["id"]
        made = market.ask("POST", hooks, HOOK, token=shop, status=201)
        self.names["webhook"] = made["id"]
        other = {**HOOK, "events": ["complaint.opened"]}
        market.ask("POST", hooks, other, token=shop, status=201)
        claim = {"Suxin-Claim": self.token}
        told = market.send(
            None, self.unit.code, "complaint", {"category": "quality"}, headers=claim
        )
        self.names |= {name: told[name] for name in ("ticket", "query_code")}
        said = {"headers": {"Suxin-Claim": self.other_token},
                "sealed": {"text": {"content": {"text": "还行"}}}}  # fmt: skip
        for type_ in ("review", "follow_up"):
            sent = market.send(None, self.other.code, type_, {"rating": 3}, **said)
            self.names[type_] = sent["id"]
        while market.rooms.deadlines.drain():
            pass
        found = market.ask("GET", f"{hooks}/deliveries", token=shop)["items"]
        self.names["delivery"] = found[0]["id"]
        file = ("a.csv", "名称,类别\n竹凳,其他\n".encode("gbk"))
        made = market.call("POST", "/api/v1/products/import", token=shop, files={"file": file})
        self.names["import_id"] = made.json()["id"]
        file = ("a.pdf", PDF)
        made = market.call("POST", "/api/v1/documents", token=shop, files={"file": file})
        self.names["digest"] = made.json()["digest"]
        self.packed = market.one().code
        market.ask("POST", f"/api/v1/cases/{CASE}/pack", {"codes": [self.packed]}, token=shop,
                   status=201)  # fmt: skip

    def at(self, hours: float) -> str:
        return self.market.at(hours)


CASE = "306912345000000018"
HOOK = {"url": "https://shop.example/suxin", "events": ["recall"]}


def signed(template: str, **more: Any) -> dict[str, Any]:
    return {"template": template, "text_digest": templates()[template].digest, **more}


def listing(party: str, **more: Any) -> dict[str, Any]:
    evidence = {"title": "决定书", "number": "7"}
    return {"party": party, "criterion": "decision_evaded", "evidence": evidence, **more}


def parcel(world: World) -> dict[str, Any]:
    """A shipment but for its units."""
    return {
        "order": "B-2", "ordered_at": world.at(-30), "carrier": CARRIER,
        "waybill": "TEST0000000002", "shipped_at": world.at(-2), "to": "440300",
    }  # fmt: skip


PAGES = (
    Bad(name="limit 0", query="limit=0", answer=INVALID, kind="range"),
    Bad(name="limit 501", query="limit=501", answer=INVALID, kind="range"),
    Bad(name="limit x", query="limit=x", answer=INVALID, kind="type"),
    Bad(name="cursor", query="cursor=nonsense", answer=INVALID, kind="cursor"),
)
