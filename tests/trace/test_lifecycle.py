from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.canonical import canonical_bytes
from app.kit.clock import to_ms
from app.kit.errors import Conflict
from app.parties.roles import EVENTS
from app.trace.lifecycle import (
    LIFE,
    STATES,
    Around,
    LifecycleConflict,
    begin,
    check,
    check_around,
    fold,
    pending,
    recalled_since,
    responsible_for,
    seller_of,
    verdict_of,
    vouched_steps,
)
from tests.sentences import explain
from tests.trace.lives import (
    CARRIER,
    DATA,
    DAY,
    GRACES,
    HOUR,
    LATER,
    NOON,
    PLATFORM,
    REGULATOR,
    SHOP,
    event,
    in_state,
    live,
    reason_of,
)

# The contract's table, copied by hand: never derived from the code. "- word": refused with that
# reason; "> state": moves there; "=": stays; "+ step": opens a gap for it. The row `acceptance`, and
# the words of the contract's bare dashes, are ours. The events come with no gap, review or transfer
# open; what changes when there is one stands in tests of its own.
COLUMNS = ("registered", "sold", "in_transit", "signed", "returned")
TABLE = {
    "sale": ("> sold", "- already_sold", "- already_sold", "- already_sold", "> sold"),
    "dispatch": (
        "> in_transit + sale",
        "> in_transit",
        "- already_dispatched",
        "- already_signed",
        "> in_transit + sale",
    ),
    "transit": ("= + dispatch", "= + dispatch", "=", "- already_signed", "- not_moving"),
    "signature": (
        "> signed + sale + dispatch",
        "> signed + dispatch",
        "> signed",
        "- already_signed",
        "- not_moving",
    ),
    "refusal": ("- not_moving", "- not_moving", "> returned", "- already_signed", "- not_moving"),
    "return": ("- not_sold", "> returned", "> returned", "> returned", "- not_sold"),
    "review": ("- not_sold", "=", "=", "=", "- not_sold"),
    "follow_up": ("- no_review", "- no_review", "- no_review", "- no_review", "- no_review"),
    "complaint": ("- not_sold", "=", "=", "=", "="),
    "message": ("- not_sold", "=", "=", "=", "="),
    "referral": ("- not_sold", "=", "=", "=", "="),
    "transfer": ("=", "- already_sold", "- already_sold", "- already_sold", "="),
    "acceptance": (
        "- no_transfer",
        "- already_sold",
        "- already_sold",
        "- already_sold",
        "- no_transfer",
    ),
    "void": ("> void", "- already_sold", "- already_sold", "- already_sold", "> void"),
    "pack": ("=", "=", "- already_dispatched", "- already_signed", "="),
}
CELLS = [
    pytest.param(type_, state, cell, id=f"{type_}-on-{state}")
    for type_, row in TABLE.items()
    for state, cell in zip(COLUMNS, row, strict=True)
]


@pytest.mark.parametrize(("type_", "name", "cell"), CELLS)
def test_every_cell_of_the_life_table(type_, name, cell):
    before = in_state(name)
    happening = event(type_, LATER, seq=9)
    if cell.startswith("-"):
        assert reason_of(before, happening) == cell[2:]
        assert fold(before, happening, GRACES) == before
        return
    check(before, happening, around=Around())
    after = fold(before, happening, GRACES)
    movement, *gaps = cell.split(" + ")
    expected = name if movement == "=" else movement.removeprefix("> ")
    assert after["state"] == expected
    late = {one.step for one in pending(after) if one.kind == "late"}
    assert late == set(gaps)


def test_the_tested_table_has_every_cell_of_the_real_one():
    assert sorted(LIFE) == sorted(TABLE)
    assert all(tuple(row) == COLUMNS for row in LIFE.values())
    assert (*COLUMNS, "void") == STATES


@pytest.mark.parametrize("type_", sorted(EVENTS))
def test_nothing_follows_void(type_):
    assert reason_of(in_state("void"), event(type_, LATER, seq=9)) == "void"


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize(
    "type_", ["listing", "recall", "recall_lifted", "correction", "reply", "notice", "inspection"]
)
def test_what_is_not_in_the_table_moves_nothing(type_, name):
    before = in_state(name)
    happening = event(type_, LATER, seq=9)
    check(before, happening, around=Around())
    assert fold(before, happening, GRACES)["state"] == name


@pytest.mark.parametrize("name", COLUMNS)
def test_goods_are_registered_only_once(name):
    assert reason_of(in_state(name), event("registration", LATER)) == "already_registered"


