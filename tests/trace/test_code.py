from __future__ import annotations

import random
from urllib.parse import unquote

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.kit.tokens import SYMBOLS
from app.trace.code import (
    CSET_82,
    Code,
    digital_link,
    element_string,
    new_inner,
    new_serial,
    normalise_inner,
    parse_lot,
    parse_serial,
    scanner_text,
    symbol_text,
)
from tests.sentences import explain, only_error

GTIN = "06901234567892"
segments = st.text(sorted(CSET_82), min_size=1, max_size=20).filter(lambda s: s not in (".", ".."))


def test_streams_and_levels():
    assert Code(GTIN).stream == "01/06901234567892"
    assert Code(GTIN).level == "product"
    assert Code(GTIN, lot="L/1").stream == "01/06901234567892/10/L%2F1"
    assert Code(GTIN, lot="L/1").level == "lot"
    unit = Code(GTIN, serial="8F3K2M9QZ7AB")
    assert unit.stream == "01/06901234567892/21/8F3K2M9QZ7AB"
    assert unit.level == "unit"


def test_a_units_lot_is_not_part_of_its_stream():
    assert Code(GTIN, lot="L1", serial="S").stream == Code(GTIN, serial="S").stream


@given(segments)
def test_any_lot_has_one_segment_in_its_stream(lot):
    stream = Code(GTIN, lot=parse_lot(lot)).stream
    assert stream.isascii()
    assert unquote(stream.split("/")[3]) == lot
    assert stream.count("/") == 3


def test_the_set_has_82_characters():
    assert len(CSET_82) == 82


@pytest.mark.parametrize(
    ("text", "position", "char"),
    [("第1批", 1, "第"), ("L1批", 3, "批"), ("L 1", 2, "U+0020"), ("L#1", 2, "#"),
     ("Ｌ1", 1, "Ｌ"), ("L\x1d1", 2, "U+001D"), ("L\x00", 2, "U+0000"), ("\ud800", 1, "U+D800")],
)  # fmt: skip
def test_other_characters_are_refused_with_place_and_reason(text, position, char):
    for parse in (parse_lot, parse_serial):
        with pytest.raises(Invalid) as caught:
            parse(text)
        error = only_error(caught.value)
        assert error.kind == "charset"
        assert (error.params["position"], error.params["char"]) == (position, char)


def test_a_chinese_lot_is_told_why():
    with pytest.raises(Invalid) as caught:
        parse_lot("第1批")
    zh, zh_field, en, en_field = explain(caught.value)
    assert "82 个字符" in zh
    assert "扫描设备都要能读出" in zh
    assert "“第”" in zh_field
    assert "82 characters" in en
    assert "scanners" in en.lower()
    assert "scanners" in en_field.lower()


@pytest.mark.parametrize(
    ("text", "kind"),
    [("", "length"), ("A" * 21, "length"), (".", "dot_segment"), ("..", "dot_segment")],
)
def test_impossible_lots(text, kind):
    with pytest.raises(Invalid) as caught:
        parse_lot(text, loc=("lots", 0, "lot"))
    error = only_error(caught.value)
    assert (error.loc, error.kind) == (("lots", 0, "lot"), kind)


@pytest.mark.parametrize("text", ["A" * 20, "...", "a/b%2F", "!\"%&'()*+,-./_:;<=>?", "events"])
def test_unusual_lots_that_are_allowed(text):
    assert parse_lot(text) == text


def test_digital_links():
    unit = Code(GTIN, lot="L/1", serial="S%1")
    assert digital_link("https://x.cn/", unit) == "https://x.cn/01/06901234567892/21/S%251"
    assert (
        digital_link("https://x.cn/t", unit, with_lot=True)
        == "https://x.cn/t/01/06901234567892/10/L%2F1/21/S%251"
    )
    assert (
        digital_link("https://x.cn", Code(GTIN, lot="L")) == "https://x.cn/01/06901234567892/10/L"
    )
    assert digital_link("https://x.cn", Code(GTIN)) == "https://x.cn/01/06901234567892"


def test_element_strings():
    unit = Code(GTIN, lot="L(1)", serial="S")
    assert element_string(unit) == r"(01)06901234567892(10)L\(1)(21)S"
    assert symbol_text(unit) == "[01]06901234567892[10]L(1)[21]S"
    assert scanner_text(unit) == "010690123456789210L(1)\x1d21S"
    assert element_string(Code(GTIN)) == "(01)06901234567892"
    assert scanner_text(Code(GTIN, serial="S")) == "010690123456789221S"


@pytest.mark.parametrize("lot", [None, "L1", "L(1)", "(10)", "!\"%&'()*+,-./_:;<=>?"])
def test_a_real_data_matrix_holds_what_a_scanner_should_send(lot):
    code = Code(GTIN, lot=lot, serial="8F3K2M9QZ7AB")
    symbol = zxingcpp.create_barcode(
        symbol_text(code), zxingcpp.BarcodeFormat.DataMatrix, gs1=True, force_square=True
    )
    (read,) = zxingcpp.read_barcodes(symbol.to_image(scale=4))
    assert read.bytes.decode("ascii") == scanner_text(code)
    assert read.symbology_identifier == "]d2"


def test_serials_are_random_and_fit_ai_21():
    source = random.Random(5)
    serials = [new_serial(source.randbytes) for _ in range(1000)]
    assert len(set(serials)) == 1000
    for serial in serials:
        assert parse_serial(serial) == serial
        assert 12 <= len(serial) <= 20
    # 13 places, each any of 32 symbols: 65 bits, in every place.
    for place in range(13):
        assert {serial[place] for serial in serials} == set(SYMBOLS)


def test_inner_codes_are_read_as_people_type_them():
    inner = new_inner(random.Random(6).randbytes)
    typed = f" {inner[:4].lower()}-{inner[4:8]} {inner[8:]} "
    assert normalise_inner(typed) == inner
