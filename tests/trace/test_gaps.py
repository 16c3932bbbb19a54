from __future__ import annotations

import pytest

from app.kit.clock import to_ms
from app.trace.lifecycle import (
    Around,
    check,
    fold,
    heal,
    pending,
    verdict_of,
)
from tests.trace.lives import (
    CARRIER,
    DAY,
    GRACES,
    HOUR,
    LATER,
    NOON,
    PLATFORM,
    SHOP,
    event,
    in_state,
    live,
    reason_of,
)

# Gaps and graces


def test_before_its_due_a_coming_step_is_neither_warning_nor_gap():
    sold = live(event("sale"))
    (coming,) = pending(sold)
    assert (coming.step, coming.kind, coming.party) == ("dispatch", "overdue", SHOP)
    assert (coming.since, coming.due_at, coming.seq) == (NOON, NOON + 7 * DAY, 1)
    assert verdict_of(sold, NOON + 7 * DAY - HOUR) == ("intact", ())
    assert verdict_of(sold, NOON + 7 * DAY) == ("incomplete", ())


def test_after_the_dispatch_the_signature_is_due_from_the_carrier():
    moving = in_state("in_transit")
    (coming,) = pending(moving)
    sent_at = NOON + HOUR
    assert (coming.step, coming.kind, coming.party) == ("signature", "overdue", CARRIER)
    assert coming.due_at == sent_at + 15 * DAY
    assert verdict_of(moving, sent_at + 15 * DAY)[0] == "incomplete"


def test_a_carrier_that_is_only_a_name_leaves_the_signature_to_the_seller():
    named = event("dispatch", seq=2, data={"carrier": "顺风小哥"})
    assert pending(live(event("sale"), named))[0].party == SHOP


def test_a_coming_step_is_counted_from_when_it_occurred_and_not_from_when_it_was_told():
    told_late = live(event("sale", NOON, recorded_at=NOON + 5 * DAY))
    assert pending(told_late)[0].due_at == NOON + 7 * DAY


@pytest.mark.parametrize(("days", "due"), [(6, 7), (6.5, 7.5), (20, 21)])
def test_what_is_told_late_leaves_a_day_for_the_next_step_to_be_told(days, due):
    told_late = live(event("sale", NOON, recorded_at=NOON + days * DAY))
    (coming,) = pending(told_late)
    assert (coming.kind, coming.since, coming.due_at) == ("overdue", NOON, NOON + due * DAY)
    assert verdict_of(told_late, NOON + due * DAY - HOUR)[0] == "intact"
    assert verdict_of(told_late, NOON + due * DAY)[0] == "incomplete"
    sent = live(event("sale"), event("dispatch", seq=2, recorded_at=NOON + (days + 8) * DAY))
    assert pending(sent)[0].due_at == NOON + (due + 8) * DAY


def test_a_dispatch_without_a_sale_is_provisional_and_then_incomplete():
    sent = live(event("dispatch", NOON, recorded_at=NOON + HOUR))
    gap = next(one for one in pending(sent) if one.step == "sale")
    assert (gap.kind, gap.party, gap.since) == ("late", SHOP, NOON + HOUR)
    assert gap.due_at == NOON + 25 * HOUR
    assert verdict_of(sent, NOON + 24 * HOUR) == ("intact", ("provisional_gap",))
    assert verdict_of(sent, NOON + 25 * HOUR) == ("incomplete", ())


def test_a_sale_without_a_live_listing_opens_a_gap():
    unlisted = live(event("sale", listed=False))
    assert {one.step for one in pending(unlisted)} == {"listing", "dispatch"}
    assert {one.step for one in pending(live(event("sale")))} == {"dispatch"}


def test_new_evidence_brings_a_due_nearer_and_never_buys_time():
    young = live(event("sale"), event("transit", NOON + HOUR, seq=2))
    assert pending(young)[0].due_at == NOON + 25 * HOUR
    old = live(event("sale"), event("transit", NOON + 9 * DAY, seq=2))
    assert pending(old)[0].due_at == NOON + 7 * DAY
    assert pending(old)[0].kind == "late"
    again = fold(young, event("transit", NOON + 20 * HOUR, seq=3), GRACES)
    assert pending(again)[0].due_at == NOON + 25 * HOUR


def test_an_old_sale_does_not_shorten_the_grace_of_a_dispatch_known_to_be_missing():
    state = live(event("transit", NOON), event("sale", NOON - 20 * DAY, seq=2))
    assert [(one.step, one.due_at) for one in pending(state)] == [("dispatch", NOON + 24 * HOUR)]


