"""What a party's stream may say next. Plain values: heads and facts as the recorder would show them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.kit.clock import format_time, to_ms
from app.kit.errors import Invalid
from app.ledger.record import Claim
from app.ledger.submission import StreamHead, View, no_head
from app.parties import rules
from app.parties.measures import EVENT_DECISIONS
from app.parties.roles import PARTY_ROLES, grantable_types, may
from tests.fakes import START
from tests.sentences import explain, only_error

SHOP, AGENT = "91441200MA4TE5T00Q", "91441204MA4TE5T02Q"
STREAM = f"party/{SHOP}"
LATER = START + timedelta(days=1)


def head(party=SHOP, **state):
    state = {"status": "verified", "roles": ["merchant"], "measures": {}, "credit": "kept"} | state
    return StreamHead(f"party/{party}", 3, bytes(32), to_ms(START), state)


def view(*heads, facts=None, now=START):
    return View(now, {h.stream: h for h in heads}, facts or {})


def claim(type_, at=START, **data):
    return Claim(STREAM, "0192f3a0-0000-7000-8000-000000000001", type_, SHOP, at, data, {})


def test_what_other_rooms_keep_in_the_state_stays():
    decided = [
        rules.decide_verification(claim("verification", status="rejected"), view(head())),
        rules.decide_measure(claim("measure", kind="warn"), view(head())),
        rules.decide_remark(claim("correction"), view(head())),
        rules.decide_signing_key(claim("signing_key", key_id="k", public_key="p"), view(head())),
    ]
    assert all(draft.state["credit"] == "kept" for draft in decided)


@pytest.mark.parametrize("decide", [*EVENT_DECISIONS.values(), rules.decide_verification])
def test_nothing_is_said_about_a_party_that_is_not_registered(decide):
    with pytest.raises(rules.PartyUnknown) as caught:
        decide(claim("x", kind="warn", status="verified", basis="b", of="x"), view(no_head(STREAM)))
    explain(caught.value)


def test_a_party_is_registered_once():
    with pytest.raises(rules.AlreadyRegistered):
        rules.decide_registration(claim("registration"), view(head()), row={"id": SHOP})


def test_only_an_authority_verifies_before_it_is_verified_itself():
    judge = Claim(STREAM, "0192f3a0-0000-7000-8000-000000000001", "verification", AGENT, START,
                  {"status": "verified"}, {})  # fmt: skip
    for role, status, refused in (
        ("regulator", "pending", False),
        ("regulator", "rejected", True),
        ("platform", "verified", False),
        ("platform", "pending", True),
        ("platform", "rejected", True),
    ):
        seen = view(head(), head(AGENT, roles=[role], status=status))
        if not refused:
            assert rules.decide_verification(judge, seen)
            continue
        with pytest.raises(rules.PartyUnverified):
            rules.decide_verification(judge, seen)


def test_a_new_verification_replaces_the_next_check():
    given = claim("verification", status="verified", next_check="2027-01-01")
    assert rules.decide_verification(given, view(head())).state["next_check"] == "2027-01-01"
    without = claim("verification", status="verified")
    draft = rules.decide_verification(without, view(head(next_check="2020-01-01")))
    assert "next_check" not in draft.state


# --- measures -----------------------------------------------------------------------------------


def test_a_suspension_holds_from_its_moment_until_it_is_lifted():
    draft = rules.decide_measure(claim("measure", kind="suspend"), view(head()))
    state = draft.state
    assert not rules.is_suspended(state, START - timedelta(milliseconds=1))
    assert rules.is_suspended(state, START)
    lifting = claim("measure_lifted", at=LATER, kind="suspend")
    lifted = rules.decide_measure_lifted(lifting, view(head(**state))).state
    assert lifted["measures"] == {}
    # What arrives late is judged by the time it happened.
    assert rules.is_suspended(lifted, LATER - timedelta(milliseconds=1))
    assert not rules.is_suspended(lifted, LATER)


def test_a_measure_with_an_end_ends_by_itself():
    until = format_time(LATER)
    state = rules.decide_measure(claim("measure", kind="suspend", until=until), view(head())).state
    assert rules.is_suspended(state, LATER - timedelta(milliseconds=1))
    assert not rules.is_suspended(state, LATER)


def test_a_warning_suspends_nobody():
    state = rules.decide_measure(claim("measure", kind="warn"), view(head())).state
    assert rules.measures_at(state, START) == {"warn"}
    assert not rules.is_suspended(state, START)


def test_only_what_is_in_force_can_be_lifted():
    state = rules.decide_measure(claim("measure", kind="warn"), view(head())).state
    with pytest.raises(rules.NothingToLift) as caught:
        rules.decide_measure_lifted(claim("measure_lifted", kind="suspend"), view(head(**state)))
    assert caught.value.reason == "not_in_force"
    explain(caught.value)


# --- signing keys -------------------------------------------------------------------------------


def test_a_signing_key_signs_until_it_is_revoked():
    from base64 import b64encode

    public = b64encode(bytes(32)).decode()
    added = rules.decide_signing_key(
        claim("signing_key", key_id="k", public_key=public), view(head())
    )
    fact = added.facts["key/k"]
    assert fact == {"public_key": public, "since_ms": to_ms(START), "seq": 4}
    there = {(STREAM, "key/k"): fact}
    found = rules.find_signing_key(view(facts=there), actor=SHOP, key_id="k")
    assert found == bytes(32)
    revoking = claim("signing_key_revoked", key_id="k")
    ended = rules.decide_signing_key_revoked(revoking, view(head(), facts=there, now=LATER))
    there = {(STREAM, "key/k"): ended.facts["key/k"]}
    # Also by a clock that was set back since: what counts is what has happened, not when.
    for now in (START, LATER):
        with pytest.raises(rules.SigningKeyUnknown) as caught:
            rules.find_signing_key(view(facts=there, now=now), actor=SHOP, key_id="k")
        explain(caught.value)
    for again in (rules.decide_signing_key_revoked, rules.decide_signing_key):
        with pytest.raises(rules.SigningKeyKnown) as caught:
            again(claim("x", key_id="k", public_key=public), view(head(), facts=there))
        explain(caught.value)


def test_one_party_does_not_sign_with_anothers_key():
    facts = {(STREAM, "key/k"): {"public_key": "", "since_ms": 0, "seq": 1}}
    with pytest.raises(rules.SigningKeyUnknown):
        rules.find_signing_key(view(facts=facts), actor=AGENT, key_id="k")


# --- mandates -----------------------------------------------------------------------------------


def grant(state=None, now=START, agent_head=None, facts=None, **data):
    data = {"agent": AGENT, "types": ["sale"]} | data
    return rules.decide_mandate(
        claim("mandate", **data),
        view(head(**(state or {})), agent_head or head(AGENT), facts=facts, now=now),
    )


def test_a_mandate_is_kept_by_agent_and_id():
    until = format_time(LATER)
    assert grant(until=until).facts == {
        f"mandate/{AGENT}": {
            "0192f3a0-0000-7000-8000-000000000001": {
                "types": ["sale"], "until_ms": to_ms(LATER), "revoked_ms": None,
            }
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind", "loc"),
    [
        ({"agent_head": no_head(f"party/{AGENT}")}, "unknown_party", ("agent",)),
        ({"types": ["sale", "sell"]}, "unknown_type", ("types", 1)),
        ({"types": ["customs_release"]}, "not_grantable", ("types", 0)),
        ({"types": ["measure"], "state": {"roles": ["regulator"]}}, "not_grantable", ("types", 0)),
        ({"until": format_time(START)}, "range", ("until",)),
    ],
)
def test_a_mandate_that_cannot_be_given(changes, kind, loc):
    with pytest.raises(Invalid) as caught:
        grant(**changes)
    error = only_error(caught.value)
    assert (error.kind, error.loc) == (kind, loc)


def test_ended_mandates_leave_the_fact_and_standing_ones_stay():
    given = {
        "over": {"types": ["sale"], "until_ms": to_ms(START), "revoked_ms": None},
        "back": {"types": ["sale"], "until_ms": None, "revoked_ms": 1},
        "open": {"types": ["sale"], "until_ms": None, "revoked_ms": None},
    }
    facts = {(STREAM, f"mandate/{AGENT}"): given}
    kept = grant(facts=facts, now=LATER).facts[f"mandate/{AGENT}"]
    assert set(kept) == {"open", "0192f3a0-0000-7000-8000-000000000001"}


def test_the_checks_of_others_read_what_is_written_here():
    from app.parties.standing import MandateMissing, check_mandate

    fact = f"mandate/{AGENT}"

    def check(facts, event_type="sale", now=START):
        there = view(facts={(STREAM, fact): facts[fact]})
        check_mandate(there, actor=SHOP, agent=AGENT, event_type=event_type, now=now)

    given = grant(until=format_time(LATER)).facts
    check(given)
    for wrong in ({"event_type": "dispatch"}, {"now": LATER}):
        with pytest.raises(MandateMissing) as caught:
            check(given, **wrong)
        explain(caught.value)
    mandate_id = next(iter(given[fact]))
    revoking = claim("mandate_revoked", agent=AGENT, mandate=mandate_id)
    facts = {(STREAM, fact): given[fact]}
    ended = rules.decide_mandate_revoked(revoking, view(head(), facts=facts)).facts
    with pytest.raises(MandateMissing):
        check(ended)
    facts = {(STREAM, fact): ended[fact]}
    with pytest.raises(rules.MandateEnded) as caught:
        rules.decide_mandate_revoked(revoking, view(head(), facts=facts))
    explain(caught.value)


def test_reads_name_what_the_checks_want():
    own = rules.party_reads(SHOP, SHOP, signing_key="k")
    assert [(read.stream, read.key) for read in own] == [(STREAM, ""), (STREAM, "key/k")]
    other = rules.party_reads(SHOP, AGENT)
    assert [(read.stream, read.key) for read in other] == [
        (STREAM, ""), (f"party/{AGENT}", ""), (STREAM, f"mandate/{AGENT}"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("roles", "source"),
    [
        ((), "system"),
        (("admin",), "system"),
        (("merchant",), "merchant"),
        (("supplier",), "merchant"),
        (("recall_agent",), "merchant"),
        (("platform",), "platform"),
        (("merchant", "platform"), "platform"),
        (("aggregator", "carrier"), "carrier"),
        (("aggregator", "merchant"), "aggregator"),
        (("carrier", "platform"), "platform"),
        (("customs", "platform"), "customs"),
        (("customs", "regulator"), "regulator"),
    ],
)
def test_a_party_speaks_of_itself_in_its_main_role(roles, source):
    assert rules.voice(roles, "signing_key.manage") == source
    if grantable_types([source]):
        assert rules.voice(roles, "mandate.manage") == source


@pytest.mark.parametrize("role", PARTY_ROLES)
def test_who_has_no_voice_to_lend_manages_no_mandates(role):
    assert may([role], "mandate.manage") == bool(grantable_types([role]))


@pytest.mark.parametrize(
    ("roles", "action", "source"),
    [
        (("customs", "regulator"), "party.verify", "regulator"),
        (("customs", "platform"), "party.verify", "platform"),
        (("carrier", "merchant", "platform"), "party.verify", "platform"),
        (("admin",), "party.verify", "system"),
        (("merchant", "platform", "regulator"), "party.register_seller", "platform"),
        (("admin",), "party.register", "system"),
    ],
)
def test_a_party_speaks_of_others_in_the_role_that_lets_it(roles, action, source):
    assert rules.voice(roles, action) == source
