from __future__ import annotations

import biip.gtin
import pytest
import stdnum.ean
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.trace.gtin import (
    display_gtin,
    gtin_check_digit,
    gtin_prefix,
    is_demo_gtin,
    is_item_code,
    item_code,
    packaging_level,
    parse_gtin,
)
from tests.sentences import explain, only_error

# Textbook, published explanation page, GS1 demo, and codes of Open Food Facts' documentation.
VALID = {
    "6901234567892": "06901234567892",
    "6936983800013": "06936983800013",
    "09521234543213": "09521234543213",
    "6900000000014": "06900000000014",
    "6979999999999": "06979999999999",
    "9521000000018": "09521000000018",
    "3017620422003": "03017620422003",
    "5449000000996": "05449000000996",
    "7622210449283": "07622210449283",
    "96385074": "00000096385074",
    "614141123452": "00614141123452",
    "16901234567899": "16901234567899",
}


def with_check(body: str) -> str:
    return body + gtin_check_digit(body)


# Numbers of every length in a range that GS1 issues to companies.
gtins = st.one_of(
    st.text("0123456789", min_size=6, max_size=6).map(lambda rest: with_check("6" + rest)),
    st.text("0123456789", min_size=9, max_size=9).map(lambda rest: with_check("69" + rest)),
    st.text("0123456789", min_size=9, max_size=9).map(lambda rest: with_check("690" + rest)),
    st.text("0123456789", min_size=9, max_size=9).map(lambda rest: with_check("1690" + rest)),
)


def refused(text: str, *, allow_item_code: bool = False) -> tuple[str, dict[str, object]]:
    with pytest.raises(Invalid) as caught:
        parse_gtin(text, allow_item_code=allow_item_code)
    error = only_error(caught.value)
    assert error.loc == ("gtin",)
    return error.kind, dict(error.params)


@pytest.mark.parametrize(("typed", "gtin14"), VALID.items())
def test_known_gtins_become_gtin_14(typed, gtin14):
    assert parse_gtin(typed) == gtin14
    assert parse_gtin(gtin14) == gtin14


@pytest.mark.parametrize(
    "typed",
    [
        " 6901234567892\n",
        "690-1234-56789-2",
        "6 901234 567892",
        "6901234567892 12",
        "6901234567892+12",
        "6901234567892 51234",
        "6901234567892+51234",
    ],
)
def test_separators_and_add_ons_are_dropped(typed):
    assert parse_gtin(typed) == "06901234567892"


def test_twelve_digits_a_space_and_two_are_a_gtin_14_in_groups():
    assert parse_gtin("169012345678 99") == "16901234567899"


def test_wrong_check_digit_says_what_was_expected():
    assert refused("6901234567893") == ("check_digit", {"expected": "2", "got": "3"})
    with pytest.raises(Invalid) as caught:
        parse_gtin("6901234567893")
    assert any("应为 2，实为 3" in sentence for sentence in explain(caught.value))


@pytest.mark.parametrize("zeros", ["0" * length for length in (8, 12, 13, 14)])
def test_all_zeros_are_refused_though_their_check_digit_is_right(zeros):
    assert stdnum.ean.is_valid(zeros)
    assert refused(zeros)[0] == "gtin_zero"


def test_full_width_digits_are_refused_though_libraries_take_them():
    full_width = "６９０１２３４５６７８９２"
    assert biip.gtin.Gtin.parse(full_width)
    assert refused(full_width)[0] == "not_gtin"


