"""Merchants who apply by themselves, and the operator's decision.

An application is no record and no party. Anybody can ask in any company's name: what he wrote must not
stand in the chain for ever, and must not keep the true one out. So several may ask for one code, and
the party is registered, and verified, when the operator has seen who it is; its registration says what
the application said. A natural person whom the law exempts from registration (E-commerce Law art. 10) says
on which ground; the id that the party will have is drawn with the application, so that an acceptance broken
off halfway registers nobody twice. Somebody who waits has an account that speaks for nobody.

Contact and ground are sealed, and addressed to who decides: while an application waits, opening it is for
that, later for a stated purpose alone. Each look is in the log of purposes before anything is shown.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import uuid_utils

from app.db.engine import Database
from app.kit.canonical import canonical_bytes, check_canonical
from app.kit.clock import Clock, china_day, from_ms, to_ms
from app.kit.errors import Conflict, Denied, FieldFault, NotFound, invalid, read_all
from app.kit.tokens import RandomBytes
from app.ledger.vault import SALT_BYTES, SealBroken, Vault
from app.parties import accountstore
from app.parties import applicationstore as store
from app.parties.account_rules import OF_APPLYING, read_name, read_password
from app.parties.accounts import Accounts, Place
from app.parties.applicationstore import ACCEPTED, REFUSED, WAITING
from app.parties.identity import is_exempt_id, new_exempt_id
from app.parties.looking import log_look, read_purpose
from app.parties.registration import LicenceGiven, Registration, read_registration
from app.parties.rules import AlreadyRegistered
from app.parties.service import Parties
from app.parties.sessions import Client, Person
from app.parties.throttle import Throttle

MAX_CONTACT, MAX_REASON = 200, 500
GROUNDS = ("farm", "handicraft", "service", "petty")
"""Why a natural person needs no registration: own farm or sideline produce, home handicraft, services that
need no permit, sporadic transactions of small amounts (E-commerce Law art. 10)."""
_SHOWN = 100
_APPLYING = "applying"
_CONTACT = "contact"


class ApplicationUnknown(NotFound):
    """There is no such application."""


class AlreadyDecided(Conflict):
    """Somebody decided this application before."""

    slug = "lifecycle-conflict"


class NotOperating(Denied):
    """Only the operator's people decide applications."""


class PartyDiffers(Conflict):
    """The code is registered with other facts."""

    slug = "id-conflict"


@dataclass(frozen=True, slots=True)
class Wish:
    """What an applicant says of the company, or of itself, as typed.

    exempt: a natural person without `uscc`; ground: of GROUNDS then.
    """

    uscc: str
    name: str
    contact: str
    region: str | None = None
    licences: Sequence[LicenceGiven] = ()
    exempt: bool = False
    ground: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """An application. contact: only where it was opened for the operator; None: erased, altered or `closed`.

    party: its USCC, or the id under which an exempt person will be registered, whose `ground` is opened with
    the contact.
    others: further ones that wait for the same code. people: accounts that its party has already.
    """

    id: str
    account: str
    account_name: str
    party: str
    name: str
    region: str | None
    licences: tuple[Mapping[str, str], ...]
    status: str
    reason: str | None
    created_at: datetime
    decided_at: datetime | None
    contact: str | None = None
    ground: str = ""
    closed: bool = False
    others: int = 0
    people: int = 0

    @property
    def exempt(self) -> bool:
        """Whether a natural person applies who needs no registration."""
        return is_exempt_id(self.party)


