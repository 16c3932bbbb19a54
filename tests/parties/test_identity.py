from __future__ import annotations

import random

import pytest
import stdnum.cn.uscc
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.parties.identity import (
    PROVINCES,
    PSEUDO_ACTORS,
    USCC_ALPHABET,
    is_actor,
    is_party_id,
    new_exempt_id,
    organisation_check_digit,
    parse_declaration,
    parse_region,
    parse_uscc,
    parse_waybill,
    uscc_check_digit,
    uscc_region,
    uscc_warnings,
)
from tests.sentences import explain, only_error

# GB 32100-2015's own example; python-stdnum's; one whose check character is 0 (remainder 0);
# three fictional ones.
VALID = (
    "91350100M000100Y43",
    "91110000600037341L",
    "91441200MA4W000020",
    "91441200MA4TE5T00Q",
    "92441202MA4TE5T01M",
    "91441204MA4TE5T02Q",
)


@st.composite
def codes(draw: st.DrawFn) -> str:
    body = (
        draw(st.sampled_from("123456789ANY"))
        + draw(st.sampled_from(USCC_ALPHABET[1:]))
        + draw(st.text("0123456789", min_size=6, max_size=6))
        + draw(st.text(USCC_ALPHABET, min_size=9, max_size=9))
    )
    return body + uscc_check_digit(body)


def refused(text: str) -> tuple[str, dict[str, object]]:
    with pytest.raises(Invalid) as caught:
        parse_uscc(text)
    error = only_error(caught.value)
    assert error.loc == ("uscc",)
    return error.kind, dict(error.params)


@pytest.mark.parametrize("code", VALID)
def test_known_codes_pass(code):
    assert parse_uscc(code) == code
    assert is_party_id(code)


def test_remainder_zero_gives_check_digit_zero():
    assert uscc_check_digit("91441200MA4W00002") == "0"


def test_letter_first_codes_pass_where_stdnum_refuses_them():
    body = "N2441200MF4TE5T0A"
    code = body + uscc_check_digit(body)
    assert parse_uscc(code) == code
    assert not stdnum.cn.uscc.is_valid(code)


@pytest.mark.parametrize(
    "typed", ["91350100m000100y43", " 9135 0100 M000 100Y43", "91350100-M000100Y4-3 "]
)
def test_spaces_hyphens_and_lower_case_are_taken(typed):
    assert parse_uscc(typed) == "91350100M000100Y43"


def test_wrong_check_digit_says_what_was_expected():
    assert refused("91350100M000100Y44") == ("check_digit", {"expected": "3", "got": "4"})
    with pytest.raises(Invalid) as caught:
        parse_uscc("91350100M000100Y44")
    zh, zh_field, _, en_field = explain(caught.value)
    assert "第 18 位由前 17 位" in zh
    assert "应为 3，实为 4" in zh_field
    assert "give 3, got 4" in en_field


def test_letters_outside_the_alphabet_are_named_with_their_place():
    # As the standard's example is sometimes printed.
    kind, params = refused("91350100M000100Y4Z")
    assert (kind, params["position"], params["char"]) == ("charset", 18, "Z")
    kind, params = refused("9135010OM000100Y43")
    assert (kind, params["position"], params["char"]) == ("charset", 8, "O")


def test_a_letter_in_the_region_is_refused():
    kind, params = refused("9135A100M000100Y43")
    assert (kind, params["position"]) == ("charset", 5)


@pytest.mark.parametrize(
    "typed", ["９1350100M000100Y43", "91350100M000100Y4３", "91350100М000100Y43"]
)
def test_full_width_digits_and_look_alikes_are_refused(typed):
    kind, _ = refused(typed)
    assert kind == "charset"


def test_a_ligature_is_not_taken_for_the_letters_its_upper_case_has():
    body = "91350100MFF0100Y4"
    code = body + uscc_check_digit(body)
    assert parse_uscc(code) == code
    kind, params = refused(code.replace("FF", "\ufb00"))
    assert (kind, params["position"], params["char"]) == ("charset", 10, "\ufb00")


def test_invisible_characters_are_shown_by_number():
    _, params = refused("91350100M000100Y4\u200b")
    assert params["char"] == "U+200B"


@pytest.mark.parametrize(("typed", "got"), [("", 0), ("913501", 6), ("91350100M000100Y433", 19)])
def test_wrong_length(typed, got):
    assert refused(typed) == ("length", {"expected": 18, "got": got})


def test_unknown_authority():
    body = "B1350100M000100Y4"
    kind, params = refused(body + uscc_check_digit(body))
    assert (kind, params["got"]) == ("authority", "B")


