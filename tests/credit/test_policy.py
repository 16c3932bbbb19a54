"""The score by plain examples: weight over time, caps, limits, holds, forced grades."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.credit.policy import (
    CapFacts,
    Entry,
    Hold,
    Reason,
    RuleClass,
    RuleTotal,
    Status,
    grade_of,
    score,
)
from app.credit.workdays import add_months, add_working_days
from tests.credit.examples import DAY, POLICY, START, chains, entry

MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


def points_of(entries, at, **options) -> int:
    return score(entries, (), at, POLICY, **options).score


def hold(finding="f1", points=50, since=START) -> Hold:
    return Hold(finding, points, since, add_working_days(since, 5))


def test_a_new_merchant_has_the_base_and_not_enough_data():
    card = score((), (), START, POLICY)
    assert (card.score, card.grade, card.data_enough) == (700, "B", False)
    assert (card.breakdown, card.holds, card.forced_by) == ((), (), ())
    assert card.policy_version == 1


def test_an_uncured_gap_costs_30_from_its_effective_time_on():
    gap = entry("continuity_uncured", status=Status.NOTICE)
    assert points_of([gap], START - MS) == 700
    assert points_of([gap], START) == 670
    assert points_of([replace(gap, status=Status.EFFECTIVE)], START) == 670


def test_weight_is_whole_until_earliest_repair_then_falls_to_nothing_at_expiry():
    gap = entry("continuity_uncured")
    repair, end = add_months(START, 3), add_months(START, 12)
    assert points_of([gap], repair) == 670
    assert points_of([gap], repair + (end - repair) / 2) == 685
    assert points_of([gap], end - MS) == 700  # 30 × a millisecond rounds to nothing
    assert points_of([gap], end) == 700
    card = score([gap], (), repair + (end - repair) / 2, POLICY)
    assert card.weights["e1"].reason is Reason.FADING
    assert score([gap], (), end, POLICY).weights["e1"].reason is Reason.EXPIRED


@pytest.mark.parametrize(
    ("hours", "lost"),
    [(0, 5), (100, 5), (101, 4), (300, 4), (301, 3), (900, 1), (901, 0), (1000, 0)],
)
def test_fading_points_round_half_up_by_magnitude(hours, lost):
    # Five points over 1000 hours: half a point is left over after 100, 300, … 900 hours.
    end = START + 1000 * HOUR
    late = replace(entry("late_event"), earliest_repair_at=START, expires_at=end)
    assert points_of([late], START + hours * HOUR) == 700 - lost


def test_good_conduct_counts_whole_for_12_months():
    licence = entry("licence_verified")
    assert points_of([licence], add_months(START, 12) - MS) == 730
    assert points_of([licence], add_months(START, 12)) == 700


@pytest.mark.parametrize(
    ("status", "left"),
    [("notice", 670), ("effective", 670), ("objected", 670), ("repaired", 700), ("lapsed", 700),
     ("cancelled", 700)],
)  # fmt: skip
def test_what_has_ended_weighs_nothing(status, left):
    assert points_of([entry("continuity_uncured", status=Status(status))], START) == left


def test_a_repair_counts_from_its_time_and_a_cancelled_entry_never_did():
    ended = START + 90 * DAY
    gap = entry("continuity_uncured", status=Status.REPAIRED, ended_at=ended)
    assert points_of([gap], ended - MS) == 670
    assert points_of([gap], ended) == 700
    wrong = entry("counterfeit", status=Status.CANCELLED, ended_at=ended)
    card = score([wrong], (), START, POLICY)
    assert (card.score, card.grade) == (700, "B")


def test_an_objection_suspends_only_where_the_policy_says_so():
    gap = entry("continuity_uncured", status=Status.OBJECTED)
    lenient = replace(POLICY, objection=replace(POLICY.objection, suspends=True))
    card = score([gap], (), START, lenient)
    assert (card.score, card.weights["e1"].reason) == (700, Reason.SUSPENDED)


def test_five_chains_a_day_count():
    day = chains(7, apart=HOUR)
    card = score(day, (), START + DAY, POLICY)
    assert card.score == 705
    assert card.breakdown == (RuleTotal("chain_completed", 5, 5),)
    assert [card.weights[one.id].points for one in day] == [1, 1, 1, 1, 1, 0, 0]
    assert card.weights[day[-1].id].reason is Reason.CAPPED


def test_a_day_is_one_of_china():
    # 14:00 to 20:00 UTC: two hours of the one day, four of the next.
    late = START.replace(hour=14)
    assert points_of(chains(7, at=late, apart=HOUR), START + 2 * DAY) == 707


def test_a_hundred_chains_count_in_all_and_room_comes_back_when_old_ones_lapse():
    many = chains(130)
    assert points_of(many, START + 130 * DAY) == 800
    # A year on the first 20 have lapsed, 110 are left; after 50 days 80 are.
    assert points_of(many, add_months(START, 12) + 19 * DAY) == 800
    assert points_of(many, add_months(START, 12) + 49 * DAY) == 780


def test_one_buyer_brings_six_points_a_month():
    same = chains(8, buyer=lambda _: "same", at=START.replace(day=1))
    assert points_of(same, START + 30 * DAY) == 706
    again = [
        replace(one, id=f"{one.id}b", effective_at=add_months(one.effective_at, 1)) for one in same
    ]
    assert points_of(same + again, START + 60 * DAY) == 712


def test_without_a_pseudonym_there_is_no_buyer_cap():
    unknown = [replace(one, facts=CapFacts()) for one in chains(8, at=START.replace(day=1))]
    assert points_of(unknown, START + 30 * DAY) == 708


def test_of_an_entry_that_fills_a_cap_the_part_that_fits_counts():
    first = entry("licence_verified", "first", points=20)
    second = entry("licence_verified", "second", START + HOUR)
    card = score([second, first], (), START + DAY, POLICY)
    assert [card.weights[name].points for name in ("first", "second")] == [20, 10]
    assert card.breakdown == (RuleTotal("licence_verified", 30, 2),)


def test_good_conduct_is_capped_at_300_together():
    checks = [entry("spot_check_clean", f"c{n}", START + n * DAY) for n in range(20)]
    card = score(checks, (), START + 20 * DAY, POLICY)
    assert (card.score, card.earned, card.grade) == (1000, 400, "A")
    gap = entry("continuity_uncured", "gap")
    assert points_of([*checks, gap], START + 20 * DAY) == 970


def test_the_score_never_leaves_its_bounds():
    sins = [entry("counterfeit", f"c{n}") for n in range(5)]
    card = score(sins, (), START, POLICY)
    assert (card.score, card.lost) == (0, 1500)


def lateness(count, *, chains_known=None):
    return [
        entry("late_event", f"late-{n:03}", START + n * HOUR, facts=CapFacts(chains=chains_known))
        for n in range(count)
    ]


def test_three_minor_entries_count_in_a_month():
    card = score(lateness(10), (), START + 10 * HOUR, POLICY)
    assert card.score == 685
    reasons = [weight.reason for weight in card.weights.values()]
    assert reasons.count(Reason.OVER_LIMIT) == 7


def test_minor_entries_of_all_rules_share_the_limit_and_each_month_has_its_own():
    mixed = [*lateness(2), entry("complaint_reply_slow", "slow1", START + DAY)]
    mixed += [entry("complaint_reply_slow", "slow2", START + DAY)]
    assert points_of(mixed, START + DAY) == 685
    # Noticed in November, about a day in October: another month's limit.
    october = replace(mixed[-1], facts=CapFacts(day=date(2026, 10, 30)))
    assert points_of([*mixed[:-1], october], START + DAY) == 680


def test_one_percent_of_the_months_chains_may_count():
    assert points_of(lateness(10, chains_known=500), START + 10 * HOUR) == 675
    # What an entry knew of a busier month speaks for its neighbours too.
    uneven = [*lateness(9), lateness(10, chains_known=600)[-1]]
    assert points_of(uneven, START + 10 * HOUR) == 670


def test_of_a_crowded_month_the_heaviest_entries_count():
    november = CapFacts(day=date(2026, 11, 2))
    faded = [entry("late_event", f"old-{n}", START, facts=november) for n in range(3)]
    fresh = entry("late_event", "fresh", START + 60 * DAY, facts=november)
    # After 60 of 92 days the old ones weigh 2 each: fresh 5 + 2 + 2, not 2 + 2 + 2.
    assert points_of(faded, START + 60 * DAY) == 694
    assert points_of([*faded, fresh], START + 60 * DAY) == 691


def test_a_cancelled_entry_says_nothing_about_the_months_chains():
    wrong = replace(lateness(1, chains_known=900)[0], id="wrong", status=Status.CANCELLED)
    assert points_of([*lateness(10), wrong], START + 10 * HOUR) == 685


def test_a_repaired_minor_entry_lets_the_score_recover():
    three = lateness(3)
    assert points_of(three, START + 3 * HOUR) == 685
    repaired = [replace(one, status=Status.REPAIRED) for one in three]
    assert points_of(repaired, START + 3 * HOUR) == 700


def test_a_serious_entry_forces_d_while_it_lasts():
    checks = [entry("spot_check_clean", f"c{n}", START + n * DAY) for n in range(20)]
    forged = entry("logistics_forged", "forged")
    card = score([*checks, forged], (), START + 20 * DAY, POLICY)
    assert (card.score, grade_of(card.score, POLICY)) == (700, "B")
    assert (card.grade, card.grade_without_holds, card.forced_by) == ("D", "D", ("forged",))
    fading = score([forged], (), add_months(START, 36) - DAY, POLICY)
    assert (fading.score, fading.grade) == (700, "D")
    assert score([forged], (), add_months(START, 36), POLICY).grade == "B"
    repaired = replace(forged, status=Status.REPAIRED)
    assert score([repaired], (), START, POLICY).grade == "B"


def test_a_hold_stands_apart_and_lifts_itself_after_5_working_days():
    card = score((), [hold()], START, POLICY)
    assert (card.score, card.score_without_holds) == (650, 700)
    assert (card.grade, card.grade_without_holds) == ("C", "B")
    assert card.holds == (hold(),)
    lifts = hold().lifts_at
    assert score((), [hold()], lifts - MS, POLICY).score == 650
    lifted = score((), [hold()], lifts, POLICY)
    assert (lifted.score, lifted.holds) == (700, ())
    assert score((), [hold()], START - MS, POLICY).score == 700


def test_many_holds_cost_one_grade_at_most():
    many = [hold(f"f{n}") for n in range(30)]
    card = score((), many, START, POLICY)
    assert (card.score, card.grade) == (600, "C")
    checks = [entry("spot_check_clean", f"c{n}", START - DAY) for n in range(10)]
    assert score(checks, many, START, POLICY).score == 700
    poor = [entry("spot_check_failed", f"p{n}") for n in range(3)]
    assert score(poor, many, START, POLICY).score == 0


def test_the_same_hold_twice_is_held_once_and_two_versions_are_refused():
    assert score((), [hold(), hold()], START, POLICY).score == 650
    with pytest.raises(ValueError, match="different content"):
        score((), [hold(), hold(points=20)], START, POLICY)
    with pytest.raises(ValueError, match=">= 0"):
        score((), [hold(points=-50)], START, POLICY)


def test_ten_completed_chains_are_enough_data():
    assert not score(chains(9), (), START + 20 * DAY, POLICY).data_enough
    assert score(chains(10), (), START + 20 * DAY, POLICY).data_enough
    assert not score(chains(10), (), START + 8 * DAY, POLICY).data_enough
    # On one day, from one buyer: five points, but ten chains.
    busy = chains(10, apart=HOUR, buyer=lambda _: "same")
    card = score(busy, (), START + DAY, POLICY)
    assert (card.score, card.data_enough, card.completed_chains) == (705, True, 10)
    assert not score(busy, (), START + DAY, POLICY, completed_chains=9).data_enough


def test_a_cancelled_chain_is_no_data():
    many = chains(10)
    many[0] = replace(many[0], status=Status.CANCELLED)
    assert not score(many, (), START + 20 * DAY, POLICY).data_enough


def test_an_entry_delivered_twice_counts_once():
    gap = entry("continuity_uncured")
    assert score([gap, gap, replace(gap)], (), START, POLICY).score == 670


def test_two_versions_of_an_entry_and_two_parties_are_refused():
    gap = entry("continuity_uncured")
    with pytest.raises(ValueError, match="different content"):
        score([gap, replace(gap, status=Status.REPAIRED)], (), START, POLICY)
    with pytest.raises(ValueError, match="several parties"):
        score([gap, replace(gap, id="e2", party="EX000001")], (), START, POLICY)


def test_a_rule_of_another_version_keeps_its_own_points():
    old = replace(entry("continuity_uncured"), rule="rule_of_version_9", points=-40)
    card = score([old], (), START, POLICY)
    assert (card.score, card.breakdown) == (660, (RuleTotal("rule_of_version_9", -40, 1),))


def test_the_breakdown_adds_up_in_the_policys_order():
    mixed = [
        entry("continuity_uncured", "gap"),
        entry("complaint_upheld", "c1"),
        entry("complaint_upheld", "c2"),
        *chains(3),
        entry("spot_check_failed", "later", START + 50 * DAY),
    ]
    card = score(mixed, (), START + 10 * DAY, POLICY)
    assert card.breakdown == (
        RuleTotal("chain_completed", 3, 3),
        RuleTotal("continuity_uncured", -30, 1),
        RuleTotal("complaint_upheld", -40, 2),
    )
    assert card.score == 700 + sum(total.points for total in card.breakdown)
    assert card.weights["later"].reason is Reason.NOT_YET


def test_a_large_honest_shop_does_not_sink_and_a_small_one_loses_no_more_by_being_small():
    """Every two hundredth of 20,000 chains a month is late, all year; a small shop is late once."""
    late = [
        entry(
            "late_event",
            f"late-{month:02}-{number:03}",
            START + timedelta(days=30 * month, minutes=number),
            facts=CapFacts(chains=20_000),
        )
        for month in range(12)
        for number in range(100)
    ]
    at = START + timedelta(days=30 * 12)
    large = score([*late, *chains(100, at=at - 110 * DAY)], (), at, POLICY)
    assert POLICY.volume_limits[RuleClass.MINOR].entries_counted(20_000) == 200
    assert large.lost <= 3 * 30
    assert large.grade == "B"
    small = score([entry("late_event", "once", at - 10 * DAY)], (), at, POLICY)
    assert small.lost <= 5


def test_what_a_month_of_minor_entries_costs_is_limited_in_number_and_in_points():
    def month(count: int, *, known: int) -> list[Entry]:
        facts = CapFacts(day=START.date(), chains=known)
        return [entry("late_event", f"e{n:02}", START, facts=facts) for n in range(count)]

    # Few chains: three entries. Many: as many as one in a hundred, for 30 points in all.
    lost = [score(month(9, known=known), (), START, POLICY).lost for known in (0, 399, 500, 900)]
    assert lost == [15, 15, 25, 30]
    card = score(month(9, known=900), (), START, POLICY)
    assert [w.points for w in card.weights.values()] == [-5] * 6 + [0] * 3
    assert {w.reason for w in card.weights.values()} == {Reason.FULL, Reason.OVER_LIMIT}