@pytest.mark.parametrize(
    "text",
    ["", "6", "690123456789A2", "690123456789²", "6901234567892.0",
     "123456789", "690123456789212345", "-6901234567892x", "6901234567892 123"],
)  # fmt: skip
def test_what_is_no_gtin(text):
    assert refused(text) == ("not_gtin", {"got": text})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("020000012345", "gtin_restricted"),
        ("040000012345", "gtin_restricted"),
        ("200000012345", "gtin_restricted"),
        ("290000012345", "gtin_restricted"),
        ("1200000123456", "gtin_restricted"),  # a case of in-store goods
        ("0123456", "gtin_restricted"),  # GTIN-8
        ("2123456", "gtin_restricted"),
        ("977000012345", "gtin_publication"),
        ("978000012345", "gtin_publication"),
        ("979000012345", "gtin_publication"),
        ("980000012345", "gtin_coupon"),
        ("990000012345", "gtin_coupon"),
        ("999000012345", "gtin_coupon"),
    ],
)
def test_numbers_that_are_no_companys_to_give(body, kind):
    assert refused(with_check(body))[0] == kind


@pytest.mark.parametrize("body", ["030000012345", "050000012345", "300000012345", "976000012345"])
def test_the_ranges_beside_them_pass(body):
    assert parse_gtin(with_check(body))


def test_the_demo_prefix_passes_and_is_known():
    assert is_demo_gtin(parse_gtin("9521000000018"))
    assert not is_demo_gtin(parse_gtin("6901234567892"))
    assert not is_demo_gtin("00000" + "0" + with_check("9521234"))


def test_prefix_and_level():
    assert gtin_prefix("06901234567892") == "690"
    assert gtin_prefix("00000096385074") == "963"
    assert packaging_level("06901234567892") == 0
    assert packaging_level("16901234567899") == 1


def test_display_as_on_the_pack():
    assert display_gtin("06901234567892") == "6901234567892"
    assert display_gtin("00614141123452") == "0614141123452"
    assert display_gtin("00614141123452", 12) == "614141123452"
    assert display_gtin("00000096385074") == "96385074"
    assert display_gtin("16901234567899") == "16901234567899"
    assert display_gtin("06901234567892", 14) == "06901234567892"
    # A length that would cut digits off, or is none, is not believed.
    assert display_gtin("06901234567892", 12) == "6901234567892"
    assert display_gtin("06901234567892", 5) == "6901234567892"


@given(gtins)
def test_display_in_the_original_length_reads_back(typed):
    gtin14 = parse_gtin(typed)
    assert display_gtin(gtin14, len(typed)) == typed
    assert parse_gtin(display_gtin(gtin14)) == gtin14


@given(gtins, st.data())
def test_any_single_changed_digit_is_refused(typed, data):
    place = data.draw(st.integers(0, len(typed) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != typed[place]]))
    with pytest.raises(Invalid):
        parse_gtin(typed[:place] + other + typed[place + 1 :])


@given(st.text("0123456789", min_size=7, max_size=15))
def test_check_digits_agree_with_stdnum_and_biip(digits):
    try:
        gtin14 = parse_gtin(digits)
    except Invalid as fault:
        if only_error(fault).kind == "check_digit":
            assert not stdnum.ean.is_valid(digits)
    else:
        assert stdnum.ean.is_valid(digits)
        assert biip.gtin.Gtin.parse(digits).as_gtin_14() == gtin14


@given(st.text(max_size=30))
def test_nothing_but_a_refusal_comes_of_any_text(text):
    try:
        assert len(parse_gtin(text)) == 14
    except Invalid as fault:
        only_error(fault)


@given(st.integers(0, 10**10 - 1))
def test_item_codes_are_taken_only_where_they_are_looked_up(number):
    code = item_code(number)
    assert len(code) == 14
    assert is_item_code(code)
    assert stdnum.ean.is_valid(code)
    assert parse_gtin(code, allow_item_code=True) == code
    assert refused(code)[0] == "gtin_restricted"


def test_other_in_store_numbers_stay_refused_where_item_codes_are_taken():
    assert refused(with_check("200000012345"), allow_item_code=True)[0] == "gtin_restricted"
    assert refused(with_check("1290000012345"), allow_item_code=True)[0] == "gtin_restricted"


def test_item_numbers_out_of_range_are_an_error_of_ours():
    for number in (-1, 10**10):
        with pytest.raises(ValueError, match=str(number)):
            item_code(number)
