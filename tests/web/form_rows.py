"""The table of every form that posts to a page: who opens it where, what is filled in, and what is wrong.

A choice needs no value here: whatever stands last and was not chosen is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.imports.columns import columns_of
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM
from tests.web.form_stage import DECLARATION, Stage
from tests.web.market import GTIN

ODD = "<b>\"'&amp; 砚"
"""Words that a page must write as they are."""
NO_REGION = "999999"
SHORT = "x"
"""Too little for a purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A form that is refused.

    route: its path as the app knows it. page: where it stands, or how a browser comes there. bad: the
    field that is wrong, with its value. do: the button or hidden word that tells it from its
    neighbours, "" where there is none. secrets: fields that never come back.
    """

    route: str
    who: str
    page: str | Callable[[Any, Stage], Any]
    bad: Mapping[str, str]
    fields: Mapping[str, str | list[str]] = field(default_factory=dict)
    do: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    status: int = 422

    @property
    def name(self) -> str:
        asked = self.page.partition("?")[2] if isinstance(self.page, str) else ""
        return " ".join(filter(None, [self.route, asked, self.do, *self.bad]))


def looked_at(browser: Any, stage: Stage) -> Any:
    """A declaration, as customs have it before them."""
    browser.get("/desk/customs")
    return browser.post("/desk/customs", 200, do="look", number=DECLARATION, order=ODD, purpose=ODD)


def followed(browser: Any, stage: Stage) -> Any:
    """A complaint, as who made it has it before them."""
    return browser.post("/ticket", 200, ticket=stage.ticket, query=stage.query)


def chosen(browser: Any, stage: Stage) -> Any:
    """A product that was chosen to be listed."""
    browser.get("/desk/products")
    return browser.post("/desk/products/listings", 200, gtin=[GTIN])


def packed(browser: Any, stage: Stage) -> Any:
    """A case with a unit in it."""
    path = f"/desk/cases/{stage.case}"
    browser.get(path)
    unit = stage.market.one().code
    browser.post(path, code=unit, do="add")
    return browser.get(path)


def reached(browser: Any, stage: Stage) -> Any:
    """How far a recall of the owner's has come."""
    browser.get("/desk/recalls")
    return browser.post("/desk/recalls/reach", 200, code=stage.lot)


def at(name: str) -> Callable[[Any, Stage], Any]:
    """Returns how a browser comes to a page of the stage: an attribute of it, and a rest."""
    return lambda browser, stage: browser.get(name.format(s=stage))


LONG = "x" * 2_001
LICENCES = {
    f"licences_{n}_{name}": value
    for n in range(3)
    for name, value in (("number", f"SC1014412000000{n}"), ("valid_until", "2031-06-30"))
}
PROOF = {"proof": "Z7K2-secret-proof"}
MAPPED = {f"mapping_columns_{column.field}": ODD for column in columns_of("shipments")} | {
    f"mapping_defaults_{name}": ODD for name in ("platform", "carrier", "shipped_at")
}
DATES = {"since": "2026-01-02", "until": "2026-02-03"}
PART = {
    "serial_from": "S1", "serial_to": "S9", "produced_since": "2025-12-01", "produced_until": "2025-12-31",
    "sold_since": "2026-01-02", "sold_until": "2026-02-03",
}  # fmt: skip
NO_PART = dict.fromkeys(PART, "")
REACHED = {**PART, "serials": "S1\nS2", "serial_from": "", "serial_to": ""}

