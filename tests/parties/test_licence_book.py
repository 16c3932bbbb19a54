"""Which licences count on which day, whatever was told, found true, struck out or given up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.clock import format_time
from app.parties import licence_book as book

KIND, NUMBER = "food_business", "JY14412000000000"
PLACE = book.licence_id(KIND, NUMBER)
FIRST = date(2026, 3, 1)


def day(n: int) -> str:
    return (FIRST + timedelta(days=n)).isoformat()


def noon(n: int) -> datetime:
    """Noon in China of a day."""
    return datetime(2026, 3, 1, 4, tzinfo=UTC) + timedelta(days=n)


def licence(**more: str) -> dict[str, str]:
    return {"kind": KIND, "number": NUMBER, **more}


def covered(held, *days: int) -> list[int]:
    return [n for n in days if any(book.covers(one, day(n)) for one in held)]


def record(n: int, type_: str, **data) -> dict:
    return {"id": f"r{n}", "type": type_, "data": data, "recorded_at": format_time(noon(n))}


def test_a_renewal_in_time_leaves_no_gap_and_one_period():
    held = book.change((licence(valid_until=day(10)),), {"hold": licence(valid_from=day(11))})
    assert held == (licence(),)
    held = book.change(
        (licence(valid_until=day(10)),), {"hold": licence(valid_from=day(5), valid_until=day(90))}
    )
    assert held == (licence(valid_until=day(90)),)


def test_a_renewal_that_came_late_leaves_the_days_between_uncovered():
    held = book.change((licence(valid_until=day(10)),), {"hold": licence(valid_from=day(13))})
    assert covered(held, 9, 10, 11, 12, 13, 14) == [9, 10, 13, 14]


def test_what_was_found_true_last_says_how_long_it_is_from_its_first_day_on():
    held = book.change(
        (licence(valid_until=day(900)),), {"hold": licence(valid_from=day(5), valid_until=day(20))}
    )
    assert covered(held, 4, 5, 20, 21) == [4, 5, 20]


def test_the_day_on_which_it_ends_covers_what_was_sold_but_lists_nothing_more():
    ended = book.change((licence(),), book.ending(KIND, NUMBER, at=noon(3)))
    assert covered(ended, 2, 3, 4) == [2, 3]
    assert [book.may_list(one, day(3)) for one in ended] == [False]
    assert [book.state_of(one, day(3)) for one in ended] == ["ended"]
    told = book.change(ended, {"hold": licence(valid_from=day(3))})
    assert [book.may_list(one, day(3)) for one in told] == [True], "told anew, it counts anew"


def test_what_has_not_begun_is_gone_once_it_is_given_up_and_what_is_over_stays_over():
    held = (licence(valid_until=day(1)), licence(valid_from=day(9)))
    assert book.change(held, book.ending(KIND, NUMBER, at=noon(5))) == (
        licence(valid_until=day(1)),
    )


def test_without_a_first_day_it_counts_from_the_day_in_china_on_which_it_was_told():
    late = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)  # half past midnight, the second, in China
    told = book.telling(licence(), record="r", at=late, told={})
    assert book.counting(told[PLACE])["hold"]["valid_from"] == "2026-03-02"


def test_what_was_told_before_gives_way_and_refusals_make_room():
    told = {}
    for n in range(book.MAX_TOLD):
        told = book.telling({"kind": "other", "number": str(n)}, record="r", at=noon(n), told=told)
    assert book.telling(licence(), record="r", at=noon(0), told=told) is None
    again = book.telling({"kind": "other", "number": "3"}, record="s", at=noon(0), told=told)
    assert len(again) == book.MAX_TOLD
    assert again[book.licence_id("other", "3")]["record"] == "s"
    refused = {
        **told,
        book.licence_id("other", "3"): {**told[next(iter(told))], "refused": "not_found"},
    }
    assert len(book.telling(licence(), record="r", at=noon(0), told=refused)) == book.MAX_TOLD


TRUE = {"kind": KIND, "number": NUMBER, "status": "verified"}
FALSE = {**TRUE, "status": "rejected", "reason": "not_found"}


@pytest.mark.parametrize(
    ("records", "held", "told"),
    [
        ([("licence", {})], [], "waiting"),
        (
            [("licence", {}), ("licence_verification", {**TRUE, "told": "r1"})],
            [licence(valid_from=day(1))],
            None,
        ),
        ([("licence", {}), ("licence_verification", {**FALSE, "told": "r1"})], [], "refused"),
        ([("licence", {}), ("licence_ended", {})], [], None),
        (
            [
                ("licence", {}),
                ("licence_verification", {**TRUE, "told": "r1"}),
                ("licence", {}),
                ("licence_ended", {"told": "r3"}),
            ],
            [licence(valid_from=day(1))],
            None,
        ),
        ([("licence_verification", {**TRUE, "told": "r0"})], [], None),  # of a record that was damaged
    ],
)  # fmt: skip
def test_the_records_alone_tell_what_counts_and_what_waits(records, held, told):
    made = [record(0, "registration", licences=[])]
    made += [
        record(n, kind, **{"kind": KIND, "number": NUMBER, **data})
        for n, (kind, data) in enumerate(records, start=1)
    ]
    found, waiting = book.replay(made)
    assert list(found) == held
    state = (
        None if PLACE not in waiting else "refused" if "refused" in waiting[PLACE] else "waiting"
    )
    assert state == told
    (row,) = book.index_rows("P", found, waiting) or [None]
    assert (row is not None) == (bool(held) or told == "waiting")
    assert (row is not None and row["told_at"] is not None) == (told == "waiting")


_days = st.integers(0, 40)
_changes = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), _days, st.one_of(st.none(), _days)),
        st.tuples(st.just("end"), _days, st.none()),
    ),
    max_size=6,
)


@given(_changes)
def test_the_periods_of_a_number_never_overlap_and_say_on_each_day_what_was_said_last(changes):
    """Against a calendar kept day by day."""
    held: book.Held = ()
    calendar: set[int] = set()
    for kind, first, last in changes:
        if kind == "end":
            held = book.change(held, book.ending(KIND, NUMBER, at=noon(first)))
            calendar = {n for n in calendar if n <= first}
            continue
        if last is not None and last < first:
            continue
        until = {} if last is None else {"valid_until": day(last)}
        held = book.change(held, {"hold": licence(valid_from=day(first), **until)})
        said = range(first, 61 if last is None else last + 1)
        calendar = {n for n in calendar if n < first} | set(said)
    for n in range(61):
        assert sum(book.covers(one, day(n)) for one in held) == (n in calendar), (n, held)
