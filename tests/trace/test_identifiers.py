from __future__ import annotations

import biip.gs1_messages
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.trace.identifiers import (
    CSET_82,
    Code,
    digital_link,
    element_string,
    item_code,
    parse_code,
    parse_gtin,
    scanner_text,
)
from tests.sentences import only_error

GTIN = "06901234567892"
UNIT = Code(GTIN, serial="8F3K2M9QZ7AB")

segments = st.text(sorted(CSET_82), min_size=1, max_size=20).filter(lambda s: s not in (".", ".."))
codes = st.builds(
    Code,
    st.sampled_from([GTIN, "16901234567899", "00000096385074", item_code(7)]),
    st.none() | segments,
    st.none() | segments,
)


def refused(text: str) -> tuple[str, dict[str, object]]:
    with pytest.raises(Invalid) as caught:
        parse_code(text)
    error = only_error(caught.value)
    assert error.loc == ("code",)
    return error.kind, dict(error.params)


@pytest.mark.parametrize(
    "text",
    [
        "01/06901234567892/21/8F3K2M9QZ7AB",
        "/01/6901234567892/21/8F3K2M9QZ7AB",
        " 01/06901234567892/21/%38F3K2M9QZ7AB\n",
        "https://x.cn/01/06901234567892/21/8F3K2M9QZ7AB",
        "https://x.cn/01/6901234567892/21/8F3K2M9QZ7AB/",
        "http://127.0.0.1:8000/01/06901234567892/21/8F3K2M9QZ7AB",
        "HTTPS://X.CN/A/B/01/06901234567892/21/8F3K2M9QZ7AB",
        "https://x.cn/01/01/06901234567892/21/8F3K2M9QZ7AB",
        "https://x.cn/00/01/06901234567892/21/8F3K2M9QZ7AB",
        "https://x.cn/01/06901234567892/21/8F3K2M9QZ7AB?17=261231&linkType=all#top",
        "https://x.cn/01/06901234567892/22/2A/21/8F3K2M9QZ7AB",
        "]Q1https://x.cn/01/06901234567892/21/8F3K2M9QZ7AB",
        "(01)06901234567892(21)8F3K2M9QZ7AB",
        "(01) 06901234567892 (21) 8F3K2M9QZ7AB",
        "(01)6901234567892(21)8F3K2M9QZ7AB",
        "(21)8F3K2M9QZ7AB(01)06901234567892",
        "(01)06901234567892(17)261200(21)8F3K2M9QZ7AB",
        "0106901234567892218F3K2M9QZ7AB",
        "\x1d0106901234567892218F3K2M9QZ7AB\x1d",
        "218F3K2M9QZ7AB\x1d0106901234567892",
        "010690123456789217261231218F3K2M9QZ7AB",
        "0106901234567892\x1d17261231\x1d218F3K2M9QZ7AB",
        "]d20106901234567892218F3K2M9QZ7AB",
        "]Q30106901234567892218F3K2M9QZ7AB",
        "]C10106901234567892218F3K2M9QZ7AB",
        "]e00106901234567892218F3K2M9QZ7AB",
        "]d80106901234567892218F3K2M9QZ7AB",
    ],
)
def test_every_form_of_one_unit(text):
    assert parse_code(text) == UNIT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("01/06901234567892", Code(GTIN)),
        ("6901234567892", Code(GTIN)),
        ("]E06901234567892", Code(GTIN)),
        ("96385074", Code("00000096385074")),
        ("0106901234567892", Code(GTIN)),
        ("(01)06901234567892", Code(GTIN)),
        ("https://x.cn/01/06901234567892", Code(GTIN)),
        ("01/06901234567892/10/L%2F1", Code(GTIN, lot="L/1")),
        ("01/06901234567892/10/100%25", Code(GTIN, lot="100%")),
        ("01/06901234567892/10/A%252F", Code(GTIN, lot="A%2F")),
        ("https://x.cn/01/06901234567892/10/01", Code(GTIN, lot="01")),
        ("https://x.cn/01/06901234567892/10/01/21/01", Code(GTIN, lot="01", serial="01")),
        ("https://id.gs1.org/01/09521234543213/10/AB%2FC/21/1",
         Code("09521234543213", lot="AB/C", serial="1")),
        ("010690123456789210L1\x1d21S1", Code(GTIN, lot="L1", serial="S1")),
        ("(01)06901234567892(10)L(1)(21)S1", Code(GTIN, lot="L(1)", serial="S1")),
        ("(01)06901234567892(10)L(999)(21)S1", Code(GTIN, lot="L(999)", serial="S1")),
        (r"(01)06901234567892(10)L\(21)X(21)S1", Code(GTIN, lot="L(21)X", serial="S1")),
        ("0106901234567892" + "10" + "A" * 20 + "\x1d21S", Code(GTIN, lot="A" * 20, serial="S")),
        ("010690123456789221a://b", Code(GTIN, serial="a://b")),
    ],
)  # fmt: skip
def test_products_lots_and_unusual_values(text, code):
    assert parse_code(text) == code


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "length"),
        (" " * 3000, "length"),
        ("https://x.cn/01/06901234567892/21/S?x=" + "1" * 2048, "length"),
        # ASCII only
        ("０1/06901234567892", "charset"),
        ("(01)０6901234567892", "charset"),
        ("https://溯信.cn/01/06901234567892", "charset"),
        ("0106901234567892\x1d10批", "charset"),
        ("01069012345678921\x00", "charset"),
        ("010690123456789210L 1", "charset"),
        ("01/06901234567892/10/%E6%89%B9", "charset"),
        ("01/06901234567892/10/%FF", "charset"),
        ("01/06901234567892/21/A%1DB", "charset"),
        # GTINs
        ("01/06901234567893", "check_digit"),
        ("0106901234567893", "check_digit"),
        ("(01)06901234567893(21)S", "check_digit"),
        ("https://x.cn/01/06901234567893/21/S", "check_digit"),
        ("6901234567893", "check_digit"),
        ("01/00000000000000", "gtin_zero"),
        ("https://x.cn/01/123/21/S", "not_gtin"),
        ("01/", "not_gtin"),
        ("01//21/S", "not_gtin"),
        ("(01)(21)S", "not_gtin"),
        ("01/09770000123450", "gtin_publication"),
        # nothing without a GTIN
        ("21S", "no_gtin"),
        ("(10)L(21)S", "no_gtin"),
        ("17261231", "check_digit"),  # eight digits are a GTIN-8, and this is none
        ("https://x.cn/00/106141412345678908", "no_gtin"),
        ("https://x.cn/", "no_gtin"),
        ("https://x.cn/21/S", "no_gtin"),
        # lots and serials
        ("01/06901234567892/21/" + "A" * 21, "length"),
        ("01/06901234567892/21/", "length"),
        ("01/06901234567892/21/.", "dot_segment"),
        ("https://x.cn/01/06901234567892/10/%2E%2E/21/S", "dot_segment"),
        # path
        ("01/06901234567892/21", "qualifier_value"),
        ("https://x.cn/01/06901234567892/21", "qualifier_value"),
        ("01/06901234567892/21/A/10/B", "qualifier"),
        ("01/06901234567892/10/A/10/B", "qualifier"),
        ("01/06901234567892/10/A/22/B", "qualifier"),
        ("01/06901234567892/235/A", "qualifier"),
        ("01/06901234567892/", "qualifier"),
        ("01/06901234567892/events", "qualifier"),
        ("01/06901234567892/21/A%2", "percent_encoding"),
        ("https://x.cn/01/06901234567892/21/A%zz", "percent_encoding"),
        ("01/06901234567892/21/A?17=261231", "percent_encoding"),
        # links
        ("https://x.cn/01/06901234567892?21=S", "qualifier_in_query"),
        ("https://x.cn/01/06901234567892/21/S?10=", "qualifier_in_query"),
        ("https://x.cn/01/06901234567892?22=A", "qualifier_in_query"),
        ("https://x.cn/a?01=06901234567892", "qualifier_in_query"),
        ("https://x.cn/01/06901234567892?17=261332", "link"),
        ("https:///01/06901234567892", "link"),
        ("https://[x/01/06901234567892", "link"),
        ("https://x.cn/01/06901234567892/21/A B", "link"),
        ("ftp://x.cn/01/06901234567892", "link_scheme"),
        ("javascript://x.cn/01/06901234567892", "link_scheme"),
        ("https://id.gs1.org/ARFKk4W_aXLV", "compressed_link"),
        ("https://id.gs1.org/01/09521234543213/CgRcVpAbC", "compressed_link"),
        # element strings
        ("(", "element_string"),
        ("(99", "element_string"),
        ("(999)1", "element_string"),
        ("(01)06901234567892(17)261332", "element_string"),
        ("0690123456789210L1", "element_string"),
        ("0106901234567892" + "21" + "A" * 22, "element_string"),
        ("010690123456789210A\x1d10B", "repeated_ai"),
        ("(01)06901234567892(01)06901234567892", "repeated_ai"),
        ("0106901234567892" + "21" + "A" * 20 + "10L", "separator"),
        # nothing of these
        ("]d2", "code_form"),
        ("hello", "code_form"),
        ("party/91441200MA4TE5T00Q", "code_form"),
    ],
)
def test_what_is_refused_and_why(text, kind):
    assert refused(text)[0] == kind


