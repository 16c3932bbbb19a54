"""Addresses to which an aggregator pushes what it hears of a party's parcels, signed with a salt.

For aggregators that can send no key of ours (app.trace.kuaidi100). The salt follows from the deployment's
keys, the address and a generation: nothing secret is stored, it can be shown again, and the next generation
ends the one before. Whoever knows it can push, so what comes is the word of the party whose address it is,
with the rights that its own key would have and no other.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, from_ms_if, to_ms
from app.kit.errors import Fault, Invalid, Malformed, NotFound, Unavailable
from app.kit.tokens import RandomBytes, random_symbols
from app.parties.principal import Principal
from app.parties.standing import MandateMissing
from app.parties.store import find_party
from app.trace import kuaidi100, pushaddressstore
from app.trace.kuaidi100 import SignWrong, Told
from app.trace.pushes import Push, Pushed, Pushes
from app.trace.sending import EventNotYours

Outcome = Literal[
    "recorded", "nothing", "unknown", "refused", "sign_wrong", "unreadable", "unavailable"
]
"""What came of a push as a whole."""

_SYMBOLS = 20  # five bits each: found by nobody who was not told
_SALT_DIGITS = 32
_NOTED_EVERY = timedelta(minutes=1)


class AddressUnknown(NotFound):
    """There is no such address, or it was ended."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as its party sees it. outcome: of the last push, at about `pushed_at`."""

    address: str
    salt: str
    made_at: datetime
    renewed_at: datetime | None
    pushed_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Door:
    """An address that takes what is pushed, and in whose name. pushed_at, outcome: of the last push."""

    address: str
    generation: int
    principal: Principal
    pushed_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a push: of each of its news, in order, and of all together."""

    party: str
    told: Told
    results: tuple[Pushed, ...]
    outcome: Outcome

    def count(self, *statuses: str) -> int:
        """Returns how many of its news came to this."""
        return sum(one.status in statuses for one in self.results)

    @property
    def untold(self) -> int:
        """How many of its news only a carrier may tell, or who has its mandate for them."""
        return sum(_is_untold(one) for one in self.results)

    @property
    def fault(self) -> Fault | None:
        """Why something of it was refused, if not for who tells it."""
        refused = (one for one in self.results if one.status == "refused")
        return next((one.fault for one in refused if not _is_untold(one)), None)


class PushAddresses:
    """Makes and ends addresses, and takes what is pushed to them. Owns its short transactions."""

    def __init__(
        self,
        database: Database,
        pushes: Pushes,
        *,
        clock: Clock,
        key: bytes,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._pushes = pushes
        self._clock = clock
        self._key = key
        self._random = random

    # --- whose it is ---------------------------------------------------------------------------

    def of(self, principal: Principal) -> Address | None:
        """Returns the caller's address with its salt, or None. Read-only."""
        party = _party_of(principal)
        with self._database.read() as connection:
            row = pushaddressstore.find_of(connection, party)
        return None if row is None or row.ended_at is not None else self._shown(row)

    def make(self, principal: Principal) -> Address:
        """Returns the caller's address, made unless it is there. Writes `push_address`."""
        party = _party_of(principal)
        address = random_symbols(self._random, _SYMBOLS)
        with self._database.write() as connection:
            pushaddressstore.make(
                connection, party, address=address, at_ms=to_ms(self._clock.now())
            )
        return self._now(principal)

    def renew(self, principal: Principal) -> Address:
        """Returns the caller's address with a new salt; the one before is worth nothing from now on.

        Raises AddressUnknown. Writes `push_address`.
        """
        party = _party_of(principal)
        with self._database.write() as connection:
            pushaddressstore.renew(connection, party, at_ms=to_ms(self._clock.now()))
        return self._now(principal)

    def end(self, principal: Principal) -> None:
        """Ends the caller's address; again is no harm. Writes `push_address`."""
        party = _party_of(principal)
        with self._database.write() as connection:
            pushaddressstore.end(connection, party, at_ms=to_ms(self._clock.now()))

    def _now(self, principal: Principal) -> Address:
        found = self.of(principal)
        if found is None:
            raise AddressUnknown("push_address_unknown")
        return found

    def _shown(self, row: Any) -> Address:
        return Address(
            row.address,
            self._salt(row.address, row.generation),
            from_ms(row.made_at),
            from_ms_if(row.renewed_at),
            from_ms_if(row.pushed_at),
            row.outcome,
        )

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
        return Door(row.address, row.generation, principal, from_ms_if(row.pushed_at), row.outcome)

    def take(self, door: Door, *, param: str, sign: str) -> Taken:
        """Returns what came of a push to this address, in kuaidi100's form.

        Raises SignWrong, Malformed, Invalid, Denied, Unavailable. Writes `push_address` besides.
        """
        outcome: Outcome = "unavailable"  # so it stays where an error of ours comes between
        try:
            kuaidi100.check_sign(param, sign, salt=self._salt(door.address, door.generation))
            told = kuaidi100.read_push(param)
            # Of a whole way nothing may fall off: the aggregator cannot send less at once.
            results = self._pushes.take(door.principal, kuaidi100.FEED, self._news(told), most=None)
            outcome = _outcome(results)
        except Fault as fault:
            outcome = _outcome_of(fault)
            raise
        finally:
            self._note(door, outcome)
        return Taken(door.principal.own_party(), told, tuple(results), outcome)

    def _news(self, told: Told) -> tuple[Push, ...]:
        """Returns what to record; whose goods they are is asked where nothing is news of them, too."""
        if told.items:
            return told.items
        return (Push(told.waybill, kuaidi100.ENDED, self._clock.now()),)

    def _note(self, door: Door, outcome: Outcome) -> None:
        """Keeps what came of it: the same once a minute, and each change.

        Who does not know the salt changes it to `sign_wrong` alone, once after each true push.
        """
        now = self._clock.now()
        recent = door.pushed_at is not None and now - door.pushed_at < _NOTED_EVERY
        if recent and door.outcome == outcome:
            return
        with self._database.write() as connection:
            pushaddressstore.note(connection, door.address, outcome=outcome, at_ms=to_ms(now))


def _party_of(principal: Principal) -> str:
    """Returns whose addresses are meant. Raises what `check_may` raises, Denied for the operator.

    What is pushed speaks in events, and goes on when the key is revoked that fetched the salt: so it is
    for who may make a key, and may send events.
    """
    principal.check_may("push.manage")
    principal.check_may("event.send")
    return principal.own_party()


def _is_untold(one: Pushed) -> bool:
    """Whether it was refused for who tells it, which no further push will change.

    A mandate for the rest of it can still be given before kuaidi100 pushes again; what happened on the
    way is not worth that, nor has its carrier to be asked for it.
    """
    if one.status != "refused":
        return False
    lacks_mandate = isinstance(one.fault, MandateMissing) and one.fault.params["type"] == "transit"
    return lacks_mandate or isinstance(one.fault, EventNotYours)


def _outcome(results: Iterable[Pushed]) -> Outcome:
    """Returns what came of all together: the worst that somebody can do something about."""
    statuses = {one.status for one in results if not _is_untold(one)}
    if "refused" in statuses:
        return "refused"
    if "recorded" in statuses:
        return "recorded"
    return "unknown" if statuses == {"unknown"} else "nothing"


def _outcome_of(fault: Fault) -> Outcome:
    """Returns what came of a push that was refused as a whole."""
    if isinstance(fault, SignWrong):
        return "sign_wrong"
    if isinstance(fault, Malformed | Invalid):
        return "unreadable"
    return "unavailable" if isinstance(fault, Unavailable) else "refused"