def test_the_registration_record_begins_the_life():
    record = event("registration", seq=0, data={"issuer": SHOP, "lot": "L1", "brand_owner": True})
    check({}, record, around=Around())
    assert fold({}, record, GRACES) == begin(SHOP, lot="L1", brand_owner=True)


def test_every_reason_is_a_conflict_with_a_sentence_in_both_languages():
    words = {cell[2:] for row in TABLE.values() for cell in row if cell.startswith("-")}
    for word in words | {"already_reviewed", "void", "recalled", "suspended", "already_registered"}:
        refusal = LifecycleConflict(word)
        assert isinstance(refusal, Conflict)
        assert refusal.slug == "lifecycle-conflict"
        assert len(explain(refusal)) == 2


# Conditions inside cells


def test_a_second_review_in_one_cycle_is_refused_and_a_follow_up_accepted():
    reviewed = live(event("sale"), event("review", NOON + HOUR, seq=2))
    assert reason_of(reviewed, event("review", LATER, seq=3)) == "already_reviewed"
    check(reviewed, event("follow_up", LATER, seq=3), around=Around())


def test_a_review_ends_with_its_cycle():
    returned = live(event("sale"), event("review", seq=2), event("return", LATER, seq=3))
    assert reason_of(returned, event("follow_up", LATER, seq=4)) == "no_review"
    resold = fold(returned, event("sale", LATER + HOUR, seq=4), GRACES)
    check(resold, event("review", LATER + DAY, seq=5), around=Around())


def test_transit_after_the_signature_must_be_older_than_it():
    signed = in_state("signed")  # signed at NOON + 2 h
    check(signed, event("transit", NOON + 2 * HOUR - timedelta(seconds=1)), around=Around())
    assert reason_of(signed, event("transit", NOON + 2 * HOUR)) == "already_signed"


def test_custody_moves_when_the_named_receiver_accepts():
    waiting = live(event("transfer"))
    assert waiting["holder"] == SHOP
    assert reason_of(waiting, event("acceptance", actor=CARRIER)) == "no_transfer"
    stranger = event("acceptance", data={"from": CARRIER})
    assert reason_of(waiting, stranger) == "no_transfer"
    moved = live(event("transfer"), event("acceptance", seq=2))
    assert moved["holder"] == PLATFORM
    assert "transfer" not in moved
    assert reason_of(moved, event("acceptance", seq=3)) == "no_transfer"


def test_a_sale_ends_a_transfer_that_nobody_accepted():
    sold_and_back = live(event("transfer"), event("sale", seq=2), event("return", LATER, seq=3))
    assert reason_of(sold_and_back, event("acceptance", LATER, seq=4)) == "no_transfer"


# Recall and suspension


@pytest.mark.parametrize("type_", ["listing", "sale", "dispatch"])
@pytest.mark.parametrize("reason", ["recalled", "suspended"])
def test_a_recall_or_suspension_refuses_what_occurred_from_it_on(type_, reason):
    state = in_state("sold") if type_ == "dispatch" else in_state("registered")
    since = NOON + 5 * HOUR
    around = Around(((since, None),)) if reason == "recalled" else Around(suspended_since=since)
    check(state, event(type_, since - HOUR, recorded_at=LATER), around=around)
    assert reason_of(state, event(type_, since), around) == reason
    with pytest.raises(LifecycleConflict, match=reason):
        check_around(type_, since, around)


def test_a_recall_from_above_that_was_lifted_refuses_what_occurred_meanwhile():
    around = Around(((NOON, NOON + HOUR),))
    for moment, refused in ((NOON, True), (NOON + HOUR / 2, True), (NOON + HOUR, False)):
        sale = event("sale", moment, recorded_at=LATER)
        if refused:
            assert reason_of(in_state("registered"), sale, around) == "recalled"
        else:
            check(in_state("registered"), sale, around=around)


@pytest.mark.parametrize("type_", ["signature", "return", "complaint", "review", "transit"])
def test_a_recall_refuses_nothing_else(type_):
    check(in_state("in_transit"), event(type_, LATER), around=Around(((NOON, None),), NOON))


