"""A recall of a part of a product: serials from one to another as issued, days of production, of sale."""

from __future__ import annotations

import itertools
import re

import pytest

from app.kit.clock import china_day
from app.oversight import reachstore
from app.oversight.scoping import Scope
from app.parties.principal import Principal, ScopeMissing
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_import_events import counted as counted_statements
from tests.web.test_recall_pages import told_of

D = "/desk/recalls"
R = "/api/v1/recalls/reach"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("ranges")) as running:
        yield running


@pytest.fixture
def product(market) -> str:
    """A product of its own, which the rival sells too."""
    gtin = f"0691230000{next(_numbers):03d}"
    gtin += str(-sum(int(d) * (3 if n % 2 == 0 else 1) for n, d in enumerate(gtin)) % 10)
    body = {"gtin": gtin, "name": "裹蒸粽", "category": "other"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[SHOP], status=201)
    return gtin


def lot(market, gtin, number, day=None, *, by=SHOP, units=2):
    """A lot that says when it was made, with units; returns its code and theirs in the order of issue."""
    body = {"gtin": gtin, "lot": number} | ({"produced_on": day} if day else {})
    code = market.ask("POST", "/api/v1/lots", body, token=market.keys[by], status=201)["code"]
    return code, issue(market, gtin, units, by=by, lot=number)


def issue(market, gtin, count, *, by=SHOP, **more):
    market.clock.advance(1)
    batch = market.order(by=by, gtin=gtin, count=count, **more)
    market.work()
    return market.codes_of(batch, by=by)


def reach(market, gtin, *, by=SHOP, status=200, code=None, **more):
    body = {"code": code or f"01/{gtin}", **more}
    if by == AUTHORITY:
        body["purpose"] = "glass in the jars"
    return market.ask("POST", R, body, token=market.keys[by], status=status)


def csv_of(market, gtin, **more) -> set[str]:
    body = {"code": f"01/{gtin}", **more}
    text = market.call("POST", f"{R}.csv", body, token=market.keys[SHOP]).text
    return set(re.findall(r"01/\d{14}/21/\w+", text))


def kinds(told) -> list[tuple[str, str]]:
    return [(one["loc"][-1], one["kind"]) for one in told["errors"]]


def test_a_range_of_serials_is_one_of_issue_across_orders_both_ends_included(market, product):
    orders = [issue(market, product, 3) for _ in range(3)]
    issue(market, product, 2, by=RIVAL)
    flat = [unit for order in orders for unit in order]
    for first, last in ((0, 0), (1, 2), (2, 3), (1, 7), (0, 8)):
        ends = {"serial_from": flat[first].serial, "serial_to": flat[last].code}
        assert csv_of(market, product, **ends) == {one.code for one in flat[first : last + 1]}
        assert reach(market, product, by=AUTHORITY, **ends)["units"] == last - first + 1


def test_a_range_that_cannot_be_is_refused_at_its_field(market, product):
    (a, b), (foreign,) = issue(market, product, 2), issue(market, product, 1, by=RIVAL)
    ends = lambda one, other: {"serial_from": one, "serial_to": other}  # noqa: E731
    for asked, field, kind in (
        (ends(b.serial, a.serial), "serial_to", "issued_before"),
        (ends(a.serial, ""), "serial_to", "missing"),
        (ends("", a.serial), "serial_from", "missing"),
        (ends(a.serial, "NOSUCHSERIAL9"), "serial_to", "serial_unknown"),
        # Of what others issued a seller learns nothing, not even that it is there.
        (ends(a.serial, foreign.serial), "serial_to", "serial_unknown"),
        (ends(a.serial, b.serial) | {"serials": [a.serial]}, "serials", "one_way"),
        ({"produced_since": "2026-02-01", "produced_until": "2026-01-01"}, "produced_until", "range"),
    ):  # fmt: skip
        assert kinds(reach(market, product, status=422, **asked)) == [(field, kind)], asked
    told = reach(market, product, by=AUTHORITY, status=422, **ends(a.serial, foreign.serial))
    assert kinds(told) == [("serial_to", "other_issuer")]


def test_a_range_the_wrong_way_names_the_serial_however_it_was_written(market, product):
    a, b = issue(market, product, 2)
    for told in (b.serial, b.code):
        asked = {"serial_from": told, "serial_to": a.code}
        (error,) = reach(market, product, status=422, **asked)["errors"]
        assert f"“{b.serial}”" in error["msg"]