ROWS = (
    # --- anybody
    Row(route="/01/{gtin}/21/{serial}/{form}", do="review", who="nobody", page=at("/{s.bought}"),
        bad={"text": LONG}, secrets=PROOF),
    Row(route="/01/{gtin}/21/{serial}/{form}", do="follow_up", who="nobody", page=at("/{s.reviewed}"),
        bad={"text": LONG}, secrets=PROOF),
    Row(route="/01/{gtin}/21/{serial}/{form}", do="complaint", who="nobody", page=at("/{s.bought}"),
        fields={"text": ODD}, bad={"contact": "x" * 101}, secrets=PROOF),
    Row(route="/01/{gtin}/21/{serial}/{form}", do="complaint", who="nobody", page=at("/{s.bought}"),
        fields={"text": ODD, "contact": ODD}, bad={"proof": "Z7K2-secret-proof"}, secrets=PROOF,
        status=403),
    Row(route="/reports", who="nobody", page=at("/{s.unit}"),
        fields={"text": ODD}, bad={"contact": "x" * 101}),
    Row(route="/ticket", who="nobody", page="/ticket", bad={"ticket": "C-NONE"}, secrets={"query": ""},
        status=403),
    Row(route="/ticket", who="nobody", page="/ticket", fields={"ticket": "C-NONE"},
        bad={"query": "Z7K2-secret"}, secrets={"query": "Z7K2-secret"}, status=403),
    Row(route="/ticket", do="message", who="nobody", page=followed, bad={"text": LONG}),
    Row(route="/privacy", who="nobody", page="/privacy",
        bad={"code": "01/nothing"}, secrets=PROOF),
    Row(route="/privacy", who="nobody", page="/privacy",
        fields={"code": "{s.unit}"}, bad={"proof": "Z7K2-secret-proof"}, secrets=PROOF,
        status=403),
    Row(route="/privacy", do="report", who="nobody", page="/privacy", fields={"query": ""},
        bad={"ticket": "R-NONE"}, status=403),
    Row(route="/apply", who="nobody", page="/apply", secrets={"password": "Z7K2 secret words"},
        fields={"uscc": "91441200MA4TE5T00R", "name": ODD, "contact": ODD, "account": "somebody7",
                **LICENCES},
        bad={"region": NO_REGION}),
    Row(route="/sign-in", who="nobody", page="/sign-in", fields={"name": "nobody.here"},
        bad={"password": ""}, secrets={"password": ""}),
    Row(route="/sign-in/code", who="halfway", page="/sign-in/code", bad={"second_code": "000000"},
        secrets={"second_code": "000000"}),
    Row(route="/join/{token}", who="nobody", page=at("{s.join}"), bad={"name": "Ab cd"},
        secrets={"password": "Z7K2 secret words"}),
    # --- one's account
    Row(route="/confirm", who="owner", page="/confirm", bad={"password": "Z7K2 secret words"},
        secrets={"password": "Z7K2 secret words"}, status=401),
    Row(route="/account/password", who="owner", page="/account/password",
        bad={"password": "Z7K2"}, secrets={"old_password": "Z7K2 secret words", "password": "Z7K2"}),
    Row(route="/account/second", who="owner", page="/account/second", bad={"second_code": "000000"},
        secrets={"second_code": "000000"}),
    Row(route="/account/people", who="regulator", page="/account/people",
        fields={"label": ODD}, bad={"region": NO_REGION}),
    Row(route="/account/people", who="operator", page=f"/account/people?party={AUTHORITY}",
        fields={"label": ODD}, bad={"region": NO_REGION}),
    Row(route="/account/people/change", do="move", who="owner", page="/account/people",
        fields={"role": "staff"}, bad={"scopes": ""}),
    Row(route="/account/keys", who="owner", page="/account/keys", bad={"label": "x" * 65}),
    Row(route="/account/webhooks", who="owner", page="/account/webhooks", bad={"url": "ftp://x"}),
    # --- the operator
    Row(route="/applications/{application}", do="accept", who="operator",
        page=at("/applications/{s.application}"), bad={"evidence": ""}),
    Row(route="/applications/{application}", do="refuse", who="operator",
        page=at("/applications/{s.application}"), bad={"reason": ""}),
    Row(route="/desk/licence-checks", do="verify", who="operator", page="/desk/licence-checks",
        bad={"evidence": ""}),
    # --- authorities
    Row(route="/desk/search", who="regulator", page="/desk/search",
        fields={"q": ODD, **DATES, "purpose": ODD}, bad={"region": NO_REGION}),
    Row(route="/desk/search", who="regulator", page="/desk/search",
        fields={"q": "TEST0000099997", "region": "441200", **DATES}, bad={"purpose": ""}),
    Row(route="/desk/chains/01/{gtin}", who="regulator", page=f"/desk/chains/01/{GTIN}",
        bad={"purpose": SHORT}),
    Row(route="/desk/chains/01/{gtin}/10/{lot}", who="regulator", page=at("/desk/chains/{s.lot}"),
        bad={"purpose": SHORT}),
    Row(route="/desk/chains/01/{gtin}/21/{serial}", who="regulator", page=at("/desk/chains/{s.dispatched}"),
        bad={"purpose": SHORT}),
    Row(route="/desk/publications", who="regulator", page="/desk/publications",
        fields={"url": "https://example.gov.cn/7"}, bad={"on": "2001-01-01"}),
    Row(route="/desk/publications", who="regulator", page="/desk/publications",
        fields={"on": "2026-11-02"}, bad={"url": "nowhere"}),
    Row(route="/desk/reports/{ticket}", do="open", who="regulator", page=at("{s.report}"),
        bad={"purpose": SHORT}),
    Row(route="/desk/reports/{ticket}", do="close", who="regulator", page=at("{s.report}"),
        bad={"reason": ""}),
    Row(route="/desk/decisions/{kind}/{party}/{case}", do="dismissed", who="regulator",
        page=at("{s.decision}"), bad={"reason": LONG}),
    Row(route="/desk/findings/{finding}", do="assign", who="regulator", page=at("{s.finding}"),
        bad={"assignee": "nobody-here"}),
    Row(route="/desk/findings/{finding}", do="note", who="regulator", page=at("{s.finding}"),
        bad={"text": LONG}),
    Row(route="/desk/findings/{finding}", do="attribute", who="regulator", page=at("{s.finding}"),
        fields={"reason": ODD}, bad={"party": "nobody"}),
    Row(route="/desk/findings/{finding}", do="attribute", who="regulator", page=at("{s.finding}"),
        fields={"party": CARRIER}, bad={"reason": "x" * 501}),
    Row(route="/desk/findings/{finding}", do="dismiss", who="regulator", page=at("{s.finding}"),
        bad={"reason": "x" * 501}),
    Row(route="/desk/findings/{finding}", do="measure", who="regulator", page=at("{s.finding}"),
        bad={"basis": "x" * 501}),
    Row(route="/desk/texts", do="hide", who="regulator", page=at("/desk/texts?code={s.reviewed}"),
        bad={"reason": "nothing"}),
    Row(route="/desk/parties/{party}/measure", who="regulator", page=at("/desk/parties/{s.accused}/measure"),
        fields={"until": "2099-01-01T10:00"}, bad={"basis": ""}),
    Row(route="/desk/parties/{party}/lift", who="regulator", page=at("/desk/parties/{s.accused}/lift"),
        bad={"basis": ""}),
    Row(route="/desk/parties/{party}/entry", who="regulator", page=at("/desk/parties/{s.accused}/entry"),
        fields={"title": ODD, "number": "2026-1", "issuer": ODD, "occurred_on": "2026-11-02"},
        bad={"url": "http://x.example/1"}),
    Row(route="/desk/parties/{party}/lists/{name}", who="regulator",
        page=at("/desk/parties/{s.accused}/lists/black"),
        fields={"number": "2026-1", "issuer": ODD, "url": "https://x.example/1"}, bad={"title": ""}),
    Row(route="/account/mandates", who="owner", page="/account/mandates",
        fields={"until": "2099-01-01T10:00"}, bad={"agent": "nobody"}),
    Row(route="/account/keys/signing", who="owner", page="/account/keys", fields={"proof": "x"},
        bad={"public_key": "x"}),
    Row(route="/desk/order-counts", who="platform", page="/desk/order-counts",
        fields={"seller": ODD, "gtin": GTIN, "orders": "3"}, bad={"period": "x"}),
    Row(route="/desk/customs", do="look", who="customs", page="/desk/customs", bad={"number": "51"},
        fields={"order": ODD, "payment": ODD, "waybill": ODD, "purpose": ODD}),
    Row(route="/desk/customs", do="look", who="customs", page="/desk/customs", bad={"purpose": SHORT},
        fields={"number": DECLARATION, "order": ODD, "payment": ODD, "waybill": ODD}),
    Row(route="/desk/customs", do="hold", who="customs", page=looked_at, bad={"reason": ""},
        fields={"port": ODD, "certificate": ODD}),
    Row(route="/desk/customs", do="release", who="customs", page=looked_at, bad={"port": ""},
        fields={"reason": ODD, "certificate": ODD}),
    Row(route="/desk/audits", who="regulator", page="/desk/audits", bad={"about": "nothing"}),
    Row(route="/desk/evidence", who="regulator", page="/desk/evidence", bad={"purpose": SHORT},
        fields={"goods": f"01/{GTIN}"}),
    Row(route="/desk/recalls/reach", who="regulator", page="/desk/recalls", bad={"purpose": SHORT},
        fields={"code": f"01/{GTIN}", **REACHED}),
    Row(route="/desk/recalls/new", who="regulator", page="/desk/recalls/new", bad={"reason": ""},
        fields={"codes": f"01/{GTIN}\n01/{GTIN}/10/IMP-1", "basis": ODD, "code": "", **NO_PART}),
    Row(route="/desk/recalls/new", who="owner", page="/desk/recalls/new", bad={"codes": "nothing"},
        fields={"reason": ODD, "code": "", **NO_PART}),
    Row(route="/desk/recalls/new", who="owner", page="/desk/recalls/new", bad={"code": "nothing"},
        fields={"reason": ODD, "codes": "", **PART}),
    # --- sellers
    Row(route="/desk/licences", who="owner", page="/desk/licences", bad={"number": "JY1"},
        fields={"kind": "food_business", "valid_from": "2026-01-02", "valid_until": "2031-02-03",
                "url": "https://x.example/1"}),
    Row(route="/desk/products/new", who="owner", page="/desk/products/new", bad={"gtin": "6901234567890"},
        fields={"category": "food"}
        | dict.fromkeys(("name", "brand", "spec", "origin", "standard", "licence"), ODD)),
    Row(route="/desk/products/{gtin}/lots", who="owner", page=f"/desk/products/{GTIN}",
        fields={"lot": "L-9", "produced_on": "2026-01-02", "expires_on": "2027-01-02"},
        bad={"quantity": "many"}),
    Row(route="/desk/products/{gtin}/codes", who="owner", page=f"/desk/products/{GTIN}",
        fields={"of_lot": "IMP-1"}, bad={"count": "0"}),
    Row(route="/desk/products/listings", do="list", who="owner", page=chosen, bad={"url": "shop.example"},
        fields={"platform": "集市丁", "title": ODD}),
    Row(route="/desk/batches/{batch_id}/print", do="print", who="owner", page=at("/desk/batches/{s.batch}"),
        fields={"output": "pdf", "start": "2", "count": "1", "reason": ODD}, bad={"offset": "many"}),
    Row(route="/desk/batches/{batch_id}/print", do="look", who="owner", page=at("/desk/batches/{s.batch}"),
        fields={"count": "1", "offset": "3", "reason": ODD}, bad={"start": "99"}),
    Row(route="/desk/shipments/labels", who="owner", page="/desk/shipments", bad={"layout": "a0"}),
    Row(route="/desk/entry", who="owner", page="/desk/entry?type=sale",
        fields={"code": f"01/{GTIN}/21/NOBODY", "platform": PLATFORM, "order": ODD, "consignment": "K-1",
                "occurred_at": "2026-11-02T10:00"}, bad={"region": NO_REGION}),
    Row(route="/desk/entry", who="owner", page="/desk/entry?type=dispatch",
        fields={"carrier": ODD, "from": "441200", "to": "440100", "consignment": "K-1", "code": "01/nothing",
                "occurred_at": "2026-11-02T10:00"}, bad={"waybill": "?"}),
    Row(route="/desk/entry", who="owner", page="/desk/entry?type=listing", bad={"code": ""},
        fields={"platform": PLATFORM, "url": "https://x.example/1", "title": ODD, "consignment": "K-1",
                "occurred_at": "2026-11-02T10:00"}),
    Row(route="/desk/entry", who="owner", page="/desk/entry?type=notice", bad={"code": ""},
        fields={"text": ODD, "consignment": "K-1", "occurred_at": "2026-11-02T10:00"}),
    Row(route="/desk/records/correct", who="owner", page=at("{s.correction}"),
        fields={"carrier": ODD, "waybill": "TEST0000009999", "from": "441200"}, bad={"to": NO_REGION}),
    Row(route="/desk/ratings", who="owner", page="/desk/ratings", bad={"text": "x" * 501}),
    Row(route="/desk/ratings", who="owner", page="/desk/ratings", fields={"text": ODD}, bad={"rating": "6"}),
    Row(route="/desk/dispatch", who="owner", page="/desk/dispatch", bad={"waybill": "?"},
        fields={"carrier": ODD, "code": f"01/{GTIN}/21/NOBODY", "order": ODD, "to": "440100"}),
    Row(route="/desk/cases", who="owner", page="/desk/cases", bad={"company_prefix": "12"}),
    Row(route="/desk/cases/{sscc}", do="add", who="owner", page=at("/desk/cases/{s.case}"),
        bad={"code": "hello"}),
    Row(route="/desk/cases/{sscc}", do="sale", who="owner", page=packed, fields={"order": ODD},
        bad={"region": NO_REGION}),
    Row(route="/desk/credit/entries/{entry}", do="object", who="accused", page=at("{s.objection}"),
        fields={"number": ODD}, bad={"text": ""}),
    Row(route="/desk/credit/entries/{entry}", do="repair", who="repenting", page=at("{s.repair}"),
        fields={"repair_text": ODD}, bad={"repair_number": "x" * 151}),
    Row(route="/desk/credit/lists/{listing}", do="object", who="accused", page=at("{s.listing}"),
        fields={"number": ODD}, bad={"text": ""}),
    Row(route="/desk/credit/lists/{listing}", do="removal", who="listed", page=at("{s.removal}"),
        fields={"removal_number": ODD}, bad={"removal_text": ""}),
    Row(route="/desk/reviews", who="owner", page="/desk/reviews?unanswered=1", bad={"text": "x" * 501}),
    Row(route="/desk/complaints/{ticket}", do="open", who="owner", page=at("{s.complaint}"),
        bad={"purpose": SHORT}),
    Row(route="/desk/complaints/{ticket}", do="message", who="owner", page=at("{s.complaint}"),
        bad={"message": LONG}),
    Row(route="/desk/complaints/{ticket}", do="refused", who="owner", page=at("{s.complaint}"),
        bad={"text": "x" * 501}),
    Row(route="/desk/complaints/{ticket}", do="regulator", who="owner", page=at("{s.complaint}"),
        bad={"why": LONG}),
    Row(route="/desk/imports", who="owner", page="/desk/imports", bad={"kind": "nothing"}),
    Row(route="/desk/imports/mapping", who="owner", page="/desk/imports/mapping?kind=shipments",
        bad={"goods": "no sign"}, fields={"name": "甲", "carriers": "顺丰 = x", **MAPPED}),
    Row(route="/desk/badge", who="owner", page="/desk/badge", bad={"domain": "no domain"}),
)  # fmt: skip

