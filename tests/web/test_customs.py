"""Customs: what a declaration is about, whether its three documents agree, release and hold on record."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import pytest

from app.i18n import text
from tests.web.authority import open_two_provinces
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import CUSTOMS, GTIN
from tests.web.people import signed_in
from tests.web.shown_forms import Shown

LOOK, DECIDE = "/api/v1/customs/declarations", "/api/v1/customs/decisions"
WHY = "inspection 2026-9"
NUMBER, OTHER = "516620261000000012", "516620261000000020"
LOT, OTHERS = f"01/{GTIN}/10/IMP-1", f"01/{GTIN}/10/IMP-2"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("customs")) as running:
        for lot, number in (("IMP-1", NUMBER), ("IMP-2", OTHER)):
            told = {"declaration": number, "mode": "9610", "port": "广州南沙", "origin": "IT"}
            body = {"gtin": GTIN, "lot": lot, "import": told}
            running.ask("POST", "/api/v1/lots", body, token=running.keys[SHOP], status=201)
        running.unit = parcel(running, "IMP-1", "A-1", "PAY-1", "CUST00000001")
        running.second = parcel(running, "IMP-1", "A-2", "PAY-2", "CUST00000002")
        running.foreign = parcel(running, "IMP-2", "A-3", "PAY-3", "CUST00000003")
        running.work()
        yield running


def parcel(market, lot, order, payment, waybill):
    (unit,) = market.issue(lot=lot)
    market.clock.advance(1)
    sealed = {"order": {"content": {"number": order}}, "payment": {"content": {"number": payment}}}
    market.send(SHOP, unit.code, "sale", {}, hours=-1, sealed=sealed)
    sent = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    sealed = {"waybill": {"content": {"number": waybill}}}
    market.send(SHOP, unit.code, "dispatch", sent, hours=-0.9, sealed=sealed)
    return unit


def look(market, number=NUMBER, *, by=CUSTOMS, status=200, **documents):
    body = {"number": number, "purpose": WHY, **documents}
    return market.ask("POST", LOOK, body, token=market.keys[by], status=status)


def standings(told) -> list[str]:
    return [one["standing"] for one in told["documents"]]


def decide(market, decision, *, by=CUSTOMS, status=201, **more):
    body = {"number": NUMBER, "code": LOT, "decision": decision, "port": "广州南沙", "purpose": WHY}
    body |= more
    return market.ask("POST", DECIDE, body, token=market.keys[by], status=status)


def test_a_declaration_names_its_goods_and_what_its_digits_say(market):
    told = look(market)
    assert (told["district"], told["year"], told["is_import"]) == ("5166", 2026, True)
    assert [one["code"] for one in told["goods"]] == [LOT]
    assert told["goods"][0]["facts"]["mode"] == "9610"
    assert told["outcome"] is None


def test_three_documents_of_the_same_goods_agree(market):
    told = look(market, order="A-1", payment="PAY-1", waybill="cust00000001")
    assert standings(told) == ["agrees"] * 3
    assert told["outcome"] == "agree"
    assert {tuple(one["told_of"]) for one in told["documents"]} == {(market.unit.code,)}


@pytest.mark.parametrize("odd", range(3))
@pytest.mark.parametrize("of", ["another unit of the lot", "another declaration"])
def test_the_one_of_three_that_is_told_of_other_goods_differs_alone(market, odd, of):
    n, unit = {
        "another unit of the lot": (2, market.second),
        "another declaration": (3, market.foreign),
    }[of]
    numbers = {"order": "A-1", "payment": "PAY-1", "waybill": "CUST00000001"}
    name = list(numbers)[odd]
    told = look(market, **numbers | {name: numbers[name][:-1] + str(n)})
    assert [one == "differs" for one in standings(told)] == [n == odd for n in range(3)]
    assert set(standings(told)) == {"agrees", "differs"}
    assert told["outcome"] == "differ"
    assert told["documents"][odd]["told_of"] == [unit.code]


def test_numbers_of_two_units_contradict_each_other_and_neither_is_the_right_one(market):
    told = look(market, order="A-1", waybill="CUST00000002")
    assert standings(told) == ["differs", "not_given", "differs"]
    told = look(market, order="A-1", payment="PAY-2", waybill="CUST00000003")
    assert standings(told) == ["differs"] * 3
    # Two that agree about goods of another declaration do not outweigh the one of this declaration.
    told = look(market, order="A-1", payment="PAY-3", waybill="CUST00000003")
    assert standings(told) == ["agrees", "differs", "differs"]


def test_an_order_of_two_units_fits_the_parcel_of_one_of_them(market):
    both = market.issue(2, lot="IMP-1")
    for n, unit in enumerate(both):
        market.clock.advance(1)
        sealed = {"order": {"content": {"number": "A-9"}},
                  "payment": {"content": {"number": f"PAY-9{n}"}}}  # fmt: skip
        market.send(SHOP, unit.code, "sale", {}, hours=-1, sealed=sealed)
    assert standings(look(market, order="A-9", payment="PAY-91")) == [
        "agrees",
        "agrees",
        "not_given",
    ]
    # One unit has two of them, the other has the other two: what both have in common is not in doubt.
    sent = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    sealed = {"waybill": {"content": {"number": "CUST00000009"}}}
    market.send(SHOP, both[0].code, "dispatch", sent, hours=-0.9, sealed=sealed)
    told = look(market, order="A-9", payment="PAY-91", waybill="CUST00000009")
    assert standings(told) == ["agrees", "differs", "differs"]
    assert told["outcome"] == "differ"


def test_three_that_agree_about_goods_of_another_declaration_differ(market):
    told = look(market, order="A-3", payment="PAY-3", waybill="CUST00000003")
    assert told["outcome"] == "differ"
    told = look(market, OTHER, order="A-3", payment="PAY-3", waybill="CUST00000003")
    assert told["outcome"] == "agree"


def test_what_nobody_committed_to_is_absent(market):
    told = look(market, order="A-1", payment="PAY-1", waybill="CUST99999999")
    assert standings(told) == ["agrees", "agrees", "absent"]
    assert told["outcome"] == "absent"
    told = look(market, order="A-1")
    assert standings(told) == ["agrees", "not_given", "not_given"]
    assert told["outcome"] == "absent"
    told = look(market, order="A-1", payment="PAY-2", waybill="CUST99999999")
    assert standings(told) == ["differs", "differs", "absent"]
    told = look(market, order="A-1", payment="NOBODYS", waybill="CUST00000003")
    assert standings(told) == ["agrees", "absent", "differs"]
    assert told["outcome"] == "differ"


def test_hold_and_release_are_records_and_the_later_one_holds(market):
    documents = {"order": "A-1", "payment": "PAY-1", "waybill": "CUST00000001"}
    held = decide(market, "hold", reason="单证待核", **documents)
    assert held["type"] == "customs_hold"
    assert look(market)["goods"][0]["decision"] == "hold"
    released = decide(market, "release", certificate="CIQ-7", **documents)
    records = {
        one["record"]["type"]: one["record"]
        for one in market.ask("GET", f"/api/v1/lots/{GTIN}/IMP-1/events")["items"]
    }
    assert records["customs_hold"]["data"] == {"documents": "agree", "port": "广州南沙"}
    assert sorted(records["customs_hold"]["sealed"]) == ["declaration", "reason"]
    assert records["customs_release"]["data"] == {
        "certificate": "CIQ-7", "documents": "agree", "port": "广州南沙",
    }  # fmt: skip
    assert (records["customs_release"]["source"], released["code"]) == ("customs", LOT)
    told = look(market)["goods"][0]
    assert (told["decision"], told["decided_by"]) == ("release", CUSTOMS)
    unit = market.ask("GET", f"{market.unit.path}/verification")
    assert unit["verdict"] != "broken"
    stored = market.stored_bytes()
    for number in (NUMBER, "PAY-1", "CUST00000001", "单证待核"):
        assert number.encode() not in stored


def test_a_repeat_is_the_same_record(market):
    record = "0192f3a0-0000-7000-8000-0000000000cd"
    first = decide(market, "release", id=record)
    assert decide(market, "release", id=record, status=200)["hash"] == first["hash"]


def test_what_cannot_be_is_refused(market):
    look(market, "123", status=422)
    look(market, "516620261000000099", status=404)
    decide(market, "hold", status=422)
    decide(market, "release", code=OTHERS, status=404)
    decide(market, "release", port="", status=422)
    for by in (AUTHORITY, SHOP):
        look(market, by=by, status=403)
        decide(market, "release", by=by, status=403)


@pytest.fixture
def logged(market):
    """The looks that came since, the newest first."""

    def all_of_them():
        path = "/api/v1/access-log?limit=500"
        return market.ask("GET", path, token=market.keys[CUSTOMS])["items"]

    before = len(all_of_them())

    def since():
        items = all_of_them()
        return items[: len(items) - before]

    return since


def test_every_look_by_a_number_is_logged_with_its_purpose_and_without_the_number(market, logged):
    look(market, order="A-1", payment="PAY-1", waybill="CUST00000001")
    assert {(one["section"], one["purpose"]) for one in logged()} == {
        (name, WHY) for name in ("declaration", "order", "payment", "waybill")
    }
    before = len(logged())
    decide(market, "release", order="A-1", purpose="release 2026-10")
    new = logged()[: len(logged()) - before]
    assert {(one["section"], one["purpose"]) for one in new} == {
        (name, "release 2026-10") for name in ("declaration", "order")
    }
    stored = market.stored_bytes()
    assert not any(number.encode() in stored for number in (NUMBER, "CUST00000001"))


def test_a_decision_is_logged_at_its_goods_alone_for_each_kind_of_number(market, imported, logged):
    """Of a lot the numbers of its parcels are no record: they stand with its units."""
    numbers = {name: imported.numbers[name] for name in ("order", "waybill")}
    decide(market, "release", code=imported.code, **imported.declared, **numbers)
    assert sorted((one["section"], one["code"], one["seq"]) for one in logged()) == [
        ("declaration", imported.code, 0),
        ("order", imported.code, None),
        ("waybill", imported.code, None),
    ]
    before = len(logged())
    decide(market, "release", code=OTHERS, **imported.declared, **numbers, status=404)
    new = logged()[: len(logged()) - before]
    assert sorted((one["section"], one["code"], one["seq"]) for one in new) == [
        ("declaration", "", None), ("order", "", None), ("waybill", "", None),
    ]  # fmt: skip


def test_a_look_that_finds_nothing_is_logged_as_such(market, logged):
    look(market, "516620261000000099", order="A-1", waybill="CUST99999999", status=404)
    told = {(one["section"], one["code"], one["seq"]) for one in logged()}
    assert told == {
        ("declaration", "", None), ("order", market.unit.code, 1), ("waybill", "", None),
    }  # fmt: skip
    assert {one["purpose"] for one in logged()} == {WHY}
    stored = market.stored_bytes()
    assert not any(n.encode() in stored for n in ("516620261000000099", "CUST99999999"))


@pytest.mark.parametrize("purpose", ["", "a", "x" * 201])
def test_without_a_purpose_nothing_is_looked_at_or_decided(market, logged, purpose):
    for call in (look, lambda *given, **more: decide(*given, "release", **more)):
        (error,) = call(market, purpose=purpose, status=422)["errors"]
        assert error["loc"] == ["purpose"]
    assert logged() == []


def test_a_purpose_is_asked_for_by_the_schema_and_told_as_missing(market, logged):
    shown = market.ask("GET", "/openapi.json")
    for path, more in ((LOOK, set()), (DECIDE, {"code", "decision", "port"})):
        body = shown["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = shown["components"]["schemas"][body["$ref"].rpartition("/")[2]]
        assert {*schema["required"]} == {"number", "purpose", *more}
    bodies = {LOOK: {"number": NUMBER},
              DECIDE: {"number": NUMBER, "code": LOT, "decision": "release", "port": "广州南沙"}}  # fmt: skip
    for path, body in bodies.items():
        told = market.ask("POST", path, body, token=market.keys[CUSTOMS], status=422)
        assert [(one["loc"], one["kind"]) for one in told["errors"]] == [(["purpose"], "missing")]
    assert logged() == []


def test_the_page_compares_decides_and_keeps_what_was_typed(market):
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"])
    browser.get("/desk/customs")
    page = browser.post("/desk/customs", 422, do="look", number="51").text
    assert "f-number-error" in page
    assert "f-purpose-error" in page, "everything that is wrong at once"
    assert 'value="51"' in page
    documents = {"number": OTHER, "order": "A-3", "payment": "PAY-3", "waybill": "CUST00000003"}
    page = browser.post("/desk/customs", 422, do="look", purpose="?", **documents).text
    assert "f-number-error" not in page
    assert "f-purpose-error" in page
    assert all(f'value="{told}"' in page for told in ("?", *documents.values()))
    documents["purpose"] = WHY
    page = browser.post("/desk/customs", 200, do="look", **documents).text
    assert "They agree" in page
    assert "not decided" in page
    wrong = {"code": OTHERS, "port": "广州南沙", "reason": ""}
    page = browser.post("/desk/customs", 422, do="hold", **documents, **wrong).text
    assert "f-reason-error" in page
    assert 'value="广州南沙"' in page
    page = browser.post("/desk/customs", 200, do="release", **documents, **wrong).text
    assert "The release is on record." in page
    assert "released" in page
    assert (
        "No record names this declaration."
        in browser.post(
            "/desk/customs", 404, do="look", number="516620261000000099", purpose=WHY
        ).text
    )
    signed_in(market, "owner", AUTHORITY).get("/desk/customs", 403)


def test_a_place_that_is_none_is_refused_before_anything_is_decided_or_looked_at(
    market, imported, logged
):
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"])
    browser.get("/desk/customs")
    told = {**imported.declared, "purpose": WHY, "code": imported.code, "port": "广州南沙"}
    browser.post("/desk/customs", 422, do="release", after="declaration:x", **told)
    assert logged() == []
    assert look(market, imported.declared["number"])["goods"][0]["decision"] is None


def test_goods_whose_documents_differ_are_released_by_nobody_who_does_not_say_so(market):
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"])
    told = {"number": NUMBER, "order": "A-1", "payment": "PAY-1", "waybill": "CUST00000002",
            "purpose": WHY}  # fmt: skip
    browser.get("/desk/customs")
    page = browser.post("/desk/customs", 200, do="look", number=NUMBER, purpose=WHY).text
    assert 'name="despite"' not in page
    page = browser.post("/desk/customs", 200, do="look", **told).text
    assert 'name="despite"' in page
    assert [page.count(f">{one}</span></span><span><b>") for one in ("agrees", "differs")] == [2, 1]
    told |= {"code": LOT, "port": "广州南沙"}
    before = market.stored_bytes()
    page = browser.post("/desk/customs", 422, do="release", **told).text
    assert "f-despite-error" in page
    assert "tick" in page
    assert market.stored_bytes().count(b"customs_release") == before.count(b"customs_release")
    page = browser.post("/desk/customs", 200, do="release", despite="yes", **told).text
    assert "The release is on record." in page
    unknown = {"order": "A-1", "payment": "PAY-1", "waybill": "CUST99999999"}
    for number in (unknown, {"order": "NOBODYS"}):
        refused = decide(market, "release", status=422, **number)
        assert [one["loc"] for one in refused["errors"]] == [["despite"]]
        decide(market, "release", despite=True, **number)
    decide(market, "release", order="A-1")


@pytest.mark.parametrize("type_", ["customs_release", "customs_hold"])
def test_nobody_says_that_documents_agree_but_who_compared_them(market, type_):
    sealed = {"declaration": {"content": {"number": NUMBER, "order": "A-1"}}}
    for word in ("agree", "differ"):
        event = {
            "code": LOT, "type": type_, "data": {"port": "广州南沙", "documents": word}, "sealed": sealed,
        }  # fmt: skip
        answer = market.call("POST", "/api/v1/events", event, token=market.keys[CUSTOMS])
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert (error["loc"], error["kind"]) == (["data", "documents"], "reserved")
    # The same decision without that word is customs' own to take.
    event = {"code": LOT, "type": type_, "data": {"port": "广州南沙"}, "sealed": sealed}
    sent = market.ask("POST", "/api/v1/events", event, token=market.keys[CUSTOMS], status=201)
    change = {"of": sent["id"], "changes": {"documents": "agree"}}
    event = {"code": LOT, "type": "correction", "data": change}
    answer = market.call("POST", "/api/v1/events", event, token=market.keys[CUSTOMS])
    assert answer.status_code == 422, answer.text
    assert "documents" in str(answer.json()["errors"])


def test_a_corrected_decision_is_about_the_goods_that_were_chosen(market):
    """One declaration, two lots: a refused form leads back to the second, not to the first."""
    lots = [f"01/{GTIN}/10/IMP-{n}" for n in (3, 4)]
    for lot in lots:
        told = {
            "declaration": "516620261000000038",
            "mode": "9610",
            "port": "广州南沙",
            "origin": "IT",
        }
        body = {"gtin": GTIN, "lot": lot.rpartition("/")[2], "import": told}
        market.ask("POST", "/api/v1/lots", body, token=market.keys[SHOP], status=201)
    market.work()
    browser = signed_in(market, "owner", CUSTOMS)
    browser.get("/desk/customs")
    browser.post("/desk/customs", 200, do="look", number="516620261000000038", purpose=WHY)
    form = decision_form(browser.page)
    assert form.offers("code") == lots
    sent = {name: form.values(name)[-1] for name in ("number", "purpose", "record")}
    chosen = {"code": lots[1], "port": "广州南沙", "reason": ""}
    browser.post("/desk/customs", 422, do="hold", **sent, **chosen)
    form = decision_form(browser.page)
    assert form.values("code") == [lots[1]]
    corrected = {
        name: form.values(name)[-1] for name in ("number", "purpose", "record", "code", "port")
    }
    browser.post("/desk/customs", 200, do="hold", **corrected, reason="单证待核")
    told = look(market, "516620261000000038")["goods"]
    assert {one["code"]: one["decision"] for one in told} == {lots[0]: None, lots[1]: "hold"}


def decision_form(page: str):
    return next(one for one in Shown(page).forms if "code" in one.names())


RELEASES = {
    # what the release says -> what its page says of it, in Chinese and in English
    "agree": ("订单、支付单、运单相符", "order, payment and waybill agreed"),
    "differ": ("订单、支付单、运单不符", "order, payment and waybill differed"),
    "absent": ("订单、支付单、运单信息不完整", "order, payment and waybill not complete"),
    "": ("没有核对", "not compared"),
}


@pytest.fixture
def imported(market):
    """A lot that was registered with a certificate of its own, and a unit of it, with three numbers."""
    n = next(_declared)
    number = f"5166202610000001{n:02d}"
    told = {"declaration": number, "mode": "9610", "port": "深圳湾", "origin": "IT",
            "certificate": "OLD-1"}  # fmt: skip
    lot = f"REL-{n}"
    body = {"gtin": GTIN, "lot": lot, "import": told}
    market.ask("POST", "/api/v1/lots", body, token=market.keys[SHOP], status=201)
    unit = parcel(market, lot, f"R-{n}", f"RPAY-{n}", f"RCUST0000{n:04d}")
    numbers = {"order": f"R-{n}", "payment": f"RPAY-{n}", "waybill": f"RCUST0000{n:04d}"}
    return SimpleNamespace(
        unit=unit, code=f"01/{GTIN}/10/{lot}", declared={"number": number}, numbers=numbers
    )


_declared = itertools.count(10)


def rows(market, code, lang) -> dict[str, str]:
    """What a scan page says of the goods, by its labels."""
    page = market.call("GET", f"/{code}?lang={lang}", headers={"Accept": "text/html"}).text
    found = re.findall(r'<div class="row[^"]*"><dt>(.*?)</dt><dd>(.*?)</dd>', page, re.DOTALL)
    return {label: re.sub("<[^>]+>", "", told) for label, told in found}


@pytest.mark.parametrize("outcome", RELEASES)
def test_the_page_of_released_goods_says_what_the_release_says(market, imported, outcome):
    market.work()
    for code in (imported.code, imported.unit.code):
        assert rows(market, code, "zh")["海关放行"] == "没有海关的放行记录"
    documents = {
        "agree": imported.numbers,
        "differ": imported.numbers | {"waybill": "CUST00000001"},
        "absent": {"order": imported.numbers["order"]},
        "": {},
    }[outcome]
    decide(market, "release", code=imported.code, certificate="NEW-2", despite=True,
           **imported.declared, **documents)  # fmt: skip
    for code in (imported.code, imported.unit.code):
        chinese, english = rows(market, code, "zh"), rows(market, code, "en")
        assert (chinese["单证核对"], english["Documents"]) == RELEASES[outcome]
        assert (chinese["放行证明"], english["Certificate of the release"]) == ("NEW-2", "NEW-2")
        assert chinese["检验检疫证明"] == "OLD-1（登记时填报）", "as what it is"
        assert chinese["口岸"] == "广州南沙", "of the release"
        assert "没有海关的放行记录" not in chinese.values()
        assert "海关放行" in chinese


def seal_of(market, code: str) -> tuple[str, str]:
    html = market.call("GET", f"/{code}?lang=en").text
    return re.search('class="verdict verdict-([a-z]+)"', html)[1], re.search(
        "<h1>(.*?)</h1>", html
    )[1]


def test_the_page_says_what_customs_decided_last_as_it_was_corrected(market, imported):
    first = decide(market, "release", code=imported.code, certificate="NEW-2", **imported.declared)
    change = {"of": first["id"], "changes": {"certificate": "NEW-3"}}
    event = {"code": imported.code, "type": "correction", "data": change}
    market.ask("POST", "/api/v1/events", event, token=market.keys[CUSTOMS], status=201)
    assert rows(market, imported.code, "en")["Certificate of the release"] == "NEW-3"
    decide(market, "hold", code=imported.code, reason="单证待核", **imported.declared)
    held = rows(market, imported.unit.code, "en")
    assert "Held by customs" in held
    told = market.ask("GET", imported.unit.path)
    assert ("customs_hold" in told["warnings"], told["verdict"]) == (True, "intact")
    page = seal_of(market, imported.unit.code)
    assert page == ("abnormal", text("en", "page.verdict.abnormal.customs_hold"))
    assert not {"Released by customs", "Certificate of the release"} & set(held)
    decide(market, "release", code=imported.code, **imported.declared)
    again = rows(market, imported.unit.code, "en")
    assert "customs_hold" not in market.ask("GET", imported.unit.path)["warnings"]
    assert seal_of(market, imported.unit.code)[0] == "intact"
    assert "Released by customs" in again
    assert "Certificate of the release" not in again, "this release names none"