def test_the_faults_name_place_and_expectation():
    assert refused("010690123456789210批")[1]["position"] == 19
    assert refused("01/06901234567892/10/A/10/B")[1]["expected"] == "21"
    assert refused("01/06901234567893")[1] == {"expected": "2", "got": "3"}


def test_the_place_of_the_code_is_the_callers():
    with pytest.raises(Invalid) as caught:
        parse_code("hello", loc=("events", 3, "code"))
    assert only_error(caught.value).loc == ("events", 3, "code")


def test_biip_alone_would_drop_half_of_a_lot_with_brackets():
    text = "(01)06901234567892(10)L(1)(21)S1"
    alone = biip.gs1_messages.GS1Message.parse_hri(text).element_strings.get(ai="10")
    assert alone is not None
    assert alone.value == "L"
    assert parse_code(text).lot == "L(1)"


def test_biip_alone_would_read_on_behind_a_full_serial():
    text = "0106901234567892" + "21" + "A" * 20 + "10L"
    alone = biip.gs1_messages.GS1Message.parse(text).element_strings
    assert [element.ai.ai for element in alone] == ["01", "21", "10"]
    assert refused(text)[0] == "separator"


def test_item_codes_are_found_but_not_where_the_caller_forbids_them():
    code = Code(item_code(7), serial="S")
    for text in (code.stream, element_string(code), scanner_text(code)):
        assert parse_code(text) == code
        with pytest.raises(Invalid) as caught:
            parse_code(text, allow_item_code=False)
        assert only_error(caught.value).kind == "gtin_restricted"


