"""What would raise a score: each gain is what the score function itself says."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.credit.policy import Status, score
from app.credit.raising import raise_score
from tests.credit.examples import DAY, PARTY, POLICY, START, chains, entry, ledgers

NOW = START + 400 * DAY


def raising(entries, *, at=NOW, may_sign=False, holds=()):
    return raise_score(entries, holds, POLICY, party=PARTY, at=at, may_sign=may_sign)


def test_an_announced_loss_can_be_averted_until_it_takes_effect():
    loss = entry("spot_check_failed", at=NOW + 3 * DAY, status=Status.NOTICE)
    (one,) = raising([loss]).gains
    assert (one.way, one.entry, one.at) == ("avert", "e1", NOW + 3 * DAY)
    assert one.gain == -POLICY.rules["spot_check_failed"].points


def test_a_loss_in_effect_tells_from_when_on_repair_can_be_asked_for():
    loss = entry("spot_check_failed", at=NOW - DAY)
    (one,) = raising([loss]).gains
    assert (one.way, one.at) == ("repair", loss.earliest_repair_at)
    assert loss.earliest_repair_at > NOW
    (later,) = raising([loss], at=loss.earliest_repair_at).gains
    assert (later.way, later.at) == ("repair", None)


def test_what_is_being_decided_is_awaited():
    for status in (Status.OBJECTED, Status.REPAIR_ASKED):
        (one,) = raising([entry("spot_check_failed", at=NOW - DAY, status=status)]).gains
        assert (one.way, one.at) == ("decision", None)


def test_a_commitment_brings_what_its_cap_leaves():
    (one,) = raising([], may_sign=True).gains
    assert (one.way, one.rule, one.gain) == ("sign", "commitment_active", 20)
    signed = entry("commitment_active", at=NOW - DAY)
    assert raising([signed], may_sign=True).gains == ()


def test_the_next_grade_and_how_far_it_is():
    told = raising([])
    assert (told.grade, told.better) == ("B", "A")
    lowest = next(step.lowest for step in POLICY.grades if step.grade == "A")
    assert told.missing == lowest - POLICY.base
    best = raising([*chains(60, at=NOW - 100 * DAY), entry("licence_verified", at=NOW - DAY)])
    assert best.better is None or best.missing > 0


@given(ledgers, st.booleans())
def test_every_gain_is_the_score_function_asked_again(entries, may_sign):
    told = raising(entries, may_sign=may_sign)
    before = score(entries, (), NOW, POLICY)
    assert (told.score, told.grade) == (before.score, before.grade)
    by_id = {one.id: one for one in entries}
    for one in told.gains:
        assert one.gain > 0
        if one.way == "sign":
            continue
        others = [other for other in entries if other.id != one.entry]
        if one.way == "avert":
            counted = replace(by_id[one.entry], status=Status.EFFECTIVE, effective_at=NOW)
            assert score([*others, counted], (), NOW, POLICY).score == told.score - one.gain
        else:
            assert score(others, (), NOW, POLICY).score == told.score + one.gain
