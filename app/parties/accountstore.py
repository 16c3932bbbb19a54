"""SQL of the people who sign in: accounts, sessions, failures, invitations. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.hot import HotSelect
from app.db.tables import (
    Account,
    AccountEvent,
    Invitation,
    Party,
    RecoveryCode,
    SignedSession,
    SignInTry,
)
from app.db.upsert import count_rows

ACCOUNT = Account.__table__  # type: ignore[attr-defined]
SESSION = SignedSession.__table__  # type: ignore[attr-defined]
RECOVERY = RecoveryCode.__table__  # type: ignore[attr-defined]
TRY = SignInTry.__table__  # type: ignore[attr-defined]
EVENT = AccountEvent.__table__  # type: ignore[attr-defined]
INVITATION = Invitation.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]

_WITH_PARTY = select(
    ACCOUNT, PARTY.c.roles.label("party_roles"), PARTY.c.region.label("party_region")
).select_from(ACCOUNT.outerjoin(PARTY, PARTY.c.id == ACCOUNT.c.party))
_BY_SESSION = HotSelect(
    select(
        SESSION.c.digest,
        SESSION.c.id.label("session"),
        SESSION.c.stage,
        SESSION.c.confirmed_at,
        SESSION.c.seen_at.label("heard_at"),
        SESSION.c.until_at,
        ACCOUNT,
        PARTY.c.roles.label("party_roles"),
        PARTY.c.region.label("party_region"),
    )
    .select_from(
        SESSION.join(ACCOUNT, ACCOUNT.c.id == SESSION.c.account).outerjoin(
            PARTY, PARTY.c.id == ACCOUNT.c.party
        )
    )
    .where(SESSION.c.digest == bindparam("digest"))
)


# --- accounts ------------------------------------------------------------------------------------


def insert_account(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Stores an account; returns False where its name is taken. Writes `account`."""
    try:
        with connection.begin_nested():
            connection.execute(insert(ACCOUNT).values(**row))
    except IntegrityError:
        return False
    return True


def find_account(connection: Connection, account: str) -> Any | None:
    """Returns an account with its party's roles and region, or None. Read-only."""
    return connection.execute(_WITH_PARTY.where(ACCOUNT.c.id == account)).first()


def find_by_name(connection: Connection, name: str) -> Any | None:
    """Returns the account of a login name as `find_account` does, or None. Read-only."""
    return connection.execute(_WITH_PARTY.where(ACCOUNT.c.name == name)).first()


def list_accounts(
    connection: Connection, *, party: str | None = None, roles: Sequence[str] = ()
) -> list[Any]:
    """Returns accounts by name: of a party, of these roles, or all. Read-only."""
    query = _WITH_PARTY.order_by(ACCOUNT.c.name)
    if party is not None:
        query = query.where(ACCOUNT.c.party == party)
    if roles:
        query = query.where(ACCOUNT.c.role.in_(roles))
    return list(connection.execute(query))


def update_account(connection: Connection, account: str, **values: Any) -> None:
    """Changes an account. Writes `account`."""
    connection.execute(update(ACCOUNT).where(ACCOUNT.c.id == account).values(**values))


def hold_account(connection: Connection, account: str, *, password: str) -> bool:
    """Returns whether an account has this hash still and is not disabled; until the end it stays so.

    Writes `account`, though nothing new: who resets or disables it meanwhile waits.
    """
    done = connection.execute(
        update(ACCOUNT)
        .where(
            ACCOUNT.c.id == account,
            ACCOUNT.c.password == password,
            ACCOUNT.c.disabled_at.is_(None),
        )
        .values(password=password)
    )
    return done.rowcount == 1


def take_step(connection: Connection, account: str, step: int) -> bool:
    """Returns whether no code of this time step, or a later one, was taken before. Writes `account`."""
    done = connection.execute(
        update(ACCOUNT)
        .where(ACCOUNT.c.id == account, ACCOUNT.c.totp_step < step)
        .values(totp_step=step)
    )
    return done.rowcount == 1


def set_recovery(connection: Connection, account: str, digests: Sequence[bytes]) -> None:
    """Puts new recovery codes in the place of the old ones. Writes `recovery_code`."""
    connection.execute(delete(RECOVERY).where(RECOVERY.c.account == account))
    if digests:
        connection.execute(
            insert(RECOVERY),
            [{"account": account, "digest": digest, "used_at": None} for digest in digests],
        )


def use_recovery(connection: Connection, account: str, digest: bytes, *, at_ms: int) -> bool:
    """Returns whether this was a recovery code nobody had used. Writes `recovery_code`."""
    done = connection.execute(
        update(RECOVERY)
        .where(
            RECOVERY.c.account == account, RECOVERY.c.digest == digest, RECOVERY.c.used_at.is_(None)
        )
        .values(used_at=at_ms)
    )
    return done.rowcount == 1


def count_recovery(connection: Connection, account: str) -> int:
    """Returns how many recovery codes are left. Read-only."""
    query = select(func.count()).where(RECOVERY.c.account == account, RECOVERY.c.used_at.is_(None))
    return int(connection.execute(query).scalar_one())


# --- sessions ------------------------------------------------------------------------------------


