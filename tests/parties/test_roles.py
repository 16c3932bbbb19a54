from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.i18n import LANGUAGES, text
from app.parties.roles import (
    ACTIONS,
    ADMIN,
    EVENTS,
    OFFICIAL_ROLES,
    PARTY_ROLES,
    SCOPES,
    SOURCES,
    Mandate,
    grantable_types,
    may,
    reach,
    sources_of,
    table_rows,
)

# API.md, "type | who sends": role -> source, "+" where the actor's mandate is needed.
WHO_SENDS = {
    "registration": "system",
    "listing": "merchant platform",
    "pack": "merchant supplier=merchant +platform",
    "unpack": "merchant supplier=merchant +platform",
    "transfer": "merchant supplier=merchant",
    "acceptance": "merchant supplier=merchant",
    "sale": "merchant +platform",
    "dispatch": "merchant carrier +platform",
    "transit": "carrier +aggregator",
    "signature": "carrier +aggregator merchant platform consumer",
    "refusal": "carrier +aggregator merchant platform consumer",
    "review": "consumer",
    "follow_up": "consumer",
    "carrier_rating": "merchant +platform consumer",
    "buyer_rating": "merchant +platform carrier",
    "complaint": "consumer regulator",
    "message": "merchant platform consumer",
    "referral": "merchant platform",
    "return": "merchant platform carrier",
    "recall": "merchant recall_agent=merchant regulator",
    "recall_lifted": "merchant recall_agent=merchant regulator",
    "measure": "regulator",
    "measure_lifted": "regulator",
    "publication": "regulator",
    "void": "merchant supplier=merchant",
    "correction": "merchant supplier=merchant recall_agent=merchant platform carrier +aggregator "
    "regulator customs",
    "reply": "merchant",
    "notice": "merchant regulator",
    "inspection": "regulator",
    "customs_release": "customs",
    "customs_hold": "customs",
}


def expected_senders(event_type: str) -> dict[str, tuple[str, bool]]:
    found = {}
    for word in WHO_SENDS[event_type].split():
        role, _, source = word.lstrip("+").partition("=")
        found[role] = (source or role, word.startswith("+"))
    return found


def source_of(*given, **more):
    """Returns the weakest source, None where the sender is refused."""
    return next(iter(sources_of(*given, **more)), None)


@pytest.mark.parametrize("event_type", WHO_SENDS)
def test_who_sends_what_as_the_contract_says(event_type):
    expected = expected_senders(event_type)
    for role in (*PARTY_ROLES, ADMIN, "consumer", "system"):
        source, by_mandate = expected.get(role, (None, False))
        assert source_of({role}, event_type) == (None if by_mandate else source), role


def test_the_contract_names_every_type():
    assert set(EVENTS) == set(WHO_SENDS)


def test_a_platform_sells_and_dispatches_under_the_sellers_mandate_only():
    for event_type in ("sale", "dispatch"):
        assert source_of({"platform"}, event_type) is None
        assert source_of({"platform"}, event_type, actor_roles={"merchant"}) == "platform"


def test_an_aggregator_speaks_for_a_carrier():
    assert source_of({"aggregator"}, "transit", actor_roles={"carrier"}) == "aggregator"
    assert source_of({"aggregator"}, "signature", actor_roles={"carrier"}) == "aggregator"


def test_a_messenger_without_a_right_of_its_own_carries_the_actors_source():
    assert source_of({"aggregator"}, "sale", actor_roles={"merchant"}) == "merchant"
    assert source_of({"recall_agent"}, "reply", actor_roles={"merchant"}) == "merchant"


def test_nobody_lends_a_voice_it_does_not_have():
    assert source_of({"platform"}, "sale", actor_roles={"carrier"}) is None
    assert source_of({"carrier"}, "transit", actor_roles={"merchant"}) is None
    assert source_of({"platform"}, "sale", actor_roles={"platform"}) is None


def test_authorities_neither_lend_their_voice_nor_speak_for_others():
    assert source_of({"platform"}, "inspection", actor_roles={"regulator"}) is None
    assert source_of({"regulator"}, "recall", actor_roles={"merchant"}) == "merchant"
    assert grantable_types(OFFICIAL_ROLES) == frozenset()