def test_a_recall_of_the_unit_itself_bars_it_until_it_is_lifted():
    recalled = live(event("recall", NOON + HOUR, seq=1))
    assert recalled_since(recalled) == NOON + HOUR
    assert reason_of(recalled, event("sale", NOON + 2 * HOUR)) == "recalled"
    check(recalled, event("sale", NOON), around=Around())
    lifted = fold(recalled, event("recall_lifted", NOON + 5 * HOUR, seq=2), GRACES)
    assert recalled_since(lifted) is None
    check(lifted, event("sale", NOON + 5 * HOUR), around=Around())
    # Sold while it was recalled, though told later: still refused.
    assert reason_of(lifted, event("sale", NOON + 2 * HOUR)) == "recalled"


def test_only_a_regulator_lifts_the_recall_of_another():
    by_office = event("recall", actor=REGULATOR, source="regulator")
    state = live(by_office, event("recall", NOON + HOUR, seq=2))
    by_shop = fold(state, event("recall_lifted", NOON + 2 * HOUR, seq=3), GRACES)
    assert recalled_since(by_shop) == NOON
    lifting = event("recall_lifted", LATER, seq=3, actor=REGULATOR, source="regulator")
    assert recalled_since(fold(state, lifting, GRACES)) is None


def test_recalling_again_keeps_the_first_moment():
    state = live(event("recall", NOON), event("recall", NOON + HOUR, seq=2))
    assert recalled_since(state) == NOON


def test_many_recallers_keep_the_state_small_and_the_goods_recalled():
    many = [event("recall", NOON + n * HOUR, seq=n, actor=f"R{n:017d}") for n in range(40)]
    state = live(*many)
    assert len(canonical_bytes(state)) < 1024
    own_lifting = [event("recall_lifted", LATER, actor=recall.actor) for recall in many]
    for lifting in own_lifting:
        state = fold(state, lifting, GRACES)
    assert recalled_since(state) is not None
    by_office = event("recall_lifted", LATER, actor=REGULATOR, source="regulator")
    assert recalled_since(fold(state, by_office, GRACES)) is None


def test_a_recalled_unit_warns():
    assert verdict_of(live(event("recall")), NOON) == ("intact", ("recalled",))


# Cycles, completion, who vouches


def test_a_unit_sold_again_after_a_return_warns_that_it_was_sold_before():
    assert verdict_of(in_state("returned"), LATER) == ("intact", ())
    resold = fold(in_state("returned"), event("sale", LATER, seq=9), GRACES)
    assert resold["cycle"] == 2
    assert verdict_of(resold, LATER) == ("intact", ("sold_before",))


def test_the_return_ends_the_facts_of_the_sale_but_not_who_sold():
    returned = live(event("sale"), event("complaint", seq=2), event("return", LATER, seq=3))
    assert not {"sale", "dispatch", "signature", "review", "completed"} & returned.keys()
    assert returned["steps"] == {}
    assert returned["complaints"] == 1
    assert seller_of(returned) == SHOP
    handed_on = fold(returned, event("transfer", LATER, seq=4), GRACES)
    handed_on = fold(handed_on, event("acceptance", LATER, seq=5), GRACES)
    assert seller_of(handed_on) == SHOP
    sent = fold(handed_on, event("dispatch", LATER + HOUR, seq=6, actor=PLATFORM), GRACES)
    assert responsible_for(sent, "sale") == PLATFORM


def test_a_chain_is_complete_from_the_record_that_made_it_whole():
    assert "completed" not in in_state("in_transit")
    whole = in_state("signed")
    assert whole["completed"] == to_ms(NOON + 2 * HOUR)
    later = fold(whole, event("review", LATER, seq=9), GRACES)
    assert later["completed"] == whole["completed"]


@pytest.mark.parametrize(
    "path",
    [
        (event("sale", listed=False), event("dispatch", seq=2), event("signature", seq=3)),
        (event("dispatch", seq=2), event("signature", seq=3)),
        (event("sale"), event("signature", seq=2)),
        (event("sale"), event("signature", seq=2, data={"kind": "pickup"})),
    ],
    ids=["no listing", "no sale", "no dispatch", "fetched"],
)
def test_a_chain_without_all_four_steps_is_not_complete(path):
    assert "completed" not in live(*path)


def test_only_somebody_else_than_the_seller_makes_a_step_independent():
    sale = event("sale", sender=PLATFORM, source="platform", listing_independent=True)
    dispatch = event("dispatch", seq=2, actor=CARRIER, source="carrier")
    signature = event("signature", seq=3)
    assert vouched_steps(live(sale, dispatch, signature)) == (4, 4)
    own = event("signature", seq=3, actor=SHOP, source="merchant")
    assert vouched_steps(live(event("sale"), event("dispatch", seq=2), own)) == (4, 0)