class Applications:
    """Owns its transactions."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        vault: Vault,
        accounts: Accounts,
        parties: Parties,
        throttle: Throttle,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._accounts = accounts
        self._parties = parties
        self._throttle = throttle
        self._random = random

    def apply(self, wish: Wish, *, name: str, password: str, client: Client) -> str:
        """Returns the id of the account of a new applicant. Writes `account`, `application`.

        Raises Invalid with every wrong field, TriedTooOften.
        """
        told, login, _ = read_all(
            lambda: _read(wish, today=china_day(self._clock.now())),
            lambda: read_name(name),
            lambda: read_password(password, name=name.strip().lower()),
        )
        self._throttle.take((_APPLYING, client.address, OF_APPLYING))
        # Only now: a hash costs what a flood of strangers must not spend, and has few turns.
        hashed = self._accounts.hash_new(password, name=login)
        with self._database.write() as connection:
            account = self._accounts.insert(
                connection, login, hashed, Place("applicant", None, (), None)
            )
            self._insert(connection, account, told, wish)
            self._accounts.note(connection, account, "applied", client=client)
        return account

    def apply_again(self, person: Person, wish: Wish, *, client: Client) -> None:
        """Takes a corrected application of somebody who was refused. Writes `application`.

        Raises Invalid, AlreadyDecided where one waits or was accepted.
        """
        told = _read(wish, today=china_day(self._clock.now()))
        with self._database.write() as connection:
            last = store.last_of(connection, person.id)
            if person.role != "applicant" or (last is not None and last.status != REFUSED):
                raise AlreadyDecided("application_open")
            self._insert(connection, person.id, told, wish)
            self._accounts.note(connection, person.id, "applied", client=client)

    def of(self, person: Person) -> Asked | None:
        """Returns the last application of an account, without its contact. Read-only."""
        with self._database.read() as connection:
            row = store.last_of(connection, person.id)
        return None if row is None else _asked(row)

    def count_waiting(self) -> int:
        """Returns how many wait. Read-only."""
        with self._database.read() as connection:
            return store.count_waiting(connection)

    def list_of(self, person: Person, status: str, *, limit: int = _SHOWN) -> Sequence[Asked]:
        """Returns applications, those that wait oldest first. Raises NotOperating. Read-only."""
        _check_operates(person)
        with self._database.read() as connection:
            rows = store.list_applications(connection, status, limit=limit)
        return [_asked(row) for row in rows]

    def get(self, person: Person, application: str) -> Asked:
        """Returns an application, closed. Raises NotOperating, ApplicationUnknown. Read-only."""
        return self._get(person, application)[0]

    def open(self, person: Person, application: str, *, purpose: str | None = None) -> Asked:
        """Returns an application with its contact: of one that waits, to decide it; else as stated.

        Raises NotOperating, ApplicationUnknown, Invalid. Writes `access_log`.
        """
        asked, row = self._get(person, application)
        if not asked.closed or (purpose is None and asked.status != WAITING):
            return asked
        told = f"decide application {asked.id}"
        if purpose is not None:
            told = read_purpose(purpose, loc=("purpose",))
        stream = f"application/{asked.id}"
        place = [(0, _CONTACT)]
        log_look(self._database, person.principal(), stream, place, told, clock=self._clock)
        opened = self._open(row)
        return replace(
            asked,
            contact=opened.get("contact"),
            ground=opened.get("ground", ""),
            closed=False,
        )

    def _get(self, person: Person, application: str) -> tuple[Asked, Any]:
        _check_operates(person)
        with self._database.read() as connection:
            row = store.find_application(connection, application)
            if row is None:
                raise ApplicationUnknown("application_unknown")
            waiting, people = store.count_of_code(connection, row.uscc)
        asked = replace(_asked(row), others=waiting - (row.status == WAITING), people=people)
        return asked, row

    def accept(self, person: Person, application: str, *, evidence: str, client: Client) -> None:
        """Registers and verifies the party, and makes the applicant its owner.

        evidence: what was seen; the record commits to it. Broken off halfway, it is done by doing it
        again: each step bears a repeat. Raises NotOperating, AlreadyDecided, PartyDiffers, Invalid.
        """
        asked = self.get(person, application)
        if asked.status != WAITING:
            raise AlreadyDecided("application_decided")
        if not evidence.strip():
            # Before the party is registered, which cannot be taken back.
            raise invalid(FieldFault(("evidence",), "missing", {"name": "evidence"}))
        principal = person.principal()
        try:
            view, _ = self._parties.register(
                principal, _registration(asked), exempt_id=asked.party if asked.exempt else None
            )
        except AlreadyRegistered:
            # By a platform, say, with other words. It is the same company, or it is not: that is told
            # by what the operator saw, and what is registered stays.
            view = self._parties.get(asked.party, principal)
            if view.name != asked.name:
                raise PartyDiffers("application_differs", name=view.name) from None
        status = self._parties.get(view.id, principal).status
        if status != "verified":
            self._parties.verify(principal, view.id, status="verified", evidence=evidence)
        with self._database.write() as connection:
            self._decide(connection, asked, ACCEPTED, None, person)
            accountstore.update_account(connection, asked.account, role="owner", party=asked.party)
            self._accounts.note(connection, asked.account, "accepted", by=person.id, client=client)
            self._accounts.note(connection, person.id, "decided", detail=asked.party, client=client)

    def refuse(self, person: Person, application: str, *, reason: str, client: Client) -> None:
        """Refuses an application with a reason that the applicant reads. Raises as `accept`."""
        asked = self.get(person, application)
        told = reason.strip()
        if not 1 <= len(told) <= MAX_REASON:
            params = {"expected": f"1..{MAX_REASON}", "got": len(told)}
            raise invalid(FieldFault(("reason",), "length", params))
        with self._database.write() as connection:
            self._decide(connection, asked, REFUSED, told, person)
            self._accounts.note(connection, person.id, "decided", detail=asked.party, client=client)

    def _decide(
        self, connection: Any, asked: Asked, status: str, reason: str | None, by: Person
    ) -> None:
        done = store.decide(
            connection, asked.id, status=status, reason=reason, decided_by=by.id,
            decided_at=to_ms(self._clock.now()),
        )  # fmt: skip
        if not done:
            raise AlreadyDecided("application_decided")

    def _insert(self, connection: Any, account: str, told: Registration, wish: Wish) -> None:
        application = str(uuid_utils.uuid7())
        sealed = self._vault.seal(
            place=_place(application),
            salt=self._random(SALT_BYTES),
            content=canonical_bytes(
                {"contact": wish.contact.strip()} | ({"ground": wish.ground} if told.exempt else {})
            ),
        )
        row = {
            "id": application,
            "account": account,
            "uscc": told.uscc or new_exempt_id(self._random),
            "name": told.name,
            "roles": ",".join(told.roles),
            "region": told.region,
            "licences": json.dumps([dict(one) for one in told.licences], ensure_ascii=False),
            "contact": sealed.sealed,
            "contact_key": sealed.wrapped_key,
            "status": WAITING,
            "reason": None,
            "created_at": to_ms(self._clock.now()),
            "decided_at": None,
            "decided_by": None,
        }
        store.insert_application(connection, row)

    def _open(self, row: Any) -> Mapping[str, str]:
        """Returns the contact, and an exempt person's ground; nothing where it was altered."""
        try:
            _, content = self._vault.open(
                place=_place(row.id), sealed=bytes(row.contact), wrapped_key=bytes(row.contact_key)
            )
        except SealBroken:
            return {}
        return dict(json.loads(content))


