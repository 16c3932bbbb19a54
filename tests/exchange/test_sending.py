"""From one ledger to the other: exactly once, in order, whatever happens on the way."""

from __future__ import annotations

import json
from types import SimpleNamespace

import httpx
import orjson
import pytest

from app.credit.steps import Step
from app.exchange.breaker import OPENS_AFTER, State
from app.exchange.change import Change
from app.exchange.comparison import compare
from app.exchange.port import BatchRefused, StoreDown
from app.exchange.signing import sign_request
from app.kit.canonical import canonical_bytes
from app.ledger.record import record_hash
from app.ledger.store import load_stream
from app.oversight.decisions import Decisions
from tests.databases import opened as opened_database
from tests.exchange.conftest import SHOP, STALL, kept
from tests.fakes import FakeClock


def equal(ours, theirs) -> bool:
    return kept(theirs) == ours.changes() != []


def test_every_change_arrives_once_as_a_record_of_the_stores_chain(ours, theirs):
    (first, _) = ours.enter(SHOP, "a", "b")
    ours.enter(STALL, "a")
    ours.rooms.credit.records.take_step(first, Step.WITHDRAW, more={"reason": "found wrong"})
    ours.rooms.credit.hold(STALL, "finding-1")
    ours.rooms.credit.lift("finding-1", reason="closed")
    # Who was found to be at fault is no change of credit by itself.
    finding = SimpleNamespace(id="f", status="open", attributed_to=None)
    Decisions(ours.rooms.recorder, clock=ours.rooms.clock).record(
        "attribution", finding, data={"to": "none"}, values={}, reason="flood", by=SHOP,
        concerns=(SHOP,),
    )  # fmt: skip
    assert ours.waiting == 6
    ours.work()
    assert (ours.waiting, ours.dead) == (0, [])
    assert equal(ours, theirs)
    assert len(ours.wire.requests) == 1
    found = compare(ours.rooms.database, ours.remote)
    assert (found.equal, found.same) == (6, True)


def test_what_is_only_said_of_credit_is_no_change_and_stays_here(ours, theirs):
    """A month's grade and a warning, which is not public: neither is sent, missed or sent by hand."""
    ours.enter(SHOP, *(str(n) for n in range(12)))
    for n in range(10):
        ours.rooms.credit.hold(SHOP, f"finding-{n}")
    ours.rooms.alerts.look()
    with opened_database(ours.rooms.database.url) as run:
        run("UPDATE party SET status = 'verified'")
    ours.clock.advance(40 * 86_400)
    while ours.rooms.snapshots.take_due():
        pass
    with opened_database(ours.rooms.database.url) as run:
        said = {type_ for (type_,) in run("SELECT DISTINCT type FROM record")}
    assert {"credit_warning", "credit_snapshot"} <= said
    ours.work()
    assert equal(ours, theirs)
    found = compare(ours.rooms.database, ours.remote)
    assert found.counts == {"missing": 0, "extra": 0, "differing": 0}
    assert ours.backroom.queue_all() == len(ours.changes()) == found.equal


def test_a_row_is_written_with_its_record_or_not_at_all(ours):
    with pytest.raises(Exception, match="party_unknown"):
        ours.enter("91440000MA4TE5T05H", "a")
    assert ours.waiting == 0
    ours.enter(SHOP, "a", "a")  # one fact, told twice
    assert (ours.waiting, len(ours.changes())) == (1, 1)


def test_local_credit_leaves_nothing_behind(opened):
    ours = opened("local")
    ours.register(SHOP)
    ours.enter(SHOP, "a")
    assert ours.waiting == 0


def test_what_the_store_answered_may_be_lost_and_is_answered_again(ours, theirs):
    ours.enter(SHOP, "a", "b")
    ours.wire.fails = ["answer lost"]
    ours.work()
    assert ours.waiting == 2
    assert equal(ours, theirs), "it is there, and we do not know"
    before = [row.hash for row in theirs.rooms.receiver.list_received("ours", after=None, limit=9)]
    ours.clock.advance(60)
    ours.work()
    assert ours.waiting == 0
    assert equal(ours, theirs)
    after = [row.hash for row in theirs.rooms.receiver.list_received("ours", after=None, limit=9)]
    assert before == after