def test_a_shop_that_is_its_own_platform_vouches_for_nothing():
    assert vouched_steps(live(event("sale", source="platform"))) == (2, 0)


def test_the_hidden_code_that_the_seller_printed_is_no_second_voice():
    for proof, independent in (("inner", 0), ("platform", 1)):
        signed = event(
            "signature",
            seq=3,
            actor="consumer",
            source="consumer",
            data={"kind": "in_person", "proof": proof},
        )
        state = live(event("sale"), event("dispatch", seq=2), signed)
        assert vouched_steps(state) == (4, independent)


def test_a_correction_by_the_same_actor_shows_the_new_facts():
    sent = in_state("in_transit")
    of = sent["dispatch"]["id"]
    data = {"of": of, "changes": {"to": "440300", "rating": 5}, "waybill_tail": "0002"}
    corrected = fold(sent, event("correction", LATER, seq=9, data=data), GRACES)
    assert corrected["dispatch"] == {**sent["dispatch"], "to": "440300", "tail": "0002"}
    foreign = event("correction", LATER, seq=9, actor=CARRIER, data=data)
    assert fold(sent, foreign, GRACES)["dispatch"] == sent["dispatch"]


def test_each_consignment_of_a_lot_lives_its_own_life_from_the_same_beginning():
    first = fold(begin(SHOP, lot="L1"), event("sale"), GRACES)
    second = begin(SHOP, lot="L1")
    assert reason_of(first, event("sale", seq=2)) == "already_sold"
    check(second, event("sale", seq=2), around=Around())


# Properties

TYPES = sorted(set(DATA) | {"correction", "reply", "notice", "inspection", "registration"})
WIDE = "贾" * 64  # a text as wide as the contract allows
HAPPENINGS = st.builds(
    lambda type_, at, lag, seq, actor, source, kind, listed: event(
        type_,
        NOON + at * HOUR,
        seq=seq,
        recorded_at=NOON + (at + lag) * HOUR,
        actor=actor,
        sender=actor,
        source=source,
        listed=listed,
        data={
            **DATA.get(type_, {}),
            **({"kind": kind} if type_ == "signature" else {}),
            **({"carrier": WIDE if seq % 2 else CARRIER} if type_ == "dispatch" else {}),
            **({"platform": WIDE} if type_ in ("sale", "listing") else {}),
            **({"of": f"00000000-0000-7000-8000-{seq - 1:012d}"} if type_ == "correction" else {}),
        },
    ),
    st.sampled_from(TYPES),
    st.integers(-500, 500),
    st.integers(0, 500),
    st.integers(1, 10**12 - 1),
    st.sampled_from([SHOP, CARRIER, PLATFORM, REGULATOR, "1" * 18, "2" * 18, "consumer"]),
    st.sampled_from(["merchant", "platform", "carrier", "consumer", "regulator"]),
    st.sampled_from(["in_person", "pickup", "auto"]),
    st.booleans(),
)


@given(st.lists(HAPPENINGS, max_size=40))
def test_every_life_of_accepted_events_keeps_its_promises(happenings):
    start = state = begin(SHOP, lot="L" * 20, brand_owner=True)
    accepted = []
    for happening in happenings:
        before = canonical_bytes(state)
        try:
            check(state, happening, around=Around())
        except LifecycleConflict:
            continue
        accepted.append(happening)
        after = fold(state, happening, GRACES)
        assert canonical_bytes(state) == before  # fold changes nothing in place
        state = after
        assert len(canonical_bytes(state)) < 2048
        assert state["state"] in STATES
        dues = pending(state)
        assert [one.due_at for one in dues] == sorted(one.due_at for one in dues)
        if state["state"] in ("returned", "void"):
            assert dues == ()
        assert {one.step for one in dues}.isdisjoint(state["steps"])
        complete = state["state"] == "signed" and len(state["steps"]) == 4 and not dues
        assert ("completed" in state) == complete
        assert verdict_of(state, NOON)[0] in ("intact", "incomplete")
        vouched_steps(state)
    replayed = start
    for happening in accepted:
        replayed = fold(replayed, happening, GRACES)
    assert canonical_bytes(replayed) == canonical_bytes(state)


@given(st.lists(HAPPENINGS, max_size=40))
def test_replaying_records_that_nobody_checked_never_raises(happenings):
    state: dict = {}
    for happening in happenings:
        state = fold(state, happening, GRACES)
        pending(state)
        assert len(canonical_bytes(state)) < 2048
