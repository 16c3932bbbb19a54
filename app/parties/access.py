"""API keys: making, listing, revoking them, and telling from a token who is asking.

A token is `sx_<key id>_<secret>`; the secret has 256 random bits, so its plain SHA-256 is stored: a
slow hash protects weak passwords, and would cost every request tens of milliseconds. Keys are no
records: they are secrets that come and go, and what was done with one is in the records.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from app.db.engine import Database
from app.kit.canonical import check_canonical
from app.kit.clock import Clock, from_ms, from_ms_if, to_ms
from app.kit.errors import Denied, FieldFault, NotFound, Unauthenticated, invalid
from app.kit.tokens import RandomBytes, random_symbols
from app.parties import store
from app.parties.account_rules import PARTY_SCOPES, read_scopes
from app.parties.principal import Principal
from app.parties.roles import ADMIN, SCOPES
from app.parties.rules import PartyUnknown

PREFIX = "sx"
SECRET_BYTES = 32
MAX_LABEL = 64

# How long a revoked key may still be taken in another process; the contract allows a second.
CACHE_S = 0.5
_MAX_CACHED = 10_000
_KEY_ID_SYMBOLS = 12


class KeyRefused(Unauthenticated):
    """The token is not one of ours, or its key was revoked."""


class ScopeBeyond(Denied):
    """A key may only make keys that can do no more than itself."""


class KeyUnknown(NotFound):
    """The party has no such key."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as its maker sees it, once: `token` is stored nowhere."""

    key_id: str
    token: str
    scopes: tuple[str, ...]
    label: str | None


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as it can be shown."""

    key_id: str
    scopes: tuple[str, ...]
    label: str | None
    created_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None = None
    """To about a minute."""
    region: str | None = None
    """Of an authority's key: where who made it is in office; None: everywhere."""


@dataclass(frozen=True, slots=True)
class _Known:
    until_s: float
    row: store.KeyRow
    principal: Principal


