"""Deadlines: steps whose absence begins to count, found by their indexed due time; and the outbox.

Also the table of topics: what oversight and credit do about records of the rooms below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

import structlog

from app import outbox
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, parse_time, to_ms
from app.ledger.store import hash_at, load_record
from app.oversight import store
from app.oversight.findings import Findings
from app.oversight.healing import Chain, find_healed, write_healed
from app.oversight.raised import told_together
from app.trace import store as trace_store

log = structlog.get_logger(__name__)

_BATCH = 200
_FIRST_DELAY_MS = 1_000
_LONGEST_DELAY_MS = 10 * 60 * 1_000

Prepare = Callable[[Sequence[outbox.Message]], Sequence[Callable[[], object]]]
"""Returns for each of some messages of one topic what is to be done, having read what all of them need."""

_Place = tuple[int, int, str, str]
"""Of a due step, in the order in which they are taken: due_at, stream, subject, step."""


@dataclass(frozen=True, slots=True)
class _PutOff:
    """A step that could not be raised: how often, and from when it is tried again (ms)."""

    attempts: int
    until_ms: int


class Deadlines:
    """Loops of the worker; each call does one bounded piece of work."""

    def __init__(
        self,
        database: Database,
        findings: Findings,
        credit: Credit,
        *,
        clock: Clock,
        more: Mapping[str, Callable[[outbox.Message], None]] | None = None,
        together: Mapping[str, Prepare] | None = None,
    ) -> None:
        """more: further topics. together: those of which many messages are prepared at once."""
        self._database = database
        self._findings = findings
        self._credit = credit
        self._clock = clock
        # Of this process alone: after a restart what failed is simply tried again.
        self._passed: _Place | None = None
        self._put_off: dict[_Place, _PutOff] = {}
        self._topics: Mapping[str, Callable[[outbox.Message], None]] = {
            "chain.completed": self._chain_completed,
            "gaps.healed": self._gaps_healed,
            "gaps.ended": self._gaps_ended,
            "listing.recorded": self._listing_recorded,
            **(more or {}),
        }
        self._together = together or {}

    def raise_due(self) -> bool:
        """Raises steps that are overdue; returns whether there may be more.

        Each stands for itself. One that fails is put off, longer each time, and the next batch starts
        behind this one: the oldest may fail for good, and there may be more of them than a batch.
        """
        now_ms = to_ms(self._clock.now())
        with self._database.read() as connection:
            rows = trace_store.take_due(connection, now_ms=now_ms, after=self._passed, limit=_BATCH)
            names = store.names_of(connection, [row.stream for row in rows])
        for row in rows:
            if row.stream in names:
                self._raise(row, names[row.stream], now_ms)
        more = len(rows) == _BATCH
        self._passed = _place(rows[-1]) if more else None
        if self._put_off and not more:
            # What is not met again was given after all.
            since = now_ms - _LONGEST_DELAY_MS
            self._put_off = {p: o for p, o in self._put_off.items() if o.until_ms > since}
        return more

    def _raise(self, row: Any, stream: str, now_ms: int) -> None:
        place = _place(row)
        put_off = self._put_off.get(place, _PutOff(0, now_ms))
        if now_ms < put_off.until_ms:
            return
        try:
            raised = self._findings.raise_missing(row, stream)
        except Exception:
            log.exception("deadline.failed", stream=stream, step=row.step)
            delay = min(_FIRST_DELAY_MS << min(put_off.attempts, 20), _LONGEST_DELAY_MS)
            self._put_off[place] = _PutOff(put_off.attempts + 1, now_ms + delay)
            return
        self._put_off.pop(place, None)
        if raised:
            with self._database.write() as connection:
                trace_store.mark_raised(connection, [row._mapping])

    def drain(self) -> bool:
        """Handles messages of the outbox; returns whether there may be more."""
        with self._database.read() as connection:
            messages = outbox.take(
                connection,
                topics={*self._topics, *self._together},
                now_ms=to_ms(self._clock.now()),
                limit=_BATCH,
            )
        with told_together():
            for topic, run in groupby(messages, attrgetter("topic")):
                if topic in self._together:
                    self._handle_together(self._together[topic], [*run])
                    continue
                for message in run:
                    if self._handle(message, partial(self._topics[topic], message)):
                        with self._database.write() as connection:
                            outbox.done(connection, message)
        return len(messages) == _BATCH

    def _handle_together(self, prepare: Prepare, messages: Sequence[outbox.Message]) -> None:
        """Handles messages that were prepared at once, and each alone where that fails for one of them."""
        try:
            prepared = prepare(messages)
        except Exception:  # noqa: BLE001 - each is then tried alone, which says what failed
            if len(messages) > 1:
                for message in messages:
                    self._handle_together(prepare, [message])
                return
            prepared = [lambda: [work() for work in prepare(messages)]]
        done = [m for m, work in zip(messages, prepared, strict=True) if self._handle(m, work)]
        with self._database.write() as connection:
            outbox.all_done(connection, done)

    def _handle(self, message: outbox.Message, work: Callable[[], object]) -> bool:
        """Does the work of a message and returns whether it was done; else it is put off."""
        try:
            work()
        except Exception as err:
            log.exception("outbox.failed", topic=message.topic, attempts=message.attempts)
            with self._database.write() as connection:
                outbox.failed(connection, message, error=repr(err), now_ms=to_ms(self._clock.now()))
            return False
        return True

    def _chain_completed(self, message: outbox.Message) -> None:
        told = message.payload
        chain = Chain(
            code=told["code"],
            subject=told["subject"],
            seller=told["seller"],
            sale_seq=told["sold"],
            signature_seq=told["signed"],
            last_seq=message.seq,
            at=parse_time(told["at"]),
        )
        self._earn(chain)

    def _earn(self, chain: Chain) -> None:
        """Credits a chain by its own last record and buyer; a chain is told by its signature."""
        with self._database.read() as connection:
            evidence = hash_at(connection, chain.code, chain.last_seq)
            buyer = store.buyer_of(connection, chain.code, chain.sale_seq)
        if evidence is None:
            return  # taken away behind our back: no evidence, no point
        self._credit.on_chain_completed(
            seller=chain.seller,
            code=chain.code,
            cycle=f"{chain.subject}#{chain.signature_seq}",
            record_hash=evidence,
            at=chain.at,
            buyer=buyer,
        )

    def _gaps_healed(self, message: outbox.Message) -> None:
        told = message.payload
        self._findings.heal(told["code"], told["subject"], told["steps"])

    def _gaps_ended(self, message: outbox.Message) -> None:
        told = message.payload
        self._findings.heal(told["code"], told["subject"], told["steps"], late=False)

    def _listing_recorded(self, message: outbox.Message) -> None:
        with self._database.read() as connection:
            listing = load_record(connection, message.payload["code"], message.seq)
            if listing is None:
                return  # taken away behind our back: it heals nothing, and the audit says why
            found = find_healed(connection, listing)
        for healed in found:
            # In this order: a gap that is taken off before its finding is healed would be met by
            # nobody again.
            self._findings.heal(healed.code.stream, healed.subject, ("listing",))
            if healed.chain is not None:
                self._earn(healed.chain)
            with self._database.write() as connection:
                write_healed(connection, listing, healed)


def _place(row: Any) -> _Place:
    return row.due_at, row.stream, row.subject, row.step