def test_a_repeat_meets_the_very_same_answer(ours, theirs):
    ours.enter(SHOP, "a", "b")
    ours.work()
    sent = ours.wire.requests[0]
    first = ours.remote._http.post(str(sent.url), content=sent.content, headers=dict(sent.headers))
    again = ours.remote._http.post(str(sent.url), content=sent.content, headers=dict(sent.headers))
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert equal(ours, theirs)


def test_a_sender_that_is_killed_before_it_notes_the_answer_sends_again(ours, theirs, monkeypatch):
    ours.enter(SHOP, "a", "b")
    monkeypatch.setattr("app.outbox.done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ours.sender.work()
    monkeypatch.undo()
    assert ours.waiting == 2
    ours.use(ours.remote)
    ours.work()
    assert ours.waiting == 0
    assert equal(ours, theirs)


def test_a_store_that_is_down_for_a_day_loses_nothing_and_costs_no_change_its_life(ours, theirs):
    ours.wire.down = True
    tries = 0
    for minute in range(24 * 60):
        if minute % 60 == 0:
            ours.enter(SHOP, f"hour {minute}")
        before = len(ours.wire.requests)
        ours.work()
        tries += len(ours.wire.requests) - before
        ours.clock.advance(60)
    told = ours.backroom.standing()
    assert told.state is not State.CLOSED
    assert (told.backlog.waiting, told.backlog.dead) == (24, 0)
    assert told.link.last_error is not None
    assert tries < 400
    ours.wire.down = False
    ours.clock.advance(300)
    ours.work()
    assert ours.waiting == 0
    assert equal(ours, theirs)
    told = ours.backroom.standing()
    assert (told.state, told.link.last_error) == (State.CLOSED, None)


def test_half_open_one_change_goes_alone_first(ours, theirs):
    ours.enter(SHOP, *"abcde")
    ours.wire.fails = ["lost"] * OPENS_AFTER
    for _ in range(OPENS_AFTER):
        ours.work()
        ours.clock.advance(10)
    assert ours.backroom.standing().state is State.HALF_OPEN
    ours.work()
    sizes = [len(json.loads(one.content)["changes"]) for one in ours.wire.requests]
    assert sizes == [5, 5, 5, 1, 4]
    assert equal(ours, theirs)


def test_nothing_goes_while_the_breaker_is_open(ours):
    ours.enter(SHOP, "a")
    ours.wire.down = True
    for _ in range(OPENS_AFTER):
        ours.work()
        ours.clock.advance(10)
    asked = len(ours.wire.requests)
    ours.work()
    ours.work()
    assert len(ours.wire.requests) == asked + 1


def test_retry_after_is_kept(ours):
    ours.enter(SHOP, "a")
    ours.wire.fails = [httpx.Response(503, headers={"Retry-After": "120"}, json={})]
    ours.work()
    ours.clock.advance(119)
    ours.work()
    assert len(ours.wire.requests) == 1
    ours.clock.advance(2)
    ours.work()
    assert len(ours.wire.requests) == 2
    assert ours.waiting == 0


def test_a_change_that_makes_the_store_fail_stops_nobody_else(ours, theirs):
    """A 500 for one change, whatever is sent beside it: found by halving, put off, never dead."""
    ours.enter(SHOP, "a", "b")
    ours.enter(STALL, *(str(n) for n in range(7)))
    poison = ours.changes()[0][0]
    real = ours.wire.handle_request

    def fails(request):
        if b"changes" in request.content and poison.encode() + b'"' in request.content:
            ours.wire.requests.append(request)
            body = httpx.ByteStream(b"{}")
            return httpx.Response(500, stream=body)
        return real(request)

    ours.wire.handle_request = fails
    for _ in range(40):
        ours.work()
        ours.clock.advance(400)
    assert ours.dead == []
    assert [key for key, _ in kept(theirs)] == [k for k, _ in ours.changes() if STALL in k]
    assert ours.backroom.standing().backlog.failing == 1
    ours.wire.handle_request = real
    ours.clock.advance(700)
    ours.work()
    assert equal(ours, theirs), "both of the party's, in order, once it can be taken"


def test_one_party_waits_behind_its_dead_letter_and_the_others_do_not(ours, theirs):
    ours.enter(SHOP, "a", "b", "c")
    ours.enter(STALL, "a", "b")
    dead = [key for key, _ in ours.changes() if SHOP in key][1]
    real = ours.wire.handle_request

    def refuses(request):
        """As a store does that cannot take this one change."""
        told = orjson.loads(request.content)
        wrong = [one for one in told["changes"] if one["key"] == dead]
        for one in wrong:
            one["hash"] = "0" * 64
        content = orjson.dumps(told)
        again = ours.remote
        headers = sign_request(again._signer, method="POST", url=str(request.url), body=content,
                               at=ours.clock.now())  # fmt: skip
        headers["Content-Type"] = "application/json"
        return real(httpx.Request("POST", request.url, content=content, headers=headers))

    ours.wire.handle_request = refuses
    ours.work()
    assert ours.dead == [dead]
    ours.enter(SHOP, "d")
    ours.work()
    stored = [key for key, _ in kept(theirs)]
    assert [key for key in stored if STALL in key] == [k for k, _ in ours.changes() if STALL in k]
    assert [key for key in stored if SHOP in key] == [k for k, _ in ours.changes() if SHOP in k][:1]
    assert ours.waiting == 3

    ours.wire.handle_request = real
    ours.clock.advance(1)
    assert ours.backroom.resend([dead]) == 1
    assert ours.backroom.resend([dead]) == 0
    ours.work()
    assert (ours.dead, ours.waiting) == ([], 0)
    assert equal(ours, theirs)
    seqs = [
        json.loads(row["body"])["data"]["record"]["seq"]
        for row in _records(theirs, f"store/ours/{SHOP}")
    ]
    assert seqs == sorted(seqs), "in the order of the party's chain"


def _records(service, name):
    with service.rooms.database.read() as connection:
        return [{"body": one.body} for one in load_stream(connection, name)]


def test_a_ledger_that_was_rewritten_is_refused_and_shows(ours, theirs):
    ours.enter(SHOP, "a")
    ours.work()
    key = ours.changes()[0][0]
    # Another record in the place of one that was sent: what a restored database would do.
    told = json.loads(ours.wire.requests[0].content)
    record = told["changes"][0]["record"] | {"id": "0192f3a0-0000-7000-8000-00000000beef"}
    body = canonical_bytes(record)
    stream, _, seq = key.rpartition("/")
    with pytest.raises(BatchRefused, match="409 id-conflict") as found:
        ours.remote.deliver([Change(stream, int(seq), record_hash(body), body)])
    assert found.value.fatal
    assert equal(ours, theirs)


def test_a_clock_that_is_wrong_is_said_and_loses_nothing(ours, theirs):
    ours.enter(SHOP, "a")
    theirs_clock = theirs.rooms.receiver._clock
    theirs.rooms.receiver._clock = FakeClock(ours.clock.now())
    theirs.rooms.receiver._clock.advance(3600)
    ours.work()
    error = ours.backroom.standing().link.last_error
    assert error.startswith("401 unauthenticated")
    assert "3600" in error
    assert (ours.waiting, ours.dead) == (1, [])
    theirs.rooms.receiver._clock = theirs_clock
    ours.clock.advance(60)
    ours.work()
    assert equal(ours, theirs)


def test_a_sender_nobody_let_in_waits_until_somebody_does(ours, theirs):
    theirs.rooms.receiver.end("ours")
    ours.enter(SHOP, "a")
    ours.work()
    assert ours.backroom.standing().link.last_error.startswith("401")
    assert (ours.waiting, ours.dead, kept(theirs)) == (1, [], [])
    theirs.rooms.receiver.let_in("ours", str(ours.signer.vkey))
    ours.clock.advance(60)
    ours.work()
    assert equal(ours, theirs)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"results": "no"}),
        httpx.Response(200, json={"results": [{"key": "party/x/1", "result": "stored"}]}),
        httpx.Response(200, json={"results": [{"result": "stored"}]}),
        httpx.Response(200, content=b"<html>proxy</html>"),
        httpx.Response(302, headers={"Location": "http://127.0.0.1:1/"}),
        httpx.Response(404, json={}),
        httpx.Response(429, json={}),
        httpx.Response(200, content=b"x" * (1024 * 1024 + 1)),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.content[:20]!r}",
)
def test_an_answer_that_is_none_takes_nothing_for_stored(ours, theirs, answer):
    ours.enter(SHOP, "a")
    ours.wire.fails = [answer]
    ours.work()
    assert (ours.waiting, ours.dead) == (1, [])
    ours.clock.advance(60)
    ours.work()
    assert equal(ours, theirs)


