"""Labels of a batch by call: papers and printer commands, parts of a batch, void units, the log of prints."""

from __future__ import annotations

import os
import signal
from urllib.parse import quote

import pytest

from app.i18n import text as say
from app.labels.apart import FEW, write_apart
from app.trace import printing
from tests.labels.reading import opened, pages, rasterised, zbar_texts, zxing_texts
from tests.labels.test_apart import at, presses
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import GTIN, RIVAL, told

B = "/api/v1/batches"


def ask(market, path: str, *, by: str = SHOP):
    return market.call("GET", f"{B}/{path}", token=market.keys[by])


def made(market, many: int, **more) -> tuple[str, list]:
    batch_id = market.order(many, **more)
    market.work()
    return batch_id, market.codes_of(batch_id)


def read(pdf: bytes) -> list[str]:
    return [text for page in pages(pdf, dpi=200) for text in zxing_texts(page)]


def prints(market, batch_id: str, **more) -> list[dict]:
    return ask(market, f"{batch_id}/prints", **more).json()["items"]


def void(market, unit) -> None:
    answer = market.post(SHOP, unit.code, "void", {"reason": "标签破损"})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("layout", "a_page"), [("a4-3x8", 24), ("a4-4x10", 40), ("a4-5x13", 65), ("roll-60x40", 1)]
)
def test_every_paper_holds_the_batch(market, layout, a_page):
    many = 3 if a_page == 1 else a_page + 1
    batch_id, issued = made(market, many)
    answer = ask(market, f"{batch_id}/labels.pdf?layout={layout}")
    assert answer.headers["Suxin-Layout"] == layout
    assert float(answer.headers["Suxin-Module-Mm"]) >= 0.396
    assert (answer.headers["Suxin-Void"], answer.headers["Suxin-Reprinted"]) == ("0", "0")
    assert len(pages(answer.content, dpi=20)) == -(-many // a_page)
    assert sorted(read(answer.content)) == sorted(one.uri for one in issued)


@pytest.mark.parametrize("dpi", ["203", "300"])
def test_printer_commands_hold_the_batch(market, dpi):
    batch_id, issued = made(market, 3, inner=True)
    answer = ask(market, f"{batch_id}/labels.zpl?dpi={dpi}")
    assert answer.headers["Content-Type"] == "text/plain; charset=us-ascii"
    assert answer.headers["Content-Disposition"].endswith(f'labels-{batch_id}-1-3.zpl"')
    text = answer.content.decode("ascii")
    assert text.count("^GFA") == 3
    for one in issued:
        assert f"^FD(21){one.serial}^FS" in text
        assert f"^FD{one.inner}^FS" in text
    assert prints(market, batch_id)[0]["form"] == f"zpl-{dpi}"


def test_an_authority_reads_labels_without_their_inner_codes(market):
    batch_id, issued = made(market, 2, inner=True)
    token = market.keys[AUTHORITY]
    for form in ("codes.csv", "labels.zpl"):
        answer = market.call("GET", f"/api/v1/batches/{batch_id}/{form}", token=token)
        assert answer.status_code == 200, answer.text
        for one in issued:
            assert one.serial in answer.text
            assert one.inner not in answer.text


def test_a_part_is_printed_on_what_is_left_of_a_sheet(market):
    batch_id, issued = made(market, 9)
    answer = ask(market, f"{batch_id}/labels.pdf?start=2&count=5&offset=22")
    assert f"{batch_id}-3-7.pdf" in answer.headers["Content-Disposition"]
    first, second = pages(answer.content, dpi=200)
    assert (len(zxing_texts(first)), len(zxing_texts(second))) == (2, 3)
    assert sorted(read(answer.content)) == sorted(one.uri for one in issued[2:7])
    link, _ = answer.headers["Link"].split("; ")
    rest = market.call("GET", link.strip("<>"), token=market.keys[SHOP])
    assert sorted(read(rest.content)) == sorted(one.uri for one in issued[7:])
    assert "Link" not in rest.headers


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ("start=2", "start", "0 to 1"),
        ("start=-1", "start", ""),
        ("count=0", "count", ""),
        ("count=-3", "count", ""),
        ("count=10001", "count", ""),
        ("offset=24", "offset", "0 to 23"),
        ("layout=a4-5x13&offset=65", "offset", "0 to 64"),
        ("layout=roll-60x40&offset=1", "offset", "expected 0,"),
        ("layout=a4-9x9", "layout", "a4-5x13"),
    ],
)
def test_what_is_not_on_the_paper_or_in_the_batch_is_refused_and_noted_nowhere(
    market, query, field, expected
):
    batch_id, _ = made(market, 2)
    answer = ask(market, f"{batch_id}/labels.pdf?{query}")
    assert told(answer)[:2] == (422, "invalid")
    (error,) = answer.json()["errors"]
    assert error["loc"] == ["query", field]
    assert expected in error["msg"]
    assert prints(market, batch_id) == []


