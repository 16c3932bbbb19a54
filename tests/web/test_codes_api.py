"""Issuing codes, their list and their labels, and what a code answers to."""

from __future__ import annotations

import csv
import io
import time
from contextlib import contextmanager
from urllib.parse import quote
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

from app.kit.errors import Unavailable
from app.trace.identifiers import parse_code
from tests.labels.reading import (
    opened,
    page_texts,
    pages,
    rasterised,
    zbar_texts,
    zxing_kinds,
    zxing_texts,
)
from tests.labels.sheets import cell
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import GTIN, PRODUCT, RIVAL, told

C = "/api/v1/codes"
SHORT = "6901234567892"
CASE = "16901234567899"


def order(market, body: dict, *, by: str = SHOP):
    return market.call("POST", C, {"gtin": GTIN, **body}, token=market.keys[by])


def batch(market, batch_id: str, below: str = "", *, by: str = SHOP):
    return market.call("GET", f"/api/v1/batches/{batch_id}{below}", token=market.keys[by])


# --- issuing ------------------------------------------------------------------------------------


def test_one_code_from_order_to_label(market):
    made = order(market, {"count": 1})
    assert made.status_code == 202
    job = made.json()
    assert (job["status"], job["done"], job["count"]) == ("running", 0, 1)
    assert set(job["links"]) == {"self", "codes_csv", "labels_pdf"}
    assert (
        market.call("GET", job["links"]["codes_csv"], token=market.keys[SHOP]).text.count("\n") == 1
    )
    market.work()
    job = market.ask("GET", job["links"]["self"], token=market.keys[SHOP])
    assert (job["status"], job["done"]) == ("done", 1)
    answer = market.call("GET", job["links"]["codes_csv"], token=market.keys[SHOP])
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert list(row) == ["code", "uri", "serial", "inner"]
    assert row["inner"] == ""
    assert 12 <= len(row["serial"]) <= 20
    assert row["code"] == f"{PRODUCT}/21/{row['serial']}"
    assert row["uri"] == f"http://127.0.0.1:8000/{row['code']}"
    shown = market.ask("GET", f"{C}/{GTIN}/{row['serial']}")
    assert (shown["state"], shown["verdict"], shown["warnings"]) == ("registered", "intact", [])
    assert (shown["issuer"], shown["lot"], shown["scans"]["count"]) == (SHOP, None, 0)
    record = market.ask("GET", shown["links"]["events"])["items"][-1]["record"]
    assert (record["type"], record["seq"], record["actor"]) == ("registration", 0, "system")
    assert record["data"] == {"issuer": SHOP, "brand_owner": False}


def test_six_hundred_codes_come_in_chunks_with_progress(market):
    market.lot("SIX")
    batch_id = market.order(600, lot="SIX", inner=True)
    seen = []
    while market.rooms.issuing.issue_some():
        seen.append(batch(market, batch_id).json()["done"])
    assert seen == [500, 600]
    issued = market.codes_of(batch_id)
    assert len({one.serial for one in issued}) == len({one.inner for one in issued}) == 600
    assert all(one.inner for one in issued)
    shown = market.ask("GET", issued[599].path)
    assert (shown["lot"], shown["state"]) == ("SIX", "registered")


def test_a_job_goes_on_where_a_stop_ended_it(market):
    """The first chunk is made, then the process ends: as another service on the same database."""
    from app.rooms import close_rooms, open_rooms

    batch_id = market.order(600)
    assert market.rooms.issuing.issue_some()
    first = market.codes_of(batch_id)
    assert len(first) == 500
    again = open_rooms(market.settings, clock=market.clock)
    try:
        while again.issuing.issue_some():
            pass
    finally:
        close_rooms(again)
    issued = market.codes_of(batch_id)
    assert issued[:500] == first
    assert len({one.code for one in issued}) == 600
    assert batch(market, batch_id).json()["status"] == "done"


def test_a_disk_that_fails_for_a_while_ends_no_job_and_leaves_nothing_half_made(
    market, monkeypatch
):
    batch_id = market.order(5)
    before = market.count_rows()
    whole = market.rooms.database.write

    @contextmanager
    def fail_before_commit():
        with whole() as connection:
            yield connection
            raise OperationalError("COMMIT", {}, Exception("disk full"))

    monkeypatch.setattr(market.rooms.database, "write", fail_before_commit)
    with pytest.raises(Unavailable):
        market.rooms.issuing.issue_some()
    monkeypatch.undo()
    assert market.count_rows() == before
    assert batch(market, batch_id).json()["status"] == "running"
    market.work()
    assert len(market.codes_of(batch_id)) == 5


