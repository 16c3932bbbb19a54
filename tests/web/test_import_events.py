"""What happened to goods, by the spreadsheet: of a shop and of a carrier, told beforehand, and once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from sqlalchemy import event

from app.db import hot
from app.imports.mapping import Layout
from tests.imports.sheets import as_csv, as_xlsx
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import AUTHORITY, GTIN, RIVAL
from tests.web.test_imports_api import counts, send

HEAD = ["快递单号", "订单号", "溯源码", "事件", "时间", "签收方式", "原因"]
_waybills = itertools.count(8_800_000_000)


@pytest.fixture
def parcel(market):
    """Sends a parcel of so many units and returns its waybill, its order and its codes."""

    def send_one(count: int = 1, **more):
        number = next(_waybills)
        body = {
            "order": f"EV-{number}", "ordered_at": market.at(-60), "gtin": GTIN, "quantity": count,
            "carrier": CARRIER, "waybill": f"TEST{number}", "shipped_at": market.at(-50), **more,
        }  # fmt: skip
        made = market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
        return body["waybill"], body["order"], made["codes"]

    return send_one


@contextmanager
def counted(database) -> Iterator[list[str]]:
    """Notes every statement that reads the database meanwhile."""
    found: list[str] = []
    fetch = hot._fetch

    def note(connection, cursor, statement, *_):
        found.append(statement)

    def note_hot(connection, statement, bound):
        found.append(statement)
        return fetch(connection, statement, bound)

    event.listen(database._reader, "before_cursor_execute", note)
    with mock.patch.object(hot, "_fetch", note_hot):
        yield found
    event.remove(database._reader, "before_cursor_execute", note)


def local(market, hours: float) -> str:
    """A time as a Chinese shop's system writes it, without a zone."""
    from datetime import timedelta, timezone

    at = market.clock.now() + timedelta(hours=hours)
    return at.astimezone(timezone(timedelta(hours=8))).strftime("%Y-%m-%d %H:%M:%S")


def records(market, code: str) -> list[dict]:
    items = market.ask(
        "GET", f"/api/v1/codes/{code.removeprefix('01/').replace('/21/', '/')}/events"
    )
    return [one["record"] for one in items["items"] if one["record"]["stream"] == code]


def types(market, code: str) -> list[str]:
    return [one["type"] for one in records(market, code)]


@pytest.mark.parametrize("form", ["gbk", "xlsx"])
def test_a_carriers_list_closes_the_gaps_and_again_changes_nothing(market, parcel, form):
    (one, _, (code,)), (two, _, (other,)) = parcel(), parcel()
    rows = [
        ["圆通导出", "", "", "", "", "", ""],
        HEAD,
        # The newest first, as systems have it.
        [one, "", "", "已签收", local(market, -2), "丰巢", ""],
        [one, "", "", "派件", local(market, -5), "", ""],
        [two, "", "", "拒收", local(market, -1), "", "外箱破损"],
    ]
    raw = as_csv(rows, encoding="gbk") if form == "gbk" else as_xlsx(rows)
    before = market.count_rows()
    planned = send(market, "events", raw, by=CARRIER, query="?dry_run=true")
    assert counts(planned) == (3, 0, 0, 0), planned.text
    assert planned.json()["warnings"] == []
    assert market.count_rows() == before
    assert counts(send(market, "events", raw, by=CARRIER)) == (3, 0, 0, 0)
    told = records(market, code)
    assert [one["type"] for one in told[-2:]] == ["transit", "signature"]
    assert told[-1]["data"] == {"kind": "locker"}
    assert (told[-1]["source"], told[-1]["actor"]) == ("carrier", CARRIER)
    assert records(market, other)[-1]["data"] == {"reason": "外箱破损"}
    path = f"/api/v1/codes/{code.removeprefix('01/').replace('/21/', '/')}"
    assert market.ask("GET", path)["state"] == "signed"
    seen = market.count_rows()["record"]
    assert counts(send(market, "events", raw, by=CARRIER)) == (0, 3, 0, 0)
    assert market.count_rows()["record"] == seen


