"""Who has signed in: sessions, what each is still owed, and the principal that services ask.

A session is 256 random bits in a cookie, of which the database holds SHA-256. It ends when nothing is
heard of it for a while and at the latest some hours after it began (SP 800-63B-4 section 2.2.3: an hour,
a day), and at once where its account is disabled. Its cookie is new after each sign-in and whenever it
may do more than before, so that one planted or seen earlier is worth nothing.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import uuid_utils
from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.errors import Denied, Unauthenticated
from app.kit.tokens import RandomBytes
from app.parties import accountstore as store
from app.parties.account_rules import Stage, scopes_of
from app.parties.principal import Principal
from app.parties.roles import ADMIN, OFFICIAL_ROLES

TOKEN_BYTES = 32
CONFIRMED_FOR = timedelta(minutes=15)
"""How long after the password was given keys, people and second factors may be changed."""

_TOUCH_EVERY = timedelta(minutes=1)
_MAX_AGENT = 200


class SessionOver(Unauthenticated):
    """The session was ended while it was being used."""


class NoParty(Denied):
    """Who applied and was not let in yet speaks for nobody."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. agent: as the browser calls itself."""

    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Person:
    """An account as pages may know it. party None: of the operator, or an applicant's.

    scopes: what it may. region: of an authority's people, where they are in office.
    """

    id: str
    name: str
    role: str
    party: str | None
    roles: frozenset[str]
    scopes: frozenset[str]
    region: str | None
    must_change: bool
    has_second: bool

    @property
    def is_operator(self) -> bool:
        """Whether it is one of the operator's."""
        return self.role == "operator"

    @property
    def manages(self) -> bool:
        """Whether it may change people and keys of its party, or of the operator."""
        return self.role in ("owner", "operator")

    def principal(self) -> Principal:
        """Returns what services ask for. Raises NoParty for an applicant."""
        # A principal without a party is the operator: nobody else may ever come by one.
        if self.party is None and not self.is_operator:
            raise NoParty("no_party_yet")
        return Principal(
            f"account/{self.id}",
            self.party,
            self.roles,
            self.scopes,
            account=self.id,
            region=self.region,
        )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session as found by its cookie. csrf: what its forms carry."""

    id: str
    digest: bytes
    stage: Stage
    confirmed_at: datetime
    person: Person
    csrf: str

    def is_confirmed(self, now: datetime, *, filling: bool = False) -> bool:
        """Whether the password was given a short while ago. filling: with time to fill in a form."""
        return now - self.confirmed_at < CONFIRMED_FOR * (2 if filling else 1)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as a list shows it. seen_at: to the minute."""

    id: str
    address: str
    agent: str
    created_at: datetime
    seen_at: datetime


class Sessions:
    """The sessions of a deployment, in its database: any process knows them. Owns its transactions."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        csrf_key: bytes,
        idle: timedelta,
        longest: timedelta,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        """idle: after which nothing being heard ends it. longest: from its beginning to its end."""
        self._database = database
        self._clock = clock
        self._csrf_key = csrf_key
        self._idle = idle
        self._longest = longest
        self._random = random

    def open(self, connection: Connection, account: str, *, stage: Stage, client: Client) -> str:
        """Returns the token of a new session. Writes `signed_session`."""
        token, now = self._random(TOKEN_BYTES).hex(), self._clock.now()
        row = {
            "digest": _digest(token),
            "id": str(uuid_utils.uuid7()),
            "account": account,
            "stage": stage,
            "address": client.address[:64],
            "agent": client.agent[:_MAX_AGENT],
            "created_at": to_ms(now),
            "confirmed_at": to_ms(now),
            "seen_at": to_ms(now),
            "until_at": to_ms(now + self._longest),
        }
        store.insert_session(connection, row)
        return token

    def resume(self, token: str) -> SignedIn | None:
        """Returns who holds this token, None for nobody. Writes `signed_session`, once a minute."""
        if len(token) != 2 * TOKEN_BYTES or not token.isascii():
            return None
        digest, now = _digest(token), self._clock.now()
        with self._database.read() as connection:
            row = store.find_session(connection, digest)
        if row is None or row.disabled_at is not None or self._is_over(row, now):
            return None
        if now - from_ms(row.heard_at) >= _TOUCH_EVERY:
            with self._database.write() as connection:
                store.move_session(connection, digest, {"seen_at": to_ms(now)})
        return SignedIn(
            row.session,
            digest,
            row.stage,
            from_ms(row.confirmed_at),
            person_of(row),
            self._form_token(row.session),
        )

    def renew(
        self,
        connection: Connection,
        signed: SignedIn,
        *,
        stage: Stage | None = None,
        confirmed: bool = False,
    ) -> str:
        """Returns a new token of the session; the old one is worth nothing. Writes `signed_session`.

        Raises SessionOver, so that nothing is changed in the name of a session that a reset has ended.
        """
        token = self._random(TOKEN_BYTES).hex()
        changed: dict[str, Any] = {"digest": _digest(token)}
        if stage is not None:
            changed["stage"] = stage
        if confirmed:
            changed["confirmed_at"] = to_ms(self._clock.now())
        if not store.move_session(connection, signed.digest, changed):
            raise SessionOver("sign_in_needed")
        return token

    def list_of(self, account: str) -> Sequence[SessionInfo]:
        """Returns the sessions of an account, the last heard of first. Read-only."""
        now = self._clock.now()
        with self._database.read() as connection:
            rows = store.sessions_of(
                connection, account, heard_ms=to_ms(now - self._idle), now_ms=to_ms(now)
            )
        return [
            SessionInfo(r.id, r.address, r.agent, from_ms(r.created_at), from_ms(r.seen_at))
            for r in rows
        ]

    def end(self, account: str, *, only: str | None = None, but: str | None = None) -> int:
        """Ends sessions of an account, at once and everywhere; returns how many. Writes `signed_session`."""
        with self._database.write() as connection:
            return store.end_sessions(connection, account, only=only, but=but)

    def _form_token(self, session: str) -> str:
        """Returns what the forms of a session carry: the same until it ends.

        It is of the session's id, which stays, and not of the cookie's secret: a form that stands open in
        another window outlives a password given once more. Nobody wins by it. Another person and another
        browser have sessions, and so tokens, of their own, a new sign-in too; an id tells no token without
        our key; and without the cookie, which changes as before, a token opens nothing.
        """
        return hmac.digest(self._csrf_key, session.encode("ascii"), "sha256").hex()

    def _is_over(self, row: Any, now: datetime) -> bool:
        return now >= from_ms(row.until_at) or now - from_ms(row.heard_at) >= self._idle


def person_of(row: Any) -> Person:
    """Returns an account as pages may know it, from its row with its party's roles."""
    roles = frozenset((row.party_roles or "").split(",")) - {""}
    region = None
    if roles & OFFICIAL_ROLES:
        region = row.region or row.party_region
    if row.role == "operator":
        roles = frozenset({ADMIN})
    chosen = (row.scopes or "").split(",")
    return Person(
        id=row.id,
        name=row.name,
        role=row.role,
        party=row.party,
        roles=roles,
        scopes=scopes_of(row.role, chosen),
        region=region,
        must_change=bool(row.must_change),
        has_second=row.totp_sealed is not None,
    )


def _digest(token: str) -> bytes:
    return sha256(token.encode("ascii")).digest()
