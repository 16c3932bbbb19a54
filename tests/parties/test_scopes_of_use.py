"""Scopes that an invitation offers: those with which a party of these roles can do anything."""

from __future__ import annotations

import pytest

from app.kit.errors import Invalid
from app.parties.account_rules import PARTY_SCOPES, STAFF_SCOPES, read_scopes, staff_scopes
from app.parties.looking import read_purpose
from app.parties.principal import Principal, RoleMissing
from app.parties.roles import ACTIONS, PARTY_ROLES, actions_of_use, scopes_of_use


def test_customs_are_offered_no_products_and_no_ranking():
    assert staff_scopes(["customs"]) == ("codes", "events", "credit", "audit")


def test_a_merchant_is_offered_all_that_staff_may_have():
    assert staff_scopes(["merchant"]) == STAFF_SCOPES


@pytest.mark.parametrize("role", PARTY_ROLES)
def test_a_key_with_one_scope_may_do_what_the_scope_is_said_to_open_and_nothing_else(role):
    for scope in PARTY_SCOPES:
        key = Principal("k", "91441200MA4TE5T00Q", frozenset({role}), frozenset({scope}))
        named = actions_of_use([role], scope)
        assert bool(named) == (scope in scopes_of_use([role]))
        for name, action in ACTIONS.items():
            if name in named:
                key.check_may(name, owner=key.party)
            elif action.scope == scope:
                with pytest.raises(RoleMissing):
                    key.check_may(name, owner=key.party)


def test_a_scope_of_no_use_is_refused():
    with pytest.raises(Invalid):
        read_scopes(["audit", "ranking"], staff_scopes(["customs"]))


def test_a_purpose_of_two_characters_is_one():
    assert read_purpose(" 稽查 ", loc=("purpose",)) == "稽查"


@pytest.mark.parametrize("given", [None, "", "查", "x" * 201])
def test_a_purpose_out_of_its_bounds_is_told_them(given):
    with pytest.raises(Invalid) as refused:
        read_purpose(given, loc=("purpose",))
    assert refused.value.errors[0].params["expected"] == "2..200"
