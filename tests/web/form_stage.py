"""A market with every form in it: one matter in each state in which a page shows a form."""

from __future__ import annotations

from typing import Any

from app.kit.clock import parse_time, to_ms
from app.parties.accounts import NOWHERE, Place
from tests.credit.files import PDF
from tests.imports.sheets import as_csv, gtin
from tests.web.authority import neglected
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT
from tests.web.people import NEW, Browser, make_account, new_browser, new_name, signed_in
from tests.web.standing import step
from tests.web.test_account_pages import FIELDS, new_code
from tests.web.test_commitments_api import signed
from tests.web.test_licence_pages import tell
from tests.web.test_lists_api import black
from tests.web.test_parties_api import PUBLIC, proof
from tests.web.test_publications import measure
from tests.web.test_shipment_pages import case_number
from tests.web.test_shipments_api import ship
from tests.web.test_sign_in import turn_on
from tests.web.test_texts_api import bought, complain, review, sealed
from tests.web.test_undecided_api import enter

DECLARATION = "516620261000000012"
PARTIES = {
    "owner": ("owner", SHOP),
    "regulator": ("owner", AUTHORITY),
    "customs": ("owner", CUSTOMS),
    "platform": ("owner", PLATFORM),
    "operator": ("operator", None),
}


class Stage:
    """What the rows of a table of forms name: paths and ids, and browsers by who sits at them."""

    def __init__(self, market: Any) -> None:
        self.market = market
        self._old_matters()
        self._goods()
        self._words()
        self._cases()
        self._new_matters()
        self._accounts()
        self._browsers: dict[str, Browser] = {}
        self._papers()

    def browser(self, who: str) -> Browser:
        """Returns somebody's browser; for `nobody` and whoever is on the way in, a new one."""
        if who == "nobody":
            return new_browser(self.market)
        if who in ("halfway", "doubly"):
            return self._with_a_second_step()[who == "halfway"]
        if who not in self._browsers:
            role, party = PARTIES.get(who) or ("owner", getattr(self, who))
            self._browsers[who] = signed_in(self.market, role, party)
        return self._browsers[who]

    def _with_a_second_step(self) -> tuple[Browser, Browser]:
        """Two browsers of one account: signed in, and still owing the code of the second step."""
        name, password = make_account(self.market)
        first, second = new_browser(self.market), new_browser(self.market)
        first.sign_in(name, password)
        turn_on(self.market, first)
        second.sign_in(name, password)
        return first, second

    def _old_matters(self) -> None:
        """What must wait: an entry that may be repaired, a listing whose removal may be asked for."""
        market = self.market
        self.listed = market.newcomer()
        item = black(market, self.listed)
        self._wait_until(item["listed_at"])
        self._wait_until(item["removal_from"])
        self.removal = f"/desk/credit/lists/{item['id']}"
        self.repenting = market.newcomer()
        entry = enter(market, self.repenting)
        self._wait_until(entry["effective_at"])
        self._wait_until(entry["earliest_repair_at"])
        self.repair = f"/desk/credit/entries/{entry['id']}"

    def _wait_until(self, time: str) -> None:
        self.market.clock.set(parse_time(time))
        self.market.work()

    def _new_matters(self) -> None:
        """What is objected to in time: an entry and a listing, and an entry in dispute."""
        market = self.market
        self.accused = market.newcomer()
        self.objection = f"/desk/credit/entries/{enter(market, self.accused)['id']}"
        self.listing = f"/desk/credit/lists/{black(market, self.accused)['id']}"
        disputed = enter(market, self.accused)
        step(market, disputed["id"], "objection", by=self.accused)
        self.decision = f"/desk/decisions/entries/{self.accused}/{disputed['id']}"
        measure(market, self.accused)

    def _goods(self) -> None:
        market = self.market
        self.batch = market.order(3)
        market.work()
        self.unit = market.one().code
        self.sold = market.one().code
        market.sell(self.sold)
        self.dispatched = market.one().code
        market.sell(self.dispatched)
        sent = market.dispatch(self.dispatched)
        self.correction = f"/desk/records/correct?code={self.dispatched}&of={sent['id']}"
        for name in ("IMP-1", "IMP-2"):
            told = {"declaration": DECLARATION, "mode": "9610", "port": "广州南沙", "origin": "IT"}
            market.lot(name, **{"import": told})
        self.lot = f"01/{GTIN}/10/IMP-1"
        self.second_lot = f"01/{GTIN}/10/IMP-2"
        self.case = case_number(71)
        # Of a product nothing is sealed, unless in a correction.
        listed = market.send(SHOP, PRODUCT, "listing", {"platform": PLATFORM, "title": "同款"})
        told = {"of": listed["id"], "changes": {"title": "礼盒"}}
        market.send(SHOP, PRODUCT, "correction", told, sealed=sealed("写错了", "detail"))
        market.work()

    def _words(self) -> None:
        market = self.market
        self.bought = bought(market).unit.code
        reviewed = bought(market)
        review(market, reviewed)
        self.reviewed = reviewed.unit.code
        made = complain(market, bought(market))
        self.ticket, self.query = made["ticket"], made["query_code"]
        self.complaint = f"/desk/complaints/{self.ticket}"
        body = {"code": self.unit, "text": "有人卖同款", "contact": "x@example.net"}
        told = market.ask("POST", "/api/v1/reports", body, status=201)["ticket"]
        self.report = f"/desk/reports/{told}"

    def _cases(self) -> None:
        market = self.market
        neglected(market, SHOP)
        signed(market, SHOP, "seven_day_return")
        market.clock.advance(60 * 86_400)
        market.work()
        path = f"/api/v1/findings?party={SHOP}&kind=continuity&status=open"
        found = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
        self.finding = f"/desk/findings/{found[0]['id']}"
        told = signed_in(market)
        tell(told, valid_until="2031-06-30")
        told.get("/desk/imports")
        head, line = ["商品条码", "商品名称", "类别"], [gtin(71), "商品", "日用消费品"]
        answer = told.post("/desk/imports", kind="products", file=("a.csv", as_csv([head, line])))
        self.job = answer.headers["Location"]

    def _papers(self) -> None:
        """What a form's button is about: a report of an audit, a key, a hook, a domain, a recall."""
        market = self.market
        officer, owner = self.browser("regulator"), self.browser("owner")
        officer.get("/desk/audits")
        asked = [
            officer.post("/desk/audits", scope="code", about=self.unit).headers["Location"]
            for _ in range(2)
        ]
        market.work()
        self.audit_id, self.unreported = (path.rpartition("/")[2] for path in asked)
        officer.get(asked[0])
        officer.post(f"{asked[0]}/report")
        for path, fields in (
            ("/account/keys", {"label": "ERP", "scopes": ["products"]}),
            ("/account/webhooks", {"url": "https://x.example/hook", "events": ["finding.opened"]}),
        ):
            owner.get(path)
            owner.post(path, 200, **fields)
        handed = {"file": ("a.pdf", PDF)}
        told = market.call("POST", "/api/v1/documents", token=market.keys[SHOP], files=handed)
        self.document = told.json()["digest"]
        owner.get("/desk/badge")
        owner.post("/desk/badge", domain="shop.example")
        # As if the owner's token had been found there: no test asks another machine.
        found = "UPDATE badge_domain SET verified_at = ? WHERE domain = 'shop.example'"
        market.tamper(found, to_ms(market.clock.now()))
        assert ship(market, gtin=GTIN, quantity=1, waybill="TEST0000007777").status_code == 201
        other = new_browser(market)
        other.sign_in(owner.name, owner.password)
        market.send(SHOP, self.lot, "recall", {"reason": "wrong label", "level": 3})

    def _accounts(self) -> None:
        market = self.market
        invite = market.rooms.people.invitations.invite
        place = Place("staff", SHOP, ("codes",), None)
        self.join = f"/join/{invite(place, label='x', by=None, client=NOWHERE).token}"
        invite(place, label="y", by=None, client=NOWHERE)
        make_account(market, "staff", SHOP, scopes=["products"])
        market.mandate(SHOP, PLATFORM, "listing")
        key = {"public_key": PUBLIC, "proof": proof(SHOP)}
        market.ask(
            "POST", f"/api/v1/parties/{SHOP}/signing-keys", key, token=market.keys[SHOP], status=201
        )
        applicant = new_browser(market)
        applicant.get("/apply")
        who = {"uscc": new_code(), "name": FIELDS["name"], "contact": FIELDS["contact"]}
        applicant.post("/apply", **who, account=new_name(), password=NEW)
        desk = signed_in(market, "operator", None)
        desk.get("/applications")
        self.application = desk.page.split('href="/applications/')[1].split('"')[0]