def _read(wish: Wish, *, today: str) -> Registration:
    contact = wish.contact.strip()

    def check_contact() -> None:
        if not 1 <= len(contact) <= MAX_CONTACT:
            params = {"expected": f"1..{MAX_CONTACT}", "got": len(contact)}
            raise invalid(FieldFault(("contact",), "length", params))
        check_canonical(contact, ("contact",))

    def read() -> Registration:
        return read_registration(
            uscc=wish.uscc or None,
            exempt=wish.exempt,
            name=wish.name,
            roles=("merchant",),
            region=wish.region,
            licences=wish.licences,
            # Nobody waits for a decision on a licence that opens nothing.
            today=today,
        )

    def check_ground() -> None:
        if wish.exempt and wish.ground not in GROUNDS:
            if not wish.ground:
                raise invalid(FieldFault(("ground",), "missing", {"name": "ground"}))
            params = {"expected": ", ".join(GROUNDS), "got": wish.ground[:40]}
            raise invalid(FieldFault(("ground",), "enum", params))

    told, _, _ = read_all(read, check_ground, check_contact)
    return told  # type: ignore[no-any-return]


def _registration(asked: Asked) -> Registration:
    uscc = None if asked.exempt else asked.party
    return Registration(uscc, asked.name, ("merchant",), asked.region, asked.licences)


def _asked(row: Any) -> Asked:
    return Asked(
        id=row.id,
        account=row.account,
        account_name=row.account_name,
        party=row.uscc,
        name=row.name,
        region=row.region,
        licences=tuple(json.loads(row.licences)),
        status=row.status,
        reason=row.reason,
        created_at=from_ms(row.created_at),
        decided_at=None if row.decided_at is None else from_ms(row.decided_at),
        closed=row.contact is not None and row.contact_key is not None,
    )


def _check_operates(person: Person) -> None:
    if not person.is_operator:
        raise NotOperating("not_operating")


def _place(application: str) -> tuple[str, str, str]:
    return f"application/{application}", application, _CONTACT
