"""What holds of every ledger, whatever is in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.credit.policy import Status, score
from app.credit.rules import GRADES
from tests.credit.examples import (
    POLICY,
    busy_days,
    crowded_months,
    first_months,
    hold_lists,
    lateness,
    ledgers,
    losses,
    moments,
)


@given(ledgers | busy_days, hold_lists, first_months | moments, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(ledger, holds, at, random):
    card = score(ledger, holds, at, POLICY)
    random.shuffle(ledger)
    random.shuffle(holds)
    assert score(ledger, holds, at, POLICY) == card


@given(ledgers, hold_lists, moments, st.data())
def test_one_fact_counts_once_however_often_it_is_delivered(ledger, holds, at, data):
    if not ledger:
        return
    again = data.draw(st.lists(st.sampled_from(ledger), max_size=10))
    assert score([*ledger, *again], [*holds, *holds], at, POLICY) == score(
        ledger, holds, at, POLICY
    )


@given(ledgers, hold_lists, moments)
def test_the_score_is_bounded_and_holds_only_take(ledger, holds, at):
    card = score(ledger, holds, at, POLICY)
    assert 0 <= card.score <= card.score_without_holds <= 1000
    places = [GRADES.index(grade) for grade in (card.grade_without_holds, card.grade)]
    assert 0 <= places[1] - places[0] <= 1


@given(ledgers, hold_lists, losses, moments)
def test_a_negative_entry_never_raises_the_score(ledger, holds, loss, at):
    before = score(ledger, holds, at, POLICY)
    after = score([*ledger, replace(loss, id="one more")], holds, at, POLICY)
    assert after.score <= before.score
    assert after.score_without_holds <= before.score_without_holds
    assert GRADES.index(after.grade) >= GRADES.index(before.grade)


@given(crowded_months, lateness(), first_months)
def test_a_negative_entry_pushes_no_heavier_one_over_the_months_limit(month, late, at):
    before = score(month, (), at, POLICY)
    after = score([*month, replace(late, id="one more")], (), at, POLICY)
    assert after.score <= before.score


@given(ledgers, moments)
def test_the_score_is_what_its_weights_say(ledger, at):
    card = score(ledger, (), at, POLICY)
    points = [weight.points for weight in card.weights.values()]
    earned = sum(point for point in points if point > 0)
    lost = -sum(point for point in points if point < 0)
    assert (card.earned, card.lost) == (earned, lost)
    assert card.score == max(0, min(1000, 700 + min(300, earned) - lost))
    assert sum(total.points for total in card.breakdown) == earned - lost
    assert sum(total.count for total in card.breakdown) == sum(point != 0 for point in points)
    assert set(card.weights) == {one.id for one in ledger}


@given(ledgers, moments)
def test_an_entry_never_weighs_more_than_its_points_nor_the_other_way(ledger, at):
    card = score(ledger, (), at, POLICY)
    for one in ledger:
        low, high = sorted((0, one.points))
        assert low <= card.weights[one.id].points <= high


@given(losses, moments, st.integers(0, 2000))
def test_time_never_makes_a_lost_point_heavier(loss, at, hours):
    loss = replace(loss, status=Status.EFFECTIVE, ended_at=None)
    at = max(at, loss.effective_at)
    earlier = score([loss], (), at, POLICY)
    later = score([loss], (), at + timedelta(hours=hours), POLICY)
    assert later.score >= earlier.score


@given(ledgers | crowded_months, first_months | moments)
def test_cancelled_entries_leave_no_trace(ledger, at):
    kept = [one for one in ledger if one.status is not Status.CANCELLED]
    with_them, without = score(ledger, (), at, POLICY), score(kept, (), at, POLICY)
    assert replace(with_them, weights={}) == replace(without, weights={})
