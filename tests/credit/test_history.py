"""The score over time: it is the score function's, its work is bounded, order of arrival is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.credit import history
from app.credit.history import COMING_SPANS, PAST_SPANS, Event, follow_score, span_of
from app.credit.loader import load_policy
from app.credit.policy import Entry, Hold, Status, score

POLICY = load_policy(1)
NOW = datetime(2027, 3, 1, 2, tzinfo=UTC)
START, UNTIL = NOW - timedelta(days=300), NOW + timedelta(days=180)
MOST = PAST_SPANS + COMING_SPANS + 1


def entry(rule: str, days_ago: float, number: int = 0, **more) -> Entry:
    known, at = POLICY.rules[rule], NOW - timedelta(days=days_ago)
    term = known.term(at)
    return Entry(
        id=f"{rule} {number}", party="p", rule=rule, points=known.points, effective_at=at,
        earliest_repair_at=term.earliest_repair_at, expires_at=term.expires_at, **more,
    )  # fmt: skip


def course(entries, holds=(), **more):
    spans = {"start": START, "now": NOW, "until": UNTIL} | more
    return follow_score(entries, holds, lambda _: POLICY, **spans)


PAST = [
    entry("licence_verified", 250), entry("spot_check_failed", 200), entry("complaint_upheld", 20),
    *(entry("chain_completed", 240 - n, n) for n in range(30)),
]  # fmt: skip

facts = st.lists(
    st.tuples(st.sampled_from(sorted(POLICY.rules)), st.floats(-10, 400, allow_nan=False)),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(facts, st.randoms(use_true_random=False))
def test_every_moment_is_the_score_of_its_time_however_entries_arrive(told, random):
    entries = [entry(rule, round(ago, 3), n) for n, (rule, ago) in enumerate(told)]
    found = course(entries)
    assert len(found.moments) <= MOST
    assert [one.at for one in found.moments] == sorted({one.at for one in found.moments})
    for one in found.moments:
        card = score(entries, (), one.at, POLICY)
        assert (one.score, one.grade) == (card.score, card.grade)
    random.shuffle(entries)
    assert course(entries) == found


def test_what_comes_at_the_end_of_a_span_in_which_something_fades_is_one_moment():
    told = [("chain_completed", 15.0), ("complaint_reply_slow", 6.5)]
    found = course([entry(rule, ago, n) for n, (rule, ago) in enumerate(told)])
    times = [one.at for one in found.moments]
    assert times == sorted({*times})
    assert found.coming[-1].at == UNTIL


def test_now_is_a_moment_and_between_moments_only_fading_moves_the_score():
    found = course(PAST)
    assert found.past[-1].at == NOW
    assert found.coming[-1].at == UNTIL
    fading = [(e.earliest_repair_at, e.expires_at) for e in PAST if e.earliest_repair_at]
    for one, following in zip(found.moments, found.moments[1:], strict=False):
        just_before = following.at - timedelta(milliseconds=1)
        fades = any(a < following.at and b > one.at for a, b in fading)
        # What comes together within a span is told at the last of it.
        if not fades and len(following.happenings) <= 1:
            assert score(PAST, (), just_before, POLICY).score == one.score


def test_what_happened_stands_where_it_happened():
    loss = PAST[1]
    found = course(PAST)
    at = {(h.event, h.of): one for one in found.moments for h in one.happenings}
    effect = at[Event.EFFECT, loss.id]
    before = [one for one in found.moments if one.at < effect.at][-1]
    assert effect.at - loss.effective_at < (NOW - START) / PAST_SPANS
    assert effect.score < before.score
    assert at[Event.REPAIR_FROM, loss.id].at > effect.at
    assert (Event.REPAIR_FROM, PAST[0].id) not in at, "there is nothing to repair in a merit"
    assert (Event.END, loss.id) in at


def test_a_hold_lowers_the_score_while_it_lasts_and_is_told_apart():
    since, lifts = NOW - timedelta(days=3), NOW + timedelta(days=4)
    found = course(PAST, [Hold("f", 50, since, lifts)])
    held = [one for one in found.moments if one.score != one.score_without_holds]
    assert held
    assert all(since <= one.at < lifts for one in held)
    assert found.past[-1].score == found.past[-1].score_without_holds - 50


def test_many_entries_make_a_coarser_line_not_a_longer_wait(monkeypatch):
    asked = 0

    def counted(entries, *more, **named):
        nonlocal asked
        asked += len(entries)
        return score(entries, *more, **named)

    monkeypatch.setattr(history, "score", counted)
    many = [entry("late_event", n % 90, n) for n in range(3_000)]
    found = course(many)
    assert asked <= history.MOST_WEIGHINGS
    assert found.past[-1].at == NOW


def test_a_version_of_the_policy_scores_its_own_time():
    later = replace(POLICY, version=2, base=600)
    change = NOW - timedelta(days=100)
    found = follow_score(
        [], (), lambda at: later if at >= change else POLICY, start=START, now=NOW, until=UNTIL
    )
    assert (found.moments[0].score, found.past[-1].score) == (700, 600)
    first = next(one for one in found.moments if one.score == 600)
    assert timedelta() <= first.at - change <= (NOW - START) / PAST_SPANS


@pytest.mark.parametrize("more", [{"start": NOW}, {"until": NOW}])
def test_a_span_without_a_now_inside_is_refused(more):
    with pytest.raises(ValueError, match="start < now < until"):
        course(PAST, **more)


def test_the_span_is_a_year_back_and_half_a_year_ahead_at_most():
    assert span_of([], since=NOW, now=NOW) == (NOW - history.SHORTEST, NOW + history.SHORTEST)
    old = replace(entry("counterfeit", 900), status=Status.EFFECTIVE)
    start, until = span_of([old], since=NOW - timedelta(days=2000), now=NOW)
    assert (start, until) == (NOW - history.LONGEST_PAST, NOW + history.LONGEST_COMING)