BUTTONS: Mapping[str, tuple[str, str | Callable[[Any, Stage], Any]]] = {
    "/scan": ("nobody", "/scan"),
    "/audit-reports/{report_id}": ("regulator", at("/audit-reports/{s.audit_id}")),
    "/sign-out": ("owner", "/account"),
    "/account/sessions": ("owner", "/account"),
    "/account/second/off": ("doubly", "/account/second"),
    "/account/people/uninvite": ("owner", "/account/people"),
    "/account/keys/revoke": ("owner", "/account/keys"),
    "/account/keys/signing/revoke": ("owner", "/account/keys"),
    "/account/mandates/end": ("owner", "/account/mandates"),
    "/account/push": ("owner", "/account/push"),
    "/account/webhooks/act": ("owner", "/account/webhooks"),
    "/desk/licences/end": ("owner", "/desk/licences"),
    "/desk/recalls/reach.csv": ("owner", reached),
    "/desk/credit/commitments": ("owner", "/desk/credit/commitments"),
    "/desk/badge/act": ("owner", "/desk/badge"),
    "/desk/audits/{job_id}/report": ("regulator", at("/desk/audits/{s.unreported}")),
    "/desk/imports/{job_id}": ("owner", at("{s.job}")),
}
"""Forms in which nobody types anything: route -> who opens which page. A file is chosen anew each time."""

FROM_ELSEWHERE = frozenset({"/01/{gtin}/21/{serial}"})
"""What a shop's own page sends here."""