def insert_session(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores a session, and forgets those that ended by themselves. Writes `signed_session`."""
    connection.execute(delete(SESSION).where(SESSION.c.until_at < row["created_at"]))
    connection.execute(insert(SESSION).values(**row))


def find_session(connection: Connection, digest: bytes) -> Any | None:
    """Returns a session with its account and the party's roles and region, or None. Read-only."""
    return _BY_SESSION.first(connection, digest=digest)


def sessions_of(connection: Connection, account: str, *, heard_ms: int, now_ms: int) -> list[Any]:
    """Returns the sessions heard of since `heard_ms`, the last heard of first. Read-only."""
    query = select(SESSION).where(
        SESSION.c.account == account, SESSION.c.seen_at > heard_ms, SESSION.c.until_at > now_ms
    )
    return list(connection.execute(query.order_by(SESSION.c.seen_at.desc(), SESSION.c.id)))


def move_session(connection: Connection, digest: bytes, values: Mapping[str, Any]) -> bool:
    """Changes a session, its digest too; returns whether it was there. Writes `signed_session`."""
    done = connection.execute(update(SESSION).where(SESSION.c.digest == digest).values(**values))
    return done.rowcount == 1


def end_sessions(
    connection: Connection, account: str, *, only: str | None = None, but: str | None = None
) -> int:
    """Ends sessions of an account, and returns how many. Writes `signed_session`."""
    query = delete(SESSION).where(SESSION.c.account == account)
    if only is not None:
        query = query.where(SESSION.c.id == only)
    if but is not None:
        query = query.where(SESSION.c.id != but)
    return int(connection.execute(query).rowcount)


# --- failures ------------------------------------------------------------------------------------


def count_try(connection: Connection, digest: bytes, *, now_ms: int) -> Any:
    """Returns a counter after counting one more; nobody else counts there meanwhile. Writes `sign_in_try`."""
    row = {"digest": digest, "failures": 1, "last_at": now_ms, "until_at": 0}
    count_rows(
        connection, TRY, [row], keys=("digest",), kept=("last_at", "until_at"), sums=("failures",)
    )
    return connection.execute(select(TRY).where(TRY.c.digest == digest)).one()


def set_try(connection: Connection, digest: bytes, **values: Any) -> None:
    """Changes a counter. Writes `sign_in_try`."""
    connection.execute(update(TRY).where(TRY.c.digest == digest).values(**values))


def uncount_try(connection: Connection, digest: bytes) -> None:
    """Takes one back from a counter. Writes `sign_in_try`."""
    connection.execute(
        update(TRY)
        .where(TRY.c.digest == digest, TRY.c.failures > 0)
        .values(failures=TRY.c.failures - 1, until_at=0)
    )


def forget_tries(
    connection: Connection, *, digest: bytes | None = None, before_ms: int = 0
) -> None:
    """Forgets one counter, or those that nobody counted at since then. Writes `sign_in_try`."""
    which = TRY.c.last_at < before_ms if digest is None else TRY.c.digest == digest
    connection.execute(delete(TRY).where(which))


# --- the access log ------------------------------------------------------------------------------


def insert_event(connection: Connection, row: Mapping[str, Any]) -> None:
    """Adds to the access log. Writes `account_event`."""
    connection.execute(insert(EVENT).values(**row))


def forget_events(connection: Connection, account: str, *, before_ms: int) -> None:
    """Forgets what happened to an account before then. Writes `account_event`."""
    connection.execute(delete(EVENT).where(EVENT.c.account == account, EVENT.c.at < before_ms))


def events_of(connection: Connection, account: str, *, limit: int) -> list[Any]:
    """Returns the last of an account's access log, newest first, with who did it. Read-only."""
    other = ACCOUNT.alias("other")
    query = (
        select(EVENT, other.c.name.label("by_name"))
        .select_from(EVENT.outerjoin(other, other.c.id == EVENT.c.by))
        .where(EVENT.c.account == account)
    )
    return list(
        connection.execute(query.order_by(EVENT.c.at.desc(), EVENT.c.id.desc()).limit(limit))
    )


def last_event(connection: Connection, account: str, kind: str) -> Any | None:
    """Returns the last of a kind in an account's access log, or None. Read-only."""
    query = select(EVENT).where(EVENT.c.account == account, EVENT.c.kind == kind)
    return connection.execute(query.order_by(EVENT.c.at.desc(), EVENT.c.id.desc())).first()


# --- invitations ---------------------------------------------------------------------------------


def insert_invitation(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores an invitation. Writes `invitation`."""
    connection.execute(insert(INVITATION).values(**row))


def find_invitation(connection: Connection, digest: bytes) -> Any | None:
    """Returns an invitation, or None. Read-only."""
    return connection.execute(select(INVITATION).where(INVITATION.c.digest == digest)).first()


def open_invitations(connection: Connection, party: str | None, *, now_ms: int) -> list[Any]:
    """Returns the invitations into a party that still hold; of the operator for None. Read-only."""
    query = select(INVITATION).where(
        INVITATION.c.ended_at.is_(None), INVITATION.c.until_at > now_ms
    )
    if party is not None:
        query = query.where(INVITATION.c.party == party)
    return list(connection.execute(query.order_by(INVITATION.c.created_at, INVITATION.c.id)))


def end_invitation(connection: Connection, invitation: str, *, at_ms: int) -> bool:
    """Ends an invitation; returns whether it held until now. Writes `invitation`."""
    done = connection.execute(
        update(INVITATION)
        .where(INVITATION.c.id == invitation, INVITATION.c.ended_at.is_(None))
        .values(ended_at=at_ms)
    )
    return done.rowcount == 1
