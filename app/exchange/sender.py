"""Sends the changes of our credit ledger to the store that is kept elsewhere; one loop of the leader.

The outbox row is written with the record. It goes when the store has said what became of the change,
so an answer that is lost, a store that is down for a day, or a kill at any moment costs a repeat,
which the store answers as it did the first time. No transaction is open while we wait for the store.

- Of one party the changes go in order: nothing is taken behind one that has failed (app.outbox).
- A store that is down or does not know us costs no change its life: the breaker opens, and everything
  waits. What the store refuses for its content is dead, visible, and can be sent again by a person.
- A request that fails for what may be in it is made smaller until it holds one change; that one is
  put off, or dead, and the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from app import outbox
from app.credit import exchangestore as store
from app.credit.exchangestore import Link, Place
from app.credit.records import TOPIC
from app.db.engine import Database
from app.exchange.breaker import Breaker, State
from app.exchange.change import Change
from app.exchange.port import BatchRefused, CreditStore, Outcome, StoreDown
from app.kit.clock import Clock, to_ms
from app.ledger.record import record_hash, stream_key
from app.ledger.verifier import read_told_record

log = structlog.get_logger(__name__)

Kind = Literal["local", "http", "file"]

MAX_BATCH_BYTES = 384 * 1024
"""Of a request; a store takes 512 KiB from somebody without an API key."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the sending goes, for people. waiting: all that is not stored yet, failing and dead too."""

    kind: Kind
    state: State
    link: Link
    backlog: outbox.Backlog


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A change that the store refused. key: as in `Change.key`."""

    key: str
    place: Place
    error: str


class Sender:
    """Sends what the outbox holds. `work` is for one thread; the rest may be asked by any."""

    def __init__(
        self,
        database: Database,
        remote: CreditStore,
        *,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        """jitter: gives 0 ≤ j < 1."""
        self._database = database
        self._remote = remote
        self._clock = clock
        self._jitter = jitter
        self._breaker = Breaker()
        self._kept: Link | None = None
        self._most = 1 << 30  # changes in a request: halved by what fails, doubled by what goes
        self._working = threading.Lock()

    def work(self) -> bool:
        """Sends one request at most; returns whether there may be more to do at once."""
        with self._working:
            return self._work()

    def close(self) -> None:
        """Waits for the request that is under way and ends the connection."""
        with self._working:
            self._remote.close()

    def _work(self) -> bool:
        now_ms = self._now_ms()
        if not self._breaker.lets(now_ms):
            return False
        messages: dict[str, outbox.Message] = {}
        try:
            came = self._remote.collect()
            if came:
                self._settle(came, self._messages_of(came))
                self._remote.forget()
            room = min(self._remote.room(), self._most)
            if self._breaker.state(now_ms) is State.HALF_OPEN:
                room = min(room, 1)
            if room <= 0:
                return False
            messages, changes = self._take(room)
            if not changes:
                return False
            outcomes = self._remote.deliver(changes)
        except StoreDown as err:
            self._down(err.why, retry_after_s=err.retry_after_s)
            return False
        except BatchRefused as err:
            return self._refused(err, messages)
        self._most = min(self._most * 2, 1 << 30)
        self._settle(outcomes, messages)
        return bool(outcomes)

    def _take(self, room: int) -> tuple[dict[str, outbox.Message], list[Change]]:
        """Returns the next messages by key and the changes that they are about, in order."""
        with self._database.read() as connection:
            waiting = outbox.take_in_order(
                connection, topic=TOPIC, now_ms=self._now_ms(), limit=room
            )
            bodies = store.load_bodies(connection, [(one.stream, one.seq) for one in waiting])
        messages: dict[str, outbox.Message] = {}
        changes: list[Change] = []
        size = 0
        lost: set[int] = set()
        for message in waiting:
            if message.stream in lost:
                continue
            change = _change(message, bodies.get((message.stream, message.seq)))
            if change is None:
                # Changed or taken away behind our back; the audit tells. Not sent as if it were true.
                lost.add(message.stream)
                self._give_up(message, "record_damaged")
                continue
            size += len(change.body) + 200
            if changes and size > MAX_BATCH_BYTES:
                break
            messages[change.key] = message
            changes.append(change)
        return messages, changes

    def _messages_of(self, outcomes: Sequence[Outcome]) -> dict[str, outbox.Message]:
        """Returns the messages that outcomes of an earlier handing over are about."""
        found: dict[str, outbox.Message] = {}
        for outcome in outcomes:
            place = place_of(outcome.key)
            if place is not None:
                found[outcome.key] = outbox.Message(*place, TOPIC, {}, 0)
        return found

    def _settle(self, outcomes: Sequence[Outcome], messages: dict[str, outbox.Message]) -> None:
        """Acts upon what the store said, in one transaction. What it did not name stays as it is."""
        now_ms = self._now_ms()
        self._breaker = self._breaker.answered()
        with self._database.write() as connection:
            for outcome in outcomes:
                message = messages.get(outcome.key)
                if message is None or outcome.held:
                    continue
                if outcome.refused is None:
                    outbox.done(connection, message)
                else:
                    log.error("credit.refused", key=outcome.key, why=outcome.refused)
                    outbox.give_up(connection, message, error=outcome.refused, now_ms=now_ms)
            self._kept = Link(last_ok_at_ms=now_ms)
            store.keep_link(connection, self._kept, now_ms=now_ms)

    def _down(self, why: str, *, retry_after_s: int | None = None) -> None:
        now_ms = self._now_ms()
        self._breaker = self._breaker.failed(
            now_ms, jitter=self._jitter(), retry_after_s=retry_after_s
        )
        state = self._breaker.state(now_ms)
        log.warning("credit.store_down", why=why, failures=self._breaker.failures, state=state)
        with self._database.write() as connection:
            before = self._kept or store.load_link(connection)
            self._kept = Link(
                self._breaker.failures, self._breaker.next_at_ms, why, before.last_ok_at_ms
            )
            store.keep_link(connection, self._kept, now_ms=now_ms)

    def _refused(self, err: BatchRefused, messages: dict[str, outbox.Message]) -> bool:
        """Makes the next request smaller, or blames the one change that was in this one."""
        if len(messages) > 1:
            self._most = len(messages) // 2
            if not err.fatal:
                self._down(err.why)
            return err.fatal
        (message,) = messages.values()
        if err.fatal:
            self._give_up(message, err.why)
            return True
        with self._database.write() as connection:
            outbox.put_off(connection, message, error=err.why, now_ms=self._now_ms())
        self._down(err.why)
        return False

    def _give_up(self, message: outbox.Message, why: str) -> None:
        log.error("credit.given_up", stream=message.stream, seq=message.seq, why=why)
        with self._database.write() as connection:
            outbox.give_up(connection, message, error=why, now_ms=self._now_ms())

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


class Backroom:
    """What people may see and do about the sending, in any process and in commands."""

    def __init__(self, database: Database, *, kind: Kind, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.kind = kind

    def standing(self) -> Standing:
        """Returns how the sending goes. Read-only."""
        with self._database.read() as connection:
            link = store.load_link(connection)
            waiting = outbox.backlog(connection, TOPIC)
        now_ms = to_ms(self._clock.now())
        return Standing(
            self.kind, Breaker(link.failures, link.next_at_ms).state(now_ms), link, waiting
        )

    def dead_letters(self, *, after: Place | None, limit: int) -> list[DeadLetter]:
        """Returns changes that the store refused, by place. Read-only."""
        with self._database.read() as connection:
            dead = outbox.list_dead(connection, topic=TOPIC, after=after, limit=limit)
            places = [(message.stream, message.seq) for message, _ in dead]
            bodies = store.load_bodies(connection, places)
        letters = []
        for (message, error), place in zip(dead, places, strict=True):
            change = _change(message, bodies.get(place))
            key = f"{message.stream}/{message.seq}" if change is None else change.key
            letters.append(DeadLetter(key, place, error))
        return letters

    def resend(self, keys: Sequence[str] | None) -> int:
        """Lets dead letters be sent again, all of them where `keys` is None; returns how many."""
        places = None if keys is None else [p for key in keys if (p := place_of(key)) is not None]
        with self._database.write() as connection:
            return outbox.revive(
                connection, topic=TOPIC, now_ms=to_ms(self._clock.now()), places=places
            )

    def queue_all(self, *, progress: Callable[[int], object] = lambda _: None) -> int:
        """Puts every change of our ledger into the outbox again, and returns how many there are.

        For a store that is new or has lost what it had; what it holds already it answers as before.
        """
        after: Place | None = None
        count = 0
        while True:
            with self._database.read() as connection:
                found = store.list_changes(connection, after=after, limit=500)
            if not found:
                return count
            with self._database.write() as connection:
                store.queue_again(connection, [(place, at_ms) for place, _, at_ms in found])
            after = found[-1][0]
            count += len(found)
            progress(count)


def place_of(key: str) -> Place | None:
    """Returns the place that a key names; None for what is no key."""
    stream, _, seq = key.rpartition("/")
    if not seq.isdecimal() or not key.isascii() or len(seq) > 18:
        return None
    if stream.isdecimal():  # of a record whose bytes no longer name its stream
        return int(stream), int(seq)
    return stream_key(stream), int(seq)


def _change(message: outbox.Message, stored: tuple[bytes, bytes] | None) -> Change | None:
    if stored is None:
        return None
    hash_, body = stored
    fields = read_told_record(body)
    if fields is None or record_hash(body) != hash_:
        return None
    stream, seq = fields["stream"], fields["seq"]
    if (stream_key(stream), seq) != (message.stream, message.seq):
        return None
    return Change(stream, seq, hash_, body)