def test_days_of_production_choose_the_lots_and_narrow_the_rest(market, product):
    lots = {
        name: lot(market, product, name, day)
        for name, day in (
            ("A", "2026-10-01"),
            ("B", "2026-10-02"),
            ("C", "2026-10-03"),
            ("D", None),
        )
    }
    days = {"produced_since": "2026-10-01", "produced_until": "2026-10-02"}
    of = lambda *names: {unit.code for name in names for unit in lots[name][1]}  # noqa: E731
    assert csv_of(market, product, **days) == of("A", "B")
    assert csv_of(market, product, produced_since="2026-10-02") == of("B", "C"), (
        "not one without a day"
    )
    assert csv_of(market, product, produced_until="2020-01-01") == set()
    units = [unit for name in "ABC" for unit in lots[name][1]]
    ends = {"serial_from": units[1].serial, "serial_to": units[5].serial}
    assert csv_of(market, product, **days, **ends) == {one.code for one in units[1:4]}
    code, (unit, _) = lots["C"]
    assert reach(market, product, code=code, **days)["units"] == 0
    assert reach(market, product, code=code, produced_since="2026-10-03")["units"] == 2
    market.sell(unit.code)
    today = china_day(market.clock.now())
    sold = {"sold_since": today, "sold_until": today}
    assert csv_of(market, product, produced_since="2026-10-03", **sold) == {unit.code}


def recalled(market, code: str) -> bool:
    return "recalled" in market.ask("GET", f"/api/v1/code?code={code}")["warnings"]


def counted(page: str) -> str:
    return re.search(r'name="counted" value="([0-9a-f]{64})"', page)[1]


def own_records(market, code: str) -> list[str]:
    path = market.ask("GET", f"/api/v1/code?code={code}")["links"]["events"]
    items = market.ask("GET", path)["items"]
    return [one["record"]["type"] for one in items if one["record"]["stream"] == code]


def test_a_recall_by_days_of_production_is_counted_first_and_stands_on_the_lots(market, product):
    (a, units), (b, _), (c, _) = (
        lot(market, product, name, day)
        for name, day in (("A", "2026-10-01"), ("B", "2026-10-02"), ("C", "2026-10-03"))
    )
    other, _ = lot(market, product, "Z", "2026-10-01", by=RIVAL)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    form = {
        "lang": "en", "type": "recall", "reason": "glass", "code": f"01/{product}",
        "produced_until": "2026-10-02",
    }  # fmt: skip
    owner.post(f"{D}/new", 200, **form)
    said = told_of(owner.page)
    assert "Lots that it will be recorded on: 2" in said
    assert "In stock 4" in said
    assert a in said
    assert not recalled(market, a), "it was counted, no more"
    form["counted"] = counted(owner.page)
    owner.post(f"{D}/new", **form)
    assert [recalled(market, one) for one in (a, b, c, other)] == [True, True, False, False]
    assert recalled(market, units[0].code)
    assert "recall" not in own_records(market, units[0].code), "the lot's recall says it for all"


def test_a_recall_by_range_stands_on_the_units_and_leaves_out_what_takes_none(market, product):
    flat = issue(market, product, 5)
    market.send(SHOP, flat[2].code, "void", {"reason": "damaged"}, hours=0)
    person = signed_in(market, "owner", AUTHORITY)
    person.get(f"{D}/new?lang=en")
    form = {
        "lang": "en", "type": "recall", "reason": "loose lids", "level": "2", "code": product,
        "serial_from": flat[1].serial, "serial_to": flat[3].serial,
    }  # fmt: skip
    person.post(f"{D}/new", 200, **form)
    said = told_of(person.page)
    assert "Units that it will be recorded on: 2" in said
    assert "Goods that take none: 1" in said
    form["counted"] = counted(person.page)
    form["entry"] = re.search(r'name="entry" value="([^"]+)"', person.page)[1]

    # Another is voided meanwhile: what was counted is not what would be recorded.
    market.send(SHOP, flat[1].code, "void", {"reason": "damaged"}, hours=0)
    person.post(f"{D}/new", 200, **form)
    assert "Units that it will be recorded on: 1" in told_of(person.page)
    assert not any(recalled(market, one.code) for one in flat)
    form["counted"] = counted(person.page)
    market.clock.advance(1)
    for _ in range(2):  # sent twice it is recorded once
        person.post(f"{D}/new", **form)
    assert [recalled(market, one.code) for one in flat] == [False, False, False, True, False]
    assert own_records(market, flat[3].code).count("recall") == 1
    person.get("/desk/looks?lang=en")
    assert "recall loose lids" in person.page, "counting is a look, and why is the recall itself"

    lifted = {**form, "type": "recall_lifted", "reason": "checked", "counted": "", "entry": ""}
    person.post(f"{D}/new", 200, **lifted)
    market.clock.advance(1)
    person.post(f"{D}/new", **{**lifted, "counted": counted(person.page)})
    assert not recalled(market, flat[3].code)