def test_a_store_that_names_only_some_is_asked_for_the_others_again(ours, theirs):
    ours.enter(SHOP, "a", "b")
    first = ours.changes()[0][0]
    ours.wire.fails = [httpx.Response(200, json={"results": [{"key": first, "result": "stored"}]})]
    assert ours.sender.work()
    assert ours.waiting == 1


def test_a_record_that_was_changed_behind_our_back_is_not_sent(ours, theirs):
    ours.enter(SHOP, "a", "b")
    ours.enter(STALL, "a")
    with opened_database(ours.rooms.database.url, guarded=False) as run:
        (name,) = run("SELECT stream FROM head WHERE name = ?", f"party/{SHOP}")[0]
        ((body,),) = run("SELECT body FROM record WHERE stream = ? AND seq = 1", name)
        altered = bytes(body).replace(b'"points":', b'"points":9')
        run("UPDATE record SET body = ? WHERE stream = ? AND seq = 1", altered, name)
    ours.work()
    (letter,) = ours.backroom.dead_letters(after=None, limit=9)
    assert letter.error == "record_damaged"
    assert not any(letter.key.encode() in one.content for one in ours.wire.requests)
    assert [key for key, _ in kept(theirs)] == [k for k, _ in ours.changes() if STALL in k]


def test_a_store_that_lost_everything_is_told_everything_again(ours, theirs):
    ours.enter(SHOP, "a", "b")
    ours.enter(STALL, "a")
    ours.work()
    assert ours.backroom.queue_all() == 3
    assert ours.backroom.queue_all() == 3
    assert ours.waiting == 3
    ours.work()
    assert ours.waiting == 0
    assert equal(ours, theirs)


def test_a_comparison_tells_what_is_missing_and_what_differs(ours, theirs):
    ours.enter(SHOP, "a", "b")
    ours.work()
    ours.enter(STALL, "z")
    with theirs.rooms.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE credit_received SET hash = "
            "(SELECT hash FROM credit_received WHERE seq = 2) WHERE seq = 1"
        )
    found = compare(ours.rooms.database, ours.remote)
    assert (found.equal, found.counts) == (1, {"missing": 1, "extra": 0, "differing": 1})
    assert found.missing[0].startswith(f"party/{STALL}/")
    ours.wire.down = True
    with pytest.raises(StoreDown):
        compare(ours.rooms.database, ours.remote)


def test_batches_are_bounded_in_number_and_in_bytes(ours, theirs):
    ours.enter(SHOP, *(str(n) for n in range(230)))
    ours.work()
    sizes = [len(json.loads(one.content)["changes"]) for one in ours.wire.requests]
    assert sizes == [100, 100, 30]
    assert all(len(one.content) < 400 * 1024 for one in ours.wire.requests)
    assert equal(ours, theirs)
