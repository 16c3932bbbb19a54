"""SQL of merchants who apply. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.db.tables import Account, Application, Party

APPLICATION = Application.__table__  # type: ignore[attr-defined]
ACCOUNT = Account.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]

WAITING, ACCEPTED, REFUSED = "waiting", "accepted", "refused"

_WITH_NAME = select(APPLICATION, ACCOUNT.c.name.label("account_name")).select_from(
    APPLICATION.join(ACCOUNT, ACCOUNT.c.id == APPLICATION.c.account)
)


def insert_application(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores an application. Writes `application`."""
    connection.execute(insert(APPLICATION).values(**row))


def find_application(connection: Connection, application: str) -> Any | None:
    """Returns an application with its account's name, or None. Read-only."""
    return connection.execute(_WITH_NAME.where(APPLICATION.c.id == application)).first()


def last_of(connection: Connection, account: str) -> Any | None:
    """Returns the last application of an account, or None. Read-only."""
    query = _WITH_NAME.where(APPLICATION.c.account == account)
    return connection.execute(
        query.order_by(APPLICATION.c.created_at.desc(), APPLICATION.c.id.desc()).limit(1)
    ).first()


def list_applications(connection: Connection, status: str, *, limit: int) -> list[Any]:
    """Returns applications of one status: those that wait oldest first, others newest. Read-only."""
    query = _WITH_NAME.where(APPLICATION.c.status == status).limit(limit)
    if status == WAITING:
        return list(connection.execute(query.order_by(APPLICATION.c.created_at, APPLICATION.c.id)))
    return list(
        connection.execute(query.order_by(APPLICATION.c.decided_at.desc(), APPLICATION.c.id))
    )


def count_waiting(connection: Connection) -> int:
    """Returns how many applications wait. Read-only."""
    query = select(func.count()).where(APPLICATION.c.status == WAITING)
    return int(connection.execute(query).scalar_one())


def count_of_code(connection: Connection, uscc: str) -> tuple[int, int]:
    """Returns how many applications wait for a code, and how many accounts its party has. Read-only."""
    waiting = select(func.count()).where(
        APPLICATION.c.uscc == uscc, APPLICATION.c.status == WAITING
    )
    people = select(func.count()).where(ACCOUNT.c.party == uscc)
    return (
        int(connection.execute(waiting).scalar_one()),
        int(connection.execute(people).scalar_one()),
    )


def decide(connection: Connection, application: str, **values: Any) -> bool:
    """Decides an application that waits; returns whether it did. Writes `application`."""
    done = connection.execute(
        update(APPLICATION)
        .where(APPLICATION.c.id == application, APPLICATION.c.status == WAITING)
        .values(**values)
    )
    return done.rowcount == 1
