"""The ledger of credit as a service keeps it: whatever happens, records alone tell every score again."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.credit import store
from app.credit.graces import graces_in_force
from app.credit.policy import score
from app.credit.records import TOPIC, By, CreditRecords
from app.credit.rows import replay
from app.credit.service import Credit, NewEntry
from app.credit.steps import TABLE, Step, StepRefused
from app.ledger.store import load_stream
from app.oversight.rowcheck import check_rows
from tests.web.conftest import AUTHORITY
from tests.web.market import SHOP

DAY = timedelta(days=1)
RULES = ["chain_completed", "late_event", "late_event", "continuity_uncured", "commitment_broken",
         "licence_expired_selling", "commitment_kept"]  # fmt: skip
FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

facts = st.lists(st.tuples(st.sampled_from(RULES), st.integers(0, 6)), min_size=1, max_size=8)
moves = st.lists(
    st.tuples(
        st.sampled_from(["post", "step", "step", "wait", "work", "hold", "lift", "cancel"]),
        st.integers(0, 7),
        st.sampled_from(list(Step)),
        st.integers(0, 130),
    ),
    min_size=4,
    max_size=18,
)


def fields_of(market, party: str) -> list[dict]:
    with market.rooms.database.read() as connection:
        return [r.fields for r in load_stream(connection, f"party/{party}")]


def rows_apart(market, connection, party: str):
    stream, records = f"party/{party}", fields_of(market, party)
    return check_rows(connection, stream, records, graces=graces_in_force())


def check_told_again(market, party: str) -> None:
    """Asserts that the party's records give the score that the service tells, to the last weight."""
    credit, now = market.rooms.credit, market.clock.now()
    card = credit.card(party)
    entries, holds = replay(fields_of(market, party)).scored()
    again = score(entries, holds, now, credit.policy, completed_chains=card.completed_chains)
    assert again == card
    with market.rooms.database.read() as connection:
        assert (
            list(
                check_rows(
                    connection, f"party/{party}", fields_of(market, party), graces=graces_in_force()
                )
            )
            == []
        )


def post(market, party: str, rule: str, key: int) -> str:
    now = market.clock.now()
    new = NewEntry(party, rule, str(key), {"finding": f"f{key}"}, now)
    return market.rooms.credit.post(new)


@FEW
@given(moves)
def test_records_alone_rebuild_every_score(market, tried):
    party, credit = market.newcomer(), market.rooms.credit
    entries: list[str] = []
    for what, number, step, days in tried:
        match what:
            case "post":
                entries.append(post(market, party, RULES[number % len(RULES)], number))
            case "step" if entries:
                who = next(iter(sorted(TABLE[step].who)))
                by = By(party, "merchant") if who == "party" else By(AUTHORITY, "regulator")
                with contextlib.suppress(StepRefused):
                    credit.records.take_step(entries[number % len(entries)], step, by=by)
            case "wait":
                market.clock.set(market.clock.now() + days * DAY)
            case "work":
                while market.rooms.credit_ledger.mature():
                    pass
            case "hold":
                credit.hold(party, f"{party} {number}", again=True)
            case "lift":
                credit.lift(f"{party} {number}", reason="restored")
            case "cancel":
                credit.cancel(party=party, rule="late_event", key=str(number), reason="healed")
            case _:
                pass
        check_told_again(market, party)