class APIKeys:
    """The keys of one deployment. Owns its short transactions."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        random: RandomBytes = secrets.token_bytes,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._monotonic_s = monotonic_s
        # Only keys that exist come in, so strangers cannot fill it.
        self._known: dict[str, _Known] = {}
        self._loading = threading.Lock()
        # A key that is used comes by `_load` every CACHE_S: noting it there costs the hot path nothing.
        self._used: dict[str, int] = {}

    def authenticate(self, token: str) -> Principal:
        """Returns who holds this token, at most CACHE_S old. Raises KeyRefused."""
        key_id, secret = _parse(token)
        # One look for all who ask at once: when a busy key grows old, everybody does.
        with self._loading:
            known = self._recall(key_id) or self._load(key_id)
        principal = _check(known, secret)
        self._used[key_id] = to_ms(self._clock.now())
        return principal

    def note_uses(self) -> bool:
        """Writes when keys were last used, since the last call; returns False. Writes `api_key`."""
        used, self._used = self._used, {}
        if used:
            with self._database.write() as connection:
                store.note_uses(connection, dict(used))
        return False

    def recall(self, token: str) -> Principal | None:
        """Returns who holds this token where that is known without asking the database, else None.

        Raises KeyRefused. For callers that must not wait.
        """
        key_id, secret = _parse(token)
        known = self._recall(key_id)
        return _check(known, secret) if known else None

    def create(
        self, principal: Principal, party: str, *, scopes: Sequence[str], label: str | None = None
    ) -> NewKey:
        """Returns a new key of `party`. Writes `api_key`.

        Raises Invalid for unknown scopes, ScopeBeyond, PartyUnknown, or what `check_may` raises.
        """
        principal.check_may("key.manage", owner=party)
        chosen = read_scopes(scopes, PARTY_SCOPES)
        if beyond := [scope for scope in chosen if scope not in principal.scopes]:
            raise ScopeBeyond("scope_beyond", scope=beyond[0])
        if label is not None:
            label = read_label(label)
        with self._database.read() as connection:
            if store.find_party(connection, party) is None:
                raise PartyUnknown("party_unknown", party=party)
        # A key can do no more than who made it, nor look beyond where that one is in office.
        return self._create(party, chosen, label, region=principal.region)

    def create_admin(self) -> NewKey:
        """Returns a new key of the operator, with every scope. Writes `api_key`."""
        return self._create(None, SCOPES, None)

    def has_admin(self) -> bool:
        """Returns whether an operator's key was ever made. Read-only."""
        with self._database.read() as connection:
            return bool(store.list_keys(connection, None))

    def list_of(self, principal: Principal, party: str) -> list[KeyInfo]:
        """Returns the party's keys, oldest first, revoked ones too. Read-only."""
        principal.check_may("key.manage", owner=party)
        with self._database.read() as connection:
            if store.find_party(connection, party) is None:
                raise PartyUnknown("party_unknown", party=party)
            rows = store.list_keys(connection, party)
        return [
            KeyInfo(
                row.key_id,
                row.scopes,
                row.label,
                from_ms(row.created_at),
                from_ms_if(row.revoked_at),
                from_ms_if(row.used_at),
                row.region,
            )
            for row in rows
        ]

    def revoke(self, principal: Principal, key_id: str, *, party: str | None = None) -> None:
        """Ends a key, here at once, elsewhere within CACHE_S; again is no harm. Writes `api_key`.

        party: whose it must be; None leaves that open, for the operator. Raises KeyUnknown.
        """
        with self._database.read() as connection:
            found = store.find_key(connection, key_id)
        owner = party if party is not None else (found[0].party if found else None)
        principal.check_may("key.manage", owner=owner)
        if found is None or (party is not None and found[0].party != party):
            raise KeyUnknown("key_unknown", key_id=key_id[:40])
        with self._database.write() as connection:
            store.revoke_key(connection, key_id, at_ms=to_ms(self._clock.now()))
        self._known.pop(key_id, None)

    def _create(
        self,
        party: str | None,
        scopes: Sequence[str],
        label: str | None,
        *,
        region: str | None = None,
    ) -> NewKey:
        key_id = random_symbols(self._random, _KEY_ID_SYMBOLS)
        secret = self._random(SECRET_BYTES).hex()
        row = store.KeyRow(
            key_id=key_id,
            party=party,
            scopes=tuple(scopes),
            secret_hash=_digest(secret),
            label=label,
            created_at=to_ms(self._clock.now()),
            revoked_at=None,
            region=region,
        )
        with self._database.write() as connection:
            store.insert_key(connection, row)
        return NewKey(key_id, f"{PREFIX}_{key_id}_{secret}", row.scopes, label)

    def _recall(self, key_id: str) -> _Known | None:
        known = self._known.get(key_id)
        return known if known is not None and self._monotonic_s() < known.until_s else None

    def _load(self, key_id: str) -> _Known:
        # The age counts from before the look, so that a revocation in between is not missed.
        until_s = self._monotonic_s() + CACHE_S
        with self._database.read() as connection:
            found = store.find_key(connection, key_id)
        if found is None:
            raise KeyRefused("key_refused")
        row, roles = found
        held = frozenset(roles) if row.party is not None else frozenset({ADMIN})
        principal = Principal(key_id, row.party, held, frozenset(row.scopes), region=row.region)
        known = _Known(until_s, row, principal)
        if len(self._known) >= _MAX_CACHED:
            self._known.clear()
        self._known[key_id] = known
        return known


def _check(known: _Known, secret: str) -> Principal:
    if not hmac.compare_digest(known.row.secret_hash, _digest(secret)):
        raise KeyRefused("key_refused")
    if known.row.revoked_at is not None:
        # Said only to who knows the secret: that a key once existed is nobody else's business.
        raise KeyRefused("key_revoked")
    return known.principal


def _parse(token: str) -> tuple[str, str]:
    parts = token.split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX or not token.isascii() or len(token) > 256:
        raise KeyRefused("key_refused")
    return parts[1], parts[2]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("ascii")).digest()


def read_label(given: str) -> str:
    """Returns what somebody calls a key, or whom an invitation is for. Raises Invalid at `label`."""
    label = given.strip()
    if not 1 <= len(label) <= MAX_LABEL:
        params = {"expected": f"1..{MAX_LABEL}", "got": len(label)}
        raise invalid(FieldFault(("label",), "length", params))
    check_canonical(label, ("label",))
    return label