def test_a_shops_own_word_is_taken_and_called_weaker(market, parcel):
    _, order, codes = parcel(2)
    _, second, (single,) = parcel()
    raw = as_csv([
        HEAD,
        ["", order, "", "签收", local(market, -3), "", ""],
        ["", second, "", "签收", local(market, -3), "代收", ""],
        ["", "", single, "退货", local(market, -1), "", "尺寸不合"],
    ])  # fmt: skip
    planned = send(market, "events", raw, query="?dry_run=true", lang="zh").json()
    assert (planned["created"], planned["refused"]) == (3, 0)
    (weak,) = planned["warnings"]
    assert (weak["row"], weak["kind"], weak["column"]) == (2, "self_told", HEAD[3])
    assert "分量不如" in weak["msg"]
    assert counts(send(market, "events", raw)) == (3, 0, 0, 0)
    for code in codes:
        last = records(market, code)[-1]
        assert (last["type"], last["source"], last["data"]) == (
            "signature", "merchant", {"kind": "in_person"},
        )  # fmt: skip
    assert types(market, single)[-2:] == ["signature", "return"]
    # The parcel came back and its number is nobody's now: what was told while it was is a repeat.
    assert counts(send(market, "events", raw)) == (0, 3, 0, 0)


def test_each_faulty_row_is_told_at_its_cell_and_spares_its_neighbours(market, parcel):
    waybill, _, (code,) = parcel()
    nowhere = f"01/{GTIN}/21/N0SUCHUN1T55"
    at = local(market, -1)
    rows = [
        HEAD,
        [waybill, "", "", "签收", at, "", ""],
        ["", "", "", "签收", at, "", ""],
        [waybill, "", "", "飞了", at, "", ""],
        [waybill, "", "", "退货", at, "", ""],
        [waybill, "", "", "签收", "5/9/2026", "", ""],
        ["TEST9999999999", "", "", "签收", at, "", ""],
        ["", "", nowhere, "签收", at, "", ""],
        [waybill, "", "", "签收", local(market, 2), "", ""],
        [waybill, "", "", "签收", at, "猫", ""],
        [waybill, "", "", "在途", at, "", ""],
    ]
    for query in ("?dry_run=true", ""):
        answer = send(market, "events", as_csv(rows), query=query, lang="zh")
        assert counts(answer) == (1, 0, 0, 9), answer.text
        numbers = [one["row"] for one in answer.json()["errors"]]
        assert numbers == sorted(numbers), "recorded by their times, told as the file has them"
        errors = {one["row"]: one for one in answer.json()["errors"]}
        assert {n: (one["field"], one["kind"]) for n, one in errors.items()} == {
            3: ("waybill", "goods_unnamed"),
            4: ("type", "enum"),
            5: ("reason", "missing"),
            6: ("occurred_at", "day_order"),
            7: ("waybill", "not-found"),
            8: ("code", "code-unknown"),
            9: ("occurred_at", "future_time"),
            10: ("kind", "enum"),
            11: ("", "forbidden"),  # a seller says nothing of the way
        }
        assert "这个号码下没有" in errors[7]["msg"]
        assert errors[7]["column"] == "快递单号"
    assert types(market, code)[-1] == "signature"
    csv_ = market.call("GET", answer.json()["links"]["errors_csv"], token=market.keys[SHOP])
    assert "TEST9999999999" not in csv_.text.replace(waybill, "")
    lines = [int(line.partition(",")[0]) for line in csv_.text.splitlines()[1:]]
    assert lines == numbers
    links = answer.json()["links"]
    paged = market.ask("GET", f"{links['rows']}?limit=4", token=market.keys[SHOP])
    rest = market.ask(
        "GET", f"{links['rows']}?limit=50&cursor={paged['next']}", token=market.keys[SHOP]
    )
    assert [one["row"] for one in (*paged["items"], *rest["items"])] == list(range(2, 12))


