"""The carrier's own word of a delivery, after the seller's: taken once, and the signature from then on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.canonical import canonical_bytes
from app.kit.clock import to_ms
from app.trace.custody import tell_custody
from app.trace.detectors import find_impossible_order, find_too_fast
from app.trace.lifecycle import Around, LifecycleConflict, begin, check, fold, vouched_steps
from app.trace.proof import may_have_token
from app.trace.rights import RIGHTS
from app.trace.sides import is_witnessed, outweighed, seller_of
from app.trace.spoken import check_word
from tests.trace.lives import (
    CARRIER,
    DAY,
    GRACES,
    HOUR,
    NOON,
    PLATFORM,
    SHOP,
    event,
    live,
    reason_of,
)

OTHER = "91440100MA4TE5T093"
SENT = (event("sale"), event("dispatch", NOON + HOUR, seq=2))
EARLY, TRULY = NOON + 2 * HOUR, NOON + 3 * DAY
BY_SHOP = {"actor": SHOP, "source": "merchant"}
BY_CARRIER = event("signature", TRULY, seq=9, data={"kind": "locker"})
WEAKER = {
    "the shop": BY_SHOP,
    "its software": {"actor": SHOP, "sender": OTHER, "source": "merchant"},
    "the platform for it": {"actor": SHOP, "sender": PLATFORM, "source": "platform"},
    "the platform": {"actor": PLATFORM, "source": "platform"},
    "the code in the pack": {
        "actor": "consumer", "source": "consumer", "data": {"kind": "in_person", "proof": "inner"},
    },
}  # fmt: skip


def signed_by(*before, seq: int = 3, **by):
    return live(*(before or SENT), event("signature", EARLY, seq=seq, **by))


@pytest.mark.parametrize("by", WEAKER)
def test_the_named_carriers_word_comes_after_a_weaker_one_and_stands(by):
    before = signed_by(**WEAKER[by])
    assert not is_witnessed(before)
    assert may_have_token(before)
    after = live(*SENT, event("signature", EARLY, seq=3, **WEAKER[by]), BY_CARRIER)
    assert after["state"] == "signed"
    assert after["signature"].items() >= {
        "seq": 9, "at": to_ms(TRULY), "actor": CARRIER, "kind": "locker",
    }.items()  # fmt: skip
    assert is_witnessed(after)
    assert may_have_token(after)
    assert after["steps"]["signature"] == 1
    kept = before.keys() - {"signature", "steps"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert reason_of(after, event("signature", TRULY + HOUR, seq=10)) == "already_signed"
    assert reason_of(after, event("signature", TRULY, seq=10, **BY_SHOP)) == "already_signed"


def test_a_chain_that_was_whole_stays_so_from_then_on():
    before = signed_by(**BY_SHOP)
    after = fold(before, BY_CARRIER, GRACES)
    assert before["completed"] == after["completed"] == to_ms(EARLY)
    assert (vouched_steps(before), vouched_steps(after)) == ((4, 0), (4, 1))


def test_gaps_that_are_open_stay_open_and_a_transit_before_the_true_signature_is_taken():
    listless = (event("sale", listed=False), SENT[1])
    before = signed_by(*listless, **BY_SHOP)
    assert reason_of(before, event("transit", EARLY + HOUR, seq=9)) == "already_signed"
    after = fold(before, BY_CARRIER, GRACES)
    assert after["gaps"] == before["gaps"] != {}
    check(after, event("transit", EARLY + HOUR, seq=10), around=Around())


def test_a_buyer_who_proved_the_purchase_has_spoken_for_good():
    by = {"actor": "consumer", "source": "consumer", "data": {"kind": "proxy", "proof": "platform"}}
    assert reason_of(signed_by(**by), BY_CARRIER) == "already_signed"
    early = live(SENT[0], event("signature", EARLY, seq=2, **by), event("dispatch", seq=3))
    assert reason_of(early, BY_CARRIER) == "already_signed"


def test_who_the_dispatch_does_not_name_says_nothing_more():
    before = signed_by(**BY_SHOP)
    for actor, source in ((OTHER, "carrier"), (PLATFORM, "platform"), ("consumer", "consumer")):
        again = event("signature", TRULY, seq=9, actor=actor, source=source)
        assert reason_of(before, again) == "already_signed"
    by_aggregator = event("signature", TRULY, seq=9, sender=OTHER, source="aggregator")
    assert is_witnessed(fold(before, by_aggregator, GRACES))


@pytest.mark.parametrize("named", ["中通", SHOP, "9" * 18])
def test_a_mere_name_and_the_seller_itself_are_no_witness(named):
    sent = (SENT[0], event("dispatch", seq=2, data={"carrier": named}))
    before = signed_by(*sent, **BY_SHOP)
    assert not may_have_token(live(*sent))
    assert not may_have_token(before)
    by_agent = event("signature", TRULY, seq=9, actor=named, sender=OTHER, source="carrier")
    assert reason_of(before, by_agent) == "already_signed"
    alone = fold(live(*sent), by_agent, GRACES)
    assert alone["state"] == "signed"
    assert not is_witnessed(alone)
    assert not may_have_token(alone)


def test_the_seller_and_its_software_are_no_witness_in_the_carriers_name():
    by_seller = event("signature", TRULY, seq=9, sender=SHOP, source="aggregator")
    assert reason_of(signed_by(**BY_SHOP), by_seller) == "already_signed"
    sent = (event("sale", sender=OTHER), SENT[1])
    by_software = event("signature", EARLY, seq=3, sender=OTHER, source="aggregator")
    before = live(*sent, by_software)
    assert not is_witnessed(before)
    assert may_have_token(before), "the carrier itself may still speak"
    assert is_witnessed(fold(before, BY_CARRIER, GRACES))


def test_a_carrier_that_signed_before_a_dispatch_named_it_may_say_so_again():
    early = live(SENT[0], event("signature", EARLY, seq=2), event("dispatch", seq=3))
    assert not is_witnessed(early)
    assert may_have_token(early)
    assert is_witnessed(fold(early, BY_CARRIER, GRACES))
    unnamed = event("signature", EARLY, seq=2, actor=OTHER)
    assert is_witnessed(live(SENT[0], unnamed, event("dispatch", seq=3), BY_CARRIER))
    fetched = live(SENT[0], event("signature", EARLY, seq=2, data={"kind": "pickup"}, **BY_SHOP))
    assert not may_have_token(fetched)
    assert reason_of(fetched, BY_CARRIER) == "already_signed"


def test_a_correction_of_the_dispatch_takes_no_witness_away():
    def named(carrier, seq):
        data = {"of": SENT[1].id, "changes": {"carrier": carrier}}
        return event("correction", TRULY, seq=seq, data=data)

    witnessed = live(*SENT, event("signature", EARLY, seq=3), named(OTHER, 4))
    assert is_witnessed(witnessed)
    assert may_have_token(witnessed)
    stranger = event("signature", TRULY, seq=9, actor=OTHER, source="carrier")
    assert reason_of(witnessed, stranger) == "already_signed"
    told_wrong = live(*SENT, event("signature", EARLY, seq=3, **BY_SHOP), named(OTHER, 4))
    assert reason_of(told_wrong, BY_CARRIER) == "already_signed"
    assert is_witnessed(fold(told_wrong, stranger, GRACES))


def test_a_correction_of_the_signature_itself_moves_nothing():
    before = signed_by(**BY_SHOP)
    data = {"of": before["signature"]["id"], "changes": {"kind": "proxy"}}
    corrected = fold(before, event("correction", TRULY, seq=4, data=data, actor=SHOP), GRACES)
    assert corrected == before
    check(corrected, BY_CARRIER, around=Around())


def test_a_sale_begun_anew_has_its_own_signatures():
    once = (*SENT, event("signature", EARLY, seq=3, **BY_SHOP), BY_CARRIER)
    again = (
        event("return", TRULY + DAY, seq=10),
        event("sale", TRULY + 2 * DAY, seq=11),
        event("dispatch", TRULY + 3 * DAY, seq=12),
        event("signature", TRULY + 4 * DAY, seq=13, **BY_SHOP),
    )
    second = live(*once, *again)
    assert not is_witnessed(second)
    assert is_witnessed(fold(second, event("signature", TRULY + 5 * DAY, seq=14), GRACES))


def test_detectors_and_custody_go_by_the_signature_that_stands():
    too_soon = event("signature", NOON, seq=3, **BY_SHOP)
    told = (*SENT, too_soon, BY_CARRIER)
    assert find_impossible_order(live(*told[:3]))
    assert not find_impossible_order(live(*told))
    far_off = {"carrier": CARRIER, "from": "110100", "to": "440100"}
    far = event("dispatch", NOON + HOUR, seq=2, data=far_off)
    shortly = event("signature", NOON + 1.1 * HOUR, seq=3, **BY_SHOP)
    assert find_too_fast((SENT[0], far, shortly), at_least=3 * HOUR)
    assert not find_too_fast((SENT[0], far, shortly, BY_CARRIER), at_least=3 * HOUR)
    carried, held = tell_custody(told)[-2:]
    assert (carried.holder, carried.until) == (CARRIER, TRULY)
    assert (held.holder, held.since, held.seq) == ("buyer", TRULY, 9)
    carried, held = tell_custody((*SENT, too_soon, event("refusal", TRULY, seq=9)))[-2:]
    assert (carried.holder, carried.until, held.holder) == (CARRIER, TRULY, SHOP)


def test_which_signatures_a_later_one_outweighed():
    def told(type_, id_, **data):
        return {"stream": "s", "type": type_, "id": id_, "data": data}

    of_unit = [told("signature", "a"), told("signature", "b"), told("return", "c"),
               told("signature", "d")]  # fmt: skip
    assert outweighed(of_unit) == {"a"}
    of_lot = [told("signature", "a", consignment="1"), told("signature", "b", consignment="2"),
              told("signature", "c", consignment="2")]  # fmt: skip
    assert outweighed(of_lot) == {"b"}
    refused = [told("signature", "a"), told("refusal", "b"), told("refusal", "c")]
    assert outweighed(refused) == {"a"}


def test_software_that_spoke_for_another_gives_way_to_the_true_carrier():
    sent = (event("sale", sender=OTHER), SENT[1])
    for_wrong = event("signature", EARLY, seq=3, sender=OTHER, source="aggregator")
    data = {"of": SENT[1].id, "changes": {"carrier": PLATFORM}}
    corrected = live(*sent, for_wrong, event("correction", TRULY, seq=4, data=data))
    assert not is_witnessed(corrected)
    assert may_have_token(corrected)
    true = event("signature", TRULY, seq=9, actor=PLATFORM, source="carrier")
    assert is_witnessed(fold(corrected, true, GRACES))


@pytest.mark.parametrize(("changes", "is_refused"), [
    ({"carrier": OTHER}, True), ({"carrier": "中通"}, True), ({"carrier": CARRIER}, False),
    ({"to": "440300"}, False), ({"platform": OTHER}, False),
])  # fmt: skip
def test_no_correction_takes_the_place_of_a_signature_that_came_between(changes, is_refused):
    state = live(*SENT, event("signature", EARLY, seq=3))
    of = SENT[0].id if "platform" in changes else SENT[1].id
    correction = event("correction", TRULY, seq=4, data={"of": of, "changes": changes})
    after = fold(state, correction, GRACES)
    if not is_refused:
        check_word(state, after, "correction")
        return
    with pytest.raises(LifecycleConflict) as refusal:
        check_word(state, after, "correction")
    assert refusal.value.reason == "has_spoken"


@pytest.mark.parametrize("by", WEAKER)
def test_the_named_carriers_refusal_comes_after_a_weaker_word_and_ends_the_sale(by):
    before = signed_by(**WEAKER[by])
    refusal = event("refusal", TRULY, seq=9)
    after = live(*SENT, event("signature", EARLY, seq=3, **WEAKER[by]), refusal)
    assert (after["state"], after["closed"]["seq"], after["gaps"]) == ("returned", 9, {})
    assert "signature" not in after
    assert reason_of(after, event("signature", TRULY, seq=10)) == "not_moving"
    assert reason_of(after, event("refusal", TRULY, seq=10)) == "not_moving"
    for actor in (SHOP, PLATFORM, OTHER, "consumer"):
        assert reason_of(before, event("refusal", TRULY, seq=9, actor=actor)) == "already_signed"
    spoken = fold(before, BY_CARRIER, GRACES)
    assert reason_of(spoken, event("refusal", TRULY, seq=10)) == "already_signed"


PARTIES = [SHOP, CARRIER, OTHER, PLATFORM]
STEPS = st.tuples(
    st.sampled_from(
        [
            "sale",
            "dispatch",
            "signature",
            "signature",
            "correction",
            "correction",
            "return",
            "refusal",
        ]
    ),
    st.sampled_from([*PARTIES, "consumer"]),
    st.sampled_from(PARTIES),
    st.sampled_from(["merchant", "platform", "carrier", "aggregator", "consumer"]),
    st.sampled_from(["platform", "carrier", "inner"]),
    st.sampled_from([*PARTIES, "中通"]),
)

WITHIN = st.tuples(
    st.just("signature"),
    st.sampled_from([*PARTIES, "consumer"]),
    st.sampled_from(PARTIES),
    st.sampled_from(["merchant", "platform", "carrier", "aggregator"]),
    st.sampled_from(["platform", "inner"]),
    st.just(""),
)


@st.composite
def signing(draw):
    """Whatever happens, more often than not to goods that were sold and sent."""
    named = draw(st.sampled_from([CARRIER, CARRIER, *PARTIES]))
    weak = draw(st.sampled_from([(SHOP, SHOP, "merchant"), (PLATFORM, PLATFORM, "platform")]))
    begun = [
        ("sale", SHOP, draw(st.sampled_from([SHOP, SHOP, OTHER])), "merchant", "", PLATFORM),
        ("dispatch", SHOP, SHOP, "merchant", "", named),
        ("signature", *weak, "", ""),
        ("signature", named, named, "carrier", "", ""),
    ]  # fmt: skip
    return [
        *begun[: draw(st.integers(0, 4))],
        *draw(st.lists(st.one_of(STEPS, WITHIN), max_size=20)),
    ]


def told(n: int, step):
    """Returns the event of a step, its actor and source as rights would have them."""
    type_, actor, sender, source, proof, named = step
    data = {"kind": "in_person"} | ({"proof": proof} if actor == "consumer" else {})
    match type_:
        case "sale":
            actor, data = SHOP, {"platform": named}
        case "dispatch":
            actor, data = SHOP, {"carrier": named}
        case "correction":
            # Mostly of the first two, which are a sale and a dispatch.
            of = f"00000000-0000-7000-8000-{n // 2 if proof == 'inner' else 1 + n % 2:012d}"
            changes = {"carrier": named} if sender in (SHOP, CARRIER) else {"platform": named}
            actor, data = SHOP, {"of": of, "changes": changes}
        case "refusal":
            data = {"reason": "broken"}
        case "return":
            actor, data = SHOP, {"reason": "back"}
    if actor == "consumer":
        source = sender = "consumer"
    elif source == "consumer":
        source = "carrier"  # a party speaks in a role of its own
    if actor == sender == SHOP:
        source = "merchant"
    return event(
        type_, NOON + n * HOUR, seq=n, actor=actor, sender=sender, source=source, data=data
    )


@given(signing())
def test_a_witness_speaks_once_and_is_never_the_seller(steps):
    """spoken: whether a token went out with the signature that stands, told beside the state."""
    state, spoken, proven = begin(SHOP), False, False
    for n, step in enumerate(steps, start=1):
        happening = told(n, step)
        type_, actor, sender = happening.type, happening.actor, happening.sender
        if type_ in ("signature", "refusal") and not RIGHTS[type_](state, actor, happening.source):
            continue
        before = canonical_bytes(state)
        sent = state.get("dispatch", {})
        own = {SHOP} | {
            one["sender"]
            for one in (state.get("sale", {}), sent)
            if one.get("actor") == SHOP
        } - {actor}  # fmt: skip
        is_carriers = sent.get("carrier") == actor != SHOP and sender not in own
        try:
            check(state, happening, around=Around())
            after = fold(state, happening, GRACES)
            check_word(state, after, type_)
        except LifecycleConflict as refusal:
            if refusal.reason == "has_spoken":
                # At the door alone: what the fold would make of it is never recorded.
                assert type_ in ("correction", "sale")
                assert spoken or state["signature"]["actor"] == state["sale"]["platform"]
                continue
            assert fold(state, happening, GRACES) == state
            if is_carriers and type_ in ("signature", "refusal") and state["state"] == "signed":
                assert spoken or proven
            continue
        assert canonical_bytes(state) == before
        if state["state"] == "signed" and type_ in ("signature", "refusal"):
            assert is_carriers
            assert not spoken
            assert may_have_token(state)
        if type_ == "signature":
            if state["state"] == "signed":
                unmoved = state.keys() - {"signature", "steps"}
                assert {name: after[name] for name in unmoved} == {n: state[n] for n in unmoved}
                assert after["steps"].keys() == state["steps"].keys()
            spoken = is_carriers
            proven = actor == "consumer" and happening.data["proof"] != "inner"
        elif after["state"] != "signed":
            spoken = proven = False
        assert is_witnessed(after) == spoken
        if spoken:
            assert may_have_token(after)
            signed = after["signature"]
            assert seller_of(after) not in (signed["actor"], signed["sender"])
            assert type_ == "signature" or signed == state["signature"]
        state = after