def test_what_is_recalled_already_is_not_recalled_again_and_the_rest_is(market, product):
    flat = issue(market, product, 4)
    market.send(SHOP, flat[1].code, "recall", {"reason": "one of them"}, hours=0)
    market.send(AUTHORITY, flat[2].code, "recall", {"reason": "ordered"}, hours=0)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    form = {
        "lang": "en", "type": "recall", "reason": "all of them", "code": product,
        "serial_from": flat[0].serial, "serial_to": flat[3].serial,
    }  # fmt: skip
    owner.post(f"{D}/new", 200, **form)
    said = told_of(owner.page)
    assert "Units that it will be recorded on: 3" in said
    assert "Recalled by you already, and not again: 1" in said
    market.clock.advance(1)
    owner.post(f"{D}/new", **form, counted=counted(owner.page))
    assert [own_records(market, one.code).count("recall") for one in flat] == [1, 1, 2, 1]
    owner.get(f"{D}/new?lang=en")
    owner.post(f"{D}/new", 422, **form)
    assert "f-code-error" in owner.page, "it is so already"
    lifted = {**form, "type": "recall_lifted", "reason": "checked"}
    owner.post(f"{D}/new", 200, **lifted)
    market.clock.advance(1)
    owner.post(f"{D}/new", **lifted, counted=counted(owner.page))
    assert [recalled(market, one.code) for one in flat] == [False, False, True, False]
    owner.get(f"{D}/new?lang=en")
    owner.post(f"{D}/new", 422, **lifted)
    person = signed_in(market, "owner", AUTHORITY)
    person.get(f"{D}/new?lang=en")
    person.post(f"{D}/new", 200, **lifted)
    assert "Without a recall that you could lift: 3" in told_of(person.page)


def test_what_a_form_by_range_lacks_is_said_at_its_field(market, product):
    (unit,) = issue(market, product, 1)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    ends = {"serial_from": unit.serial, "serial_to": unit.serial}
    form = {"lang": "en", "type": "recall", "reason": "glass", "code": product, **ends}
    for more, field in (
        ({"code": ""}, "code"), ({"reason": ""}, "reason"), ({"codes": unit.code}, "codes"),
        ({"serial_to": ""}, "serial_to"), ({"sold_since": "2026-01-01"}, "code"),
    ):  # fmt: skip
        owner.post(f"{D}/new", 422, **{**form, **more})
        assert f"f-{field}-error" in owner.page, field


def read_of(monkeypatch) -> list[int]:
    """Notes how many goods are looked up in one go."""
    found: list[int] = []
    lives = reachstore.lives
    monkeypatch.setattr(
        reachstore, "lives", lambda connection, keys: [found.append(len(keys)), lives(connection, keys)][1]
    )  # fmt: skip
    return found


def test_goods_that_take_no_recall_or_are_recalled_do_not_make_a_range_too_large(
    market, product, monkeypatch
):
    """What is counted is what is left to record: of a roll with void labels, of a range partly recalled."""
    flat = issue(market, product, 5)
    monkeypatch.setattr("app.web.pages.signed.recall_new.MOST_RANGE", 2)
    monkeypatch.setattr(reachstore, "PIECE", 2)
    market.send(SHOP, flat[1].code, "void", {"reason": "damaged"}, hours=0)
    market.send(SHOP, flat[2].code, "recall", {"reason": "one of them"}, hours=0)
    market.send(SHOP, flat[4].code, "recall", {"reason": "another"}, hours=0)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    form = {
        "lang": "en", "type": "recall", "reason": "glass", "code": product,
        "serial_from": flat[0].serial, "serial_to": flat[4].serial,
    }  # fmt: skip
    owner.post(f"{D}/new", 200, **form)
    assert "Units that it will be recorded on: 2" in told_of(owner.page)
    lifted = {**form, "type": "recall_lifted", "reason": "checked"}
    owner.post(f"{D}/new", 200, **lifted)
    assert "Without a recall that you could lift: 2" in told_of(owner.page)
    market.clock.advance(1)
    owner.post(f"{D}/new", **lifted, counted=counted(owner.page))
    assert not any(recalled(market, one.code) for one in flat)


def test_lots_are_recalled_however_many_are_already(market, product, monkeypatch):
    lots = [lot(market, product, name, "2026-10-01", units=1)[0] for name in "ABC"]
    monkeypatch.setattr("app.web.pages.signed.recall_new.MOST_RANGE", 1)
    for one in lots[:2]:
        market.send(SHOP, one, "recall", {"reason": "glass"}, hours=0)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    form = {
        "lang": "en", "type": "recall", "reason": "glass", "code": product,
        "produced_until": "2026-10-01",
    }  # fmt: skip
    owner.post(f"{D}/new", 200, **form)
    assert "Lots that it will be recorded on: 1" in told_of(owner.page)