def test_a_row_of_several_units_holds_for_all_of_them_or_for_none(market, parcel):
    waybill, _, codes = parcel(3)
    market.send(CARRIER, codes[1], "signature", {"kind": "in_person"}, hours=-4)
    market.send(SHOP, codes[1], "return", {"reason": "test"}, hours=-3)
    raw = as_csv([HEAD, [waybill, "", "", "签收", local(market, -2), "", ""]])
    # The one that came back travels under it no more: it is about the two that do.
    assert counts(send(market, "events", raw, by=CARRIER)) == (1, 0, 0, 0)
    assert [types(market, code)[-1] for code in codes] == ["signature", "return", "signature"]
    waybill, _, codes = parcel(2)
    market.send(CARRIER, codes[1], "signature", {"kind": "in_person"}, hours=-4)
    refusal = as_csv([HEAD, [waybill, "", "", "拒收", local(market, -3), "", "外箱破损"]])
    for query in ("?dry_run=true", ""):
        answer = send(market, "events", refusal, by=CARRIER, query=query)
        assert counts(answer) == (0, 0, 0, 1), answer.text
        assert answer.json()["errors"][0]["kind"] == "already_signed"
    assert [types(market, code)[-1] for code in codes] == ["dispatch", "signature"]


def test_others_numbers_are_unknown_and_who_says_nothing_imports_nothing(market, parcel):
    waybill, order, (code,) = parcel()
    at = local(market, -1)
    for column, number in ((0, waybill), (1, order)):
        row = ["", "", "", "签收", at, "", ""]
        row[column] = number
        answer = send(market, "events", as_csv([HEAD, row]), by=RIVAL)
        assert counts(answer) == (0, 0, 0, 1)
        assert answer.json()["errors"][0]["kind"] == "not-found"
    # An order number is between shop and buyer; a carrier knows waybills.
    row = ["", order, "", "签收", at, "", ""]
    assert counts(send(market, "events", as_csv([HEAD, row]), by=CARRIER)) == (0, 0, 0, 1)
    assert types(market, code)[-1] == "dispatch"
    row[0] = waybill
    assert send(market, "events", as_csv([HEAD, row]), by=AUTHORITY).status_code == 403


def test_what_is_seen_late_closes_the_step_in_the_order_of_the_times(market, parcel):
    waybill, _, (code,) = parcel()
    rows = [
        HEAD,
        [waybill, "", "", "退货", local(market, -1), "", "七天无理由"],
        [waybill, "", "", "签收", local(market, -9), "", ""],
    ]
    answer = send(market, "events", as_csv(rows), by=SHOP)
    assert counts(answer) == (2, 0, 0, 0), answer.text
    assert types(market, code)[-2:] == ["signature", "return"]
    shown = market.ask("GET", answer.json()["links"]["rows"], token=market.keys[SHOP])["items"]
    assert [one["row"] for one in shown] == [2, 3], "told as the file has them"


def test_a_mapping_is_remembered_and_a_wrong_kind_is_named(market, parcel):
    waybill, _, (code,) = parcel()
    raw = as_csv([["面单", "完成时刻"], [waybill, local(market, -1)]])
    wrong = send(market, "events", raw, by=CARRIER)
    assert wrong.status_code == 422
    mapping = '{"columns":{"waybill":"面单","occurred_at":"完成时刻"},"defaults":{"type":"签收"}}'
    kept = send(market, "events", raw, by=CARRIER, mapping=mapping, mapping_name="网点")
    assert counts(kept) == (1, 0, 0, 0), kept.text
    assert counts(send(market, "events", raw, by=CARRIER, mapping_name="网点")) == (0, 1, 0, 0)
    assert types(market, code)[-1] == "signature"
    orders = as_csv(
        [["订单号", "条码", "数量", "下单时间", "发货时间", "快递公司", "快递单号"], ["1"] * 7]
    )
    told = send(market, "events", orders)
    assert told.status_code == 422
    assert "shipments" in told.json()["detail"]
    other = send(market, "products", as_csv([HEAD, [waybill, "", "", "签收", local(market, -1)]]))
    assert "events" in other.json()["detail"]


