"""Submissions on their way to another process's recorder, and its answers on their way back."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.kit.errors import Conflict, Fault, FieldFault, Overloaded, Unavailable
from app.ledger import forwarding
from app.ledger.forwarding import Forwarder
from app.ledger.frames import Frames, Outlet, frame, pack_answer, unpack_answer
from app.ledger.intake import Intake
from app.ledger.submission import Recorded, Submission
from tests.ledger.ledgers import Ledger, check_log, count, new_id, submission


class Taken(Conflict):
    """A refusal of a room, with everything a refusal may have."""

    slug = "lifecycle-conflict"


def refuse(claim: Any, view: Any) -> Any:
    errors = (FieldFault(("data", 0, "carrier"), "enum", {"expected": "a", "got": "b"}, "other"),)
    raise Taken("abandoned", errors=errors, reason="sold_out", retry_after_s=7, code=claim.stream)


_DECISIONS = {"count": count, "refuse": refuse}


def pack(one: Submission) -> Any:
    """Claims of this test are decided by name; any other decision stays where it is."""
    name = next((name for name, decide in _DECISIONS.items() if decide is one.decide), None)
    claim = one.claim
    return None if name is None else (claim.stream, claim.id, claim.data, name)


def unpack(packed: Any) -> Submission:
    stream, id_, data, name = packed
    return submission(stream, id=id_, data=data, decide=_DECISIONS[name])


class Own:
    """This process's recorder: says only that it was asked."""

    async def submit(self, submissions: Any, *, atomic: bool = False) -> list[Any]:
        return ["own" for _ in submissions]

    def submit_and_wait(self, submissions: Any, *, atomic: bool = False) -> list[Any]:
        return ["own" for _ in submissions]

    def hand_over(self, submissions: Any) -> Future[list[Any]]:
        future: Future[list[Any]] = Future()
        future.set_result(["own" for _ in submissions])
        return future


@dataclass
class Way:
    """A forwarder, and the end that takes in, in threads of one process."""

    forwarder: Forwarder
    intake: Intake
    there: socket.socket
    heard: list[Any] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)


@contextmanager
def way_to(ledger: Ledger) -> Iterator[Way]:
    here, there = socket.socketpair()
    way = Way.__new__(Way)
    way.heard, way.woken, way.there = [], [], there
    way.forwarder = Forwarder(here, Own(), pack=pack, heard=way.heard.append)
    wakes = {"sequence": lambda: way.woken.append("sequence")}
    way.intake = Intake([there], ledger.recorder, unpack=unpack, wakes=wakes)
    way.intake.start()
    try:
        yield way
    finally:
        way.forwarder.close()
        way.intake.join()
        there.close()


