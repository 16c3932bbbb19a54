"""Who may take which step from which state, and when: the table, line by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit.policy import Status
from app.credit.steps import ENDED, TABLE, Standing, Step, StepRefused, Who, after, table_rows
from app.kit.clock import from_ms, to_ms
from tests.credit.examples import DAY, START

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"
NOW = START + 10 * DAY


def standing(status: Status = Status.EFFECTIVE, **changes) -> Standing:
    """Returns an entry announced ten days ago, of a class repaired from today on."""
    fields = {
        "points": -30,
        "effective_ms": to_ms(START + 5 * DAY),
        "repair_ms": to_ms(NOW),
        "expires_ms": to_ms(START + 365 * DAY),
        "object_until_ms": to_ms(START + 60 * DAY),
    }
    return Standing(status, **(fields | changes))


def refusal(given: Standing, step: Step, *, now=NOW) -> str | None:
    try:
        after(given, step, now=now)
    except StepRefused as err:
        return err.reason
    return None


PEOPLE = [
    (Status.EFFECTIVE, Step.OBJECT, Status.OBJECTED),
    (Status.OBJECTED, Step.UPHOLD, Status.CANCELLED),
    (Status.OBJECTED, Step.DISMISS, Status.EFFECTIVE),
    (Status.EFFECTIVE, Step.ASK_REPAIR, Status.REPAIR_ASKED),
    (Status.REPAIR_ASKED, Step.GRANT_REPAIR, Status.REPAIRED),
    (Status.REPAIR_ASKED, Step.REFUSE_REPAIR, Status.EFFECTIVE),
    (Status.EFFECTIVE, Step.WITHDRAW, Status.CANCELLED),
    (Status.OBJECTED, Step.WITHDRAW, Status.CANCELLED),
    (Status.REPAIR_ASKED, Step.WITHDRAW, Status.CANCELLED),
]
# What time has brought into effect is in effect, whether or not the worker has said so yet.
PEOPLE += [(Status.NOTICE, step, to) for origin, step, to in PEOPLE if origin is Status.EFFECTIVE]


@pytest.mark.parametrize("step", [s for s in Step if s not in (Step.TAKE_EFFECT, Step.LAPSE)])
@pytest.mark.parametrize("status", Status)
def test_every_step_from_every_state(status, step):
    expected = {(origin, s): to for origin, s, to in PEOPLE}.get((status, step))
    if expected is None:
        assert refusal(standing(status), step) == "wrong_state"
    else:
        assert after(standing(status), step, now=NOW).status is expected


@pytest.mark.parametrize("status", Status)
def test_time_moves_what_stands_and_nothing_else(status):
    late = START + 365 * DAY
    if status in ENDED:
        assert refusal(standing(status), Step.LAPSE, now=late) == "wrong_state"
    else:
        assert after(standing(status), Step.LAPSE, now=late).status is Status.LAPSED
        assert refusal(standing(status), Step.LAPSE, now=late - DAY) == "wrong_state"
    takes = refusal(standing(status), Step.TAKE_EFFECT)
    assert takes == (None if status is Status.NOTICE else "wrong_state")


def test_an_objection_during_the_notice_goes_back_to_it():
    early = START + DAY
    objected = after(standing(Status.NOTICE), Step.OBJECT, now=early)
    assert after(objected, Step.DISMISS, now=early).status is Status.NOTICE
    # Heard too slowly: meanwhile the notice has run out.
    assert after(objected, Step.DISMISS, now=NOW).status is Status.EFFECTIVE
    assert objected.next_ms == objected.expires_ms


def test_the_last_moment_of_an_objection():
    until = from_ms(standing().object_until_ms)
    assert refusal(standing(), Step.OBJECT, now=until) is None
    assert refusal(standing(), Step.OBJECT, now=until + timedelta(milliseconds=1)) == "too_late"
    endless = standing(object_until_ms=None)
    assert refusal(endless, Step.OBJECT, now=START + 300 * DAY) is None


def test_the_first_moment_of_a_repair():
    assert refusal(standing(), Step.ASK_REPAIR, now=NOW - timedelta(milliseconds=1)) == "too_early"
    assert refusal(standing(), Step.ASK_REPAIR) is None


@pytest.mark.parametrize("step", [Step.OBJECT, Step.ASK_REPAIR])
def test_what_has_expired_is_too_late_for_people_and_what_earned_points_is_no_loss(step):
    assert refusal(standing(), step, now=START + 365 * DAY) == "too_late"
    assert refusal(standing(points=5), step) == "no_loss"


def test_who_takes_each_step():
    people = {step: set(move.who) for step, move in TABLE.items()}
    assert people[Step.OBJECT] == people[Step.ASK_REPAIR] == {Who.PARTY}
    for step in (Step.UPHOLD, Step.DISMISS, Step.GRANT_REPAIR, Step.REFUSE_REPAIR):
        assert people[step] == {Who.REGULATOR}
    assert people[Step.WITHDRAW] == {Who.REGULATOR, Who.SYSTEM}
    assert people[Step.LAPSE] == people[Step.TAKE_EFFECT] == {Who.SYSTEM}


def test_the_docs_print_this_table():
    written = DOCS.read_text("utf-8")
    for row in table_rows():
        assert "| " + " | ".join(row) + " |" in written


@given(st.lists(st.tuples(st.sampled_from(Step), st.integers(0, 40)), max_size=12))
def test_whatever_is_tried_an_ended_entry_stays_ended_and_dates_stay(tried):
    at, now = standing(Status.NOTICE), START
    for step, days in tried:
        now += days * DAY
        before = at
        try:
            at = after(at, step, now=now)
        except StepRefused:
            continue
        assert before.status not in ENDED
        assert replace(at, status=before.status) == before
        assert at == Standing.of_fact(at.as_fact())