def test_nothing_is_printed_before_the_first_code_is_made(market):
    batch_id = market.order(2)
    answer = ask(market, f"{batch_id}/labels.pdf")
    assert answer.json()["errors"][0]["loc"] == ["query", "start"]
    market.work()


@pytest.mark.parametrize("form", ["pdf", "zpl"])
def test_a_large_print_has_the_bytes_of_a_small_one(market, form, monkeypatch):
    batch_id, _ = made(market, FEW + 1, inner=True)
    apart = ask(market, f"{batch_id}/labels.{form}")
    assert apart.headers["Suxin-Reprinted"] == "0"
    monkeypatch.setattr(printing, "write_apart", None)
    monkeypatch.setattr(printing, "FEW", FEW + 1)
    here = ask(market, f"{batch_id}/labels.{form}")
    assert here.headers["Suxin-Reprinted"] == str(FEW + 1)
    assert apart.content == here.content
    assert apart.headers["Suxin-Module-Mm"] == here.headers["Suxin-Module-Mm"]


def test_a_large_print_that_is_not_made_is_refused_and_noted_nowhere(market, monkeypatch):
    batch_id, _ = made(market, FEW + 1)

    def kill() -> None:
        (pid,) = presses()
        os.kill(pid, signal.SIGKILL)

    def write(job, labels, out, **_):
        return write_apart(job, labels, out, progress=at(1, kill))

    monkeypatch.setattr(printing, "write_apart", write)
    for lang, words in (("zh", "标签没有印成"), ("en", "were not printed")):
        answer = market.call(
            "GET",
            f"{B}/{batch_id}/labels.pdf",
            token=market.keys[SHOP],
            headers={"Accept-Language": lang},
        )
        assert told(answer)[:2] == (503, "unavailable")
        assert words in answer.json()["detail"]
        assert answer.headers["Retry-After"]
    assert prints(market, batch_id) == []


# --- the log of prints ---------------------------------------------------------------------------


def test_a_reprint_is_noted_with_who_when_how_many_and_why(market):
    batch_id, _ = made(market, 10)
    records = market.count_rows()["record"]
    ask(market, f"{batch_id}/labels.pdf?count=4")
    ask(market, f"{batch_id}/labels.pdf?start=6&count=2&layout=a4-4x10")
    why = "打印机卡纸，第 3 张起作废重打"
    again = ask(market, f"{batch_id}/labels.zpl?start=2&symbol=datamatrix&reason={quote(why)}")
    assert again.headers["Suxin-Reprinted"] == "4", "numbers 2, 3, 6 and 7"
    first, second, third = prints(market, batch_id)
    assert (first["start"], first["count"], first["again"]) == (0, 4, 0)
    assert (second["layout"], second["again"]) == ("a4-4x10", 0)
    assert "reason" not in first
    assert third.pop("id") > second["id"] > first["id"]
    assert third.pop("at") >= second["at"]
    assert third == {
        "by": SHOP, "key": market.keys[SHOP].split("_")[1], "form": "zpl-203",
        "layout": "roll-60x40", "symbol": "datamatrix", "start": 2, "count": 8, "void": 0,
        "again": 4, "reason": why,
    }  # fmt: skip
    once_more = ask(market, f"{batch_id}/labels.pdf")
    assert once_more.headers["Suxin-Reprinted"] == "10"
    assert market.count_rows()["record"] == records, "a print is no record of a chain"


