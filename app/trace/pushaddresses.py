"""Addresses to which an aggregator pushes what it hears of a party's parcels, signed with a salt.

For aggregators that can send no key of ours (app.trace.kuaidi100). The salt follows from the deployment's
keys, the address and a generation: nothing secret is stored, it is made again where a push is checked or
somebody asks to see it, and the next generation ends the one before. Whoever knows it can push, so what
comes is the word of the party whose address it is, with the rights that its own key would have and no other.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, from_ms_if, to_ms
from app.kit.errors import Fault, Invalid, Malformed, NotFound
from app.kit.tokens import RandomBytes, random_symbols
from app.parties.principal import Principal
from app.parties.store import find_party
from app.trace import kuaidi100, pushaddressstore
from app.trace.kuaidi100 import Told
from app.trace.pushes import Pushed, Pushes
from app.trace.pushlog import STRANGERS_WAIT, Forgery, PushLine, PushLog
from app.trace.pushoutcomes import (
    Outcome,
    is_untold,
    outcome_of,
    outcome_of_fault,
    refusal_in,
)

_SYMBOLS = 20  # five bits each: found by nobody who was not told
_SALT_DIGITS = 32


class AddressUnknown(NotFound):
    """There is no such address, or it was ended."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as its party sees it.

    salt: None unless it was asked for by name. noted: the last push that nobody known signed; the others are
    in the log of pushes.
    """

    address: str
    salt: str | None
    made_at: datetime
    renewed_at: datetime | None
    noted: PushLine | None


@dataclass(frozen=True, slots=True)
class Door:
    """An address that takes what is pushed, and in whose name. noted_at: of what nobody known signed."""

    address: str
    generation: int
    principal: Principal
    noted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a push: of each of its news, in order, and of all together.

    told: None where it was signed and cannot be read; fault: why, or why something of it was refused, if
    not for who tells it.
    """

    party: str
    told: Told | None
    results: tuple[Pushed, ...]
    outcome: Outcome
    fault: Fault | None

    def count(self, *statuses: str) -> int:
        """Returns how many of its news came to this."""
        return sum(one.status in statuses for one in self.results)

    @property
    def untold(self) -> int:
        """How many of its news only a carrier may tell, or who has its mandate for them."""
        return sum(is_untold(one) for one in self.results)