@given(codes)
def test_every_form_reads_back(code):
    assert parse_code(element_string(code)) == code
    assert parse_code(scanner_text(code)) == code
    assert parse_code("]d2" + scanner_text(code)) == code
    assert parse_code(digital_link("https://x.cn/p", code, with_lot=True)) == code
    assert parse_code(code.stream).stream == code.stream


@given(codes)
def test_the_stream_is_the_same_whatever_the_form(code):
    streams = {
        parse_code(text).stream
        for text in (
            code.stream,
            element_string(code),
            scanner_text(code),
            digital_link("https://x.cn", code),
        )
    }
    assert streams == {code.stream}


@given(codes)
def test_biip_reads_our_element_strings_alike(code):
    read = biip.gs1_messages.GS1Message.parse(scanner_text(code)).element_strings
    values = {element.ai.ai: element.value for element in read}
    assert (values["01"], values.get("10"), values.get("21")) == (code.gtin, code.lot, code.serial)
    assert read[0].gtin_error is None


@given(
    st.one_of(
        st.text(max_size=60),
        st.text("0123456789()/\\%.?ABab \x1d:", max_size=60),
        st.text("0123456789()\\\x1dAB", max_size=40).map(lambda tail: f"(01){GTIN}{tail}"),
        st.text("0123456789\x1dAB", max_size=40).map(lambda tail: f"01{GTIN}{tail}"),
        st.text("0123456789/%.?&=ABab", max_size=40).map(lambda tail: f"https://x.cn/01/{GTIN}{tail}"),
        st.text(max_size=40).map(lambda tail: f"https://{tail}"),
    )
)  # fmt: skip
def test_nothing_but_a_code_or_a_refusal_comes_of_any_text(text):
    try:
        code = parse_code(text)
    except Invalid as fault:
        only_error(fault)
    else:
        assert parse_gtin(code.gtin, allow_item_code=True) == code.gtin
        assert parse_code(code.stream).stream == code.stream
