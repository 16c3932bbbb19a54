from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from app.credit.loader import load_policy
from app.kit.canonical import check_canonical
from app.trace import detectors
from app.trace.detectors import (
    CloneThreshold,
    ImpossibleOrder,
    ManyDevices,
    MissingStep,
    Scan,
    find_early_scan,
    find_impossible_order,
    find_missing_steps,
)
from tests.trace.lives import CARRIER, DAY, HOUR, NOON, SHOP, event, in_state, live

MINUTE = timedelta(minutes=1)
AT = load_policy(1).detectors.thresholds
find_clone_suspicion = partial(detectors.find_clone_suspicion, thresholds=AT.clone)


def kinds(discoveries):
    return [one.kind for one in discoveries]


def scans(*at, devices=None):
    """One scan a moment, each by a device of its own unless told."""
    names = devices or range(len(at))
    return [Scan(str(name).encode(), moment) for name, moment in zip(names, at, strict=True)]


def test_a_gap_is_found_from_its_due_on_and_not_before():
    sold = live(event("sale"))
    assert find_missing_steps(sold, NOON + 7 * DAY - MINUTE) == ()
    (found,) = find_missing_steps(sold, NOON + 7 * DAY)
    assert (found.kind, found.party) == ("continuity.missing_dispatch", SHOP)
    assert found.evidence == MissingStep("dispatch", "overdue", 1, NOON, NOON + 7 * DAY)
    assert found.as_data() == {
        "step": "dispatch",
        "kind": "overdue",
        "seq": 1,
        "since": "2026-11-01T12:00:00.000Z",
        "due_at": "2026-11-08T12:00:00.000Z",
    }


def test_each_missing_step_is_a_finding_of_its_own_against_whose_step_it_was():
    unlisted = live(event("sale", listed=False))
    assert kinds(find_missing_steps(unlisted, NOON + DAY)) == ["continuity.missing_listing"]
    unsold = live(event("signature"))
    assert kinds(find_missing_steps(unsold, NOON + DAY)) == [
        "continuity.missing_sale",
        "continuity.missing_dispatch",
    ]
    (unsigned,) = find_missing_steps(in_state("in_transit"), NOON + 16 * DAY)
    assert (unsigned.kind, unsigned.party) == ("continuity.missing_signature", CARRIER)


@pytest.mark.parametrize("name", ["registered", "signed", "returned", "void"])
def test_a_proper_life_is_found_nothing_against(name):
    assert find_missing_steps(in_state(name), NOON + 365 * DAY) == ()
    assert find_impossible_order(in_state(name)) == ()


def test_goods_signed_for_before_they_were_sent_are_impossible():
    state = live(
        event("sale"), event("dispatch", NOON + DAY, seq=2), event("signature", NOON, seq=3)
    )
    (found,) = find_impossible_order(state)
    assert (found.kind, found.party) == ("continuity.impossible_order", CARRIER)
    assert found.evidence == ImpossibleOrder("dispatch", 2, NOON + DAY, "signature", 3, NOON)
    check_canonical(found.as_data())


def test_a_sellers_own_word_of_a_signature_is_not_its_carriers_to_answer_for():
    told = event("signature", NOON, seq=3, actor=SHOP, source="merchant")
    state = live(event("sale"), event("dispatch", NOON + DAY, seq=2), told)
    assert [one.party for one in find_impossible_order(state)] == [SHOP]


def test_two_clocks_may_differ_by_the_tolerance():
    state = live(event("dispatch", NOON), event("signature", NOON - 5 * MINUTE, seq=2))
    assert find_impossible_order(state) == ()
    assert find_impossible_order(state, tolerance=4 * MINUTE) != ()


def test_an_order_bound_to_the_parcel_later_is_not_impossible():
    assert find_impossible_order(live(event("sale", NOON + DAY), event("dispatch", seq=2))) == ()


