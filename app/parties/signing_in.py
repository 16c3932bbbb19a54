"""Signing in: name and password, the second factor, a new password where one is owed.

What is told of a refusal is the same, and takes as long, whether there is no such account, the password
is wrong or the account is disabled: who guesses learns nothing but that he guessed wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import FieldFault, Unauthenticated, invalid
from app.parties import accountstore as store
from app.parties.account_rules import OF_ADDRESS, OF_NAME, Stage, normal_password
from app.parties.accounts import Accounts
from app.parties.devices import Devices
from app.parties.passwords import Passwords
from app.parties.second_factor import SecondFactor
from app.parties.sessions import Client, Person, Sessions, SignedIn
from app.parties.throttle import Counted, Throttle

_NAME, _ADDRESS, _DEVICE = "name", "address", "device"
_CODE, _AGAIN = "code", "again"
_NOBODY, _EVER = "", 2**62
_KEPT = timedelta(days=400)
"""Of the access log: more than the six months of the Cybersecurity Law, art. 21."""


class SignInRefused(Unauthenticated):
    """Name or password is wrong; which, nobody is told."""


class PasswordWrong(Unauthenticated):
    """Somebody signed in gave a wrong password."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just begun, or gone on under another token. stage: what it still owes.

    device: by which the browser is known again (app.parties.devices), "" while that is not earned.
    """

    token: str
    stage: Stage
    device: str = ""


class SignIn:
    """Owns its transactions."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        accounts: Accounts,
        sessions: Sessions,
        passwords: Passwords,
        second: SecondFactor,
        throttle: Throttle,
        devices: Devices,
    ) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._second = second
        self._throttle = throttle
        self._devices = devices

    def enter(
        self,
        name: str,
        password: str,
        *,
        client: Client,
        before: SignedIn | None = None,
        device: str | None = None,
    ) -> Opened:
        """Returns a new session. before: the one that the browser had, which ends. device: what it showed.

        On a device of this name's failures are counted for it alone, and none of a stranger's counts.

        Raises SignInRefused, TriedTooOften, Overloaded. Writes `signed_session`, `account_event`.
        """
        name = name.strip().lower()[:100]
        counted: tuple[Counted, ...]
        known_as = self._devices.known(device, name)
        if known_as is None:
            counted = ((_NAME, name, OF_NAME), (_ADDRESS, client.address, OF_ADDRESS))
        else:
            counted = ((_DEVICE, f"{name}\x00{known_as}", OF_NAME),)
        self._throttle.take(*counted)
        with self._database.read() as connection:
            row = store.find_by_name(connection, name)
        known = row is not None and row.disabled_at is None
        right = self._passwords.is_right(row.password if row is not None else None, password)
        if row is None or not known or not right:
            self._note_refused(None if row is None else row.id, client)
            raise SignInRefused("sign_in_refused")
        stage: Stage = "full"
        if row.totp_sealed is not None:
            stage = "code"
        elif row.must_change:
            stage = "password"
        with self._database.write() as connection:
            # To look at a password takes a while: a reset in it has ended all sessions but this one.
            if not store.hold_account(connection, row.id, password=row.password):
                raise SignInRefused("sign_in_refused")
            if before is not None:
                store.end_sessions(connection, before.person.id, only=before.id)
            token = self._sessions.open(connection, row.id, stage=stage, client=client)
            if self._passwords.is_outdated(row.password):
                fresh = self._passwords.hash(normal_password(password))
                store.update_account(connection, row.id, password=fresh)
            if stage != "code":
                self._entered(connection, row.id, client)
        # A right password pays for failures only when the code was right as well.
        told = ""
        if stage != "code":
            self._forgive(name, device)
            told = self._devices.token(name, before=device)
        if known_as is None:
            self._throttle.give_back(_ADDRESS, client.address)
        return Opened(token, stage, told)

    def open_for(self, account: str, *, client: Client) -> str:
        """Returns the token of a session of somebody who has just joined. Writes `signed_session`."""
        with self._database.write() as connection:
            self._entered(connection, account, client)
            return self._sessions.open(connection, account, stage="full", client=client)

    def second(
        self, signed: SignedIn, code: str, *, client: Client, device: str | None = None
    ) -> Opened:
        """Returns the session with its second factor shown. Raises Invalid at `code`, TriedTooOften.

        Writes `account` or `recovery_code`, `signed_session`, `account_event`.
        """
        person = signed.person
        stage: Stage = "password" if person.must_change else "full"
        token = ""
        self._throttle.take((_CODE, person.name, OF_NAME))
        with self._database.write() as connection:
            kind = self._second.take(connection, person.id, code)
            if kind == "recovery":
                self._accounts.note(connection, person.id, "recovery_used", client=client)
            if kind is None:
                self._accounts.note(connection, person.id, "code_refused", client=client)
            else:
                token = self._sessions.renew(connection, signed, stage=stage)
                self._entered(connection, person.id, client)
        if kind is None:
            raise invalid(FieldFault(("second_code",), "second_code"))
        self._throttle.clear(_CODE, person.name)
        self._forgive(person.name, device)
        return Opened(token, stage, self._devices.token(person.name, before=device))

    def confirm(self, signed: SignedIn, password: str, *, client: Client) -> str:
        """Returns a new token after the password was given once more.

        Raises PasswordWrong, TriedTooOften, SessionOver.
        """
        self._check_password(signed.person, password, client)
        with self._database.write() as connection:
            return self._sessions.renew(connection, signed, confirmed=True)

    def change_password(self, signed: SignedIn, *, old: str, new: str, client: Client) -> Opened:
        """Returns the session under a new token; every other one ends. Writes `account`, `signed_session`.

        Raises PasswordWrong, TriedTooOften, SessionOver, Invalid at `password`.
        """
        person = signed.person
        hashed = self._accounts.hash_new(new, name=person.name)
        self._check_password(person, old, client)
        if normal_password(old) == normal_password(new):
            raise invalid(FieldFault(("password",), "password_same"))
        with self._database.write() as connection:
            store.update_account(
                connection, person.id, password=hashed, must_change=False,
                password_at=to_ms(self._clock.now()),
            )  # fmt: skip
            store.end_sessions(connection, person.id, but=signed.id)
            token = self._sessions.renew(connection, signed, stage="full", confirmed=True)
            self._accounts.note(connection, person.id, "password_changed", client=client)
        return Opened(token, "full")

    def turn_on_second(
        self, signed: SignedIn, *, secret: str, code: str, client: Client
    ) -> tuple[tuple[str, ...], str]:
        """Returns recovery codes and a new token; every other session ends. Raises Invalid at `code`."""
        with self._database.write() as connection:
            codes = self._second.turn_on(connection, signed.person.id, secret=secret, code=code)
            store.end_sessions(connection, signed.person.id, but=signed.id)
            token = self._sessions.renew(connection, signed)
            self._accounts.note(connection, signed.person.id, "second_on", client=client)
        return codes, token

    def turn_off_second(self, signed: SignedIn, *, client: Client) -> None:
        """Ends the second factor. Writes `account`, `recovery_code`, `account_event`."""
        with self._database.write() as connection:
            self._second.turn_off(connection, signed.person.id)
            self._accounts.note(connection, signed.person.id, "second_off", client=client)

    def new_secret(self) -> str:
        """Returns a secret for an authenticator app."""
        return self._second.new_secret()

    def secret_uri(self, signed: SignedIn, secret: str) -> str:
        """Returns the URI of a secret's QR code."""
        return self._second.uri(secret, signed.person.name)

    def recovery_left(self, signed: SignedIn) -> int:
        """Returns how many recovery codes nobody has used. Read-only."""
        with self._database.read() as connection:
            return store.count_recovery(connection, signed.person.id)

    def leave(self, signed: SignedIn, *, client: Client) -> None:
        """Ends the session. Writes `signed_session`, `account_event`."""
        with self._database.write() as connection:
            store.end_sessions(connection, signed.person.id, only=signed.id)
            self._accounts.note(connection, signed.person.id, "left", client=client)

    def _check_password(self, person: Person, password: str, client: Client) -> None:
        self._throttle.take((_AGAIN, person.id, OF_NAME))
        with self._database.read() as connection:
            row = store.find_account(connection, person.id)
        if row is None or not self._passwords.is_right(row.password, password):
            self._accounts.log(person.id, "refused", client=client)
            raise PasswordWrong("password_wrong")
        self._throttle.clear(_AGAIN, person.id)

    def _forgive(self, name: str, device: str | None) -> None:
        """Forgets the failures of a name, and those on the device on which it has now signed in."""
        self._throttle.clear(_NAME, name)
        known_as = self._devices.known(device, name)
        if known_as is not None:
            self._throttle.clear(_DEVICE, f"{name}\x00{known_as}")

    def _note_refused(self, account: str | None, client: Client) -> None:
        """Notes a refusal at the account; of nobody's, writes and forgets, which takes as long."""
        with self._database.write() as connection:
            self._accounts.note(connection, account or _NOBODY, "refused", client=client)
            if account is None:
                store.forget_events(connection, _NOBODY, before_ms=_EVER)

    def _entered(self, connection: Connection, account: str, client: Client) -> None:
        now = self._clock.now()
        store.update_account(connection, account, seen_at=to_ms(now))
        store.forget_events(connection, account, before_ms=to_ms(now - _KEPT))
        self._accounts.note(connection, account, "entered", client=client)
