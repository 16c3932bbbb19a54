"""Names, passwords, waiting and rights of accounts: plain values."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Denied, Invalid
from app.parties import account_rules as rules
from app.parties.roles import ADMIN, SCOPES
from app.parties.sessions import person_of
from tests.sentences import explain, only_error


@pytest.mark.parametrize(
    ("given", "kept"),
    [("zhang.san", "zhang.san"), (" Zhang_San ", "zhang_san"), ("a1-b2", "a1-b2"), ("abc", "abc")],
)
def test_names_are_kept_in_one_spelling(given, kept):
    assert rules.read_name(given) == kept


@pytest.mark.parametrize(
    "given",
    ["", "ab", "1ab", "a" * 41, "a b", "a..b", "a-", "张三丰", "\u0430dmin",
     "admin\x00", "ａｂｃ", "a@b.c", "\u212aelvin"],
)  # fmt: skip
def test_names_that_could_be_mistaken_are_refused(given):
    with pytest.raises(Invalid) as refused:
        rules.read_name(given)
    assert only_error(refused.value).kind == "account_name"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "四月的端溪水，绿得像墨一样好看吗",
        "x7k2-m9qz-h4wd-p8rt",
        "a" * 7 + "bcwsxdte",
    ],
)
def test_any_long_sentence_is_a_password(password):
    assert rules.read_password(password, name="zhangsan") == password


@pytest.mark.parametrize("length", [0, 8, 14, 129])
def test_a_password_has_a_length_and_is_never_repeated_in_a_refusal(length):
    given = "qk7" * 50
    with pytest.raises(Invalid) as refused:
        rules.read_password(given[:length], name="zhangsan")
    assert only_error(refused.value).kind == "length"
    assert given[:14] not in " ".join(explain(refused.value))


@pytest.mark.parametrize(
    "password",
    ["aaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "123456789012345", "abcdefghijklmnopq",
     "Password2026!!!!!", "passwordpassword", "qwertyuiop123456", "zhangsan20260101!!",
     "ZhangSan-zhangsan-1", "woaini5201314520", "溯信溯信20261125suxin", "Admin123456789!"],
)  # fmt: skip
def test_what_is_tried_first_is_refused(password):
    with pytest.raises(Invalid) as refused:
        rules.read_password(password, name="zhangsan")
    assert only_error(refused.value).kind == "password_common"


def test_one_password_typed_on_two_keyboards_is_one():
    composed, decomposed = "café au lait, s'il vous", "cafe\u0301 au lait, s'il vous"
    assert rules.normal_password(composed) == rules.normal_password(decomposed)


def test_each_failure_waits_twice_as_long_up_to_a_bound():
    waits = [rules.OF_NAME.wait(n).total_seconds() for n in range(1, 14)]
    assert waits == [0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900, 900]
    assert rules.OF_NAME.wait(10**6) == timedelta(minutes=15)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_failures_never_wait_less(one, other):
    fewer, more = sorted((one, other))
    for patience in (rules.OF_NAME, rules.OF_ADDRESS, rules.OF_APPLYING):
        assert patience.wait(fewer) <= patience.wait(more)


def test_a_hundred_guesses_of_one_name_take_most_of_a_day():
    # SP 800-63B-4 section 3.2.2: no more than 100 in a row.
    total = sum((rules.OF_NAME.wait(n) for n in range(1, 101)), timedelta())
    assert total > timedelta(hours=22)


@pytest.mark.parametrize(
    ("region", "other", "inside"),
    [("440000", "441202", True), ("441200", "441202", True), ("441202", "441202", True),
     ("441200", "441300", False), ("441202", "441200", False), ("441200", None, False),
     ("440000", "450000", False)],
)  # fmt: skip
def test_a_region_holds_what_begins_with_its_digits(region, other, inside):
    assert rules.covers(region, other) is inside


def test_an_office_is_inside_that_of_who_gives_it():
    assert rules.read_office("441202", within="441200") == "441202"
    assert rules.read_office("330100", within=None) == "330100"
    with pytest.raises(Invalid) as refused:
        rules.read_office("440100", within="441200")
    assert only_error(refused.value).kind == "region_beyond"


def row(**changes):
    told = {
        "id": "a", "name": "n", "role": "owner", "party": "91441200MA4TE5T00Q", "scopes": "",
        "region": None, "must_change": False, "totp_sealed": None,
        "party_roles": "merchant", "party_region": "441200", **changes,
    }  # fmt: skip
    return SimpleNamespace(**told)


def test_an_owner_has_all_of_its_party_and_staff_what_was_chosen():
    assert person_of(row()).scopes == set(SCOPES) - {"admin"}
    staff = person_of(row(role="staff", scopes="products,codes,parties,admin"))
    assert staff.scopes == {"products", "codes"}
    assert not staff.manages


def test_only_the_operators_own_are_ever_without_a_party():
    """A principal without a party is the operator: an applicant must not become one by a slip."""
    operator = person_of(row(role="operator", party=None, party_roles=None)).principal()
    assert operator.admin
    assert operator.roles == {ADMIN}
    for role in ("applicant", "owner", "staff"):
        with pytest.raises(Denied):
            person_of(row(role=role, party=None, party_roles=None)).principal()


def test_only_authorities_have_a_region():
    assert person_of(row(region="441202")).region is None
    assert person_of(row(party_roles="regulator")).region == "441200"
    assert person_of(row(party_roles="customs", region="441202")).region == "441202"
