"""Invitations: a link that makes one account in one place, within a week."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import uuid_utils

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.kit.errors import NotFound
from app.kit.tokens import RandomBytes
from app.parties import accountstore as store
from app.parties.access import read_label
from app.parties.account_rules import Role, read_name
from app.parties.accounts import Accounts, Place, check_manages
from app.parties.sessions import Client, Person

INVITED_FOR = timedelta(days=7)


class InvitationGone(NotFound):
    """The link was used, taken back, is too old, or never was."""


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation. token: only when it was just made. party None: the operator's."""

    id: str
    party: str | None
    role: str
    scopes: tuple[str, ...]
    region: str | None
    label: str
    until: datetime
    token: str | None = None


class Invitations:
    """Owns its transactions."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        accounts: Accounts,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._random = random

    def invite(self, place: Place, *, label: str, by: Person | None, client: Client) -> Invited:
        """Returns an invitation into a place, with its token. Writes `invitation`. Raises Invalid."""
        label = read_label(label)
        token, now = self._random(32).hex(), self._clock.now()
        made = Invited(
            str(uuid_utils.uuid7()), place.party, place.role, place.scopes, place.region, label,
            now + INVITED_FOR, token,
        )  # fmt: skip
        with self._database.write() as connection:
            store.insert_invitation(
                connection,
                {
                    "digest": _digest(token),
                    "id": made.id,
                    "party": place.party,
                    "role": place.role,
                    "scopes": ",".join(place.scopes),
                    "region": place.region,
                    "label": label,
                    "created_by": None if by is None else by.id,
                    "created_at": to_ms(now),
                    "until_at": to_ms(made.until),
                    "ended_at": None,
                },
            )
            if by is not None:
                self._accounts.note(connection, by.id, "invited", detail=label, client=client)
        return made

    def find(self, token: str) -> Invited:
        """Returns what a link invites to. Raises InvitationGone. Read-only."""
        with self._database.read() as connection:
            row = store.find_invitation(connection, _digest(token))
        if row is None or row.ended_at is not None or from_ms(row.until_at) <= self._clock.now():
            raise InvitationGone("invitation_gone")
        return _invited(row)

    def join(self, token: str, *, name: str, password: str, client: Client) -> str:
        """Returns the id of the account that a link makes, once. Writes `account`, `invitation`.

        Raises InvitationGone, Invalid.
        """
        invited = self.find(token)
        name = read_name(name)
        hashed = self._accounts.hash_new(password, name=name)
        place = Place(_role(invited.role), invited.party, invited.scopes, invited.region)
        with self._database.write() as connection:
            if not store.end_invitation(connection, invited.id, at_ms=to_ms(self._clock.now())):
                raise InvitationGone("invitation_gone")
            account = self._accounts.insert(connection, name, hashed, place)
            self._accounts.note(connection, account, "joined", detail=invited.label, client=client)
        return account

    def list_of(self, by: Person) -> Sequence[Invited]:
        """Returns the invitations that still hold. Raises NotManaging. Read-only."""
        check_manages(by)
        with self._database.read() as connection:
            rows = store.open_invitations(connection, by.party, now_ms=to_ms(self._clock.now()))
        return [_invited(row) for row in rows]

    def take_back(self, invitation: str, *, by: Person, client: Client) -> None:
        """Takes an invitation back; again is no harm. Raises InvitationGone. Writes `invitation`."""
        for one in self.list_of(by):
            if one.id == invitation:
                with self._database.write() as connection:
                    store.end_invitation(connection, one.id, at_ms=to_ms(self._clock.now()))
                    self._accounts.note(
                        connection, by.id, "uninvited", detail=one.label, client=client
                    )
                return
        raise InvitationGone("invitation_gone")


def _role(told: str) -> Role:
    match told:
        case "owner" | "staff" | "operator":
            return told
        case _:
            raise ValueError(told)


def _invited(row: Any) -> Invited:
    scopes = tuple(filter(None, row.scopes.split(",")))
    return Invited(
        row.id, row.party, row.role, scopes, row.region, row.label, from_ms(row.until_at)
    )


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