def test_the_example_row_of_the_template_is_skipped(market):
    for form in ("csv", "xlsx"):
        template = market.call("GET", f"/api/v1/import-templates/events?format={form}").content
        assert counts(send(market, "events", template)) == (0, 0, 1, 0)


def test_an_order_number_that_was_set_right_names_the_goods_no_more(market, parcel):
    _, wrong, (code,) = parcel()
    sale = next(one for one in records(market, code) if one["type"] == "sale")
    right = f"{wrong}-R"
    market.send(
        SHOP,
        code,
        "correction",
        {"of": sale["id"]},
        sealed={"order": {"content": {"number": right}}},
    )
    at = local(market, -1)
    stale = send(market, "events", as_csv([HEAD, ["", wrong, "", "签收", at, "", ""]]))
    assert counts(stale) == (0, 0, 0, 1), stale.text
    assert "signature" not in types(market, code)
    assert counts(send(market, "events", as_csv([HEAD, ["", right, "", "签收", at, "", ""]]))) == (
        1, 0, 0, 0,
    )  # fmt: skip
    assert types(market, code)[-1] == "signature"


def test_a_file_asks_the_database_no_oftener_for_more_rows(market, parcel):
    at = local(market, -1)
    parcels = [parcel() for _ in range(24)]

    def asked(count: int) -> int:
        rows = [[waybill, "", "", "签收", at, "", ""] for waybill, _, _ in parcels[:count]]
        rows += [["", order, "", "退货", at, "", "x"] for _, order, _ in parcels[:count]]
        rows += [[f"TEST55500{n}", "", "", "签收", at, "", ""] for n in range(count)]
        raw = as_csv([HEAD, *rows])
        principal = market.rooms.imports.acting_for(SHOP)
        with counted(market.rooms.database) as found:
            plan = market.rooms.imports.plan(principal, "events", raw, Layout())
        assert plan.counts()["created"] >= count
        return len(found)

    few = asked(2)
    assert asked(24) == few


def test_what_the_recorder_refuses_stands_at_its_cell_beforehand_and_afterwards(market, parcel):
    (one, _, (code,)), (two, _, _) = parcel(), parcel()
    never, late = f"01/{GTIN}/21/NEVERNEVER33", local(market, 1)
    rows = [
        HEAD,
        ["", "", never, "签收", local(market, -1), "", ""],
        [two, "", "", "签收", late, "", ""],
        ["", "", code, "签收", local(market, -1), "", ""],
    ]
    principal = market.rooms.imports.acting_for(CARRIER)
    plan = market.rooms.imports.plan(principal, "events", as_csv(rows), Layout())
    found = {row.row: row.problems for row in plan.in_file()}
    assert [(p.column, p.value) for n in (2, 3, 4) for p in found[n]] == [
        ("溯源码", never),
        ("时间", late),
    ]
    market.send(CARRIER, code, "signature", {"kind": "proxy"}, hours=-2)
    job = market.rooms.imports.store(principal, plan)
    while market.rooms.imports.work_on(job):
        pass
    shown = market.ask("GET", f"/api/v1/imports/{job}", token=market.keys[CARRIER])
    told = [(one["row"], one["column"], one["value"], one["kind"]) for one in shown["errors"]]
    assert told == [
        (2, "溯源码", never, "code-unknown"),
        (3, "时间", late, "future_time"),
        (4, "溯源码", code, "already_signed"),
    ]
    # A waybill is secret: it stands in the file, and not beside the fault.
    market.clock.advance(3)
    later = as_csv([HEAD, [one, "", "", "签收", local(market, -1), "", ""]])
    (error,) = send(market, "events", later, by=CARRIER).json()["errors"]
    assert (error["column"], error["value"]) == ("快递单号", "")
