"""The people's services of a deployment, joined: who opens rooms opens these together."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from app.db.engine import Database
from app.kit.clock import Clock
from app.ledger.vault import Vault
from app.parties.accounts import Accounts
from app.parties.devices import Devices
from app.parties.invitations import Invitations
from app.parties.passwords import Passwords
from app.parties.second_factor import SecondFactor
from app.parties.sessions import Sessions
from app.parties.signing_in import SignIn
from app.parties.throttle import Throttle


class GivesKeys(Protocol):
    """What derives keys for a purpose: the keyring."""

    def subkey(self, purpose: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class People:
    """accounts: who may sign in. invitations: into an account. sign_in: doing so.

    sessions: who has. throttle: who must wait.
    """

    accounts: Accounts
    invitations: Invitations
    sign_in: SignIn
    sessions: Sessions
    throttle: Throttle


def open_people(
    database: Database,
    keys: GivesKeys,
    *,
    clock: Clock,
    vault: Vault,
    idle: timedelta,
    longest: timedelta,
    passwords: Passwords,
) -> People:
    """Returns the services. idle, longest: of sessions."""
    second = SecondFactor(clock=clock, vault=vault, recovery_key=keys.subkey("recovery-code"))
    accounts = Accounts(database, clock=clock, passwords=passwords, second=second)
    sessions = Sessions(
        database, clock=clock, csrf_key=keys.subkey("form-token"), idle=idle, longest=longest
    )
    throttle = Throttle(database, clock=clock, key=keys.subkey("sign-in-try"))
    sign_in = SignIn(
        database,
        clock=clock,
        accounts=accounts,
        sessions=sessions,
        passwords=passwords,
        second=second,
        throttle=throttle,
        devices=Devices(clock=clock, key=keys.subkey("known-device"), random=secrets.token_bytes),
    )
    invitations = Invitations(database, clock=clock, accounts=accounts)
    return People(accounts, invitations, sign_in, sessions, throttle)
