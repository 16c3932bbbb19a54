"""What applying an order list would refuse is told by its dry run: the row, the column, the value."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from app.imports import sending
from app.imports.mapping import Layout
from app.imports.problems import of_row
from app.kit.turn import OneAtATime
from tests.imports.sheets import as_csv
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import GTIN, RIVAL
from tests.web.test_import_events import counted, local
from tests.web.test_imports_api import counts, send
from tests.web.test_recalls_api import GLASS

HEAD = [
    "订单号", "商品条码", "批号", "数量", "溯源码", "下单时间", "发货时间", "快递公司", "快递单号",
]  # fmt: skip
_numbers = itertools.count(1)
NEVER = f"01/{GTIN}/21/NEVERNEVER22"


@pytest.fixture
def line(market):
    """Makes rows, each of an order of its own."""

    def make(codes: str = "", *, lot: str = "", ordered: str = "", shipped: str = "") -> list[str]:
        number = next(_numbers)
        goods = ["", "", "", codes] if codes else [GTIN, lot, "2", ""]
        return [
            f"DRY-{number}", *goods, ordered or local(market, -3), shipped or local(market, -2),
            CARRIER, f"TEST6600{number:06}",
        ]  # fmt: skip

    return make


def told(answer, *names: str) -> list[tuple]:
    names = names or ("row", "column", "value", "kind")
    return [tuple(one[name] for name in names) for one in answer.json()["errors"]]


def test_what_the_recorder_would_refuse_is_told_beforehand_at_its_cell(market, line):
    sold, void, recalled, strange, good = (one.code for one in market.issue(5))
    market.sell(sold)
    market.send(SHOP, void, "void", {"reason": "label torn"})
    market.send(SHOP, recalled, "recall", GLASS, hours=-5)
    market.send(SHOP, strange, "transfer", {"to": RIVAL})
    market.send(RIVAL, strange, "acceptance", {"from": SHOP})
    market.lot("DRY-R")
    lot = f"01/{GTIN}/10/DRY-R"
    market.send(SHOP, lot, "recall", GLASS, hours=-5)
    late, later = local(market, 1), local(market, 2)
    raw = as_csv([
        HEAD, line(NEVER), line(sold), line(void), line(recalled), line(strange),
        line(good, ordered=late, shipped=later), line(lot="DRY-R"), line(good), line(),
        line(ordered=late, shipped=later),
    ])  # fmt: skip
    cells = [
        (2, "溯源码", NEVER, "code-unknown"),
        (3, "溯源码", sold, "already_sold"),
        (4, "溯源码", void, "void"),
        (5, "溯源码", recalled, "recalled"),
        (6, "溯源码", strange, "forbidden"),
        (7, "下单时间", late, "future_time"),
        (7, "发货时间", later, "future_time"),
        (8, "商品条码", f"0{GTIN[-13:]}", "recalled"),
        (11, "下单时间", late, "future_time"),
        (11, "发货时间", later, "future_time"),
    ]
    before = market.count_rows()
    planned = send(market, "shipments", raw, query="?dry_run=true")
    assert counts(planned) == (2, 0, 0, 8), planned.text
    assert told(planned) == cells
    assert market.count_rows() == before
    for lang, words in (
        ("zh", ("没有登记过", "已售出", "作废", "召回", "晚于现在")),
        (
            "en",
            ("Nothing is registered as", "recorded as sold", "voided", "recall", "ahead of now"),
        ),
    ):
        said = send(market, "shipments", raw, query="?dry_run=true", lang=lang).json()["errors"]
        for n, word in zip((0, 1, 2, 3, 5), words, strict=True):
            assert word in said[n]["msg"], said[n]
    done = send(market, "shipments", raw)
    assert counts(done) == (2, 0, 0, 8), done.text
    assert told(done) == cells


def test_every_code_of_a_row_that_is_wrong_is_told(market, line):
    one, two, sold = (unit.code for unit in market.issue(3))
    market.sell(sold)
    raw = as_csv([HEAD, line(f"{one} {sold} {NEVER} {two}"), line(one)])
    planned = send(market, "shipments", raw, query="?dry_run=true")
    assert told(planned, "row", "value", "kind") == [
        (2, sold, "already_sold"),
        (2, NEVER, "code-unknown"),
    ]
    # The row takes none of its units with it.
    assert counts(planned) == (1, 0, 0, 1)


def test_of_very_many_wrong_codes_of_a_row_ten_are_told_and_the_others_counted(market, line):
    never = [f"01/{GTIN}/21/NEVER{n:07}" for n in range(500)]
    sold = [unit.code for unit in market.issue(12)]
    market.sell(sold[0])
    raw = as_csv([
        HEAD, line(" ".join(never)), line(" ".join(sold[1:])), line(" ".join(sold)),
        line(" ".join([*never[:9], sold[3], sold[4]])),
    ])  # fmt: skip
    for query in ("?dry_run=true", ""):
        answer = send(market, "shipments", raw, query=query, lang="en")
        assert counts(answer) == (1, 0, 0, 3)
        assert told(answer, "row", "value", "kind") == [
            *((2, code, "code-unknown") for code in never[:10]),
            (2, "", "codes_more"),
            (4, sold[0], "already_sold"),
            *((4, code, "codes_twice") for code in sold[1:10]),
            (4, "", "codes_more"),
            *((5, code, "code-unknown") for code in never[:9]),
            (5, sold[3], "codes_twice"),
            (5, "", "codes_more"),
        ]
        said = [one["msg"] for one in answer.json()["errors"] if one["kind"] == "codes_more"]
        assert ["490 more faults" in said[0], "2 more faults" in said[1]] == [True, True], said
        assert "1 more fault," in said[2]


def test_a_file_that_comes_again_is_known_and_nothing_of_it_is_sold_already(market, line):
    (unit,) = market.issue(1)
    raw = as_csv([HEAD, line(unit.code), line()])
    assert counts(send(market, "shipments", raw)) == (2, 0, 0, 0)
    for query in ("?dry_run=true", ""):
        assert counts(send(market, "shipments", raw, query=query)) == (0, 2, 0, 0)
    # Another order of the unit is none of that file.
    other = as_csv([HEAD, line(unit.code)])
    assert told(send(market, "shipments", other, query="?dry_run=true"), "kind") == [
        ("already_sold",)
    ]
    market.sign(unit.code)
    market.send(SHOP, unit.code, "return", {"reason": "x"}, hours=-0.5)
    assert counts(send(market, "shipments", raw, query="?dry_run=true")) == (0, 2, 0, 0)
    again = as_csv(
        [HEAD, line(unit.code, ordered=local(market, -0.4), shipped=local(market, -0.3))]
    )
    for query in ("?dry_run=true", ""):
        assert counts(send(market, "shipments", again, query=query)) == (1, 0, 0, 0)


def test_of_two_rows_that_sell_a_unit_the_second_is_refused_and_names_the_first(market, line):
    one, two, three = (unit.code for unit in market.issue(3))
    raw = as_csv([
        HEAD, line(f"{one} {NEVER}"), line(one), line(f"{two} {one}"), line(two), line(two), line(three),
    ])  # fmt: skip
    for query in ("?dry_run=true", ""):
        for lang, words in (("zh", "第 3 行"), ("en", "Row 3 ")):
            if not query and lang == "en":
                continue  # it is applied by then
            answer = send(market, "shipments", raw, query=query, lang=lang)
            assert counts(answer) == (3, 0, 0, 3), answer.text
            assert told(answer) == [
                (2, "溯源码", NEVER, "code-unknown"),
                (4, "溯源码", one, "codes_twice"),
                (6, "溯源码", two, "codes_twice"),
            ]
            assert words in answer.json()["errors"][1]["msg"]


def test_what_came_between_dry_run_and_applying_is_told_at_its_cell_too(market, line):
    unit, good = (one.code for one in market.issue(2))
    principal = market.rooms.imports.acting_for(SHOP)
    raw = as_csv([HEAD, line(unit), line(good)])
    plan = market.rooms.imports.plan(principal, "shipments", raw, Layout())
    assert plan.counts()["created"] == 2
    market.sell(unit)
    market.clock.advance(-3 * 3600)  # set back: what was past is to come
    try:
        job = market.rooms.imports.store(principal, plan)
        while market.rooms.imports.work_on(job):
            pass
    finally:
        market.clock.advance(3 * 3600)
    found = {row.row: of_row(row) for row in market.rooms.imports.rows(principal, job, limit=9)}
    assert [(one.field, one.column, one.kind) for one in found[3]] == [
        ("shipped_at", "发货时间", "future_time")
    ]
    assert found[3][0].value == local(market, -2)


def test_a_row_that_only_the_recorder_refused_says_its_code(market, line):
    (unit,) = market.issue(1)
    principal = market.rooms.imports.acting_for(SHOP)
    plan = market.rooms.imports.plan(
        principal, "shipments", as_csv([HEAD, line(unit.code)]), Layout()
    )
    market.sell(unit.code)
    job = market.rooms.imports.store(principal, plan)
    while market.rooms.imports.work_on(job):
        pass
    shown = market.ask("GET", f"/api/v1/imports/{job}", token=market.keys[SHOP])
    (error,) = shown["errors"]
    assert (error["column"], error["value"], error["kind"]) == ("溯源码", unit.code, "already_sold")
    lines = market.call("GET", shown["links"]["errors_csv"], token=market.keys[SHOP]).text
    assert f"2,溯源码,{unit.code}," in lines


def test_beyond_very_many_units_the_dry_run_says_that_it_did_not_ask(market, line, monkeypatch):
    monkeypatch.setattr(sending, "MOST_ASKED", 4)
    one, two, three, sold = (unit.code for unit in market.issue(4))
    market.sell(sold)
    raw = as_csv([HEAD, line(f"{one} {two} {three}"), line(), line(sold), line(), line(one)])
    planned = send(market, "shipments", raw, query="?dry_run=true")
    assert counts(planned) == (4, 0, 0, 1)
    assert told(planned, "row", "kind") == [(6, "codes_twice")]
    unasked = [one for one in planned.json()["warnings"] if one["kind"] == "not_foreseen"]
    assert [(one["row"], "2 in all" in one["msg"]) for one in unasked] == [(4, True)]
    done = send(market, "shipments", raw, lang="en")
    assert told(done, "row", "kind") == [(4, "already_sold"), (6, "codes_twice")]
    # Said at the import itself, too, where nothing is yet to be applied.
    said = [one["msg"] for one in done.json()["warnings"] if one["kind"] == "not_foreseen"]
    assert [("2 in all" in one, "as each row is recorded" in one) for one in said] == [(True, True)]


def test_one_large_order_list_is_looked_at_at_a_time_and_who_waits_too_long_is_told_so(
    market, line, monkeypatch
):
    monkeypatch.setattr(sending, "_turn", OneAtATime("imports_busy", patience_s=0.1))
    monkeypatch.setattr(sending, "FEW_ASKED", 2)
    few, raw = (as_csv([HEAD, *(line() for _ in range(count))]) for count in (2, 3))
    before = market.count_rows()
    with sending._turn:
        for query, lang, words in (
            ("?dry_run=true", "zh", "核对的订单表太多"),
            ("", "en", "order files"),
        ):
            answer = send(market, "shipments", raw, query=query, lang=lang)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert answer.json()["type"] == "/problems/overloaded"
            assert words in answer.json()["detail"]
        # What is recorded already, or wrong as it stands, asks nobody.
        unread = as_csv([HEAD, [*line("")[:-1], "-"]])
        assert counts(send(market, "shipments", unread, query="?dry_run=true")) == (0, 0, 0, 1)
        # A small one is looked at beside the large one.
        assert counts(send(market, "shipments", few, query="?dry_run=true")) == (2, 0, 0, 0)
        assert market.count_rows() == before
        assert counts(send(market, "shipments", few)) == (2, 0, 0, 0)
    assert counts(send(market, "shipments", raw)) == (3, 0, 0, 0)


def test_a_row_counts_for_each_code_that_it_names_in_what_goes_by_without_a_turn(
    market, line, monkeypatch
):
    monkeypatch.setattr(sending, "_turn", OneAtATime("imports_busy", patience_s=0.1))
    monkeypatch.setattr(sending, "FEW_ASKED", 2)
    one, two, three = (unit.code for unit in market.issue(3))
    with sending._turn:
        for codes, status in ((f"{one} {two}", 200), (f"{one} {two} {three}", 503)):
            raw = as_csv([HEAD, line(codes)])
            answer = send(market, "shipments", raw, query="?dry_run=true")
            assert answer.status_code == status, answer.text


def test_two_large_order_lists_may_wait_and_a_third_is_told_at_once_when_to_come_again(
    market, line, monkeypatch
):
    monkeypatch.setattr(sending, "FEW_ASKED", 1)
    raw = as_csv([HEAD, line(), line()])
    turn = sending._turn
    with ThreadPoolExecutor(2) as threads, ExitStack() as held:
        held.enter_context(turn)
        waiting = [
            threads.submit(send, market, "shipments", raw, query="?dry_run=true") for _ in range(2)
        ]
        # Both have come to it when there is no place left.
        until = time.monotonic() + 10
        while turn._places._value and time.monotonic() < until:
            time.sleep(0.005)
        answer = send(market, "shipments", raw, query="?dry_run=true")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "8")
        assert not any(one.done() for one in waiting)
        held.close()
        found = [counts(one.result()) for one in waiting]
    assert found == [(2, 0, 0, 0)] * 2


def test_an_order_list_asks_the_database_no_oftener_for_more_rows(market, line):
    units = [one.code for one in market.issue(30)]
    principal = market.rooms.imports.acting_for(SHOP)
    late = local(market, 1)

    def asked(count: int, first: int) -> int:
        rows = [line(code) for code in units[first : first + count]]
        rows += [line() for _ in range(count)]
        rows += [line(f"01/{GTIN}/21/NEVER{n:07}") for n in range(count)]
        rows += [line(code, ordered=late, shipped=late) for code in units[first : first + count]]
        with counted(market.rooms.database) as found:
            plan = market.rooms.imports.plan(
                principal, "shipments", as_csv([HEAD, *rows]), Layout()
            )
        assert (plan.counts()["created"], plan.counts()["refused"]) == (2 * count, 2 * count)
        return len(found)

    few = asked(2, 0)
    assert asked(24, 2) == few
