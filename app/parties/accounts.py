"""Accounts of people: made, changed, disabled; with the access log that says so.

An owner has people of its own party, the operator those of all, and its own. What an account may is its
party's by role, and of staff what was chosen; nobody gives more than it has. Whoever is at the command
line (`by=None`) may do all of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import uuid_utils
from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.errors import Conflict, Denied, FieldFault, NotFound, invalid
from app.kit.tokens import RandomBytes, random_symbols
from app.parties import accountstore as store
from app.parties.account_rules import (
    Role,
    covers,
    read_name,
    read_office,
    read_password,
    read_scopes,
    staff_scopes,
)
from app.parties.passwords import Passwords
from app.parties.roles import OFFICIAL_ROLES
from app.parties.rules import PartyUnknown
from app.parties.second_factor import SecondFactor
from app.parties.sessions import Client, Person, person_of
from app.parties.store import find_party

NOWHERE = Client("", "")
"""The command line."""

_SHOWN_EVENTS = 50


class AccountUnknown(NotFound):
    """No such account, or not one of yours."""


class NotManaging(Denied):
    """Only an owner, or the operator, may do this; and nobody to himself."""


class NoLongerThere(Conflict):
    """The account is disabled."""


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """An account as a list shows it. is_held: the operator disabled it, and alone lets it in again."""

    person: Person
    created_at: datetime
    seen_at: datetime | None
    disabled_at: datetime | None
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the access log. by: name of the account that did it, "" for itself or nobody's."""

    at: datetime
    kind: str
    detail: str
    by: str
    address: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the house an account belongs, checked: what `Accounts.place` gives."""

    role: Role
    party: str | None
    scopes: tuple[str, ...]
    region: str | None


class Accounts:
    """Owns its transactions, but for what takes a connection."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        passwords: Passwords,
        second: SecondFactor,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._second = second
        self._random = random

    # --- making ------------------------------------------------------------------------------

    def place(
        self,
        *,
        role: Role,
        party: str | None,
        scopes: Sequence[str] = (),
        region: str | None = None,
        by: Person | None = None,
    ) -> Place:
        """Returns a place that may be given. by: who gives it. Read-only.

        Raises NotManaging, PartyUnknown, Invalid.
        """
        if by is not None and not (by.is_operator or (by.manages and party == by.party)):
            raise NotManaging("not_managing")
        if (role == "operator") != (party is None):
            # Also for an owner without a party: that would be the operator.
            raise invalid(FieldFault(("party",), "operator_party"))
        if party is None:
            return Place(role, None, (), None)
        with self._database.read() as connection:
            row = find_party(connection, party)
        if row is None:
            raise PartyUnknown("party_unknown", party=party[:40])
        chosen = read_scopes(scopes, staff_scopes(row.roles)) if role == "staff" else ()
        office = None
        if region:
            if not OFFICIAL_ROLES & set(row.roles):
                raise invalid(FieldFault(("region",), "region_official"))
            within = by.region if by is not None and by.region else row.region
            office = read_office(region, within=within)
        elif by is not None and not by.is_operator:
            office = by.region if OFFICIAL_ROLES & set(row.roles) else None
        return Place(role, party, chosen, office)

    def create(self, name: str, place: Place) -> str:
        """Returns the one-time password of a new account, which must be changed. Writes `account`.

        Raises Invalid at `name`, also where it is taken.
        """
        name, password = read_name(name), self._one_time()
        hashed = self._passwords.hash(password)
        with self._database.write() as connection:
            account = self.insert(connection, name, hashed, place, must_change=True)
            self.note(connection, account, "made")
        return password

    def insert(
        self,
        connection: Connection,
        name: str,
        hashed: str,
        place: Place,
        *,
        must_change: bool = False,
        by: str | None = None,
    ) -> str:
        """Returns the id of a new account. Raises Invalid where the name is taken. Writes `account`."""
        now_ms, account = to_ms(self._clock.now()), str(uuid_utils.uuid7())
        row = {
            "id": account,
            "name": name,
            "party": place.party,
            "role": place.role,
            "scopes": ",".join(place.scopes),
            "region": place.region,
            "password": hashed,
            "password_at": now_ms,
            "must_change": must_change,
            "totp_sealed": None,
            "totp_key": None,
            "totp_step": 0,
            "created_at": now_ms,
            "created_by": by,
            "seen_at": None,
            "disabled_at": None,
        }
        if not store.insert_account(connection, row):
            # Who chooses a name learns that it is taken; that is all that can be learnt here.
            raise invalid(FieldFault(("name",), "account_taken"))
        return account

    def hash_new(self, password: str, *, name: str) -> str:
        """Returns a new password's hash. Raises Invalid at `password`. Read-only."""
        return self._passwords.hash(read_password(password, name=name))

    # --- keeping -----------------------------------------------------------------------------

    def people(self, by: Person, *, party: str | None = None) -> Sequence[AccountInfo]:
        """Returns who signs in for a party, by name; for the operator without one, its own. Read-only.

        Raises NotManaging.
        """
        check_manages(by)
        party = party if by.is_operator else by.party
        with self._database.read() as connection:
            if party is None:
                rows = store.list_accounts(connection, roles=("operator",))
            else:
                rows = store.list_accounts(connection, party=party)
            held = {
                row.id
                for row in rows
                if row.disabled_at is not None and _is_held(connection, row.id)
            }
        return [_info(row, is_held=row.id in held) for row in rows]

    def all(self) -> Sequence[AccountInfo]:
        """Returns every account by name, for the command line. Read-only."""
        with self._database.read() as connection:
            return [_info(row) for row in store.list_accounts(connection)]

    def find(self, name: str) -> AccountInfo:
        """Returns the account of a login name. Raises AccountUnknown. Read-only."""
        with self._database.read() as connection:
            row = store.find_by_name(connection, name.strip().lower())
        if row is None:
            raise AccountUnknown("account_unknown", name=name[:40])
        return _info(row)

    def move(self, account: str, place: Place, *, by: Person, client: Client) -> None:
        """Gives an account of the same party another place. Raises as `_target`. Writes `account`."""
        with self._database.write() as connection:
            row = self._target(connection, account, by)
            if row.party != place.party:
                raise AccountUnknown("account_unknown", name=account[:40])
            store.update_account(
                connection, account, role=place.role, scopes=",".join(place.scopes),
                region=place.region,
            )  # fmt: skip
            detail = ", ".join((place.role, *place.scopes))
            self.note(connection, account, "moved", detail=detail, by=by.id, client=client)

    def disable(self, account: str, *, by: Person | None = None, client: Client = NOWHERE) -> None:
        """Ends an account and all its sessions. Writes `account`, `signed_session`.

        Raises AccountUnknown, NotManaging.
        """
        with self._database.write() as connection:
            row = self._target(connection, account, by)
            if row.disabled_at is None:
                now_ms = to_ms(self._clock.now())
                store.update_account(connection, account, disabled_at=now_ms)
                self._note_by(connection, account, "disabled", by, client)
            store.end_sessions(connection, account)

    def enable(self, account: str, *, by: Person | None = None, client: Client = NOWHERE) -> None:
        """Lets a disabled account sign in again. Writes `account`.

        Raises AccountUnknown, NotManaging: also for an owner, where the operator disabled it.
        """
        with self._database.write() as connection:
            row = self._target(connection, account, by)
            if row.disabled_at is not None:
                if by is not None and not by.is_operator and _is_held(connection, account):
                    raise NotManaging("disabled_by_operator", name=row.name)
                store.update_account(connection, account, disabled_at=None)
                self._note_by(connection, account, "enabled", by, client)

    def reset(
        self,
        account: str,
        *,
        drop_second: bool = False,
        by: Person | None = None,
        client: Client = NOWHERE,
    ) -> str:
        """Returns a one-time password, which must be changed; all sessions end. Writes `account`.

        drop_second: ends the second factor as well. Raises AccountUnknown, NotManaging, NoLongerThere.
        """
        password = self._one_time()
        hashed = self._passwords.hash(password)
        with self._database.write() as connection:
            row = self._target(connection, account, by)
            if row.disabled_at is not None:
                raise NoLongerThere("account_disabled", name=row.name)
            store.update_account(
                connection, account, password=hashed, must_change=True,
                password_at=to_ms(self._clock.now()),
            )  # fmt: skip
            if drop_second:
                self._second.turn_off(connection, account)
            store.end_sessions(connection, account)
            self._note_by(connection, account, "reset", by, client)
        return password

    # --- the access log ----------------------------------------------------------------------

    def note(
        self,
        connection: Connection,
        account: str,
        kind: str,
        *,
        detail: str = "",
        by: str | None = None,
        client: Client = NOWHERE,
    ) -> None:
        """Adds to an account's access log. kind: of the locales' `account.event.`. Writes `account_event`."""
        store.insert_event(
            connection,
            {
                "id": str(uuid_utils.uuid7()),
                "account": account,
                "at": to_ms(self._clock.now()),
                "kind": kind,
                "detail": detail[:200],
                "by": by,
                "address": client.address[:64],
            },
        )

    def log(self, account: str, kind: str, *, detail: str = "", client: Client) -> None:
        """Adds to an account's access log in a transaction of its own. Writes `account_event`."""
        with self._database.write() as connection:
            self.note(connection, account, kind, detail=detail, client=client)

    def events(self, account: str) -> Sequence[Event]:
        """Returns the last of an account's access log, newest first. Read-only."""
        with self._database.read() as connection:
            rows = store.events_of(connection, account, limit=_SHOWN_EVENTS)
        return [
            Event(from_ms(row.at), row.kind, row.detail, row.by_name or "", row.address)
            for row in rows
        ]

    def _note_by(
        self, connection: Connection, account: str, kind: str, by: Person | None, client: Client
    ) -> None:
        self.note(connection, account, kind, by=None if by is None else by.id, client=client)

    def _target(self, connection: Connection, account: str, by: Person | None) -> Any:
        """Returns an account that `by` may change. Raises AccountUnknown, NotManaging."""
        row = store.find_account(connection, account)
        if by is not None:
            check_manages(by)
            if row is not None and not by.is_operator and row.party != by.party:
                row = None
            if account == by.id:
                raise NotManaging("not_yourself")
            if row is not None and not reaches(by, person_of(row)):
                raise NotManaging("not_managing")
        if row is None:
            raise AccountUnknown("account_unknown", name=account[:40])
        return row

    def _one_time(self) -> str:
        """Returns a password to be told once: four groups of five symbols, 100 random bits."""
        symbols = random_symbols(self._random, 20).lower()
        return "-".join(symbols[n : n + 5] for n in range(0, 20, 5))


def check_manages(by: Person) -> None:
    """Raises NotManaging for who may not change people."""
    if not by.manages:
        raise NotManaging("not_managing")


def reaches(by: Person, other: Person) -> bool:
    """Whether somebody who manages may change this account, of the same party or by the operator.

    Not one's own; and who is in office beyond one's own region must not be taken over by a reset.
    """
    return by.id != other.id and (by.region is None or covers(by.region, other.region))


def _is_held(connection: Connection, account: str) -> bool:
    """Whether it was the operator who disabled an account, on a page or at the command line. Read-only."""
    last = store.last_event(connection, account, "disabled")
    if last is None or last.by is None:
        return True
    who = store.find_account(connection, last.by)
    return who is None or who.role == "operator"


def _info(row: Any, *, is_held: bool = False) -> AccountInfo:
    seen, disabled = row.seen_at, row.disabled_at
    return AccountInfo(
        person_of(row),
        from_ms(row.created_at),
        None if seen is None else from_ms(seen),
        None if disabled is None else from_ms(disabled),
        is_held,
    )
