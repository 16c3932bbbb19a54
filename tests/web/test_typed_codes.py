"""A code that a person typed into a page: full width, small letters; and what is never guessed at."""

from __future__ import annotations

import pytest

from app.ledger.record import stream_key
from tests.web.market import GTIN, PRODUCT

PAGE = {"Accept": "text/html", "Accept-Language": "en"}
WIDE = {number: number + 0xFEE0 for number in range(0x21, 0x7F)} | {0x20: 0x3000}


def led_to(market, typed: str) -> str:
    answer = market.call("GET", "/code", params={"code": typed}, headers=PAGE)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


@pytest.fixture(scope="module")
def lots(market):
    """Lots whose names differ by their letters alone, and one of each kind without such a twin."""
    for name in ("ab/1", "AB/1", "CD-2", "ef-3", "ij-5", "IJ-5"):
        market.lot(name)
    return market


def test_a_code_in_small_letters_or_full_width_leads_to_its_own_page(market):
    code = market.one().code
    serial = code.rpartition("/")[2]
    assert serial != serial.lower()
    for typed in (
        code, code.lower(), code.translate(WIDE), code.lower().translate(WIDE), f"　{code.lower()} ",
        f"(01){GTIN}(21){serial.lower()}".translate(WIDE), f"01 {GTIN} 21 {serial.lower()}",
        f"https://id.example/{code.lower()}", f"]d201{GTIN}21{serial.lower()}",
    ):  # fmt: skip
        assert led_to(market, typed) == f"/{code}", typed
    assert led_to(market, PRODUCT.translate(WIDE)) == f"/{PRODUCT}"
    assert market.call("GET", led_to(market, code.lower()), headers=PAGE).status_code == 200


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("ab%2F1", "ab%2F1"),
        ("AB%2F1", "AB%2F1"),
        ("Ab%2F1", "AB%2F1"),
        ("cd-2", "CD-2"),
        ("ef-3", "ef-3"),
        ("EF-3", "EF-3"),
        ("gh-4", "gh-4"),
    ],
)
def test_capitals_and_small_letters_are_apart_where_both_were_issued(lots, typed, name):
    place = led_to(lots, f"{PRODUCT}/10/{typed}")
    assert place == f"/{PRODUCT}/10/{name}"
    known = lots.call("GET", place, headers=PAGE).status_code == 200
    assert known == (name not in ("EF-3", "gh-4"))


def test_what_only_the_log_still_knows_is_not_taken_for_another(lots):
    """A code whose head a hand has deleted has a page that says so, in its own letters."""
    code = f"{PRODUCT}/10/ij-5"
    lots.work()
    lots.tamper("DELETE FROM head WHERE stream = ?", stream_key(code))
    assert led_to(lots, code) == f"/{code}"


def test_a_scanned_address_a_cameras_text_and_the_api_take_a_code_as_it_stands(market):
    code = market.one().code
    for path in (f"/{code.lower()}", f"/api/v1/code?code={code.lower()}"):
        assert market.call("GET", path, headers=PAGE).status_code == 404
    answer = market.call("POST", "/scan", data={"text": code.lower()}, headers=PAGE)
    assert answer.headers["Location"] == f"/{code.lower()}"
    wide = {"code": code.translate(WIDE)}
    assert market.call("GET", "/api/v1/code", params=wide).status_code == 422


def test_what_is_no_code_however_it_is_typed_is_told_as_before(market):
    answer = market.call(
        "GET",
        "/code",
        params={"code": "０１／０６９０１２３４５６７８９２／２１／１é"},
        headers=PAGE,
    )
    assert (answer.status_code, "é" in answer.text) == (422, True)
    assert "０６９０１" in answer.text