def test_a_shop_that_is_also_the_carrier_vouches_for_itself():
    both = {"merchant", "carrier", "platform"}
    assert source_of(both, "signature") == "merchant"
    assert source_of(both, "signature", own_goods=False) == "platform"
    assert source_of({"merchant", "carrier"}, "signature", own_goods=False) == "carrier"
    assert source_of({"merchant"}, "signature", own_goods=False) == "merchant"
    assert sources_of(both, "signature") == ("merchant", "platform", "carrier")
    assert sources_of(both, "signature", own_goods=False) == ("platform", "carrier")


def test_consumers_and_system_cannot_give_mandates():
    assert grantable_types({"merchant"}) >= {"sale", "dispatch", "listing", "recall"}
    assert "review" not in grantable_types(PARTY_ROLES)
    assert "registration" not in grantable_types(PARTY_ROLES)
    assert "measure" not in grantable_types(PARTY_ROLES)
    assert grantable_types({"carrier"}) == {
        "dispatch", "transit", "signature", "refusal", "return", "correction", "buyer_rating",
    }  # fmt: skip


def test_an_unknown_type_has_no_sender():
    assert source_of(PARTY_ROLES, "gossip") is None


def test_sources_are_those_of_the_record_format():
    for senders in EVENTS.values():
        assert {sender.source for sender in senders} <= set(SOURCES)
        assert len({sender.role for sender in senders}) == len(senders)


@pytest.mark.parametrize(
    ("role", "action", "expected"),
    [
        ("admin", "party.register", "any"),
        ("platform", "party.register", None),
        ("platform", "party.register_seller", "any"),
        ("merchant", "party.register_seller", None),
        ("regulator", "party.verify", "any"),
        ("merchant", "party.verify", None),
        ("merchant", "key.manage", "own"),
        ("admin", "key.manage", "any"),
        ("admin", "signing_key.manage", None),
        ("carrier", "signing_key.manage", "own"),
        ("merchant", "code.issue", "own"),
        ("carrier", "code.issue", None),
        ("customs", "sealed.read", "any"),
        ("platform", "ranking.query", "any"),
        ("merchant", "ranking.query", None),
        ("regulator", "finding.attribute", "any"),
        ("admin", "finding.attribute", None),
        ("admin", "event.send", None),
    ],
)
def test_actions(role, action, expected):
    assert reach({role}, action) == expected
    assert may({role}, action) is (expected is not None)


def test_any_wins_over_own_with_several_roles():
    assert reach({"merchant", "regulator"}, "finding.read") == "any"
    assert reach({"merchant", "carrier"}, "finding.read") == "own"
    assert reach((), "finding.read") is None


def test_an_action_that_is_not_in_the_table_is_an_error_of_ours():
    with pytest.raises(KeyError):
        may({"admin"}, "party.destroy")


def test_every_scope_guards_something_and_every_action_has_a_scope():
    assert {action.scope for action in ACTIONS.values()} == set(SCOPES)


def test_a_mandate_ends_at_its_moment():
    until = datetime(2026, 12, 1, tzinfo=UTC)
    mandate = Mandate("91441204MA4TE5T02Q", frozenset({"sale"}), until)
    assert mandate.covers("sale", at=until - timedelta(milliseconds=1))
    assert not mandate.covers("sale", at=until)
    assert not mandate.covers("dispatch", at=until - timedelta(days=1))
    assert Mandate("91441204MA4TE5T02Q", frozenset({"sale"})).covers("sale", at=until)


def test_the_whole_table_can_be_shown():
    rows = table_rows()
    assert [row.name for row in rows] == [*ACTIONS, *EVENTS]
    by_name = {row.name: row for row in rows}
    assert by_name["sale"].cells == {"merchant": "merchant", "platform": "mandate:platform"}
    assert by_name["key.manage"].cells["merchant"] == "own"
    for lang in LANGUAGES:
        for row in rows:
            if row.half == "action":
                assert text(lang, f"action.{row.name}")
            for role in row.cells:
                assert text(lang, f"role.{role}")