@FEW
@given(facts, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_nor_anybody_else_changes_a_score(market, told, random):
    first, second, bystander = market.newcomer(), market.newcomer(), market.newcomer()
    before = market.rooms.credit.card(bystander)
    shuffled = [*told, *random.choices(told, k=4)]
    random.shuffle(shuffled)
    for rule, key in told:
        post(market, first, rule, key)
    for rule, key in shuffled:
        post(market, second, rule, key)
    for days in (0, 10, 40, 200):
        market.clock.set(market.clock.now() + days * DAY)
        one, other = (market.rooms.credit.card(party) for party in (first, second))
        assert (one.score, one.grade, one.breakdown) == (other.score, other.grade, other.breakdown)
    assert market.rooms.credit.card(bystander) == before


def test_chains_of_the_month_are_counted_into_a_minor_entry(market):
    party = market.newcomer()
    units = market.issue(4, by=party)
    for unit in units[:3]:
        market.send(party, unit.code, "sale", {}, hours=-1)
    market.send(party, units[3].code, "sale", {}, hours=-24 * 32)  # in the month before
    post(market, party, "late_event", 1)
    (entry,) = [f for f in fields_of(market, party) if f["type"] == "credit_entry"]
    assert entry["data"]["chains"] == 3
    post(market, party, "continuity_uncured", 1)
    other = [f for f in fields_of(market, party) if f["type"] == "credit_entry"][-1]
    assert "chains" not in other["data"]


def test_what_a_remote_store_is_to_be_told_is_in_the_outbox_with_the_record(market):
    rooms, party = market.rooms, market.newcomer()
    told = Credit(rooms.database, rooms.recorder, clock=rooms.clock, tells_remote=True)
    entry = told.post(NewEntry(party, "late_event", "x", {"finding": "f"}, rooms.clock.now()))
    told.records.take_step(entry, Step.WITHDRAW, more={"reason": "healed"})
    told.hold(party, "f1")
    with rooms.database.read() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT payload FROM outbox WHERE topic = '{TOPIC}' ORDER BY seq"
        ).scalars()
        import orjson

        sent = [orjson.loads(bytes(row)) for row in rows]
    records = [f for f in fields_of(market, party) if f["type"].startswith("credit_")]
    assert [one["type"] for one in sent] == ["credit_entry", "credit_status", "credit_hold"]
    for one, record in zip(sent, records, strict=True):
        assert one == {"party": party} | {
            name: record[name] for name in ("id", "type", "actor", "recorded_at", "data")
        }
    with rooms.database.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM outbox WHERE topic = '{TOPIC}'")


@pytest.mark.parametrize("table", ["credit_entry", "credit_step", "credit_hold"])
def test_a_row_changed_behind_our_back_is_found(market, table):
    party = market.newcomer()
    entry = post(market, party, "continuity_uncured", 1)
    market.rooms.credit.records.take_step(entry, Step.OBJECT, by=By(party, "merchant"))
    market.rooms.credit.hold(party, f"held {party}")
    check_told_again(market, party)
    column, value = {
        "credit_entry": ("next_at", 1), "credit_step": ("actor", "'nobody'"),
        "credit_hold": ("lifts_at", 1),
    }[table]  # fmt: skip
    market.tamper(f"UPDATE {table} SET {column} = {value} WHERE party = ?", party)
    with market.rooms.database.read() as connection:
        (problem,) = check_rows(
            connection, f"party/{party}", fields_of(market, party), graces=graces_in_force()
        )
    assert problem.kind == "index.row_mismatch"
    assert problem.evidence["column"].startswith(f"{table}.")


def test_time_that_the_worker_slept_through_is_recorded_once(market):
    party = market.newcomer()
    entry = post(market, party, "late_event", 1)
    market.clock.set(market.clock.now() + 20 * DAY)
    ledger = market.rooms.credit_ledger
    while ledger.mature():
        pass
    while ledger.mature():
        pass
    steps = [f["data"]["step"] for f in fields_of(market, party) if f["type"] == "credit_status"]
    assert steps == ["take_effect"]
    market.clock.set(market.clock.now() + 200 * DAY)
    ledger.mature()
    ledger.mature()
    with market.rooms.database.read() as connection:
        row = store.find_entry(connection, entry)
    assert (row.status, row.next_at) == ("lapsed", None)


def test_one_entry_that_cannot_be_recorded_holds_up_no_other(market, monkeypatch):
    broken, sound = (post(market, market.newcomer(), "late_event", n) for n in (1, 2))
    real = CreditRecords.take_step

    def fail(self, entry, *given, **more):
        if entry == broken:
            raise RuntimeError("no")
        return real(self, entry, *given, **more)

    monkeypatch.setattr(CreditRecords, "take_step", fail)
    market.clock.set(market.clock.now() + 20 * DAY)
    market.rooms.credit_ledger.mature()
    with market.rooms.database.read() as connection:
        states = [store.find_entry(connection, entry).status for entry in (broken, sound)]
    assert states == ["notice", "effective"]
    monkeypatch.undo()
    market.clock.set(market.clock.now() + DAY)
    market.rooms.credit_ledger.mature()
    with market.rooms.database.read() as connection:
        assert store.find_entry(connection, broken).status == "effective"


def test_every_party_of_the_market_is_told_again(market):
    market.complete(market.one().code)
    market.work()
    check_told_again(market, SHOP)