def test_a_late_dispatch_closes_the_gap_that_a_transit_opened():
    state = live(
        event("transit", NOON + HOUR), event("sale", seq=2), event("dispatch", NOON, seq=3)
    )
    assert {one.step for one in pending(state)} == {"signature"}
    assert state["state"] == "in_transit"


def test_goods_fetched_by_the_buyer_wait_for_no_dispatch():
    fetched = event("signature", NOON + HOUR, seq=2, data={"kind": "pickup"})
    assert pending(live(event("sale"), fetched)) == ()
    unsold = live(fetched)
    assert [one.step for one in pending(unsold)] == ["sale"]


def test_fetched_goods_that_were_seen_on_their_way_still_miss_their_dispatch():
    fetched = event("signature", NOON + 2 * HOUR, seq=3, data={"kind": "pickup"})
    state = live(event("sale"), event("transit", NOON + HOUR, seq=2), fetched)
    assert [one.step for one in pending(state)] == ["dispatch"]


@pytest.mark.parametrize("reason", ["cancelled", "seven days"])
def test_a_sale_cancelled_before_dispatch_leaves_no_dispatch_due(reason):
    state = live(event("sale"), event("return", LATER, seq=2, data={"reason": reason}))
    assert pending(state) == ()
    assert verdict_of(state, NOON + 365 * DAY) == ("intact", ())


@pytest.mark.parametrize("path", [("sale", "dispatch", "refusal"), ("sale", "dispatch", "return")])
def test_goods_that_come_back_leave_no_signature_due(path):
    state = live(*(event(t, NOON + n * HOUR, seq=n) for n, t in enumerate(path, start=1)))
    assert pending(state) == ()
    assert state["state"] == "returned"


def test_void_ends_every_due():
    state = live(event("transit"), event("void", LATER, seq=2))
    assert pending(state) == ()


# Healing: what may only have arrived late


def test_a_late_sale_fills_the_gap_of_goods_on_their_way_and_moves_nothing():
    sent = live(event("dispatch", NOON, seq=1))
    sale = event("sale", NOON - HOUR, seq=2, recorded_at=NOON + HOUR)
    check(sent, sale, around=Around())
    healed = fold(sent, sale, GRACES)
    assert healed["state"] == "in_transit"
    assert healed["cycle"] == 1
    assert healed["sale"]["platform"] == PLATFORM
    assert [one.step for one in pending(healed)] == ["signature"]
    assert reason_of(healed, event("sale", NOON - HOUR, seq=3)) == "already_sold"


@pytest.mark.parametrize("first", ["dispatch", "signature"])
def test_a_sale_after_what_shows_it_missing_is_another_sale_and_refused(first):
    state = live(event(first, NOON))
    check(state, event("sale", NOON, seq=2), around=Around())
    assert reason_of(state, event("sale", NOON + HOUR, seq=2)) == "already_sold"


def test_a_late_sale_must_not_be_later_than_the_first_thing_that_followed_it():
    state = live(event("dispatch", NOON), event("signature", NOON + DAY, seq=2))
    check(state, event("sale", NOON, seq=3), around=Around())
    assert reason_of(state, event("sale", NOON + HOUR, seq=3)) == "already_sold"


def test_late_sale_and_late_dispatch_fill_the_gaps_of_signed_goods_in_either_order():
    sale = event("sale", NOON - 2 * DAY, seq=2, recorded_at=NOON + HOUR)
    dispatch = event("dispatch", NOON - DAY, seq=3, recorded_at=NOON + HOUR)
    for order in ((sale, dispatch), (dispatch, sale)):
        state = live(event("signature", NOON, seq=1), *order)
        assert state["state"] == "signed"
        assert pending(state) == ()
        assert state["completed"] == to_ms(NOON + HOUR)


def test_healing_by_an_old_sale_does_not_shorten_the_grace_of_what_is_still_missing():
    state = live(event("signature", NOON), event("sale", NOON - 20 * DAY, seq=2))
    assert [(one.step, one.due_at) for one in pending(state)] == [("dispatch", NOON + 24 * HOUR)]


def test_a_dispatch_after_the_signature_is_refused_even_while_one_is_missing():
    state = live(event("sale"), event("signature", NOON + DAY, seq=2))
    check(state, event("dispatch", NOON + DAY, seq=3), around=Around())
    assert reason_of(state, event("dispatch", NOON + 2 * DAY, seq=3)) == "already_signed"


