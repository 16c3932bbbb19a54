"""Counts by day: whatever is sold, changed and ended in whatever order, they are those of the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from app.credit import rankstore
from app.kit.clock import from_ms, to_ms
from app.trace import soldstore
from app.trace.soldstore import DAY, SOLD, day_named, day_of, days_apart, put_right, write_sold

CHINA = ZoneInfo("Asia/Shanghai")
MIDNIGHT = to_ms(datetime(2026, 11, 20, tzinfo=CHINA))
SELLERS, GTINS = ("91441200MA4TE5T00Q", "92441202MA4TE5T01M"), ("06901234567892", "06936983800013")
OFFERS = [(seller, gtin) for seller in SELLERS for gtin in GTINS]

# Around the days' ends, where a wrong day would show; hours away, where a wrong zone would.
_NEAR = st.sampled_from((-86_400_000, -28_800_000, -1, 0, 1, 57_600_000, 86_399_999, 86_400_000))
_SOLD_AT = st.builds(lambda near, more: MIDNIGHT + near + more, _NEAR, st.integers(-2, 2))
_GAP = st.none() | st.integers(-3, 3).map(lambda more: MIDNIGHT + more)
_KEY = st.fixed_dictionaries(
    {
        "stream": st.integers(1, 4),
        "subject": st.sampled_from(("", "consignment/a", "consignment/b")),
        "cycle": st.integers(1, 2),
    }
)
_TOLD = st.fixed_dictionaries(
    {
        "gtin": st.sampled_from(GTINS),
        "seller": st.sampled_from(SELLERS),
        "sold_at": _SOLD_AT,
        "gap_due_at": _GAP,
        "steps": st.integers(1, 4),
        "independent": st.integers(0, 3),
        "completed_at": st.none(),
        "underway": st.none(),
        "moved_at": st.none(),
    }
)
_ROW = st.builds(lambda key, told: {**key, **(told or {})}, _KEY, st.none() | _TOLD)
_BATCHES = st.lists(st.lists(_ROW, min_size=1, max_size=8), min_size=1, max_size=4)


def row(stream: int, **more) -> dict:
    told = {
        "stream": stream, "subject": "", "cycle": 1, "gtin": GTINS[0], "seller": SELLERS[0],
        "sold_at": MIDNIGHT, "gap_due_at": None, "steps": 2, "independent": 1, "completed_at": None,
        "underway": None, "moved_at": None,
    }  # fmt: skip
    return told | more


def counted_by_hand(rows, first_day, now_ms: int) -> dict:
    """Returns what ranking should count, unit by unit."""
    found: dict = {}
    for one in rows:
        if from_ms(one.sold_at).astimezone(CHINA).date() < first_day:
            continue
        sums = found.setdefault((one.seller, one.gtin), [0, 0, 0, 0])
        sums[0] += 1
        sums[1] += one.gap_due_at is None or one.gap_due_at > now_ms
        sums[2] += one.steps
        sums[3] += one.independent
    return {offer: tuple(sums) for offer, sums in found.items()}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(batches=_BATCHES, back=st.integers(-2, 2), now=st.integers(-3, 3))
def test_days_are_counted_as_their_rows_are(database, batches, back, now):
    now_ms = MIDNIGHT + now
    first_day = from_ms(MIDNIGHT).astimezone(CHINA).date() + timedelta(days=back)
    since = day_of(to_ms(datetime.combine(first_day, datetime.min.time(), CHINA)))
    with database.write() as connection:
        for table in (SOLD, DAY):
            connection.execute(delete(table))
        for batch in batches:
            write_sold(connection, batch)
            assert days_apart(connection) == {}
        rows = list(connection.execute(select(SOLD)))
        told = rankstore.sold_counts(connection, OFFERS, since_day=since, now_ms=now_ms)
        assert told == counted_by_hand(rows, first_day, now_ms)
        spans = [(*offer, since, since + 2) for offer in OFFERS]
        until = soldstore.begins_ms(since + 2)
        between = counted_by_hand([one for one in rows if one.sold_at < until], first_day, now_ms)
        found = rankstore.sold_between(connection, spans)
        assert {offer: n for offer, n in found.items() if n} == {
            offer: sums[0] for offer, sums in between.items()
        }


def test_a_day_begins_at_midnight_in_china():
    assert day_named(day_of(MIDNIGHT)) == "2026-11-20"
    assert day_named(day_of(MIDNIGHT - 1)) == "2026-11-19"
    assert from_ms(soldstore.begins_ms(day_of(MIDNIGHT))) == datetime(2026, 11, 19, 16, tzinfo=UTC)
    assert day_named(2**62) == str(2**62)


def test_a_cycle_that_was_never_counted_ends_without_a_trace(database):
    with database.write() as connection:
        write_sold(connection, [{"stream": 1, "subject": "", "cycle": 1}])
        assert list(connection.execute(select(DAY))) == []


def test_a_sale_that_moves_to_another_day_leaves_zeros_that_count_as_nothing_sold(database):
    with database.write() as connection:
        write_sold(connection, [row(1)])
        write_sold(connection, [row(1, seller=SELLERS[1], sold_at=MIDNIGHT - 1)])
        rows = {(one.seller, one.day): tuple(one[3:]) for one in connection.execute(select(DAY))}
        counts = rankstore.sold_counts(connection, OFFERS, since_day=0, now_ms=MIDNIGHT)
    day = day_of(MIDNIGHT)
    assert rows == {(SELLERS[0], day): (0, 0, 0, 0), (SELLERS[1], day - 1): (1, 2, 1, 0)}
    assert counts == {(SELLERS[1], GTINS[0]): (1, 1, 2, 1)}


@pytest.mark.parametrize("many", [1, 300, 1_100])
def test_many_units_and_consignments_of_one_batch_are_counted_once_each(database, many):
    units = [row(n, gap_due_at=5) for n in range(many)]
    sent = [row(-1, subject=f"consignment/{n}") for n in range(many)]
    with database.write() as connection:
        write_sold(connection, units + sent)
        write_sold(connection, [{**one, "gap_due_at": None, "steps": 3} for one in units + sent])
        assert days_apart(connection) == {}
        counts = rankstore.sold_counts(connection, OFFERS[:1], since_day=0, now_ms=MIDNIGHT)
    assert counts == {OFFERS[0]: (2 * many, 2 * many, 6 * many, 2 * many)}


_ALTERED = {
    "more": update(DAY).values(units=DAY.c.units + 1),
    "whole": update(DAY).values(gaps=0),
    "gone": delete(DAY),
    "elsewhen": update(DAY).values(day=DAY.c.day - 1),
}


@pytest.mark.parametrize("how", _ALTERED)
def test_an_altered_day_is_seen_and_counted_again(database, how):
    with database.write() as connection:
        write_sold(connection, [row(1), row(2, gap_due_at=5), row(3, seller=SELLERS[1])])
        sound = list(connection.execute(select(DAY)))
        connection.execute(_ALTERED[how].where(DAY.c.seller == SELLERS[0]))
        assert days_apart(connection, SELLERS[1]) == {}
        assert days_apart(connection, SELLERS[0]) == days_apart(connection) != {}
        assert len(days_apart(connection, limit=1)) == 1
        assert put_right(connection) >= 1
        assert (days_apart(connection), put_right(connection)) == ({}, 0)
        kept = [one for one in connection.execute(select(DAY)) if one.units]
        assert sorted(kept) == sorted(sound)


def test_ranking_looks_at_no_unit_but_those_whose_gap_counts(database):
    if database.dialect != "sqlite":
        pytest.skip("a small table is read whole by PostgreSQL")
    find, given = rankstore._SOLD_OF_EACH, [(SELLERS[0], GTINS[0])]
    values = {"seller_0": SELLERS[0], "gtin_0": GTINS[0], "since": 1, "now": MIDNIGHT}
    with database.read() as connection:
        assert list(find.rows(connection, given, since=1, now=MIDNIGHT))
        search, _ = find._written[1]
        compiled = search._compiled["sqlite", ()]
        driver = connection.connection.dbapi_connection
        plan = driver.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.bind(values))
        told = " ".join(line[3] for line in plan)
    assert "sold_day USING PRIMARY KEY (seller=? AND gtin=? AND day>?)" in told
    assert (
        "sold_unit USING COVERING INDEX sold_unit_gap (seller=? AND gtin=? AND gap_due_at" in told
    )
    assert told.count("SEARCH") == 2