def test_category_zero_is_refused():
    body = "90350100M000100Y4"
    kind, params = refused(body + uscc_check_digit(body))
    assert (kind, params["position"]) == ("charset", 2)


@given(codes())
def test_every_generated_code_passes_and_is_its_own_form(code):
    assert parse_uscc(code) == code
    assert parse_uscc(code.lower()) == code


@given(codes(), st.integers(0, 17), st.sampled_from(USCC_ALPHABET))
def test_any_single_changed_character_is_refused(code, place, other):
    changed = code[:place] + other + code[place + 1 :]
    if changed == code:
        return
    with pytest.raises(Invalid):
        parse_uscc(changed)


@given(codes())
def test_agrees_with_stdnum_where_that_reads_the_code(code):
    if code[:8].isdigit():
        assert stdnum.cn.uscc.validate(code) == code


@given(st.text(max_size=40))
def test_nothing_but_a_refusal_comes_of_any_text(text):
    try:
        code = parse_uscc(text)
    except Invalid as fault:
        only_error(fault)
    else:
        assert is_party_id(code)


def test_region_and_organisation_code():
    assert uscc_region("91441200MA4TE5T00Q") == "441200"
    assert organisation_check_digit("M000100Y") == "4"
    assert organisation_check_digit("60003734") == "1"
    assert uscc_warnings("91350100M000100Y43") == ()
    assert uscc_warnings("91110000600037341L") == ()


def test_a_wrong_inner_check_and_an_unknown_province_are_warnings_only():
    body = "91990100M000100Y5"
    code = parse_uscc(body + uscc_check_digit(body))
    assert uscc_warnings(code) == ("organisation_code", "region")


def test_codes_registered_by_the_state_itself_have_no_province():
    body = "91100000M000100Y4"
    assert uscc_warnings(parse_uscc(body + uscc_check_digit(body))) == ()


def test_exempt_ids_are_party_ids_and_never_a_uscc():
    exempt = new_exempt_id(random.Random(1).randbytes)
    assert len(exempt) == 18
    assert exempt.startswith("EX")
    assert is_party_id(exempt)
    with pytest.raises(Invalid):
        parse_uscc(exempt)
    assert new_exempt_id(random.Random(2).randbytes) != exempt


@pytest.mark.parametrize(
    "text",
    ["", "consumer", "EX", "EX0000000000000000", "ex23456789ABCDEFGH", "91350100m000100y43",
     "9135 0100M000100Y43"],
)  # fmt: skip
def test_only_the_stored_form_is_a_party_id(text):
    assert not is_party_id(text)


def test_pseudo_actors_act_without_being_parties():
    for actor in PSEUDO_ACTORS:
        assert is_actor(actor)
        assert not is_party_id(actor)
    assert is_actor("91350100M000100Y43")
    assert not is_actor("nobody")


def test_regions():
    assert len(PROVINCES) == 34
    for code in ("441200", "110000", "650100", "710000", "820000"):
        assert parse_region(code) == code
    for code in ("", "44120", "4412000", "４４１２００", "991200", "100000", "44120x", "441200\n"):
        with pytest.raises(Invalid) as caught:
            parse_region(code, loc=("data", "to"))
        assert only_error(caught.value).kind == "region"


def test_declaration_taken_apart():
    found = parse_declaration("5166 2025 1 000000012", year_now=2026)
    assert found.number == "516620251000000012"
    assert (found.district, found.year, found.is_import) == ("5166", 2025, True)
    assert not parse_declaration("516620250000000012", year_now=2026).is_import


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("51662025100000001", "length"),
        ("5166202510000000123", "length"),
        ("51662025100000001A", "charset"),
        ("５16620251000000012", "charset"),
        ("516619991000000012", "range"),
        ("516620281000000012", "range"),
        ("516620252000000012", "direction"),
    ],
)
def test_impossible_declarations(text, kind):
    with pytest.raises(Invalid) as caught:
        parse_declaration(text, year_now=2026)
    assert only_error(caught.value).kind == kind


def test_a_declaration_may_be_dated_next_year():
    assert parse_declaration("516620271000000012", year_now=2026).year == 2027


def test_waybills():
    assert parse_waybill(" test0000000001 ") == "TEST0000000001"
    assert parse_waybill("SF-1234567-89") == "SF-1234567-89"
    for text, kind in (
        ("", "length"),
        ("1234567", "length"),
        ("A" * 33, "length"),
        ("SF 12345678", "charset"),
        ("SF１2345678", "charset"),
        ("单号12345678", "charset"),
        ("12345678\x00", "charset"),
    ):
        with pytest.raises(Invalid) as caught:
            parse_waybill(text)
        assert only_error(caught.value).kind == kind, text
