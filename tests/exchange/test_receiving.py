"""A store for others: who is let in, what is taken, what an audit of it says."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from app.exchange.change import Change, ChangeRefused, EarlierRefused, read_change
from app.exchange.receiver import (
    ChangeConflict,
    Kept,
    NothingKnown,
    SenderKeyTaken,
    SenderNameRefused,
    SenderUnknown,
    Told,
)
from app.kit.canonical import canonical_bytes
from app.kit.errors import Fault, Invalid, TooLarge
from app.ledger.note import NoteSigner
from app.ledger.record import record_hash
from app.oversight.whole_audit import new_audit
from tests.exchange.changes import made
from tests.exchange.conftest import SHOP, STALL, kept

KEY = str(NoteSigner("c.example/credit", b"\7" * 32).vkey)


@pytest.fixture
def desk(theirs):
    theirs.rooms.receiver.let_in("ours", KEY)
    return theirs.rooms.receiver


def problems(service) -> list[str]:
    rooms = service.rooms
    with rooms.database.read() as connection:
        audit = new_audit(connection, vault=rooms.vault, stories=rooms.stories)
        return [problem.kind for problem in audit.check_streams(_names(connection))]


def _names(connection) -> list[str]:
    return [row[0] for row in connection.exec_driver_sql("SELECT name FROM head")]


def test_what_is_taken_is_a_record_that_holds_the_senders_whole(desk, theirs):
    (answer,) = desk.take("ours", [made()])
    assert isinstance(answer, Kept)
    body = orjson.loads(answer.recorded.body)
    assert body["stream"] == f"store/ours/{SHOP}"
    assert body["data"]["record"] == made().record
    assert record_hash(canonical_bytes(body["data"]["record"])).hex() == body["data"]["hash"]
    assert problems(theirs) == []


def test_the_same_again_is_the_same_and_another_under_its_key_is_refused(desk, theirs):
    first = desk.take("ours", [made(1), made(2)])
    assert desk.take("ours", [made(2), made(1)]) == [
        dataclasses.replace(a, recorded=a.recorded._replace(replayed=True)) for a in reversed(first)
    ]
    other = made(1, id="0192f3a0-0000-7000-8000-00000000beef")
    conflict, behind, elsewhere = desk.take("ours", [other, made(3), made(1, party=STALL)])
    assert isinstance(conflict, ChangeConflict)
    assert isinstance(behind, EarlierRefused)
    assert isinstance(elsewhere, Kept)
    assert [key for key, _ in kept(theirs)] == [
        f"party/{SHOP}/1",
        f"party/{SHOP}/2",
        f"party/{STALL}/1",
    ]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (dataclasses.replace(made(), hash="0" * 64), ChangeRefused),
        (dataclasses.replace(made(), key=f"party/{SHOP}/2"), ChangeRefused),
        (made(type="sale"), ChangeRefused),
        (made(type="store_received"), ChangeRefused),
        (made(stream="01/06901234567892"), ChangeRefused),
        (made(stream="party/me"), ChangeRefused),
        (made(v=2), ChangeRefused),
        (made(seq=-1), ChangeRefused),
        (made(data={}), ChangeRefused),
        (made(data={"entry": "x"}, type="credit_status"), ChangeRefused),
        (made(data=made().record["data"] | {"points": "5"}), ChangeRefused),
        (made(data=made().record["data"] | {"status": "excellent"}), ChangeRefused),
        (made(data=made().record["data"] | {"effective_at": "soon"}), ChangeRefused),
        (made(recorded_at="2026"), ChangeRefused),
        (made(actor=7), ChangeRefused),
        (Told("x", "0" * 64, {"data": 1.5}), Invalid),
        (Told("x", "0" * 64, {"data": None}), Invalid),
        (Told("x", "0" * 64, {}), ChangeRefused),
        (
            Told("x", "0" * 64, {"data": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}}),
            Invalid,
        ),
    ],
)
def test_what_is_no_change_is_refused_alone(desk, theirs, change, kind):
    refused, taken = desk.take("ours", [change, made(1, party=STALL)])
    assert type(refused) is kind
    assert isinstance(taken, Kept)
    assert [key for key, _ in kept(theirs)] == [f"party/{STALL}/1"]


def test_a_record_that_is_too_long_to_be_kept_is_refused(desk):
    data = made().record["data"] | {"evidence": {"text": "x" * 64_900}}
    (answer,) = desk.take("ours", [made(data=data)])
    assert isinstance(answer, TooLarge)


def test_more_than_a_request_may_hold_is_refused(desk):
    with pytest.raises(TooLarge):
        desk.take("ours", [made(n) for n in range(201)])


def test_two_senders_do_not_meet(desk, theirs):
    desk.let_in("b", str(NoteSigner("d.example/credit", b"\10" * 32).vkey))
    other = made(1, id="0192f3a0-0000-7000-8000-00000000beef")
    assert all(
        isinstance(a, Kept) for a in (*desk.take("ours", [made()]), *desk.take("b", [other]))
    )
    assert len(kept(theirs)) == len(kept(theirs, "b")) == 1


def test_a_sender_is_let_in_by_name_and_key_and_shut_out_again(desk, theirs):
    with pytest.raises(SenderKeyTaken):
        desk.let_in("b", KEY)
    for name in ("", "B", "a/b", "-a", "a" * 64, "é"):
        with pytest.raises(SenderNameRefused):
            desk.let_in(name, KEY)
    with pytest.raises(Fault):
        desk.let_in("b", "no key")
    with pytest.raises(SenderUnknown):
        desk.end("b")
    desk.let_in("ours", KEY)  # changes nothing
    assert [name for name, _ in desk.keys().values()] == ["ours"]
    another = str(NoteSigner("c.example/credit", b"\x09" * 32).vkey)
    desk.let_in("ours", another)
    assert [str(vkey) for _, vkey in desk.keys().values()] == [another]
    assert problems(theirs) == []
    desk.end("ours")
    assert desk.keys() == {}
    assert problems(theirs) == []
    desk.let_in("ours", another)
    assert len(desk.keys()) == 1
    assert problems(theirs) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM credit_received WHERE seq = 1",
        "UPDATE credit_received SET seq = 7 WHERE seq = 1",
        "UPDATE credit_received SET type = 'credit_hold' WHERE seq = 1",
        "UPDATE credit_received SET place = 9 WHERE seq = 1",
        "DELETE FROM credit_sender",
        "UPDATE credit_sender SET vkey = 'x'",
        "UPDATE credit_sender SET ended_at = 1",
    ],
)
def test_an_audit_finds_rows_that_do_not_follow_from_the_records(desk, theirs, sql):
    desk.take("ours", [made(1), made(2)])
    assert problems(theirs) == []
    with theirs.rooms.database.write() as connection:
        connection.exec_driver_sql(sql)
    assert problems(theirs) == ["index.row_mismatch"]


def test_the_score_of_a_party_is_that_of_all_that_was_told(desk, clock):
    with pytest.raises(NothingKnown):
        desk.card(SHOP)
    base = desk._policies.at(desk._clock.now()).base
    desk.take("ours", [made(1)])
    assert desk.card(SHOP)[0].score == base - 5
    desk.take("ours", [made(2)])
    assert desk.card(SHOP)[0].score == base - 10
    cancelled = {"entry": "entry-1", "status": "cancelled", "reason": "found wrong"}
    desk.take("ours", [made(3, type="credit_status", data=cancelled)])
    assert desk.card(SHOP)[0].score == base - 5
    hold = {"finding": "f", "points": 30, "policy": 1, "lifts_at": "2026-12-30T00:00:00.000Z"}
    desk.take("ours", [made(4, type="credit_hold", data=hold)])
    card, senders = desk.card(SHOP)
    assert (card.score, card.score_without_holds, senders) == (base - 35, base - 5, ["ours"])
    desk.take("ours", [made(5, type="credit_hold_lifted", data={"finding": "f", "reason": "x"})])
    assert desk.card(SHOP)[0].score == base - 5
    desk.take("ours", [made(6, type="credit_something_new", data={})])
    assert desk.card(SHOP)[0].score == base - 5


def test_a_fact_that_two_senders_tell_counts_once(desk):
    desk.let_in("b", str(NoteSigner("d.example/credit", b"\10" * 32).vkey))
    desk.take("ours", [made(1)])
    desk.take("b", [made(1)])
    card, senders = desk.card(SHOP)
    assert (card.score, senders) == (desk._policies.at(desk._clock.now()).base - 5, ["b", "ours"])


def test_order_of_arrival_does_not_change_the_score(desk):
    cancelled = {"entry": "entry-1", "status": "cancelled", "reason": "found wrong"}
    desk.take("ours", [made(3, type="credit_status", data=cancelled), made(1), made(2)])
    assert desk.card(SHOP)[0].score == desk._policies.at(desk._clock.now()).base - 5


def test_a_change_survives_its_way_as_json():
    told = made()
    change = read_change(key=told.key, hash_hex=told.hash, record=told.record)
    sent = orjson.loads(orjson.dumps(change.as_json()))
    again = read_change(key=sent["key"], hash_hex=sent["hash"], record=sent["record"])
    assert again == change == Change(f"party/{SHOP}", 1, change.hash, change.body)
