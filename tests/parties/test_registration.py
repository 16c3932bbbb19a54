"""What a party may say of itself, and its one spelling."""

from __future__ import annotations

import pytest

from app.kit.errors import Invalid
from app.parties.registration import LicenceGiven, read_date, read_registration
from tests.sentences import only_error

SHOP = "91441200MA4TE5T00Q"
GIVEN = {"uscc": SHOP, "exempt": False, "name": "示例", "roles": ["merchant"]}


def read(**changes):
    return read_registration(**(GIVEN | changes))


def test_other_spellings_of_one_registration_are_the_same():
    told = read(
        uscc=" 9144 1200-ma4te5t00q",
        name=" 示例 ",
        roles=["supplier", "merchant"],
        licences=[
            LicenceGiven("food_production", "sc 11464010500015"),
            LicenceGiven("business", SHOP.lower()),
        ],
    )
    again = read(
        roles=["merchant", "supplier"],
        region="441200",
        licences=[
            LicenceGiven("business", SHOP),
            LicenceGiven("food_production", "SC11464010500015"),
        ],
    )
    assert told == again
    assert told.public() == {
        "uscc": SHOP,
        "name": "示例",
        "roles": ["merchant", "supplier"],
        "region": "441200",
        "licences": [
            {"kind": "business", "number": SHOP},
            {"kind": "food_production", "number": "SC11464010500015"},
        ],
    }


def test_the_name_of_an_exempt_person_stands_in_no_record():
    told = read(uscc=None, exempt=True, name="李小明", region="441202")
    assert told.public() == {"roles": ["merchant"], "exempt": True, "region": "441202"}


def test_a_code_of_the_state_itself_names_no_region():
    assert read(uscc="91100000MA0000010E", roles=["platform"]).region is None


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"uscc": "91441200MA4TE5T00R"}, ("uscc",), "check_digit"),
        ({"uscc": None}, ("uscc",), "missing"),
        ({"exempt": True}, ("exempt",), "exempt_with_uscc"),
        ({"name": "  "}, ("name",), "length"),
        ({"name": "x" * 121}, ("name",), "length"),
        ({"name": "e\u0301"}, ("name",), "nfc"),
        ({"name": "a\tb"}, ("name",), "control"),
        ({"roles": []}, ("roles",), "length"),
        ({"roles": ["merchant", "king"]}, ("roles", 1), "enum"),
        ({"roles": ["merchant", "merchant"]}, ("roles", 1), "duplicate"),
        ({"roles": ["admin"]}, ("roles", 0), "enum"),
        ({"region": "999999"}, ("region",), "region"),
        ({"region": ""}, ("region",), "region"),
    ],
)
def test_a_wrong_field_is_named(changes, loc, kind):
    with pytest.raises(Invalid) as caught:
        read(**changes)
    error = only_error(caught.value)
    assert (error.loc, error.kind) == (loc, kind)


@pytest.mark.parametrize(
    ("licence", "loc", "kind"),
    [
        (LicenceGiven("nonsense", "1"), ("licences", 0, "kind"), "licence_kind"),
        (LicenceGiven("food_production", "SC10000000000000"), ("licences", 0, "number"), None),
        (LicenceGiven("business", SHOP, "2026-02-30"), ("licences", 0, "valid_until"), "date"),
        (LicenceGiven("business", SHOP, url="javascript:alert(1)"), ("licences", 0, "url"), "url"),
        (LicenceGiven("business", SHOP, url="https://a@b.cn/"), ("licences", 0, "url"), "url"),
        (LicenceGiven("business", SHOP, url="http://["), ("licences", 0, "url"), "url"),
    ],
)
def test_a_wrong_licence_is_named(licence, loc, kind):
    with pytest.raises(Invalid) as caught:
        read(licences=[licence])
    error = only_error(caught.value)
    assert error.loc == loc
    assert kind is None or error.kind == kind


def test_everything_wrong_is_told_at_once():
    with pytest.raises(Invalid) as caught:
        read(uscc="1", name="", roles=[], licences=[LicenceGiven("business", SHOP)] * 2)
    assert [error.loc for error in caught.value.errors] == [
        ("uscc",), ("name",), ("roles",), ("licences", 1, "number"),
    ]  # fmt: skip


def test_an_exempt_person_can_only_sell():
    with pytest.raises(Invalid) as caught:
        read(uscc=None, exempt=True, roles=["carrier"])
    assert only_error(caught.value).kind == "exempt_role"


@pytest.mark.parametrize("text", ["20261123", "2026-W48-1", "2026-1-1", "2026-11-23T00:00:00Z", ""])
def test_a_day_has_one_spelling(text):
    with pytest.raises(Invalid):
        read_date(text, ("day",))
    assert read_date("2026-11-23", ("day",)) == "2026-11-23"