def test_orders_are_made_in_turn_by_party(market):
    market.issue(1)  # and with it whatever was still waiting
    big = [market.order(900), market.order(900)]
    small = market.order(3, by=RIVAL)
    for _ in range(2):
        assert market.rooms.issuing.issue_some()
    assert batch(market, small, by=RIVAL).json()["status"] == "done", "no place behind the big ones"
    assert batch(market, big[0]).json()["done"] in (0, 500)
    while market.rooms.issuing.issue_some():
        pass
    assert {batch(market, one).json()["status"] for one in big} == {"done"}


def test_a_party_has_so_many_orders_open_and_no_more(market):
    seller = market.newcomer()
    first = str(uuid4())
    market.order(1, by=seller, id=first)
    for _ in range(19):
        market.order(1, by=seller)
    before = market.count_rows()
    refused = order(market, {"count": 1}, by=seller)
    assert told(refused)[:2] == (429, "too-many-requests")
    assert int(refused.headers["Retry-After"]) > 0
    assert market.count_rows() == before
    assert order(market, {"count": 1, "id": first}, by=seller).status_code == 200, "a repeat"
    market.order(1, by=RIVAL)
    while market.rooms.issuing.issue_some():
        pass
    market.order(1, by=seller)
    assert market.rooms.issuing.issue_some()


def test_the_worker_makes_what_was_ordered_at_once(live):
    batch_id = live.order(30)
    began = time.monotonic()
    while batch(live, batch_id).json()["status"] != "done":
        assert time.monotonic() - began < 30
        time.sleep(0.02)
    assert len(live.codes_of(batch_id)) == 30


def test_an_order_sent_again_is_the_same_order(market):
    body = {"id": "order-2026.11_1", "count": 2, "lot": None, "inner": True}
    first, again = order(market, body), order(market, body)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    assert first.json()["batch_id"] == "order-2026.11_1"
    before = market.count_rows()
    for change in ({"count": 3}, {"inner": False}):
        assert told(order(market, body | change))[:2] == (409, "id-conflict")
    assert market.count_rows() == before
    # Another shop may number its orders in the same way.
    body["lot"] = None
    theirs, again = order(market, body, by=RIVAL), order(market, body, by=RIVAL)
    assert (theirs.status_code, again.status_code) == (202, 200)
    assert theirs.json() == again.json()
    assert theirs.json()["batch_id"] != first.json()["batch_id"]
    assert told(order(market, body | {"count": 3}, by=RIVAL))[:2] == (409, "id-conflict")
    market.work()
    assert len(market.codes_of(theirs.json()["batch_id"], by=RIVAL)) == 2


WRONG_ORDERS = [
    ({"count": 0}, "range", ["count"]),
    ({"count": 100_001}, "range", ["count"]),
    ({"count": "5"}, "type", ["count"]),
    ({"count": 1.0}, "type", ["count"]),
    ({}, "missing", ["count"]),
    ({"count": 1, "gtin": "06901234567893"}, "check_digit", ["gtin"]),
    ({"count": 1, "lot": "批次"}, "charset", ["lot"]),
    ({"count": 1, "id": "a/b"}, "form", ["id"]),
    ({"count": 1, "id": ""}, "form", ["id"]),
    ({"count": 1, "colour": 1}, "unknown_field", ["colour"]),
]


def test_wrong_orders_are_refused_where_somebody_waits(market):
    market.lot("THEIRS", token=market.keys[RIVAL])
    before = market.count_rows()
    for body, kind, loc in WRONG_ORDERS:
        answer = order(market, body)
        assert told(answer)[:2] == (422, "invalid"), body
        (error,) = answer.json()["errors"]
        assert (error["kind"], error["loc"]) == (kind, loc), body
    unknown = {"count": 1, "gtin": "6923450656174"}
    assert told(order(market, unknown))[:2] == (404, "code-unknown")
    assert told(order(market, {"count": 1, "lot": "NONE"}))[:2] == (404, "code-unknown")
    assert told(order(market, {"count": 1, "lot": "THEIRS"}))[:2] == (403, "forbidden")
    for by in (PLATFORM, AUTHORITY):
        assert told(order(market, {"count": 1}, by=by))[:2] == (403, "forbidden")
    assert market.count_rows() == before