def test_the_log_comes_in_pages_and_to_its_party_and_regulators_alone(market):
    batch_id, _ = made(market, 1)
    for _ in range(3):
        ask(market, f"{batch_id}/labels.pdf")
    ask(market, f"{batch_id}/labels.pdf", by=AUTHORITY)
    first = ask(market, f"{batch_id}/prints?limit=3").json()
    rest = ask(market, f"{batch_id}/prints?limit=3&cursor={first['next']}").json()
    assert [one["again"] for one in first["items"]] == [0, 1, 1]
    assert ([one["by"] for one in rest["items"]], rest["next"]) == ([AUTHORITY], None)
    assert len(prints(market, batch_id, by=AUTHORITY)) == 4
    for below in ("prints", "labels.zpl", "label.png"):
        assert told(ask(market, f"{batch_id}/{below}", by=RIVAL))[:2] == (404, "not-found")
        assert told(ask(market, f"{batch_id}/{below}", by=PLATFORM))[0] in (403, 404)
        assert told(market.call("GET", f"{B}/{batch_id}/{below}"))[0] == 401


# --- void ----------------------------------------------------------------------------------------


def test_void_units_are_left_out_and_what_is_damaged_gets_no_label_any_more(market):
    batch_id, issued = made(market, 4)
    void(market, issued[0])
    void(market, issued[2])
    answer = ask(market, f"{batch_id}/labels.pdf")
    assert sorted(read(answer.content)) == sorted((issued[1].uri, issued[3].uri))
    assert answer.headers["Suxin-Void"] == "2"
    assert prints(market, batch_id)[0]["void"] == 2
    preview = ask(market, f"{batch_id}/label.png")
    assert zxing_texts(opened(preview.content)) == [issued[1].uri], "the first that is printed"
    for form in ("png", "svg"):
        single = market.call("GET", f"{issued[0].path}/label.{form}")
        assert told(single) == (409, "lifecycle-conflict", "void")
    assert market.call("GET", f"{issued[1].path}/label.png").status_code == 200
    page = market.call("GET", f"/{issued[0].code}", headers={"Accept-Language": "zh"})
    assert "作废" in page.text
    sale = market.post(SHOP, issued[0].code, "sale", {"region": "440100"})
    assert told(sale) == (409, "lifecycle-conflict", "void")
    csv = ask(market, f"{batch_id}/codes.csv").text
    assert all(one.serial in csv for one in issued), "a list is no label"


def test_a_batch_that_is_wholly_void_has_no_labels(market):
    batch_id, (unit,) = made(market, 1)
    void(market, unit)
    for below in ("labels.pdf", "labels.zpl", "label.png"):
        answer = ask(market, f"{batch_id}/{below}")
        assert told(answer)[:2] == (422, "invalid")
        assert answer.json()["detail"] == say("en", "fault.all_void", count=1)
    assert prints(market, batch_id) == []


# --- to look at ----------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["qr", "datamatrix"])
def test_the_first_label_can_be_looked_at_on_any_paper(market, symbol):
    batch_id, issued = made(market, 2, inner=True)
    wanted = issued[1].uri if symbol == "qr" else f"01{GTIN}21{issued[1].serial}"
    for layout in ("a4-3x8", "a4-4x10", "a4-5x13", "roll-60x40"):
        query = f"layout={layout}&symbol={symbol}&start=1"
        png = ask(market, f"{batch_id}/label.png?{query}")
        svg = ask(market, f"{batch_id}/label.svg?{query}")
        assert png.headers["Content-Type"] == "image/png"
        assert svg.headers["Content-Type"].startswith("image/svg+xml")
        for picture in (opened(png.content).convert("L"), rasterised(svg.content, dpi=300)):
            assert zxing_texts(picture) == [wanted]
            if symbol == "qr":
                assert zbar_texts(picture) == [wanted]
        assert issued[1].inner in svg.text
    assert prints(market, batch_id) == [], "to look is not to print"


def test_a_calibration_page_is_there_for_anybody(market):
    answer = market.call("GET", "/api/v1/labels/calibration.pdf?layout=a4-5x13")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert len(pages(answer.content, dpi=20)) == 1