def test_three_devices_within_a_day_look_like_a_copied_label():
    (found,) = find_clone_suspicion(scans(NOON, NOON + HOUR, NOON + 24 * HOUR))
    assert (found.kind, found.party) == ("identity.clone_suspected", None)
    assert found.evidence == ManyDevices(3, 86_400, NOON, NOON + 24 * HOUR)
    check_canonical(found.as_data())


def test_three_devices_over_more_than_a_day_are_a_household():
    assert find_clone_suspicion(scans(NOON, NOON + HOUR, NOON + 24 * HOUR + MINUTE)) == ()


def test_one_device_many_times_is_one_device():
    many = scans(*(NOON + n * MINUTE for n in range(50)), devices=["phone", "tablet"] * 25)
    assert find_clone_suspicion(many) == ()


def test_ten_devices_within_a_week_are_suspicious_and_nine_are_not():
    spread = [NOON + n * 16 * HOUR for n in range(10)]
    (found,) = find_clone_suspicion(scans(*spread))
    assert found.evidence.within_s == 7 * 86_400
    assert find_clone_suspicion(scans(*spread[:9])) == ()


def test_a_busy_day_long_ago_is_still_found_and_order_does_not_matter():
    busy = scans(NOON, NOON + HOUR, NOON + 2 * HOUR, NOON + 90 * DAY)
    assert find_clone_suspicion(busy) == find_clone_suspicion(reversed(busy)) != ()


def test_a_device_that_left_the_window_counts_no_more():
    at = (NOON, NOON + 20 * HOUR, NOON + 30 * HOUR)
    assert find_clone_suspicion(scans(*at)) == ()
    # Seen again inside the window, the first device counts again.
    again = scans(*at, NOON + 31 * HOUR, devices=["a", "b", "c", "a"])
    assert kinds(find_clone_suspicion(again)) == ["identity.clone_suspected"]


def test_a_device_that_came_back_is_still_there_when_its_first_look_leaves_the_window():
    at = (NOON, NOON + 20 * HOUR, NOON + 25 * HOUR, NOON + 26 * HOUR)
    (found,) = find_clone_suspicion(scans(*at, devices=["a", "a", "b", "c"]))
    assert found.evidence.first_at == NOON + 20 * HOUR


def test_thresholds_are_the_policys():
    strict = (CloneThreshold(2, timedelta(hours=1)),)
    assert find_clone_suspicion(scans(NOON, NOON + HOUR), thresholds=strict) != ()
    assert find_clone_suspicion(scans(NOON, NOON + HOUR), thresholds=()) == ()


def test_a_look_before_the_first_sale_is_found_and_one_at_it_is_not():
    sold = live(event("sale", NOON))
    (found,) = find_early_scan(sold, scans(NOON - HOUR, NOON + HOUR))
    assert (found.kind, found.party) == ("identity.scanned_before_sale", None)
    assert (found.evidence.scanned_at, found.evidence.devices) == (NOON - HOUR, 1)
    assert found.evidence.sold_at == NOON
    assert find_early_scan(sold, scans(NOON)) == ()


def test_a_look_at_unsold_goods_is_early_and_says_so_without_a_sale():
    (found,) = find_early_scan(in_state("registered"), scans(NOON))
    assert found.as_data() == {"scanned_at": "2026-11-01T12:00:00.000Z", "devices": 1}


def test_a_shop_that_tries_its_labels_is_left_alone_where_two_devices_are_asked_for():
    registered = in_state("registered")
    own = scans(NOON, NOON + HOUR, devices=["shop", "shop"])
    assert find_early_scan(registered, own, min_devices=2) == ()
    assert find_early_scan(registered, scans(NOON, NOON + HOUR), min_devices=2) != ()


@pytest.mark.parametrize(
    "state",
    [
        in_state("returned"),
        live(event("sale"), event("return", seq=2), event("sale", NOON + DAY, seq=3)),
        live(event("dispatch", NOON + DAY)),
        in_state("void"),
    ],
    ids=["came back", "sold again", "sale missing", "void"],
)
def test_looks_that_a_former_buyer_may_have_made_are_no_finding(state):
    assert find_early_scan(state, scans(NOON - HOUR)) == ()