def test_a_batch_is_its_partys_own_and_a_regulators_to_see(market):
    batch_id = market.order(1)
    market.work()
    for below in ("", "/codes.csv", "/labels.pdf"):
        assert told(batch(market, batch_id, below, by=RIVAL))[:2] == (404, "not-found")
        assert told(batch(market, batch_id, below, by=PLATFORM))[0] in (403, 404)
        assert told(batch(market, "no-such", below))[:2] == (404, "not-found")
        assert batch(market, batch_id, below, by=AUTHORITY).status_code == 200
        assert told(market.call("GET", f"/api/v1/batches/{batch_id}{below}"))[0] == 401


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["qr", "datamatrix"])
def test_every_label_of_a_sheet_decodes_to_its_unit(market, symbol):
    lot = symbol.upper()
    market.lot(lot)
    batch_id = market.order(26, lot=lot, inner=True)
    market.work()
    issued = market.codes_of(batch_id)
    answer = batch(market, batch_id, f"/labels.pdf?layout=a4-3x8&symbol={symbol}")
    assert answer.headers["Content-Type"] == "application/pdf"
    sheets = pages(answer.content, dpi=300)
    assert len(sheets) == 2
    read = [text for sheet in sheets for text in zxing_texts(sheet)]
    if symbol == "qr":
        assert sorted(read) == sorted(one.uri for one in issued)
        again = [text for n in range(26) for text in zbar_texts(cell(sheets[n // 24], n % 24))]
        assert again == [one.uri for one in issued]
    else:
        assert sorted(parse_code(text).stream for text in read) == sorted(
            one.code for one in issued
        )
    words = "".join(page_texts(answer.content))
    assert words.count("端砚文房礼盒") == 26
    assert all(one.serial in words and one.inner in words for one in issued)
    assert words.count(f"(10){lot}") == 26
    assert "Link" not in answer.headers
    rest = batch(market, batch_id, f"/labels.pdf?start=24&symbol={symbol}")
    assert len(zxing_texts(pages(rest.content, dpi=300)[0])) == 2
    wrong = batch(market, batch_id, "/labels.pdf?start=26")
    assert (wrong.status_code, wrong.json()["errors"][0]["kind"]) == (422, "range")
    for query in ("?layout=a5", "?symbol=ean13", "?start=-1"):
        assert told(batch(market, batch_id, f"/labels.pdf{query}"))[:2] == (422, "invalid")


def test_a_sheet_that_does_not_hold_all_labels_says_where_the_rest_is(market, monkeypatch):
    batch_id = market.order(5)
    market.work()
    monkeypatch.setattr("app.trace.printing.SHEET_MAX", 3)
    first = batch(market, batch_id, "/labels.pdf?symbol=datamatrix")
    link, relation = first.headers["Link"].split("; ")
    assert relation == 'rel="next"'
    assert f"{batch_id}-1-3.pdf" in first.headers["Content-Disposition"]
    rest = market.call("GET", link.strip("<>"), token=market.keys[SHOP])
    assert "Link" not in rest.headers
    read = [t for answer in (first, rest) for t in zxing_texts(pages(answer.content, dpi=300)[0])]
    assert len({parse_code(text).stream for text in read}) == 5


def test_a_single_label_decodes_as_picture_and_as_drawing(market):
    market.lot("LABELLED")
    unit = market.one(lot="LABELLED")
    expected = {
        "qr": ("]Q1", unit.uri),
        # As on the sheet: a scanner in the warehouse sorts by lot.
        "datamatrix": ("]d2", f"01{GTIN}10LABELLED\x1d21{unit.serial}"),
        "ean13": ("]E0", SHORT),
    }
    for symbol, (kind, text) in expected.items():
        png = market.call("GET", f"{unit.path}/label.png?symbol={symbol}")
        svg = market.call("GET", f"{unit.path}/label.svg?symbol={symbol}")
        assert png.headers["Content-Type"] == "image/png"
        assert svg.headers["Content-Type"].startswith("image/svg+xml")
        for picture in (opened(png.content).convert("L"), rasterised(svg.content, dpi=300)):
            assert zxing_texts(picture) == [text], symbol
            assert zxing_kinds(picture) == [kind], symbol
    assert zbar_texts(opened(png.content).convert("L")) == [SHORT]
    assert market.call("GET", f"{unit.path}/label.png").content == market.call(
        "GET", f"{unit.path}/label.png?symbol=qr"
    ).content  # fmt: skip


def test_a_case_has_no_ean_13(market):
    facts = {"gtin": CASE, "name": "整箱", "category": "other"}
    market.ask("POST", "/api/v1/products", facts, token=market.keys[SHOP], status=201)
    job = order(market, {"gtin": CASE, "count": 1}).json()
    market.work()
    (unit,) = market.codes_of(job["batch_id"])
    path = f"{C}/{CASE}/{unit.serial}/label.png"
    assert market.call("GET", f"{path}?symbol=qr").status_code == 200
    answer = market.call("GET", f"{path}?symbol=ean13")
    assert told(answer)[:2] == (422, "invalid")
    for query in ("?symbol=pdf417", "?symbol="):
        assert told(market.call("GET", path + query))[:2] == (422, "invalid")
    assert told(market.call("GET", f"{C}/{CASE}/NOBODY/label.png"))[:2] == (404, "code-unknown")
    assert market.call("GET", f"{C}/{CASE}/{unit.serial}/label.gif").status_code in (404, 422)


# --- looking a code up --------------------------------------------------------------------------

FORMS = [
    "{code}", "/{code}", "{uri}", "https://id.gs1.org/{code}", "(01)06901234567892(21){serial}",
    "010690123456789221{serial}", "]d2010690123456789221{serial}", "]Q3010690123456789221{serial}",
    "\x1d010690123456789221{serial}", "https://a.example/x/01/6901234567892/21/{serial}?17=271231",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_one_door_takes_a_code_in_any_form(market, form):
    unit = market.one()
    given = form.format(code=unit.code, uri=unit.uri, serial=unit.serial)
    answer = market.call("GET", "/api/v1/code", params={"code": given})
    if given.startswith("\x1d"):
        # A control character stands in no query; scanners that send one are read in a body.
        assert told(answer)[:2] == (422, "invalid")
        return
    assert answer.status_code == 200, answer.text
    assert (answer.json()["code"], answer.json()["serial"]) == (unit.code, unit.serial)


def test_the_door_leads_to_products_and_lots_too(market):
    lot = market.lot("A/B")
    for given, code in (
        (SHORT, PRODUCT), (PRODUCT, PRODUCT), (lot, lot), (f"(01){GTIN}(10)A/B", lot),
        (f"http://127.0.0.1:8000/{lot}", lot),
    ):  # fmt: skip
        found = market.ask("GET", f"/api/v1/code?code={quote(given, safe='')}")
        assert found["code"] == code
        assert market.call("GET", found["links"]["self"]).status_code == 200
        assert market.call("GET", found["links"]["events"]).status_code == 200


def test_a_serial_may_be_called_like_a_part_of_our_paths(market, monkeypatch):
    for name in ("events", "verification", "evidence", "check", "label.png", "a%2Fb", "..x"):
        serial = name.replace("%2F", "/")
        monkeypatch.setattr("app.trace.issuing.new_serial", lambda _, serial=serial: serial)
        (unit,) = market.issue()
        path = f"{C}/{GTIN}/{quote(serial, safe='')}"
        assert market.ask("GET", path)["serial"] == serial
        assert market.ask("GET", f"{path}/events")["items"][-1]["record"]["stream"] == unit.code
        assert market.ask("GET", f"{path}/verification")["code"] == unit.code
        assert market.ask("GET", f"{path}/evidence")["subject"] == unit.code
        assert market.call("GET", f"{path}/label.png").headers["Content-Type"] == "image/png"
        market.sell(unit.code)
        assert market.ask("GET", path)["state"] == "sold"


def test_nobody_lists_serials_that_are_not_theirs(market):
    for path in (f"{C}/{GTIN}", f"{C}", f"{C}/{GTIN}/"):
        assert market.call("GET", path, token=market.keys[RIVAL]).status_code in (404, 405)