def test_without_an_open_gap_an_older_sale_or_dispatch_is_refused():
    signed = in_state("signed")
    assert reason_of(signed, event("sale", NOON - DAY)) == "already_sold"
    assert reason_of(signed, event("dispatch", NOON - DAY)) == "already_signed"
    assert reason_of(in_state("in_transit"), event("dispatch", NOON - DAY)) == "already_dispatched"


def test_a_late_sale_without_a_listing_opens_that_gap():
    state = live(event("dispatch", NOON), event("sale", NOON, seq=2, listed=False))
    assert {one.step for one in pending(state)} == {"listing", "signature"}


def test_a_late_sale_under_recall_is_refused_like_any_other():
    sent = live(event("dispatch", NOON))
    assert reason_of(sent, event("sale", NOON, seq=2), Around(((NOON - HOUR, None),))) == "recalled"


def test_the_missing_sale_of_a_closed_cycle_is_not_taken_for_a_new_one():
    returned = live(event("dispatch", NOON), event("return", NOON + DAY, seq=2))
    told_late = event("sale", NOON - HOUR, seq=3, recorded_at=NOON + 2 * DAY)
    check(returned, told_late, around=Around())
    still = fold(returned, told_late, GRACES)
    assert (still["state"], still["cycle"], pending(still)) == ("returned", 1, ())
    # It is there now: the next one is a new sale, however old it says it is.
    assert fold(still, event("sale", NOON - HOUR, seq=4), GRACES)["state"] == "sold"
    assert fold(returned, event("sale", NOON + 2 * DAY, seq=3), GRACES)["state"] == "sold"


def test_the_missing_dispatch_of_a_closed_cycle_is_not_taken_for_a_new_one():
    sold = (event("sale"), event("transit", NOON + HOUR, seq=2))
    returned = live(*sold, event("return", NOON + DAY, seq=3))
    still = fold(returned, event("dispatch", NOON + HOUR, seq=4), GRACES)
    assert (still["state"], still["cycle"]) == ("returned", 1)
    again = fold(returned, event("dispatch", NOON + 2 * DAY, seq=4), GRACES)
    assert (again["state"], again["cycle"]) == ("in_transit", 2)


def test_a_cancelled_sale_lacked_no_dispatch_so_a_dispatch_is_a_new_one():
    state = live(event("sale"), event("return", NOON + DAY, seq=2), event("dispatch", seq=3))
    assert (state["state"], state["cycle"]) == ("in_transit", 2)


def test_a_listing_elsewhere_heals_only_if_it_is_the_sellers_and_not_later_than_the_sale():
    unlisted = live(
        event("sale", listed=False),
        event("dispatch", NOON + HOUR, seq=2),
        event("signature", NOON + DAY, seq=3),
    )
    listing = event("listing", NOON - DAY, recorded_at=NOON + 3 * DAY)
    healed = heal(unlisted, listing)
    assert pending(healed) == ()
    assert healed["completed"] == to_ms(NOON + 3 * DAY)
    assert heal(healed, listing) == healed
    for other in (
        event("listing", NOON + HOUR),
        event("listing", NOON - DAY, actor=PLATFORM),
        event("listing", NOON - DAY, data={"platform": PLATFORM, "ended": True}),
        event("notice", NOON - DAY),
    ):
        assert heal(unlisted, other) == unlisted


def test_a_listing_older_than_the_signature_leaves_completion_at_the_signature():
    unlisted = live(
        event("sale", listed=False),
        event("dispatch", NOON + HOUR, seq=2),
        event("signature", NOON + DAY, seq=3),
    )
    assert heal(unlisted, event("listing", NOON - HOUR))["completed"] == to_ms(NOON + DAY)


def test_a_listing_on_the_unit_itself_counts_before_and_heals_after_the_sale():
    listed = live(event("listing"), event("sale", NOON + HOUR, seq=2, listed=False))
    assert {one.step for one in pending(listed)} == {"dispatch"}
    told_late = live(event("sale", listed=False), event("listing", NOON - HOUR, seq=2))
    assert {one.step for one in pending(told_late)} == {"dispatch"}
    gone = {"platform": PLATFORM, "ended": True}
    ended = live(
        event("listing"), event("listing", seq=2, data=gone), event("sale", seq=3, listed=False)
    )
    assert {one.step for one in pending(ended)} == {"listing", "dispatch"}