def test_who_may_not_read_recalls_is_refused_before_any_lot_is_read(market, product, monkeypatch):
    lot(market, product, "A", "2026-10-01", units=1)
    read = list[str]()
    nobody = Principal("k", SHOP, frozenset({"merchant"}), frozenset())
    monkeypatch.setattr(reachstore, "lots_produced", lambda *told: [read.append(told[1]), []][1])
    part = Scope(code=f"01/{product}", produced=("2026-10-01", "2026-10-01"))
    with pytest.raises(ScopeMissing):
        market.rooms.recalls.plan(nobody, part, lifts=False, purpose="recall glass", most=2)
    assert read == []


def test_a_range_that_comes_to_too_much_is_refused_before_all_its_goods_are_read(
    market, product, monkeypatch
):
    """However many they are, no more is read than shows that it is too many; of lots no goods are."""
    lots = [lot(market, product, name, "2026-10-01", units=3) for name in "ABC"]
    flat = [unit for _, units in lots for unit in units]
    for unit in flat:
        market.sell(unit.code, hours=0)
    monkeypatch.setattr("app.web.pages.signed.recall_new.MOST_RANGE", 2)
    monkeypatch.setattr(reachstore, "PIECE", 2)
    read = read_of(monkeypatch)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    form = {"lang": "en", "type": "recall", "reason": "glass", "code": product}
    today = china_day(market.clock.now())
    for part, most in (
        ({"serial_from": flat[0].serial, "serial_to": flat[8].serial}, 4),
        ({"produced_until": "2026-10-01"}, 0),
        ({"sold_since": today, "sold_until": today}, 4),
        ({"sold_since": today, "serial_from": flat[0].serial, "serial_to": flat[8].serial}, 4),
    ):
        read.clear()
        owner.post(f"{D}/new", 422, **form, **part)
        assert 'id="f-code-error">It would be recorded on more than 2 codes.' in owner.page, part
        assert sum(read) <= most, part
    ends = {"serial_from": flat[1].serial, "serial_to": flat[2].serial}
    owner.post(f"{D}/new", 200, **form, **ends)
    assert "Units that it will be recorded on: 2" in told_of(owner.page)


def test_of_a_range_only_what_was_sold_then_is_read(market, product, monkeypatch):
    flat = issue(market, product, 4)
    market.sell(flat[2].code, hours=0)
    read = read_of(monkeypatch)
    assert csv_of(market, product, sold_since=china_day(market.clock.now())) == {flat[2].code}
    assert sum(read) == 1


def test_a_range_over_many_orders_is_asked_in_one_statement(market, product):
    flat = [unit for _ in range(4) for unit in issue(market, product, 2)]
    with market.rooms.database.read() as connection:
        first, last = (
            reachstore.find_issued(connection, product, one.serial, lot=None, party=SHOP)
            for one in (flat[1], flat[6])
        )
    with (
        counted_statements(market.rooms.database) as found,
        market.rooms.database.read() as connection,
    ):
        ask = lambda most: reachstore.issued_between(  # noqa: E731
            connection, product, first, last, lot=None, most=most
        )
        assert ask(7) == [one.serial for one in flat[1:7]]
        assert set(ask(3)) < {one.serial for one in flat[1:7]}
    assert len([one for one in found if "batch_code" in one]) == 2
    assert len([one for one in found if "FROM batch" in one and "batch_code" not in one]) == 0


def test_what_refuses_a_range_is_said_at_its_own_field(market, product, monkeypatch):
    """Nobody typed the codes, so nothing is said of lines at the field for codes."""
    flat = issue(market, product, 2)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    form = {
        "lang": "en", "type": "recall", "reason": "glass", "code": product,
        "serial_from": flat[0].serial, "serial_to": flat[1].serial,
    }  # fmt: skip
    owner.post(f"{D}/new", 422, **form, level="9")
    assert 'id="f-level-error"' in owner.page
    assert "f-codes-error" not in owner.page

    # Both are recalled by somebody else of the same shop between counting and recording.
    owner.post(f"{D}/new", 200, **form)
    number = counted(owner.page)
    monkeypatch.setattr("app.oversight.recalls._stands", lambda *_, any_recall: any_recall)
    for unit in flat:
        market.send(SHOP, unit.code, "recall", {"reason": "meanwhile"}, hours=0)
    owner.post(f"{D}/new", 409, **form, counted=number)
    said = re.search(r'id="f-code-error">([^<]+)<', owner.page)[1]
    assert said.startswith(f"“{flat[0].code}”: ")
    assert "Line" not in said
    assert "f-codes-error" not in owner.page
