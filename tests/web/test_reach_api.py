"""How far a recall has come: every number by the records, whose goods, and each look with its purpose."""

from __future__ import annotations

import csv
import io
import itertools

import pytest

from app.kit.canonical import canonical_bytes
from app.kit.clock import format_local, parse_time
from app.oversight.scoping import Scope
from app.parties.accountstore import find_by_name
from app.parties.sessions import person_of
from app.web.reachfile import COLUMNS
from tests.web.authority import HERE, THERE, key_of_person, open_two_provinces
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT, RIVAL, SUPPLIER, told
from tests.web.people import make_account

R = "/api/v1/recalls"
GLASS = {"reason": "glass", "level": 2}
_names = itertools.count(1)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("reach")) as running:
        yield running


def new_lot(market, by: str = SHOP) -> tuple[str, str]:
    """Returns number and code of a new lot."""
    number = f"K{next(_names)}"
    return number, market.lot(number, token=market.keys[by])


def reach(market, code: str, *, by: str = AUTHORITY, status: int = 200, **more):
    body = {"code": code, "purpose": "recall of this week", **more}
    token = market.keys.get(by, by)
    return market.ask("POST", f"{R}/reach", body, token=token, status=status)


def lines(market, code: str, *, by: str = AUTHORITY, **more) -> list[dict[str, str]]:
    body = {"code": code, "purpose": "recall of this week", **more}
    answer = market.call(
        "POST", f"{R}/reach.csv", body, token=market.keys.get(by, by),
        headers={"Accept-Language": "zh"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    table = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert next(table)[0] == "追溯码"
    return [dict(zip(COLUMNS, line, strict=True)) for line in table]


def sale(market, code: str, *, hours: float = -5, **sealed):
    parts = {name: {"content": content} for name, content in sealed.items()}
    return market.send(SHOP, code, "sale", {"region": "440100"}, hours=hours, sealed=parts)


# --- numbers --------------------------------------------------------------------------------------


def test_every_number_follows_from_the_records(market):
    number, lot = new_lot(market)
    units = [one.code for one in market.issue(10, lot=number)]
    stock, known, by_platform, ordered, silent, back, told_, opened_, resold, ended = units
    sale(market, known, buyer={"name": "王五"}, order={"number": "R-1"})
    market.dispatch(known)
    market.sign(known)
    market.sell_by_platform(by_platform)
    sale(market, ordered, order={"number": "R-2"})
    for code in (silent, told_, opened_):
        market.sell(code)
    market.dispatch(told_)
    for code in (back, resold):
        sale(market, code, buyer={"name": "李四"})
        market.dispatch(code)
        market.sign(code)
    market.send(SHOP, resold, "return", {"reason": "unwanted"}, hours=-0.5)
    market.sell(resold, hours=-0.4)  # to somebody else, of whom nothing is told

    before = reach(market, lot)
    assert before["progress"] is None
    assert before["states"] == {"registered": 2, "sold": 5, "in_transit": 1, "signed": 2}
    assert (before["units"], before["recalled_since"]) == (10, None)
    # The former buyer's name reaches nobody who has the unit now.
    assert before["buyers"] == {
        "out": 8, "contactable": 4, "none": 4,
        "ways": {"contact": 2, "platform": 1, "order": 2, "complaint": 0},
    }  # fmt: skip
    assert [(one["seller"], one["platform"], one["units"]) for one in before["sellers"]] == [
        (SHOP, None, 7), (SHOP, PLATFORM, 1),
    ]  # fmt: skip
    assert before["sellers"][1]["platform_name"]

    market.clock.advance(60)
    market.send(SHOP, lot, "recall", GLASS, hours=0)
    assert reach(market, lot)["progress"]["reach_percent"] == 0.0
    market.clock.advance(60)
    market.send(SHOP, back, "return", {"reason": "recall"}, hours=0)
    market.send(SHOP, told_, "notice", {"text": "called by phone"})
    market.send(SHOP, lot, "notice", {"text": "for all to read"})
    market.send(SHOP, ended, "void", {"reason": "destroyed"})
    market.call("GET", f"/{opened_}", headers={"User-Agent": "Mozilla/5.0"})
    market.rooms.scans.flush()
    after = reach(market, lot)
    progress = after["progress"]
    assert after["states"] == {
        "registered": 1, "sold": 5, "in_transit": 1, "signed": 1, "returned": 1, "void": 1,
    }  # fmt: skip
    assert progress == {
        "recalled": 10, "notified": 1, "heard": 0, "opened": 1, "returned": 1, "voided": 1,
        "confirmed": 2, "concerned": 8, "reached": 2, "reach_percent": 25.0, "public_notices": 1,
    }  # fmt: skip
    assert after["holders"] == [
        {"party": SHOP, "name": after["holders"][0]["name"], "states": after["states"]}
    ]

    rows = {row["code"]: row for row in lines(market, lot)}
    assert sorted(rows) == sorted(units)
    assert rows[back]["returned"] == rows[back]["reached"] == rows[told_]["notified"] == "是"
    assert (rows[known]["ways"], rows[resold]["ways"]) == (
        "记录里密封有买家或收件人、卖家凭订单号转告",
        "",
    )
    assert (rows[stock]["state"], rows[stock]["reached"]) == ("在库", "否")
    assert rows[silent]["recalled_since"] == format_local(parse_time(after["recalled_since"]))
    assert rows[by_platform]["platform"] == PLATFORM


def test_a_buyer_who_writes_after_the_recall_is_reached_and_one_who_wrote_before_is_not(market):
    number, lot = new_lot(market)
    early, late = market.issue(2, lot=number, inner=True)
    for one in (early, late):
        market.sell(one.code)
    complaint = {"category": "quality"}
    market.send(None, early.code, "complaint", complaint, headers={"Suxin-Inner": early.inner})
    market.clock.advance(60)
    market.send(SHOP, lot, "recall", GLASS, hours=0)
    market.clock.advance(60)
    market.send(None, late.code, "complaint", complaint, headers={"Suxin-Inner": late.inner})
    found = reach(market, lot)
    assert (found["progress"]["heard"], found["progress"]["reached"]) == (1, 1)
    assert found["buyers"]["ways"]["complaint"] == 2
    market.send(SHOP, lot, "recall_lifted", {"reason": "checked"})
    lifted = reach(market, lot)
    assert lifted["lifted_at"] is not None
    assert (lifted["progress"]["recalled"], lifted["progress"]["reach_percent"]) == (0, 50.0)


@pytest.mark.parametrize("level", ["unit", "lot", "product"])
def test_a_recall_that_says_it_began_long_ago_reached_nobody_before_it_was_said(market, level):
    # A product of its own: what recalls it is no other test's.
    body = {"name": f"裹蒸粽 {level}", "category": "other"}
    gtin = market.ask("POST", "/api/v1/products", body, token=market.keys[SHOP], status=201)["gtin"]
    lot = market.lot("K-LATE", gtin=gtin)
    (unit,) = market.issue(1, gtin=gtin, lot="K-LATE")
    code = {"unit": unit.code, "lot": lot, "product": f"01/{gtin}"}[level]
    sale(market, unit.code, hours=-30)
    market.send(SHOP, unit.code, "notice", {"text": "it will come a day later"})
    market.clock.advance(3600)
    market.send(AUTHORITY, code, "recall", {"reason": "glass"}, hours=-20)
    found = reach(market, code)["progress"]
    assert (found["concerned"], found["notified"], found["reached"]) == (1, 0, 0)
    market.clock.advance(3600)
    market.send(SHOP, unit.code, "notice", {"text": "please bring it back"})
    found = reach(market, code)["progress"]
    assert (found["notified"], found["reached"]) == (1, 1)


def test_an_erased_buyer_can_be_reached_no_more(market):
    number, lot = new_lot(market)
    (unit,) = market.issue(1, lot=number)
    made = sale(market, unit.code, buyer={"name": "王五"})
    assert reach(market, lot)["buyers"]["contactable"] == 1
    from sqlalchemy import update

    from app.ledger.record import id_bytes, stream_key
    from app.ledger.sealstore import SEALED

    with market.rooms.database.write() as connection:
        connection.execute(
            update(SEALED)
            .where(
                SEALED.c.stream == stream_key(unit.code), SEALED.c.record_id == id_bytes(made["id"])
            )
            .values(sealed=None, wrapped_key=None, erased_at=1)
        )
    assert reach(market, lot)["buyers"]["contactable"] == 0


def test_consignments_of_a_lot_without_serials_count_too(market):
    _, lot = new_lot(market)
    for name, hours in (("C-1", -100), ("C-2", -3)):
        told_ = {"consignment": name, "platform": PLATFORM}
        market.send(SHOP, lot, "sale", told_, hours=hours)
    found = reach(market, lot)
    assert (found["units"], found["consignments"], found["states"]) == (0, 2, {"sold": 2})
    assert found["buyers"]["ways"]["platform"] == 2
    assert [row["code"] for row in lines(market, lot)] == [
        f"{lot}#consignment/C-1", f"{lot}#consignment/C-2",
    ]  # fmt: skip


def test_a_set_is_named_serials_or_what_was_sold_between_two_days(market):
    number, lot = new_lot(market)
    old, new, kept = (one.code for one in market.issue(3, lot=number))
    market.sell(old, hours=-24 * 20)
    market.sell(new, hours=-24 * 2)
    serials = [old.rpartition("/")[2], kept, "NOBODY-HAS-ME"]
    found = reach(market, PRODUCT, serials=serials)
    assert (found["units"], found["unknown"]) == (2, ["NOBODY-HAS-ME"])
    other_lot, _ = new_lot(market)
    assert reach(market, f"{PRODUCT}/10/{other_lot}", serials=serials[:2])["units"] == 0
    day = market.at(-24 * 20 + 8)[:10]
    assert [row["code"] for row in lines(market, lot, sold_since=day, sold_until=day)] == [old]
    # Whoever sent it back since had bought it then.
    market.send(SHOP, old, "return", {"reason": "recall"}, hours=-1)
    again = reach(market, lot, sold_since=day, sold_until=day)
    assert (again["units"], again["states"]) == (1, {"returned": 1})
    assert reach(market, kept)["states"] == {"registered": 1}


def test_units_recalled_one_by_one_have_a_reach_of_their_own(market):
    number, lot = new_lot(market)
    one, other = (unit.code for unit in market.issue(2, lot=number))
    for code in (one, other):
        market.sell(code)
    market.clock.advance(60)
    market.send(SHOP, one, "recall", GLASS, hours=0)
    progress = reach(market, lot)["progress"]
    assert (progress["recalled"], progress["concerned"]) == (1, 1)


def test_what_a_hand_has_damaged_is_told_and_breaks_nothing(market):
    number, lot = new_lot(market)
    _, bad, gone = (unit.code for unit in market.issue(3, lot=number))
    from sqlalchemy import delete, update

    from app.ledger.record import stream_key
    from app.ledger.store import HEAD

    def harm(code: str, statement) -> None:
        with market.rooms.database.write() as connection:
            connection.execute(statement.where(HEAD.c.stream == stream_key(code)))

    harm(bad, update(HEAD).values(state=canonical_bytes({"state": "sold", "sale": 7})))
    harm(gone, delete(HEAD))
    assert reach(market, lot)["states"] == {"registered": 1, "unreadable": 2}
    assert reach(market, lot, by=SHOP)["states"] == {"registered": 1}
    assert len(lines(market, lot)) == 3


# --- whose ----------------------------------------------------------------------------------------


def test_a_merchant_counts_its_own_goods_and_learns_nothing_of_others(market):
    number, lot = new_lot(market, SUPPLIER)
    unit, held = (one.code for one in market.issue(2, by=SUPPLIER, lot=number))
    market.send(SUPPLIER, held, "transfer", {"to": SHOP})
    market.send(SHOP, held, "acceptance", {"from": SUPPLIER})
    both = reach(market, lot, by=SUPPLIER)
    assert {one["party"]: one["states"] for one in both["holders"]} == {
        SUPPLIER: {"registered": 1}, SHOP: {"registered": 1},
    }  # fmt: skip
    assert [row["code"] for row in lines(market, lot, by=SHOP)] == [held]
    forbidden = {"code": lot}
    for by in (RIVAL, PLATFORM, CARRIER):
        answer = market.call("POST", f"{R}/reach", forbidden, token=market.keys[by])
        assert told(answer)[:2] == (403, "forbidden"), by
    assert (
        told(market.call("POST", f"{R}/reach", {"code": unit}, token=market.keys[SHOP]))[0] == 403
    )
    # Its own, of which there are none yet, it may ask about.
    _, empty = new_lot(market)
    assert reach(market, empty, by=SHOP)["units"] == 0
    key = market.key_of(SHOP, "audit")
    assert told(market.call("POST", f"{R}/reach", {"code": empty}, token=key))[:2] == (
        403,
        "forbidden",
    )


def test_an_office_of_one_place_counts_what_is_everywhere(market):
    """A recall is one of the whole country: who made it must see how far it has come."""
    number, lot = new_lot(market, market.far)
    here, there = (one.code for one in market.issue(2, by=market.far, lot=number))
    market.send(market.far, here, "sale", {"region": HERE}, hours=-1)
    market.send(market.far, there, "sale", {"region": "110100"}, hours=-1)
    market.send("regional", lot, "recall", GLASS)
    assert reach(market, lot, by="regional") | {"as_of": ""} == reach(market, lot) | {"as_of": ""}
    assert {row["code"] for row in lines(market, lot, by="regional")} == {here, there}
    assert reach(market, there, by="regional")["units"] == 1
    (look, *_) = market.ask(
        "GET", f"/api/v1/access-log?code={there}", token=market.keys[AUTHORITY]
    )["items"]
    assert (look["section"], look["region"]) == ("reach", HERE)


def test_an_office_counts_of_others_goods_what_a_recall_is_about(market):
    """Who sells how much elsewhere is no business of an office that recalls nothing of it."""
    number, lot = new_lot(market, market.far)
    here, there, bad = (one.code for one in market.issue(3, by=market.far, lot=number))
    market.send(market.far, here, "sale", {"region": HERE}, hours=-1)
    market.send(market.far, there, "sale", {"region": THERE}, hours=-1)
    asked = {"code": lot, "purpose": "who sells what"}
    assert [row["code"] for row in lines(market, lot, by="regional")] == [here]
    assert reach(market, lot)["units"] == 3
    for path in ("reach", "reach.csv"):
        answer = market.call(
            "POST", f"{R}/{path}", asked | {"code": there}, token=market.keys["regional"]
        )
        assert told(answer)[:2] == (403, "forbidden")
    # A unit that is recalled is everybody's to follow, and no other for its sake.
    market.send(AUTHORITY, bad, "recall", GLASS)
    assert {row["code"] for row in lines(market, lot, by="regional")} == {here, bad}
    market.send(AUTHORITY, bad, "recall_lifted", {"reason": "checked"})
    assert {row["code"] for row in lines(market, lot, by="regional")} == {here, bad}


def test_an_office_that_recalls_a_part_recalls_it_everywhere(market):
    number, lot = new_lot(market, market.far)
    units = market.issue(2, by=market.far, lot=number)
    name, _ = make_account(market, "owner", AUTHORITY, region=HERE)
    with market.rooms.database.read() as connection:
        person = person_of(find_by_name(connection, name)).principal()
    part = Scope(code=lot, serials=tuple(one.serial for one in units))
    plan = market.rooms.recalls.plan(person, part, lifts=False, purpose="recall glass", most=2)
    assert set(plan.codes) == {one.code for one in units}


def test_an_authority_states_a_purpose_and_its_looks_are_logged(market):
    _, lot = new_lot(market)
    answer = market.call("POST", f"{R}/reach", {"code": lot}, token=market.keys[AUTHORITY])
    assert told(answer)[:2] == (422, "invalid")
    query = f"/api/v1/access-log?code={lot}"
    assert market.ask("GET", query, token=market.keys[AUTHORITY])["items"] == []
    for by in (AUTHORITY, CUSTOMS):
        reach(market, lot, by=by, purpose="glass in jars")
    lines(market, lot)
    reach(market, lot, by=SHOP)  # its own: nobody's secret
    looks = market.ask("GET", query, token=market.keys[AUTHORITY])["items"]
    assert [(one["section"], one["purpose"]) for one in looks] == [
        ("reach", "recall of this week"), ("reach", "glass in jars"),
    ]  # fmt: skip


def test_too_many_goods_are_refused_without_saying_how_many(market, monkeypatch):
    from app.oversight import scoping

    number, lot = new_lot(market)
    (first, *_) = market.issue(3, lot=number)
    monkeypatch.setattr(scoping, "MOST_GOODS", 2)
    problem = market.call(
        "POST", f"{R}/reach", {"code": lot, "purpose": "too wide"}, token=market.keys[AUTHORITY]
    ).json()
    (error,) = problem["errors"]
    assert (error["loc"], error["kind"]) == (["code"], "too_many_goods")
    assert "3" not in error["msg"]
    assert reach(market, lot, serials=[first.serial])["units"] == 1


# --- the list -------------------------------------------------------------------------------------


def listed(market, *, by: str = AUTHORITY, query: str = "") -> list[dict]:
    found = market.ask("GET", f"{R}?code={PRODUCT}&limit=500{query}", token=market.keys.get(by, by))
    return found["items"]


def test_recalls_are_listed_with_their_reason_to_whom_they_concern(market):
    _, mine = new_lot(market)
    _, theirs = new_lot(market, RIVAL)
    ordered = {"reason": "lead", "level": 1, "basis": "食品安全法第六十三条"}
    market.send(SHOP, mine, "recall", GLASS)
    market.clock.advance(1)
    market.send(AUTHORITY, theirs, "recall", ordered)
    items = {one["code"]: one for one in listed(market)}
    assert [code for code in items if code in (theirs, mine)] == [theirs, mine]  # the newest first
    assert items[mine]["recaller"] == SHOP
    assert (items[mine]["reason"], items[mine]["level"], items[mine]["basis"]) == ("glass", 2, None)
    assert (items[theirs]["basis"], items[theirs]["seller"]) == (ordered["basis"], RIVAL)
    assert items[theirs]["recaller_name"]
    assert items[theirs]["product"] == "端砚文房礼盒"
    assert mine in {one["code"] for one in listed(market, by=SHOP)}
    assert theirs not in {one["code"] for one in listed(market, by=SHOP)}
    assert theirs in {one["code"] for one in listed(market, by=RIVAL)}
    market.send(SHOP, mine, "recall_lifted", {"reason": "checked"})
    assert mine not in {one["code"] for one in listed(market, query="&open=true")}
    assert mine in {one["code"] for one in listed(market, query="&open=false")}


def test_the_list_goes_on_where_a_page_ended(market):
    for _ in range(3):
        market.send(SHOP, new_lot(market)[1], "recall", GLASS)
    whole = [one["code"] for one in listed(market)]
    pages, cursor = [], ""
    while cursor is not None:
        query = f"{R}?code={PRODUCT}&limit=2" + (f"&cursor={cursor}" if cursor else "")
        found = market.ask("GET", query, token=market.keys[AUTHORITY])
        pages += [one["code"] for one in found["items"]]
        cursor = found["next"]
    assert pages == whole


def test_an_office_is_told_of_the_recalls_of_its_region(market):
    _, near = new_lot(market, market.near)
    _, far = new_lot(market, market.far)
    for by, lot in ((market.near, near), (market.far, far)):
        market.send(by, lot, "recall", GLASS)
    here = {one["code"] for one in listed(market, by=key_of_person(market, region=HERE))}
    assert near in here
    assert far not in here


def test_goods_of_other_products_and_unknown_codes_are_refused(market):
    answer = market.call(
        "POST", f"{R}/reach",
        {"code": PRODUCT, "serials": ["01/06901234567908/21/A"], "purpose": "mixed"},
        token=market.keys[AUTHORITY],
    )  # fmt: skip
    assert told(answer)[:2] == (422, "invalid")
    answer = market.call(
        "POST", f"{R}/reach", {"code": f"01/{GTIN}/10/NONE", "purpose": "none"},
        token=market.keys[AUTHORITY],
    )  # fmt: skip
    assert told(answer)[:2] == (404, "code-unknown")
