from __future__ import annotations

import pytest

from app.i18n import LANGUAGES, text
from app.kit.errors import Invalid
from app.parties.licences import LICENCE_KINDS, parse_licence
from tests.sentences import only_error

# Real numbers, public on packaging, as check digit vectors only.
FOOD_PRODUCTION = (
    "SC11464010500015",
    "SC11333019700024",
    "SC11837048101233",
    "SC11834020305037",
    "SC12636098200051",
    "SC11532139200465",
    "SC12434017430075",
    "SC11432010400101",
)


def refused(kind: str, number: str) -> tuple[tuple[str | int, ...], str]:
    with pytest.raises(Invalid) as caught:
        parse_licence(kind, number, loc=("licences", 0))
    error = only_error(caught.value)
    return error.loc, error.kind


@pytest.mark.parametrize("number", FOOD_PRODUCTION)
def test_food_production_numbers_pass(number):
    assert parse_licence("food_production", number) == number
    assert parse_licence("food_production", f" {number[:2].lower()} {number[2:]}") == number


@pytest.mark.parametrize("number", FOOD_PRODUCTION)
def test_any_changed_digit_of_a_food_production_number_is_refused(number):
    for place in range(2, 16):
        changed = f"{number[:place]}{(int(number[place]) + 1) % 10}{number[place + 1 :]}"
        with pytest.raises(Invalid):
            parse_licence("food_production", changed)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("SC12345678901234", "check_digit"),
        ("SC10600000000000", "check_digit"),
        ("SC30146401050001", "licence_form"),  # type 3
        ("SC13246401050001", "licence_form"),  # food category 32
        ("SC20446401050001", "licence_form"),  # additive category 04
        ("SC1146401050001", "licence_form"),
        ("SC１1464010500015", "licence_form"),
        ("QS440106010001", "licence_ended"),
        ("", "length"),
        ("S" * 65, "length"),
    ],
)
def test_impossible_food_production_numbers(number, kind):
    assert refused("food_production", number) == (("licences", 0, "number"), kind)


def test_every_kind_has_a_name_and_takes_its_own_example():
    for kind, known in LICENCE_KINDS.items():
        assert parse_licence(kind, known.example) == known.example
        for lang in LANGUAGES:
            assert text(lang, f"licence.{kind}")
        assert known.query_url is None or known.query_url.startswith(("https://", "http://"))


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("food_business", "JY44412000000000"),
        ("food_business", "YB14412000000000"),
        ("food_filing", "YB1441200000000"),
        ("drug", "国药准字X20260001"),
        ("drug", "国药准字Z2026001"),
        ("drug", "国药准字Z２０２６０００１"),
        ("medical_device", "械注准20263140001"),
        ("health_food", "国食健注20260001"),
        ("pesticide", "PD2026"),
        ("customs_registration", "44129"),
    ],
)
def test_numbers_of_the_wrong_form(kind, number):
    assert refused(kind, number)[1] == "licence_form"


@pytest.mark.parametrize(
    ("kind", "number", "stored"),
    [
        ("drug", "国药准字 h20260001", "国药准字H20260001"),
        ("medical_device", "粤穗械备20260001号", "粤穗械备20260001号"),
        ("pesticide", "pd20083797", "PD20083797"),
        ("fertilizer", " 农肥(2026)准字  00001号 ", "农肥(2026)准字 00001号"),
    ],
)
def test_numbers_are_stored_in_one_spelling(kind, number, stored):
    assert parse_licence(kind, number) == stored


def test_a_business_licence_number_is_a_uscc():
    assert parse_licence("business", "91350100m000100y43") == "91350100M000100Y43"
    assert refused("business", "91350100M000100Y44") == (("licences", 0, "number"), "check_digit")


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(Invalid) as caught:
        parse_licence("driving", "1")
    error = only_error(caught.value)
    assert (error.loc, error.kind) == (("licences", "kind"), "licence_kind")
    assert "food_production" in str(error.params["expected"])


def test_free_numbers_hold_no_control_characters():
    assert refused("other", "2026\x000001")[1] == "charset"