class PushAddresses:
    """Makes and ends addresses, and takes what is pushed to them. Owns its short transactions."""

    def __init__(
        self,
        database: Database,
        pushes: Pushes,
        push_log: PushLog,
        *,
        clock: Clock,
        key: bytes,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._pushes = pushes
        self._log = push_log
        self._clock = clock
        self._key = key
        self._random = random

    # --- whose it is ---------------------------------------------------------------------------

    def of(self, principal: Principal) -> Address | None:
        """Returns the caller's address without its salt, or None. Read-only."""
        party = _party_of(principal)
        with self._database.read() as connection:
            row = pushaddressstore.find_of(connection, party)
        return None if row is None or row.ended_at is not None else _shown(row)

    def show(self, principal: Principal) -> Address:
        """Returns the caller's address with its salt. Raises AddressUnknown. Read-only."""
        party = _party_of(principal)
        with self._database.read() as connection:
            row = pushaddressstore.find_of(connection, party)
        if row is None or row.ended_at is not None:
            raise AddressUnknown("push_address_none")
        return _shown(row, salt=self._salt(row.address, row.generation))

    def make(self, principal: Principal) -> Address:
        """Returns the caller's address with its salt, made unless it is there. Writes `push_address`."""
        party = _party_of(principal)
        address = random_symbols(self._random, _SYMBOLS)
        with self._database.write() as connection:
            pushaddressstore.make(
                connection, party, address=address, at_ms=to_ms(self._clock.now())
            )
        return self.show(principal)

    def renew(self, principal: Principal) -> Address:
        """Returns the caller's address with a new salt; the one before is worth nothing from now on.

        Raises AddressUnknown. Writes `push_address`.
        """
        party = _party_of(principal)
        with self._database.write() as connection:
            pushaddressstore.renew(connection, party, at_ms=to_ms(self._clock.now()))
        return self.show(principal)

    def end(self, principal: Principal) -> None:
        """Ends the caller's address; again is no harm. Writes `push_address`."""
        party = _party_of(principal)
        with self._database.write() as connection:
            pushaddressstore.end(connection, party, at_ms=to_ms(self._clock.now()))

    def _salt(self, address: str, generation: int) -> str:
        text = f"{address}\x00{generation}".encode("ascii")
        return hmac.new(self._key, text, sha256).hexdigest()[:_SALT_DIGITS]

    # --- what is pushed ------------------------------------------------------------------------

    def find(self, address: str) -> Door:
        """Returns the address where something is pushed. Raises AddressUnknown. Read-only."""
        with self._database.read() as connection:
            row = pushaddressstore.find_address(connection, address)
            party = None if row is None else find_party(connection, row.party)
        if row is None or party is None:
            raise AddressUnknown("push_address_unknown")
        principal = Principal(
            f"push/{address}", party.id, frozenset(party.roles), frozenset({"events"})
        )
        return Door(row.address, row.generation, principal, from_ms_if(row.pushed_at))

    def take(self, door: Door, *, param: str, sign: str) -> Taken:
        """Returns what came of a push to this address, in kuaidi100's form.

        What is signed and cannot be read comes back in `fault`: pushed again it would be the same. Raises
        SignWrong, Denied, Unavailable. Writes `push_address`, `push_taken`, `push_forged` besides.
        """
        outcome: Outcome = "unavailable"  # so it stays where an error of ours comes between
        fault: Fault | None = None
        told: Told | None = None
        results: list[Pushed] = []
        try:
            kuaidi100.check_sign(param, sign, salt=self._salt(door.address, door.generation))
            told, fault = _read(param)
            if told is None:
                outcome = "unreadable"
            else:
                if told.items:
                    # Of a whole way nothing may fall off: the aggregator cannot send less at once.
                    results = self._pushes.take(
                        door.principal, kuaidi100.FEED, told.items, most=None
                    )
                outcome, fault = outcome_of(told, results), refusal_in(results)
        except Fault as refused:
            outcome, fault = outcome_of_fault(refused), refused
            raise
        finally:
            if outcome == "sign_wrong":
                self._count_stranger(door, outcome, "wrong" if sign else "missing")
            else:
                self._log.keep(
                    door.principal.own_party(), kuaidi100.FEED, results, outcome=outcome,
                    told=told, fault=fault,
                )  # fmt: skip
        return Taken(door.principal.own_party(), told, tuple(results), outcome, fault)

    def note_unformed(self, door: Door) -> None:
        """Keeps that what came to an address is no form. Writes `push_address`, `push_forged`."""
        self._count_stranger(door, "unformed", "unformed")

    def _count_stranger(self, door: Door, outcome: Outcome, kind: Forgery) -> None:
        """Counts what nobody known signed, and keeps it in the address's one row once a minute at most."""
        now = self._clock.now()

        def note(connection: Connection) -> None:
            pushaddressstore.note(connection, door.address, outcome=outcome, at_ms=to_ms(now))

        is_due = door.noted_at is None or now - door.noted_at >= STRANGERS_WAIT
        self._log.count_forged(door.principal.own_party(), kind, beside=note if is_due else None)


def _read(param: str) -> tuple[Told | None, Fault | None]:
    """Returns what a signed push says, or why it says nothing that can be read."""
    try:
        return kuaidi100.read_push(param), None
    except (Malformed, Invalid) as fault:
        return None, fault


def _shown(row: Any, *, salt: str | None = None) -> Address:
    noted = None
    if row.pushed_at is not None:
        # A release before this one noted what was signed here, too, with the reason of a refusal.
        outcome, _, reason = row.outcome.partition(" ")
        reasons = {reason: 1} if reason else {}
        noted = PushLine(from_ms(row.pushed_at), kuaidi100.FEED, outcome, 0, 0, 0, reasons)
    return Address(row.address, salt, from_ms(row.made_at), from_ms_if(row.renewed_at), noted)


def _party_of(principal: Principal) -> str:
    """Returns whose addresses are meant. Raises what `check_may` raises, Denied for the operator.

    What is pushed speaks in events, and goes on when the key is revoked that fetched the salt: so it is
    for who may make a key, and may send events.
    """
    principal.check_may("push.manage")
    principal.check_may("event.send")
    return principal.own_party()