def test_what_is_forwarded_is_recorded_and_answered_in_order(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def post(n: int) -> list[Any]:
            return await way.forwarder.submit(
                [submission(f"01/0690123456789{n % 3}", data={"n": n}) for _ in range(n % 4 + 1)]
            )

        async def post_all() -> list[list[Any]]:
            way.forwarder.start()
            return await asyncio.gather(*(post(n) for n in range(40)))

        answers = asyncio.run(post_all())
    for n, answered in enumerate(answers):
        assert [type(a) for a in answered] == [Recorded] * (n % 4 + 1)
        assert {a.stream for a in answered} == {f"01/0690123456789{n % 3}"}
    check_log(quick_ledger, records=sum(map(len, answers)))


def test_a_fault_arrives_with_all_its_fields(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def post() -> list[Any]:
            way.forwarder.start()
            return await way.forwarder.submit([submission(decide=refuse), submission()])

        refused, recorded = asyncio.run(post())
    assert isinstance(recorded, Recorded)
    assert type(refused) is Taken
    assert (refused.key, refused.slug, refused.reason, refused.retry_after_s) == (
        "abandoned", "lifecycle-conflict", "sold_out", 7,
    )  # fmt: skip
    assert refused.errors == (
        FieldFault(("data", 0, "carrier"), "enum", {"expected": "a", "got": "b"}, "other"),
    )
    assert (refused.params, str(refused)) == ({"code": submission().claim.stream}, str(refused))


def test_every_kind_of_fault_survives_the_way():
    def kinds(kind: type[Fault]) -> Iterator[type[Fault]]:
        yield kind
        for one in kind.__subclasses__():
            yield from kinds(one)

    import app.main  # noqa: F401 - every room's

    for kind in {one for one in kinds(Fault) if one.__module__.startswith("app.")}:
        fault = kind.__new__(kind, "some_key")
        Fault.__init__(fault, "some_key", reason="r", retry_after_s=1, x=1)
        (packed,) = Frames().take(frame([pack_answer(fault)]))
        came = unpack_answer(packed)
        assert (type(came), came.args, came.__dict__) == (kind, fault.args, fault.__dict__)


def test_threads_wait_for_answers_too_and_all_or_none_stays_so(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def post() -> list[Any]:
            way.forwarder.start()
            both = [submission(), submission(decide=refuse)]
            return await asyncio.gather(
                asyncio.to_thread(way.forwarder.submit_and_wait, both, atomic=True),
                asyncio.to_thread(way.forwarder.submit_and_wait, [submission()]),
            )

        (abandoned, refused), (recorded,) = asyncio.run(post())
    assert isinstance(abandoned, Fault)
    assert type(refused) is Taken
    assert isinstance(recorded, Recorded)
    check_log(quick_ledger, records=1)


def test_what_only_this_process_can_decide_stays_here(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def post() -> list[Any]:
            way.forwarder.start()
            own = submission(decide=lambda claim, view: count(claim, view))
            return [
                *await way.forwarder.submit([own]),
                *await asyncio.to_thread(way.forwarder.submit_and_wait, [own]),
                *way.forwarder.hand_over([own]).result(),
            ]

        assert asyncio.run(post()) == ["own"] * 3


def test_what_is_handed_over_is_recorded_in_order_while_a_thread_goes_on(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def post() -> list[Any]:
            way.forwarder.start()

            def hand_over() -> list[Any]:
                parts = [way.forwarder.hand_over([submission(), submission()]) for _ in range(20)]
                return [answer for part in parts for answer in part.result(timeout=60)]

            return await asyncio.to_thread(hand_over)

        answers = asyncio.run(post())
    assert [answer.seq for answer in answers] == [*range(40)]
    check_log(quick_ledger, records=40)


def die_behind(there: socket.socket, count: int) -> None:
    """Takes in so many messages, and is gone without an answer."""
    frames, came = Frames(), 0
    while came < count:
        came += len(list(frames.take(there.recv(1 << 16))))
    there.close()


def test_a_recorder_that_is_gone_means_that_nobody_knows(quick_ledger: Ledger):
    """Killed with work under way: what was sent may be recorded, and is never called so."""
    here, there = socket.socketpair()
    forwarder = Forwarder(here, Own(), pack=pack, heard=lambda told: None)

    async def post() -> list[Any]:
        forwarder.start()
        threading.Thread(target=die_behind, args=(there, 2)).start()
        under_way = await asyncio.gather(
            forwarder.submit([submission(), submission()]),
            asyncio.to_thread(forwarder.submit_and_wait, [submission()]),
        )
        with pytest.raises(Unavailable):
            await forwarder.submit([submission()])
        return [answer for answers in under_way for answer in answers]

    answers = asyncio.run(post())
    assert [(type(a), a.key) for a in answers] == [(Unavailable, "commit_failed")] * 3
    forwarder.close()


def test_more_than_the_queue_holds_is_refused_at_once(quick_ledger: Ledger, monkeypatch):
    monkeypatch.setattr(forwarding, "MAX_QUEUE", 3)
    here, there = socket.socketpair()
    forwarder = Forwarder(here, Own(), pack=pack, heard=lambda told: None)

    async def post() -> Any:
        forwarder.start()

        async def one_more() -> Any:
            with pytest.raises(Overloaded) as found:
                await forwarder.submit([submission()])
            there.close()
            return found.value

        _, refused = await asyncio.gather(
            forwarder.submit([submission() for _ in range(3)]), one_more()
        )
        return refused

    refused = asyncio.run(post())
    assert (refused.key, refused.retry_after_s) == ("queue_full", 1)
    forwarder.close()


def test_what_the_recorder_refuses_to_take_is_answered(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:
        quick_ledger.recorder.close()

        async def post() -> list[Any]:
            way.forwarder.start()
            return await way.forwarder.submit([submission(), submission()])

        answers = asyncio.run(post())
    assert [(type(a), a.key) for a in answers] == [(Unavailable, "shutting_down")] * 2


def test_what_cannot_be_read_there_is_answered_too(quick_ledger: Ledger, monkeypatch):
    monkeypatch.setitem(_DECISIONS, "broken", refuse)
    with way_to(quick_ledger) as way:
        way.intake._unpack = lambda packed: 1 / 0

        async def post() -> list[Any]:
            way.forwarder.start()
            return await way.forwarder.submit([submission()])

        (answer,) = asyncio.run(post())
    assert (type(answer), answer.slug) == (Fault, "internal")


def test_words_cross_both_ways(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def talk() -> None:
            way.forwarder.start()
            way.forwarder.tell("sequence")
            way.forwarder.tell("a word that means nothing there")
            way.intake.tell({"leads": True})
            for _ in range(3000):
                if way.woken and way.heard:
                    break
                await asyncio.sleep(0.01)

        asyncio.run(talk())
    assert (way.woken, way.heard) == (["sequence"], [{"leads": True}])


def test_what_does_not_fit_into_the_socket_is_sent_all_the_same_and_in_order():
    here, there = socket.socketpair()
    outlet = Outlet(here)
    told = [frame([bytes([n]) * size]) for n, size in enumerate((10, 3_000_000, 20, 1_000_000, 5))]
    began = time.monotonic()
    for one in told:
        outlet.send(one)
    assert time.monotonic() - began < 10, "whoever sends waits for nobody"
    frames, came = Frames(), []
    while len(came) < len(told):
        came += list(frames.take(there.recv(1 << 16)))
    assert [(one[0], len(one)) for one in came] == [
        (0, 10), (1, 3_000_000), (2, 20), (3, 1_000_000), (4, 5),
    ]  # fmt: skip
    here.close()
    there.close()


def test_frames_may_come_byte_by_byte():
    frames = Frames()
    whole = frame(["a", 1]) + frame([(2, None)])
    came = [message for n in range(len(whole)) for message in frames.take(whole[n : n + 1])]
    assert came == ["a", 1, (2, None)]


def test_a_client_that_went_away_keeps_nobody_waiting(quick_ledger: Ledger):
    with way_to(quick_ledger) as way:

        async def post() -> list[Any]:
            way.forwarder.start()
            gone = asyncio.create_task(way.forwarder.submit([submission(id=new_id())]))
            await asyncio.sleep(0)
            gone.cancel()
            return await way.forwarder.submit([submission()])

        (recorded,) = asyncio.run(post())
    assert isinstance(recorded, Recorded)
    check_log(quick_ledger, records=2)
